//! The way of a commit onto the disk.

use std::sync::Arc;

use omoi_domain::time::Timestamp;
use tracing::debug;

use crate::dialect::RequestedSync;
use crate::error::StoreError;
use crate::open::{CommittedEvents, StoreInner};

/// A commit that outlives the end of this process, on its way onto the disk. It gets there whether or not somebody
/// waits, and a loss of power before takes with it all that was committed later.
pub struct CommitSync(Option<OpenSync>);

struct OpenSync {
    inner: Arc<StoreInner>,
    now: Timestamp,
    sync: Option<RequestedSync>,
}

impl CommitSync {
    pub(crate) const fn nothing_written() -> Self {
        Self(None)
    }

    pub(crate) const fn of_commit(
        inner: Arc<StoreInner>,
        now: Timestamp,
        sync: RequestedSync,
    ) -> Self {
        Self(Some(OpenSync {
            inner,
            now,
            sync: Some(sync),
        }))
    }

    /// Waits until the commit outlives a loss of power. At once where it was waited for before.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn wait_synced(&mut self) -> Result<(), StoreError> {
        let Some(OpenSync { inner, now, sync }) = &mut self.0 else {
            return Ok(());
        };
        let Some(sync) = sync.take() else {
            return Ok(());
        };
        match sync.wait_synced().await {
            Ok(()) => {
                inner.recovered();
                Ok(())
            }
            Err(error) => {
                let error = StoreError::from(sqlx::Error::Io(error));
                debug!(%error, "The disk did not take a commit");
                if matches!(error, StoreError::NoSpace(_)) {
                    inner.stall(*now);
                }
                Err(error)
            }
        }
    }

    /// Wakes whoever waits for events, where the commit has some.
    pub(crate) fn tell_committed(&self, events: Option<CommittedEvents>) {
        if let Some((open, events)) = self.0.as_ref().zip(events) {
            open.inner.committed(events);
        }
    }
}

impl std::fmt::Debug for CommitSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CommitSync").finish_non_exhaustive()
    }
}

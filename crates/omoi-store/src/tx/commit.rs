//! The end of a transaction.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tracing::debug;

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use super::Tx;
use crate::audit_log;
use crate::commit_sync::CommitSync;
use crate::error::StoreError;
use crate::events;
use crate::open::CommittedEvents;
use crate::request_keys;

impl Tx {
    /// Commits what was written, so that it outlives a loss of power; a transaction that wrote nothing passes no
    /// crash point.
    pub(crate) fn finish(self, point: CrashPoint) -> BoxFuture<'static, Result<(), StoreError>> {
        match self.has_changes() {
            true => self.commit(point).boxed(),
            false => self.rollback().boxed(),
        }
    }

    /// The same, and what is written outlives the end of this process; a loss of power once the answer was
    /// waited for.
    pub(crate) fn finish_ahead(
        self,
        point: CrashPoint,
    ) -> BoxFuture<'static, Result<CommitSync, StoreError>> {
        let finish = async move {
            if !self.has_changes() {
                self.rollback().await?;
                return Ok(CommitSync::nothing_written());
            }
            let (sync, told) = self.write_log(point).await?;
            crash::pass_point(point, CrashSide::After);
            sync.tell_committed(told);
            Ok(sync)
        };
        finish.boxed()
    }

    fn has_changes(&self) -> bool {
        self.is_written || !self.events.is_empty() || !self.acts.is_empty()
    }

    /// Commits rows and events. `point` names the commit for the kill matrix.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the database would not take it; nothing is written then.
    pub async fn commit(self, point: CrashPoint) -> Result<(), StoreError> {
        let (mut sync, told) = self.write_log(point).await?;
        sync.wait_synced().await?;
        crash::pass_point(point, CrashSide::After);
        sync.tell_committed(told);
        Ok(())
    }

    /// Notes the request that it is made for as done, and writes events and acts: the organisation's row is locked last,
    /// so that numbers become visible in their order, and after it the head of its audit log alone.
    async fn append_logs(&mut self) -> Result<Option<i64>, StoreError> {
        if let Some(running) = self.running {
            request_keys::note_done(self, running, self.made).await?;
        }
        let batch = std::mem::take(&mut self.events);
        let moves = std::mem::take(&mut self.slots);
        let acts = std::mem::take(&mut self.acts);
        let last = events::append(self, batch, &moves).await?;
        audit_log::append_acts(self, acts).await?;
        Ok(last)
    }

    /// Commits rows and events; gives the way of the commit onto the disk, and its events where it has some.
    async fn write_log(
        mut self,
        point: CrashPoint,
    ) -> Result<(CommitSync, Option<CommittedEvents>), StoreError> {
        let org = self.org();
        let last = match self.append_logs().await {
            Ok(last) => last,
            Err(error) => {
                // Whoever hears of it may try again: its locks must be gone by then, and a transaction that is
                // dropped gives them up only later. Why it was refused says more than why that failed.
                debug!(?point, %error, "The events of a commit were refused; it is taken back");
                let _ = self.rollback().await;
                return Err(error);
            }
        };
        let told = last.map(|seq| CommittedEvents { org, seq });
        crash::pass_point(point, CrashSide::Before);
        let (inner, now) = (self.inner, self.now);
        match self.conn.commit().await {
            Ok(sync) => Ok((CommitSync::of_commit(inner, now, sync), told)),
            Err(error) => {
                let error = StoreError::from(error);
                debug!(?point, %error, "The database refused a commit");
                if matches!(error, StoreError::NoSpace(_)) {
                    inner.stall(now);
                }
                Err(error)
            }
        }
    }
}

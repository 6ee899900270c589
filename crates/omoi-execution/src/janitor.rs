//! Removes rows whose time is over.

use std::fmt;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next, Reconciler};
use omoi_store::expired_rows::{ExpiringTable, has_expired, remove_expired};
use omoi_store::{Store, StoreError, Tx};
use tracing::debug;

/// Rows of one pass.
const ROWS_MAX: i64 = 500;

/// Removes rows of no organisation whose time is over; writes nothing where there is none. Several may run at once.
pub struct Janitor {
    store: Store,
}

impl fmt::Debug for Janitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Janitor").finish_non_exhaustive()
    }
}

impl Janitor {
    /// Cleans `store` up.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// One pass: 500 rows at most; how many it removed.
    ///
    /// # Errors
    /// When the rows cannot be read or written.
    async fn clean_up(&self) -> Result<i64, StoreError> {
        let system = self.store.system();
        let look = async |tx: &mut Tx| -> Result<_, StoreError> {
            let mut expired = Vec::new();
            for &table in ExpiringTable::ALL {
                if has_expired(tx, table).await? {
                    expired.push(table);
                }
            }
            Ok(expired)
        };
        let mut n_removed = 0;
        for table in system.read(look).await? {
            let left = ROWS_MAX - n_removed;
            let remove = async |tx: &mut Tx| remove_expired(tx, table, left).await;
            let n_rows = system.write(CrashPoint::AccountChanged, remove).await?;
            debug!(%table, rows = n_rows, "Removed rows whose time is over");
            n_removed += n_rows as i64;
            if n_removed >= ROWS_MAX {
                break;
            }
        }
        Ok(n_removed)
    }
}

impl Reconciler for Janitor {
    fn name(&self) -> &'static str {
        "janitor"
    }

    fn tick<'a>(
        &'a mut self,
        _: Timestamp,
        _: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        async {
            let n_removed = self.clean_up().await?;
            Ok(match n_removed < ROWS_MAX {
                true => Next::Idle,
                false => Next::Now,
            })
        }
        .boxed()
    }
}

//! Removes rows whose time is over.

use std::fmt;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next, Reconciler};
use omoi_store::expired_rows::{ExpiringTable, has_expired, remove_expired};
use omoi_store::{Store, StoreError, Tx, organisations, stored_files};
use tracing::debug;

use crate::base_refs::remove_base_refs;
use crate::mirror_upkeep::clear_mirrors;
use crate::repository_folders::RepositoryFolders;
use crate::threads::keep_threads_up;

/// Rows of one pass.
const ROWS_MAX: i64 = 500;

/// Contents of files of one organisation in one pass.
const FILES_MAX: u32 = 20;
/// How long contents are kept that no ticket has a file of.
const FILES_KEPT_FOR: Duration = Duration::from_hours(24);
/// How often the threads of every organisation are looked at.
const THREADS_LOOKED_AT_EVERY: Duration = Duration::from_mins(10);
/// How often the mirrors of every organisation are looked at.
const MIRRORS_LOOKED_AT_EVERY: Duration = Duration::from_hours(6);
/// How often every organisation is looked at.
const FILES_LOOKED_AT_EVERY: Duration = Duration::from_hours(1);

/// Removes rows whose time is over; writes nothing where there is none. Several may run at once.
pub struct Janitor {
    store: Store,
    /// When the files of all organisations were looked at last.
    files_looked_at: Option<Timestamp>,
    /// When their threads were.
    threads_looked_at: Option<Timestamp>,
    /// The mirrors that are cleaned up, where this process has any.
    folders: Option<RepositoryFolders>,
    /// When they were looked at.
    mirrors_looked_at: Option<Timestamp>,
}

impl fmt::Debug for Janitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Janitor").finish_non_exhaustive()
    }
}

impl Janitor {
    /// Cleans `store` up.
    pub const fn new(store: Store) -> Self {
        Self {
            store,
            files_looked_at: None,
            threads_looked_at: None,
            folders: None,
            mirrors_looked_at: None,
        }
    }

    /// As `self`, cleaning up the mirrors in `folders` too.
    #[must_use]
    pub fn with_mirrors(self, folders: RepositoryFolders) -> Self {
        Self {
            folders: Some(folders),
            ..self
        }
    }

    /// Removes refs of commits at which no spec begins any more, from the mirrors of every organisation, and objects that no ref
    /// reaches.
    ///
    /// # Errors
    /// When the rows cannot be read, or git refuses.
    async fn clean_up_mirrors(&mut self, now: Timestamp) -> Result<(), BoxError> {
        let is_due = self
            .mirrors_looked_at
            .is_none_or(|at| now < at || now.since(at) >= MIRRORS_LOOKED_AT_EVERY);
        let Some(folders) = self.folders.as_ref().filter(|_| is_due) else {
            return Ok(());
        };
        let system = self.store.system();
        let all = system.read(async |tx| organisations::event_heads(tx).await);
        for (org, _) in all.await? {
            let tenant = self.store.tenant(org);
            remove_base_refs(&tenant, folders, now).await?;
            clear_mirrors(&tenant, folders, now).await?;
        }
        self.mirrors_looked_at = Some(now);
        Ok(())
    }

    /// Removes contents of files that no ticket has any more, in every organisation.
    ///
    /// # Errors
    /// When the rows cannot be read or written.
    async fn clean_up_files(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let is_due = self
            .files_looked_at
            .is_none_or(|at| now < at || now.since(at) >= FILES_LOOKED_AT_EVERY);
        if !is_due {
            return Ok(());
        }
        let system = self.store.system();
        let all = system.read(async |tx| organisations::event_heads(tx).await);
        for (org, _) in all.await? {
            let tenant = self.store.tenant(org);
            let look = async |tx: &mut Tx| {
                let before = tx.now() - FILES_KEPT_FOR;
                stored_files::has_unreferenced(tx, before).await
            };
            while tenant.read(look).await? {
                let remove = async |tx: &mut Tx| {
                    let before = tx.now() - FILES_KEPT_FOR;
                    stored_files::remove_unreferenced(tx, before, FILES_MAX).await
                };
                let n_removed = tenant.write(CrashPoint::TicketChanged, remove).await?;
                debug!(%org, n_removed, "Removed contents of files that no ticket has");
            }
        }
        self.files_looked_at = Some(now);
        Ok(())
    }

    /// Ends what nobody reads or says in threads, in every organisation.
    ///
    /// # Errors
    /// When the rows cannot be read or written.
    async fn keep_up_threads(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let is_due = self
            .threads_looked_at
            .is_none_or(|at| now < at || now.since(at) >= THREADS_LOOKED_AT_EVERY);
        if !is_due {
            return Ok(());
        }
        let system = self.store.system();
        let all = system.read(async |tx| organisations::event_heads(tx).await);
        for (org, _) in all.await? {
            keep_threads_up(&self.store.tenant(org)).await?;
        }
        self.threads_looked_at = Some(now);
        Ok(())
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
        now: Timestamp,
        _: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        async move {
            let n_removed = self.clean_up().await?;
            self.clean_up_files(now).await?;
            self.keep_up_threads(now).await?;
            // Last: git may need minutes for a long history.
            self.clean_up_mirrors(now).await?;
            Ok(match n_removed < ROWS_MAX {
                true => Next::Idle,
                false => Next::Now,
            })
        }
        .boxed()
    }
}

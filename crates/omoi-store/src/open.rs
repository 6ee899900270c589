//! Opening the database, and on whose behalf.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{broadcast, watch};
use tracing::{debug, error, info, trace, warn};
use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::audit::RequestOrigin;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::commit_sync::CommitSync;
use crate::dialect::{Backend, DatabasePools};
use crate::error::StoreError;
use crate::kept_clock::KeptClock;
use crate::options::ServerOptions;
use crate::request_keys::RunningRequest;
use crate::tx::{Tx, TxWriter};

/// A transaction that takes longer keeps others waiting that people notice.
const SLOW: Duration = Duration::from_secs(1);

/// Where time comes from; `None` asks the database.
pub(crate) type TimeSource = Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>;

/// How to open a store.
pub struct StoreOptions {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Time for tests; `None` = the database's own clock.
    pub now: Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>,
    /// Makes row ids: UUIDv7 from the process's clock and random source.
    pub new_uuid: Arc<dyn Fn() -> Uuid + Send + Sync>,
    /// What a server is asked and allowed.
    pub server: ServerOptions,
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<StoreInner>,
    writer: TxWriter,
    origin: Option<Arc<RequestOrigin>>,
}

pub(crate) struct StoreInner {
    pub(crate) backend: Backend,
    pools: DatabasePools,
    now: TimeSource,
    /// The database's own clock as it was asked last.
    kept_now: KeptClock,
    pub(crate) new_uuid: Arc<dyn Fn() -> Uuid + Send + Sync>,
    committed: watch::Sender<u64>,
    committed_events: broadcast::Sender<CommittedEvents>,
    stalled_since: Mutex<Option<Timestamp>>,
}

/// Commits that one who listens may be behind.
const COMMITS_KEPT: usize = 256;

/// Events that were committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedEvents {
    /// The organisation.
    pub org: OrgId,
    /// The last of them.
    pub seq: i64,
}

/// The disk takes no writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StalledDisk {
    /// Since when, by the database's clock.
    pub since: Timestamp,
}

impl StoreInner {
    /// Remembers the first of the writes that found no space.
    pub(crate) fn stall(&self, now: Timestamp) {
        let mut since = self.lock_stalled();
        if since.is_none() {
            error!("The disk of the database takes no writes; work waits until there is space");
        }
        *since = since.or(Some(now));
    }

    /// A write found space again.
    pub(crate) fn recovered(&self) {
        if self.lock_stalled().take().is_some() {
            info!("The disk of the database takes writes again");
        }
    }

    fn lock_stalled(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.stalled_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committed(&self, events: CommittedEvents) {
        self.committed.send_modify(|n| *n += 1);
        // Nobody need listen.
        let _ = self.committed_events.send(events);
    }
}

impl Store {
    /// Connects without touching the schema.
    ///
    /// # Errors
    /// [`StoreError::Url`], or [`StoreError::Unreachable`] when the first connection fails.
    pub async fn connect(options: StoreOptions) -> Result<Self, StoreError> {
        let pools = DatabasePools::open(&options.url, options.server).await?;
        debug!(
            backend = pools.backend().as_str(),
            "Connected to the database"
        );
        let (committed, _) = watch::channel(0);
        let (committed_events, _) = broadcast::channel(COMMITS_KEPT);
        let inner = StoreInner {
            backend: pools.backend(),
            pools,
            now: options.now,
            kept_now: KeptClock::default(),
            new_uuid: options.new_uuid,
            committed,
            committed_events,
            stalled_since: Mutex::new(None),
        };
        Ok(Self {
            inner: Arc::new(inner),
            writer: TxWriter::default(),
            origin: None,
        })
    }

    /// Brings the schema up to date; safe to call from many processes at once.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] when a migration fails; [`StoreError::OtherVersion`] when the schema is
    /// that of another program version; [`StoreError::NoRight`] and [`StoreError::RoleMayBypass`] on a server whose
    /// roles could not keep organisations apart.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let n_applied = self.inner.pools.migrate().await?;
        match n_applied {
            0 => debug!("The schema is up to date"),
            _ => info!(n_applied, "Applied {n_applied} migrations"),
        }
        Ok(())
    }

    /// Migrations of this program, and whether each stands in the database.
    ///
    /// # Errors
    /// When the database cannot be read, and [`StoreError::OtherVersion`] when it has one that this program does not
    /// know.
    pub async fn migrations(&self) -> Result<Vec<(i64, String, bool)>, StoreError> {
        let applied = self.inner.pools.applied().await?;
        let migrator = self.inner.pools.migrator();
        let is_known = |version: &i64| migrator.iter().any(|m| m.version == *version);
        if let Some(version) = applied.iter().copied().find(|version| !is_known(version)) {
            return Err(StoreError::OtherVersion { version });
        }
        Ok(migrator
            .iter()
            .map(|m| {
                (
                    m.version,
                    m.description.to_string(),
                    applied.contains(&m.version),
                )
            })
            .collect())
    }

    /// Which database speaks.
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Acts for one organisation: for whoever the request comes from, else as OmoiOS itself; see
    /// [`Tenant::acting_as`].
    pub fn tenant(&self, org: OrgId) -> Tenant {
        Tenant {
            store: self.clone(),
            scope: self.scope_of(org),
        }
    }

    fn scope_of(&self, org: OrgId) -> TenantScope {
        let origin = self.origin.clone();
        TenantScope {
            org,
            actor: origin.as_ref().map_or(Actor::System, |origin| origin.actor),
            origin,
        }
    }

    /// The same store for a request: what is written is written for whoever it comes from, and the audit log tells
    /// from where.
    #[must_use]
    pub fn for_request(&self, origin: RequestOrigin) -> Self {
        Self {
            origin: Some(Arc::new(origin)),
            ..self.clone()
        }
    }

    /// A fresh row id, for what has to be known before a transaction can be begun: whose it will be.
    pub fn new_id<I: From<Uuid>>(&self) -> I {
        I::from((self.inner.new_uuid)())
    }

    /// The same store, every event of which is written under `fence`: see [`crate::deployment`].
    #[must_use]
    pub fn fenced(&self, fence: i64) -> Self {
        Self {
            writer: TxWriter {
                fence,
                ..self.writer
            },
            ..self.clone()
        }
    }

    /// The same store, every change of which is made by a run of a named request: see [`crate::request_keys`].
    #[must_use]
    pub fn for_run(&self, running: RunningRequest) -> Self {
        Self {
            writer: TxWriter {
                running: Some(running),
                ..self.writer
            },
            ..self.clone()
        }
    }

    /// Since when the disk takes no writes, if it does not.
    pub fn stalled(&self) -> Option<StalledDisk> {
        let since = *self.inner.lock_stalled();
        since.map(|since| StalledDisk { since })
    }

    /// Acts for the platform itself: the deployment, the list of organisations.
    pub fn system(&self) -> SystemStore {
        SystemStore {
            store: self.clone(),
        }
    }

    /// Changes whenever a transaction of this process with events commits. A hint only.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.committed.subscribe()
    }

    /// Each commit of this process with events. A hint only: who is too slow misses some and is told so.
    pub fn committed_events(&self) -> broadcast::Receiver<CommittedEvents> {
        self.inner.committed_events.subscribe()
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.inner.pools.close().await;
    }

    /// Boxed, as are the futures of a connection, and for the same reason.
    fn begin(&self, scope: TenantScope, write: bool) -> BoxFuture<'_, Result<Tx, StoreError>> {
        let begin = async move {
            let began = Instant::now();
            let conn = match write {
                true => self.inner.pools.begin_write(scope.org).await?,
                false => self.inner.pools.begin_read(scope.org).await?,
            };
            if began.elapsed() > SLOW {
                let ms = began.elapsed().as_millis() as u64;
                info!(write, ms, "Waited {ms} ms for a connection to the database");
            }
            let mut tx = Tx::new(self.inner.clone(), conn, scope, self.writer);
            let kept = if write {
                None
            } else {
                self.inner.kept_now.read_now()
            };
            let now = match (&self.inner.now, kept) {
                (Some(clock), _) => clock(),
                (None, Some(now)) => now,
                (None, None) => {
                    let now = tx.database_now().await?;
                    self.inner.kept_now.keep_now(now);
                    now
                }
            };
            tx.set_now(now);
            Ok(tx)
        };
        begin.boxed()
    }

    async fn run_read<T, E: From<StoreError>>(
        &self,
        scope: TenantScope,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tx = self.begin(scope, false).await?;
        body(&mut tx).await
    }

    async fn run_write<T, E: From<StoreError>>(
        &self,
        scope: TenantScope,
        point: CrashPoint,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let (tx, value, began) = self.run_body(scope, point, body).await?;
        tx.finish(point).await?;
        trace!(
            ?point,
            ms = began.elapsed().as_millis() as u64,
            "A write ended"
        );
        Ok(value)
    }

    async fn run_write_ahead<T, E: From<StoreError>>(
        &self,
        scope: TenantScope,
        point: CrashPoint,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<(T, CommitSync), E> {
        let (tx, value, began) = self.run_body(scope, point, body).await?;
        let sync = tx.finish_ahead(point).await?;
        trace!(
            ?point,
            ms = began.elapsed().as_millis() as u64,
            "A write is in the log"
        );
        Ok((value, sync))
    }

    /// Runs `body` in a transaction that writes and is still to be ended; gives when it began.
    async fn run_body<T, E: From<StoreError>>(
        &self,
        scope: TenantScope,
        point: CrashPoint,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<(Tx, T, Instant), E> {
        let mut tx = self.begin(scope, true).await?;
        let began = Instant::now();
        let value = body(&mut tx).await?;
        let taken = began.elapsed();
        if taken > SLOW {
            let ms = taken.as_millis() as u64;
            warn!(
                ?point,
                ms, "A transaction kept others from writing for {ms} ms"
            );
        }
        Ok((tx, value, began))
    }
}

/// Whose rows a transaction sees and changes, and who the change is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantScope {
    /// The organisation every query is bound to.
    pub org: OrgId,
    /// Named in the events of the change.
    pub actor: Actor,
    /// The request that it is made for; none of what OmoiOS does by itself.
    pub origin: Option<Arc<RequestOrigin>>,
}

/// The store in the scope of one organisation and actor.
#[derive(Clone)]
pub struct Tenant {
    store: Store,
    scope: TenantScope,
}

impl Tenant {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.scope.org
    }

    /// Who the changes are made for.
    pub fn scope_actor(&self) -> Actor {
        self.scope.actor
    }

    /// The same organisation for another actor.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        let scope = TenantScope {
            actor,
            ..self.scope.clone()
        };
        Self {
            store: self.store.clone(),
            scope,
        }
    }

    /// The same for what comes before the change that a request asks for, and may be done again: the request is not done
    /// with it.
    #[must_use]
    pub fn before_request(&self) -> Self {
        let store = Store {
            writer: TxWriter {
                running: None,
                ..self.store.writer
            },
            ..self.store.clone()
        };
        Self {
            store,
            scope: self.scope.clone(),
        }
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs `body` in a transaction that reads. Nothing outside the database is awaited in it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection is free in time, and those of `body`.
    pub async fn read<T, E: From<StoreError>>(
        &self,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.run_read(self.scope.clone(), body).await
    }

    /// Runs `body` in a transaction that writes, and commits rows and events when it succeeds; `point`
    /// names the commit for the kill matrix. An error rolls back. A body that wrote nothing commits
    /// nothing. Nothing outside the database is awaited in it: git, a model or a sandbox would hold
    /// the only connection that writes.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection is free in time, and those of `body`.
    pub async fn write<T, E: From<StoreError>>(
        &self,
        point: CrashPoint,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.run_write(self.scope.clone(), point, body).await
    }

    /// As [`Tenant::write`], but gives back as soon as what was written outlives the end of this process; a loss of
    /// power may take it until [`CommitSync::wait_synced`] has ended. For what is told to nobody before, or only to
    /// those who go with the same loss of power.
    ///
    /// # Errors
    /// As [`Tenant::write`].
    pub async fn write_ahead<T, E: From<StoreError>>(
        &self,
        point: CrashPoint,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<(T, CommitSync), E> {
        let scope = self.scope.clone();
        self.store.run_write_ahead(scope, point, body).await
    }

    /// Begins a transaction that reads, for a caller that ends it by itself.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection is free in time.
    pub async fn begin_read(&self) -> Result<Tx, StoreError> {
        self.store.begin(self.scope.clone(), false).await
    }

    /// Begins a transaction that writes, for a caller that ends it by itself.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection is free in time.
    pub async fn begin_write(&self) -> Result<Tx, StoreError> {
        self.store.begin(self.scope.clone(), true).await
    }
}

/// The store on behalf of the platform.
#[derive(Clone)]
pub struct SystemStore {
    store: Store,
}

impl SystemStore {
    /// Every organisation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn organisations(&self) -> Result<Vec<OrgId>, StoreError> {
        const SQL: &str = "select id as value from organisations order by id";
        self.read(async |tx| tx.scalars(SQL, args![]).await).await
    }

    /// Runs `body` in a transaction that reads platform tables.
    ///
    /// # Errors
    /// As [`Tenant::read`].
    pub async fn read<T, E: From<StoreError>>(
        &self,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let scope = self.store.scope_of(OrgId::PLATFORM);
        self.store.run_read(scope, body).await
    }

    /// Runs `body` in a transaction that writes platform tables.
    ///
    /// # Errors
    /// As [`Tenant::write`].
    pub async fn write<T, E: From<StoreError>>(
        &self,
        point: CrashPoint,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let scope = self.store.scope_of(OrgId::PLATFORM);
        self.store.run_write(scope, point, body).await
    }
}

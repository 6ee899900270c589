//! A migrated database with a clock and ids that the test controls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use omoi_domain::crash::CrashPoint;
use omoi_domain::time::Timestamp;
use omoi_store::{Store, StoreError, StoreOptions, Tenant, Tx};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::organisations::add_organisation;
use omoi_testkit::raw_connection::RawConnection;
use uuid::Uuid;

/// Where the clock of a test begins.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);
/// The commit point of tests that test no crash.
pub(crate) const POINT: CrashPoint = CrashPoint::TaskMoved;
/// The organisation the first migration makes.
pub(crate) const LOCAL: &str = "01930000-0000-7000-8000-000000000001";

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) local: Tenant,
    now: Arc<AtomicI64>,
    ids: Arc<AtomicU64>,
    database: TestDatabase,
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        Self::on(omoi_testkit::sqlite::database()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(omoi_testkit::postgres::database()).await
    }

    async fn on(database: TestDatabase) -> Self {
        let now = Arc::new(AtomicI64::new(START.as_micros()));
        let ids = Arc::new(AtomicU64::new(0));
        let store = open(database.url(), &now, &ids).await;
        store.migrate().await.unwrap();
        Self {
            local: store.tenant(LOCAL.parse().unwrap()),
            store,
            now,
            ids,
            database,
        }
    }

    /// A second process on the same database, with the same clock.
    pub(crate) async fn another(&self) -> Store {
        open(self.database.url(), &self.now, &self.ids).await
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.now.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.now.fetch_sub(micros, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    pub(crate) fn id<I: From<Uuid>>(&self) -> I {
        I::from(next_uuid(&self.ids))
    }

    /// Runs one statement past the store.
    pub(crate) async fn raw(&self, sql: impl Into<String>) {
        let mut conn = RawConnection::open(self.url()).await.unwrap();
        conn.execute(&sql.into()).await.unwrap();
        conn.close().await.unwrap();
    }

    /// The one number that a query past the store gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut conn = RawConnection::open(self.url()).await.unwrap();
        let texts = conn.texts(sql).await.unwrap();
        conn.close().await.unwrap();
        texts[0].parse().unwrap()
    }

    /// A second organisation.
    pub(crate) async fn foreign(&self) -> Tenant {
        add_organisation(&self.store, self.id()).await
    }
}

async fn open(url: &str, now: &Arc<AtomicI64>, ids: &Arc<AtomicU64>) -> Store {
    let (now, ids) = (now.clone(), ids.clone());
    Store::connect(StoreOptions {
        url: url.to_owned(),
        now: Some(Arc::new(move || {
            Timestamp::from_micros(now.load(Ordering::SeqCst))
        })),
        new_uuid: Arc::new(move || next_uuid(&ids)),
        server: omoi_store::ServerOptions::default(),
    })
    .await
    .unwrap()
}

fn next_uuid(ids: &AtomicU64) -> Uuid {
    let n = ids.fetch_add(1, Ordering::SeqCst);
    Uuid::from_u128(0x0193_1111_0000_7000_8000_0000_0000_0000 | u128::from(n))
}

/// Begins, changes and commits.
pub(crate) async fn commit<T>(
    tenant: &Tenant,
    change: impl AsyncFnOnce(&mut Tx) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut tx = tenant.begin_write().await?;
    let value = change(&mut tx).await?;
    tx.commit(POINT).await?;
    Ok(value)
}

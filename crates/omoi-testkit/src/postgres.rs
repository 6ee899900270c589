//! PostgreSQL databases for tests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use omoi_store::dialect::schema_digest;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use xtask::servers::postgres;

use crate::database::TestDatabase;
use crate::migrated::make_schema;
use crate::raw_connection::RawConnection;
use crate::server::SharedServer;

static SERVER: SharedServer = SharedServer::new(postgres::URL_VARIABLE, postgres::start);

/// A database of its own on the server of this run, with the newest schema.
///
/// # Panics
/// When there is no server, with the package to install.
pub fn database() -> TestDatabase {
    static MIGRATED: OnceLock<String> = OnceLock::new();
    made_from(MIGRATED.get_or_init(migrated_database))
}

/// The same without any table.
///
/// # Panics
/// When there is no server, with the package to install.
pub fn empty_database() -> TestDatabase {
    made_from("template0")
}

/// A database with everything in `original`, which nothing may be connected to.
///
/// # Panics
/// When there is no server, or something is connected to `original`.
pub fn copy_of(original: &TestDatabase) -> TestDatabase {
    made_from(name_of(original.url()))
}

fn made_from(template: &str) -> TestDatabase {
    let name = unique_name();
    execute_statement(format!("create database {name} template {template}"));
    TestDatabase::new(database_address(&name), DatabaseGuard { name })
}

/// The database with the newest schema that all tests of the server copy; the first one makes it.
fn migrated_database() -> String {
    let name = format!("migrated_{:x}", schema_digest());
    let made = name.clone();
    on_server(async move |server| {
        // Others wait here until it is made; the lock goes with the connection.
        let lock = sqlx::raw_sql("select pg_advisory_lock(7261)");
        lock.execute(&mut *server).await?;
        let found = sqlx::query_scalar("select count(*) from pg_database where datname = $1");
        let n_found: i64 = found.bind(&made).fetch_one(&mut *server).await?;
        if n_found == 0 {
            // Whoever dies here leaves nothing that has the name.
            let begun = unique_name();
            execute(
                server,
                format!("create database {begun} template template0"),
            )
            .await?;
            make_schema(&database_address(&begun)).await?;
            execute(server, format!("alter database {begun} rename to {made}")).await?;
        }
        Ok(())
    });
    name
}

/// The database in an address.
fn name_of(url: &str) -> &str {
    let server = url.split_once('?').map_or(url, |(server, _)| server);
    server.rsplit_once('/').map_or(server, |(_, name)| name)
}

/// Waits until `n` connections to the database at `url` wait for a lock that another one has.
///
/// # Panics
/// When the database cannot be asked, or fewer connections wait after 30 s.
#[expect(
    clippy::expect_used,
    reason = "a test that needs the server fails without it"
)]
pub async fn wait_until_blocked(url: &str, n: usize) {
    const WAITING: &str = "select pid from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'";
    let mut conn = RawConnection::open(url).await.expect("the server answers");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let waiting = conn.texts(WAITING).await.expect("the server answers").len();
        if waiting >= n {
            break;
        }
        assert!(Instant::now() < until, "{waiting} of {n} connections wait");
        tokio::task::yield_now().await;
    }
    conn.close().await.expect("the server answers");
}

struct DatabaseGuard {
    name: String,
}

impl Drop for DatabaseGuard {
    fn drop(&mut self) {
        // A pool that the test forgot to close would otherwise keep the database alive.
        execute_statement(format!(
            "drop database if exists {} with (force)",
            self.name
        ));
    }
}

/// The address of database `name` on the server of this run.
fn database_address(name: &str) -> String {
    let url = SERVER.url();
    let (server, parameters) = url
        .split_once('?')
        .map_or((url, String::new()), |(server, rest)| {
            (server, format!("?{rest}"))
        });
    // What follows the last slash is the database to connect to at first.
    let server = server.rsplit_once('/').map_or(server, |(server, _)| server);
    format!("{server}/{name}{parameters}")
}

/// Runs one statement outside any transaction.
fn execute_statement(statement: String) {
    on_server(async move |server| execute(server, statement).await);
}

async fn execute(server: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(server)
        .await?;
    Ok(())
}

/// Does something with a connection to the server.
///
/// On a thread of its own, so that tests may call this (and drop databases) inside or outside a runtime.
#[expect(
    clippy::panic,
    reason = "a test that needs the server fails without it"
)]
fn on_server(act: impl AsyncFnOnce(&mut PgConnection) -> Result<()> + Send + 'static) {
    let url = SERVER.url();
    let ran = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let options: PgConnectOptions = url.parse()?;
            let mut connection = options.disable_statement_logging().connect().await?;
            act(&mut connection).await?;
            connection.close().await?;
            Ok::<_, anyhow::Error>(())
        })
    })
    .join();
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("PostgreSQL for tests: {error:#}"),
        // Its own message says more than a second panic could.
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}

/// A name that no other test process uses, also not one of an earlier run on the same server.
#[expect(clippy::disallowed_methods, reason = "uniqueness, not time")]
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    format!("test_{now:x}_{}_{count}", std::process::id())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use sqlx::{AssertSqlSafe, Connection, PgConnection};

    async fn extension_version(url: &str) -> Result<String, sqlx::Error> {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql("create extension vector; create table kept (n int)")
            .execute(&mut connection)
            .await?;
        let version = "select extversion from pg_extension where extname = 'vector'";
        sqlx::query_scalar(version).fetch_one(&mut connection).await
    }

    #[tokio::test]
    async fn databases_are_empty_separate_and_removed() {
        let (one, two) = (super::empty_database(), super::empty_database());
        assert!(
            extension_version(one.url())
                .await
                .unwrap()
                .starts_with("0.8.")
        );
        // The same statements work again only if nothing of the first database is seen here.
        extension_version(two.url()).await.unwrap();

        let copied = super::copy_of(&two);
        let mut copy = PgConnection::connect(copied.url()).await.unwrap();
        let found = sqlx::query_scalar("select count(*) from kept");
        assert_eq!(found.fetch_one(&mut copy).await.ok(), Some(0_i64));

        let mut open = PgConnection::connect(two.url()).await.unwrap();
        let name = one.url().rsplit('/').next().unwrap().to_owned();
        drop(one);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from pg_database where datname = '{name}'"
        )))
        .fetch_one(&mut open)
        .await
        .unwrap();
        assert_eq!(count, 0);
        // Also one that is still in use.
        drop(two);
        assert!(sqlx::raw_sql("select 1").execute(&mut open).await.is_err());
    }
}

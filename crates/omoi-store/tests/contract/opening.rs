//! How a database is opened, and what is told of one that cannot be used as it is.

use std::sync::Arc;

use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_store::{ServerOptions, Store, StoreError, StoreOptions};
use uuid::Uuid;

use crate::bench::Bench;

/// Opens the database at `url`, whose own clock tells the time.
async fn open_at(url: &str) -> Result<Store, StoreError> {
    Store::connect(StoreOptions {
        url: url.to_owned(),
        now: None,
        new_uuid: Arc::new(Uuid::nil),
        server: ServerOptions::default(),
    })
    .await
}

/// The first look says it, before any pool tries again and again.
#[tokio::test]
async fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("omoios.db");
    let mut file = std::fs::File::create(&path).unwrap();
    let text = "no database at all, ".repeat(1000);
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let error = open_at(&format!("sqlite://{}", path.display()))
        .await
        .err()
        .unwrap();
    assert!(matches!(&error, StoreError::Damaged { .. }), "{error:?}");
    let expected = format!(
        "the file `{}` is damaged, or is no database",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_schema_of_another_version_is_told_as_one() {
    for bench in [Bench::sqlite().await, Bench::postgres().await] {
        bench
            .raw(
                "insert into _sqlx_migrations
                     (version, description, success, checksum, execution_time)
                 select 4711, 'later', success, checksum, 0 from _sqlx_migrations limit 1",
            )
            .await;
        let error = bench.store.migrate().await.unwrap_err();
        assert!(
            matches!(error, StoreError::OtherVersion { version: 4711 }),
            "{error:?}"
        );
        let error = bench.store.migrations().await.unwrap_err();
        assert!(
            matches!(error, StoreError::OtherVersion { version: 4711 }),
            "{error:?}"
        );
    }
}

/// Only an absent table means that no migration was applied yet.
#[tokio::test]
async fn a_database_that_cannot_be_read_is_not_an_empty_one() {
    for bench in [Bench::sqlite().await, Bench::postgres().await] {
        let applied = |all: Vec<(i64, String, bool)>| all.iter().filter(|m| m.2).count();
        let all = bench.store.migrations().await.unwrap();
        assert_eq!(applied(all.clone()), all.len());
        bench
            .raw("alter table _sqlx_migrations rename column version to broken")
            .await;
        assert!(bench.store.migrations().await.is_err());
        bench.raw("drop table _sqlx_migrations").await;
        assert_eq!(applied(bench.store.migrations().await.unwrap()), 0);
    }
}

/// The database's own clock is near the host's and counts in microseconds.
#[tokio::test]
async fn without_a_clock_the_database_tells_the_time() {
    for database in [
        omoi_testkit::sqlite::empty_database(),
        omoi_testkit::postgres::empty_database(),
    ] {
        let store = open_at(database.url()).await.unwrap();
        let tenant = store.tenant(OrgId::LOCAL);
        let first = tenant.begin_read().await.unwrap().now();
        let second = tenant.begin_read().await.unwrap().now();
        assert!(first <= second);
        assert!(
            first > Timestamp::from_micros(1_700_000_000_000_000),
            "{first}"
        );
        assert!(
            first < Timestamp::from_micros(4_000_000_000_000_000),
            "{first}"
        );
        store.close().await;
    }
}

#[tokio::test]
async fn unknown_addresses_are_named_without_their_password() {
    let opened = open_at("mysql://me:secret@host/db").await;
    let said = opened.err().unwrap().to_string();
    assert!(
        said.contains("host/db") && !said.contains("secret"),
        "{said}"
    );
}

/// Connecting is tried once, so the person hears at once where nobody answers.
#[tokio::test]
async fn an_absent_server_is_named_without_its_password() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = closed.local_addr().unwrap().to_string();
    drop(closed);
    let opened = open_at(&format!("postgres://me:secret@{at}/db")).await;
    let error = opened.err().unwrap();
    assert!(
        matches!(&error, StoreError::Unreachable { .. }),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("the database at `{at}` cannot be reached")
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn a_database_file_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.db");
    let store = open_at(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
    store.close().await;
}

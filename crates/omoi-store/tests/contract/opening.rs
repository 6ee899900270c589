//! What is told of a database that cannot be used as it is.

use omoi_store::StoreError;

use crate::bench::Bench;

async fn opened(path: &std::path::Path) -> Result<omoi_store::Store, StoreError> {
    omoi_store::Store::connect(omoi_store::StoreOptions {
        url: format!("sqlite://{}", path.display()),
        now: None,
        new_uuid: std::sync::Arc::new(uuid::Uuid::nil),
        server: omoi_store::ServerOptions::default(),
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
    let error = opened(&path).await.err().unwrap();
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
    }
}

/// Only an absent table means that no migration was applied yet.
#[tokio::test]
async fn a_database_that_cannot_be_read_is_not_an_empty_one() {
    for bench in [Bench::sqlite().await, Bench::postgres().await] {
        let applied = |all: Vec<(i64, String, bool)>| all.iter().filter(|m| m.2).count();
        assert_eq!(applied(bench.store.migrations().await.unwrap()), 1);
        bench
            .raw("alter table _sqlx_migrations rename column version to broken")
            .await;
        assert!(bench.store.migrations().await.is_err());
        bench.raw("drop table _sqlx_migrations").await;
        assert_eq!(applied(bench.store.migrations().await.unwrap()), 0);
    }
}

//! A database of an earlier release is brought up to date, wherever the program dies on the way.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::CRASH_AT;
use omoi_testkit::database::TestDatabase;
use omoi_testkit::earlier_release::ReleasedData;
use omoi_testkit::raw_connection::RawConnection;
use serde_json::Value;

use crate::binary::{self, Said, omoi};

/// Migrations that the program dies before, of every so many.
const BEFORE_EVERY: usize = 5;

/// How many migrations stand.
const APPLIED: &str = "select cast(count(*) as text) from _sqlx_migrations where success";
/// Which, and since when.
const NOTED: &str =
    "select cast(version as text) || ' ' || cast(installed_on as text) from _sqlx_migrations
    order by version";

/// Runs the program with `words` on `database`; it dies at the first migration, where a side of that is named.
fn run(home: &Path, database: &TestDatabase, words: &[&str], death: Option<&str>) -> Said {
    let mut command = omoi(home);
    command.args(words);
    command.args(["--database", database.url()]);
    if let Some(side) = death {
        command.env(
            CRASH_AT,
            format!("{}:{side}:1", CrashPoint::Migrate.as_str()),
        );
    }
    binary::start(command, home.join("said")).wait()
}

async fn texts(database: &TestDatabase, sql: &str) -> Vec<String> {
    let mut conn = RawConnection::open(database.url()).await.unwrap();
    let texts = conn.texts(sql).await.unwrap();
    conn.close().await.unwrap();
    texts
}

async fn every_row_stays_wherever_the_program_dies(database: TestDatabase) {
    let run_before = ReleasedData::HalfDone;
    run_before.restore_into(&database).await;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let migrate = |death| run(home, &database, &["db", "migrate"], death);
    let applied = async || {
        texts(&database, APPLIED)
            .await
            .remove(0)
            .parse::<usize>()
            .unwrap()
    };

    let mut n_applied = applied().await;
    assert_eq!(n_applied, 1);
    loop {
        if n_applied % BEFORE_EVERY == 1 {
            let died = migrate(Some("before"));
            assert!(died.was_killed(), "{died:?}");
            assert_eq!(applied().await, n_applied);
        }
        let said = migrate(Some("after"));
        if !said.was_killed() {
            said.exited(0);
            break;
        }
        n_applied += 1;
        assert_eq!(applied().await, n_applied);
    }
    assert!(n_applied > 15, "only {n_applied} migrations were died at");

    // What it says of the run is what the release said.
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(run_before.folder_archive(&database));
    assert!(unpack.arg("-C").arg(home).status().unwrap().success());
    let data = home.join("data");
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    let folder = data.to_str().unwrap();
    let trace = ["trace", "SPEC-1", "--json", "--data-dir", folder];
    let told = run(home, &database, &trace, None).exited(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let expected = run_before.told_trace(&database);
    assert!(told == expected, "another trace is told: {told}");

    // Another start changes nothing, and a program that is older than the database leaves it alone.
    let noted = texts(&database, NOTED).await;
    migrate(Some("before")).exited(0);
    assert_eq!(texts(&database, NOTED).await, noted);
    let mut conn = RawConnection::open(database.url()).await.unwrap();
    let later = "insert into _sqlx_migrations select 9999, 'later', installed_on, success, checksum, execution_time
         from _sqlx_migrations where version = 1";
    conn.execute(later).await.unwrap();
    conn.close().await.unwrap();
    for words in [&["db", "migrate"][..], &["db", "status"], &["spec", "list"]] {
        let refused = run(home, &database, words, None);
        assert!(!refused.status.success(), "{refused:?}");
        assert!(refused.stderr.contains("9999"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_stays_wherever_the_program_dies_on_sqlite() {
    every_row_stays_wherever_the_program_dies(omoi_testkit::sqlite::empty_database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_stays_wherever_the_program_dies_on_postgres() {
    every_row_stays_wherever_the_program_dies(omoi_testkit::postgres::empty_database()).await;
}

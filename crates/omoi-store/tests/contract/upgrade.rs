//! A database of an earlier schema is brought up to date with every row, by one process or by two.

use std::collections::BTreeMap;
use std::sync::Arc;

use omoi_domain::id::OrgId;
use omoi_domain::workflow::{PhaseId, seeded_workflow};
use omoi_store::{
    ServerOptions, Store, StoreError, StoreOptions, board_columns, events, phase_definitions,
    projects, specs, tickets,
};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::earlier_release::ReleasedData;
use omoi_testkit::raw_connection::RawConnection;
use uuid::Uuid;

use crate::schema::schema_of;

omoi_testkit::on_both_databases!(
    empty:
    every_row_of_a_finished_run_stays,
    every_row_of_a_run_under_way_stays,
    an_earlier_schema_becomes_that_of_a_new_database,
    two_processes_migrate_an_earlier_schema_at_once,
    names_get_the_keys_that_the_program_compares,
    a_changed_migration_is_refused,
);

/// Columns that a later migration took away, with what gives their values since.
const MOVED: &[(&str, &str, &str)] = &[
    (
        "events",
        "actor",
        "case when actor_kind = 'user' then 'local' else actor_kind end",
    ),
    (
        "attempts",
        "token_hash",
        "(select t.token_hash from attempt_tokens t where t.attempt_id = attempts.id)",
    ),
    (
        "closed_credentials",
        "org_id",
        "'01930000-0000-7000-8000-000000000001'",
    ),
    // The only user of an earlier release is the laptop's, and so is the only organisation.
    (
        "users",
        "org_id",
        "(select m.org_id from memberships m where m.user_id = users.id)",
    ),
];

type TableRows = Vec<Vec<Option<String>>>;

async fn open(database: &TestDatabase) -> Store {
    let options = StoreOptions {
        url: database.url().to_owned(),
        now: None,
        new_uuid: Arc::new(Uuid::nil),
        server: ServerOptions::default(),
    };
    Store::connect(options).await.unwrap()
}

async fn rows_of(database: &TestDatabase, sql: &str) -> TableRows {
    let mut conn = RawConnection::open(database.url()).await.unwrap();
    let mut rows = conn.rows(sql).await.unwrap();
    conn.close().await.unwrap();
    rows.sort();
    rows
}

/// The columns of every table but the one that notes migrations.
async fn tables_of(database: &TestDatabase) -> BTreeMap<String, Vec<String>> {
    let sql = if database.url().starts_with("sqlite:") {
        "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c
         where m.type = 'table' and m.name not like 'sqlite_%' and m.name <> '_sqlx_migrations'
             and m.name not like 'search_text%'"
    } else {
        "select table_name::text, column_name::text from information_schema.columns
         where table_schema = 'public' and table_name <> '_sqlx_migrations'"
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows_of(database, sql).await {
        let [table, column] = <[_; 2]>::try_from(row).unwrap().map(Option::unwrap);
        tables.entry(table).or_default().push(column);
    }
    tables
}

/// Reads `columns` of `table`, whatever became of them since.
fn selection(table: &str, columns: &[String], is_migrated: bool) -> String {
    let values = columns.iter().map(|column| {
        let moved = MOVED
            .iter()
            .find(|m| is_migrated && (m.0, m.1) == (table, column.as_str()));
        moved.map_or(column.as_str(), |moved| moved.2)
    });
    let values: Vec<&str> = values.collect();
    format!("select {} from {table}", values.join(", "))
}

async fn every_row_of_a_finished_run_stays(database: TestDatabase) {
    keeps_every_row(ReleasedData::Finished, &database).await;
}

async fn every_row_of_a_run_under_way_stays(database: TestDatabase) {
    keeps_every_row(ReleasedData::HalfDone, &database).await;
}

async fn keeps_every_row(run: ReleasedData, database: &TestDatabase) {
    run.restore_into(database).await;
    let tables = tables_of(database).await;
    let mut before = BTreeMap::new();
    for (table, columns) in &tables {
        let rows = rows_of(database, &selection(table, columns, false)).await;
        before.insert(table, rows);
    }
    let n_rows: usize = before.values().map(Vec::len).sum();
    assert!(n_rows > 500, "only {n_rows} rows were kept");

    let store = open(database).await;
    store.migrate().await.unwrap();
    for (table, columns) in &tables {
        let after = rows_of(database, &selection(table, columns, true)).await;
        assert_eq!(&after, &before[table], "{run:?}: {table}");
    }

    later_columns_tell_what_the_log_tells(&store, database).await;
    projects_have_what_new_ones_begin_with(&store).await;

    // The second run does nothing.
    let noted = "select version, installed_on, execution_time from _sqlx_migrations";
    let first = rows_of(database, noted).await;
    store.migrate().await.unwrap();
    assert_eq!(rows_of(database, noted).await, first);
    store.close().await;
}

/// What the payloads of events know is in the columns that came later.
async fn later_columns_tell_what_the_log_tells(store: &Store, database: &TestDatabase) {
    let tenant = store.tenant(OrgId::LOCAL);
    let mut tx = tenant.begin_read().await.unwrap();
    let (mut named, mut at) = (Vec::new(), 0);
    loop {
        let batch = events::logged_after(&mut tx, at).await.unwrap();
        let Some(last) = batch.last() else { break };
        at = last.stored.seq;
        let rows = batch.iter().map(|event| {
            let task = event.related_ids().task_id;
            vec![
                Some(event.stored.event_id.to_string()),
                task.map(|id| id.to_string()),
            ]
        });
        named.extend(rows);
    }
    named.sort();
    let texts = "select cast(event_id as text), cast(task_id as text) from events";
    assert_eq!(rows_of(database, texts).await, named);
    let found = |rows: TableRows| rows.len();
    let other_ticket =
        "select cast(e.event_id as text) from events e join tasks t on t.id = e.task_id
        where e.ticket_id is distinct from t.ticket_id";
    assert_eq!(found(rows_of(database, other_ticket).await), 0);
    let of_tickets = "select cast(event_id as text) from events where ticket_id is not null";
    assert!(found(rows_of(database, of_tickets).await) > 50);
    let other_time = "select cast(s.id as text) from specs s where s.working_since is distinct from (
            select max(e.occurred_at) from events e where e.spec_id = s.id and e.event_type = 'spec.work_started')
        or s.working_since is null or s.resumed_at < s.working_since";
    assert_eq!(found(rows_of(database, other_time).await), 0);
}

/// The phases and the board of each project are those of the file, and each ticket is in the phase of its status.
async fn projects_have_what_new_ones_begin_with(store: &Store) {
    let tenant = store.tenant(OrgId::LOCAL);
    let mut tx = tenant.begin_read().await.unwrap();
    let all = projects::list(&mut tx).await.unwrap();
    assert!(!all.is_empty());
    for project in all {
        let phases = phase_definitions::of_project(&mut tx, project.id).await;
        assert_eq!(phases.unwrap(), seeded_workflow().phases);
        let board = board_columns::of_project(&mut tx, project.id)
            .await
            .unwrap();
        assert_eq!(
            (board.version, &board.columns),
            (0, &seeded_workflow().columns)
        );
    }
    let specs = specs::list(&mut tx, i64::MAX).await.unwrap();
    for spec in &specs {
        for ticket in tickets::of_spec(&mut tx, spec.id).await.unwrap() {
            assert_eq!(ticket.phase_id, PhaseId::of_status(ticket.status));
            assert_eq!((ticket.text_digest, ticket.labels.0), (None, Vec::new()));
        }
    }
}

async fn an_earlier_schema_becomes_that_of_a_new_database(database: TestDatabase) {
    ReleasedData::Finished.restore_into(&database).await;
    let fresh = if database.url().starts_with("sqlite:") {
        omoi_testkit::sqlite::empty_database()
    } else {
        omoi_testkit::postgres::empty_database()
    };
    for database in [&database, &fresh] {
        let store = open(database).await;
        store.migrate().await.unwrap();
        store.close().await;
    }
    let (upgraded, fresh) = (
        schema_of(database.url()).await,
        schema_of(fresh.url()).await,
    );
    assert_eq!(upgraded, fresh);
}

async fn two_processes_migrate_an_earlier_schema_at_once(database: TestDatabase) {
    ReleasedData::Finished.restore_into(&database).await;
    let (one, two) = (open(&database).await, open(&database).await);
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first.unwrap();
    second.unwrap();
    let migrations = two.migrations().await.unwrap();
    assert!(migrations.iter().all(|(_, _, is_applied)| *is_applied));
}

/// Neither database lowers letters as the program does.
async fn names_get_the_keys_that_the_program_compares(database: TestDatabase) {
    ReleasedData::Finished.restore_into(&database).await;
    let mut conn = RawConnection::open(database.url()).await.unwrap();
    for (end, name) in [("1", "École"), ("2", "ÉCOLE"), ("3", "app"), ("4", "App")] {
        let sql = format!(
            "insert into projects (id, org_id, name, repo_path, autonomous, created_at)
             select '01930000-0000-7000-8000-00000000000{end}', org_id, '{name}', '/{end}/{name}', autonomous, created_at
             from projects limit 1"
        );
        conn.execute(&sql).await.unwrap();
    }
    conn.close().await.unwrap();
    let store = open(&database).await;
    store.migrate().await.unwrap();
    let keys = "select name_key from projects where repo_path like '/_/%'";
    let keys: Vec<String> = rows_of(&database, keys)
        .await
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert_eq!(keys, ["app", "app 00000004", "école", "école 00000002"]);
}

async fn a_changed_migration_is_refused(database: TestDatabase) {
    let store = open(&database).await;
    store.migrate().await.unwrap();
    let mut conn = RawConnection::open(database.url()).await.unwrap();
    conn.execute("update _sqlx_migrations set checksum = '' where version = 2")
        .await
        .unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(
        matches!(error, StoreError::OtherVersion { version: 2 }),
        "{error:?}"
    );
}

/// Foreign keys are off while a file is migrated: what they would have refused is asked for at the end.
#[tokio::test]
async fn a_migration_that_leaves_a_broken_reference_is_taken_back() {
    let database = omoi_testkit::sqlite::empty_database();
    ReleasedData::Finished.restore_into(&database).await;
    let mut conn = RawConnection::open(database.url()).await.unwrap();
    conn.execute(
        "pragma foreign_keys = off; update tickets set spec_id = project_id where number = 1",
    )
    .await
    .unwrap();
    let store = open(&database).await;
    let StoreError::Migrate(error) = store.migrate().await.unwrap_err() else {
        panic!("another error was told")
    };
    let told = error.to_string();
    assert!(
        told.contains("breaks 1 references, the first of them from tickets to specs"),
        "{told}"
    );
    let migrations = store.migrations().await.unwrap();
    let applied = migrations.iter().filter(|(_, _, is_applied)| *is_applied);
    assert_eq!(applied.count(), 1);
}

//! A plan becomes rows once, all or none of them.

use std::collections::BTreeSet;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, EventKind};
use omoi_domain::task::TaskStatus;
use omoi_plan::coverage::{PlannedOutputs, sync_verdict};
use omoi_plan::outputs::SyncOpinion;
use omoi_plan::sync::SyncPlan;
use omoi_planning::sync::{AcceptedPlan, ApplyError, apply_plan};
use omoi_store::tasks::Task;
use omoi_store::{Tx, checks, events, projects, requirements, tasks, tickets};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::plans::todo_tags;
use omoi_testkit::raw_connection::RawConnection;

use crate::sample::Sample;

/// A platform with a spec that has no rows yet.
async fn emptied(database: TestDatabase) -> TestDeployment {
    let mut it = TestDeployment::on_database(database, |_| {}).await;
    let spec = it
        .commit(async |tx| {
            let mut spec = it.spec.clone();
            spec.id = tx.new_id();
            spec.number = 2;
            omoi_store::specs::insert(tx, &spec).await?;
            Ok(spec)
        })
        .await;
    it.spec = spec.unwrap();
    it
}

async fn synced(it: &TestDeployment, sample: &Sample) -> Result<SyncPlan, ApplyError> {
    written(it, sample.accepted()).await
}

async fn written(it: &TestDeployment, accepted: AcceptedPlan<'_>) -> Result<SyncPlan, ApplyError> {
    let mut tx = it.deployment.store.begin_write().await?;
    let plan = apply_plan(&mut tx, &it.spec, accepted).await?;
    tx.commit(CrashPoint::PlanSynced).await?;
    Ok(plan)
}

/// How many rows of each kind the spec has, and the newest event.
async fn counts(tx: &mut Tx, it: &TestDeployment) -> [usize; 9] {
    let spec = it.spec.id;
    [
        requirements::of_spec(tx, spec).await.unwrap().len(),
        requirements::criteria_of_spec(tx, spec)
            .await
            .unwrap()
            .len(),
        tickets::of_spec(tx, spec).await.unwrap().len(),
        tickets::dependencies(tx, spec).await.unwrap().len(),
        tasks::of_spec(tx, spec).await.unwrap().len(),
        tasks::dependencies(tx, spec).await.unwrap().len(),
        checks::of_spec(tx, spec).await.unwrap().len(),
        checks::criteria_links(tx, spec).await.unwrap().len(),
        usize::try_from(events::head(tx).await.unwrap()).unwrap(),
    ]
}

async fn all(it: &TestDeployment) -> Vec<Task> {
    tasks::of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap()
}

async fn a_large_plan(it: TestDeployment) {
    let sample = Sample::large();
    let before = counts(&mut it.read_tx().await, &it).await;
    // A process that dies in between leaves nothing.
    let mut tx = it.deployment.store.begin_write().await.unwrap();
    apply_plan(&mut tx, &it.spec, sample.accepted())
        .await
        .unwrap();
    let inside = counts(&mut tx, &it).await;
    assert_eq!(inside[4], 100);
    drop(tx);
    assert_eq!(counts(&mut it.read_tx().await, &it).await, before);

    let began = Instant::now();
    let plan = synced(&it, &sample).await.unwrap();
    println!("{} rows in {:?}", plan.n_writes(), began.elapsed());
    let after = counts(&mut it.read_tx().await, &it).await;
    // 80 orders inside the chains, and 15 that follow from the order of the tickets.
    assert_eq!(after[..8], [50, 100, 20, 15, 100, 95, 100, 100]);
    let rows = all(&it).await;
    let numbers: BTreeSet<i64> = rows.iter().map(|t| t.number).collect();
    assert_eq!(numbers.len(), 100);
    assert!(rows.iter().all(|t| t.status == TaskStatus::Pending));
    let log = events::after(&mut it.read_tx().await, 0).await.unwrap();
    let done: Vec<_> = log
        .iter()
        .filter_map(|e| match &e.event {
            Event::SpecSyncCompleted(done) => Some((done.tickets, done.tasks, done.checks)),
            _ => None,
        })
        .collect();
    assert_eq!(done, [(20, 100, 100)]);

    // The same plan again writes nothing at all.
    let again = synced(&it, &sample).await.unwrap();
    assert_eq!(again.n_writes(), 0);
    assert_eq!(counts(&mut it.read_tx().await, &it).await, after);
    assert_eq!(all(&it).await, rows);
}

#[tokio::test]
async fn a_large_plan_is_written_once_on_sqlite() {
    a_large_plan(sqlite().await).await;
}

#[tokio::test]
async fn a_large_plan_is_written_once_on_postgres() {
    a_large_plan(emptied(omoi_testkit::postgres::database()).await).await;
}

async fn sqlite() -> TestDeployment {
    emptied(omoi_testkit::sqlite::database()).await
}

#[tokio::test]
async fn a_new_title_changes_one_row() {
    let it = sqlite().await;
    let mut sample = Sample::large();
    synced(&it, &sample).await.unwrap();
    let before = all(&it).await;
    sample.tasks.tasks[41].title = "A better name".to_owned();
    let plan = synced(&it, &sample).await.unwrap();
    assert_eq!((plan.update.len(), plan.n_writes()), (1, 1));
    let after = all(&it).await;
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    assert_eq!(changed.len(), 1);
    let (old, new) = changed[0];
    assert_eq!(
        (new.title.as_str(), new.local_id.as_str()),
        ("A better name", "TSK-042")
    );
    assert_eq!((old.id, old.number), (new.id, new.number));
}

#[tokio::test]
async fn what_has_begun_is_for_a_person_to_decide() {
    let it = sqlite().await;
    let mut sample = Sample::large();
    synced(&it, &sample).await.unwrap();
    let begun = all(&it)
        .await
        .into_iter()
        .find(|t| t.local_id == "TSK-001")
        .unwrap();
    it.run_task(begun.id).await;
    let before = all(&it).await;
    sample.tasks.tasks[0].title = "Something else".to_owned();
    sample.tasks.tasks[99].title = "Not begun".to_owned();
    let refused = synced(&it, &sample).await.unwrap_err();
    let ApplyError::Conflicts(keys) = refused else {
        panic!("{refused}")
    };
    assert_eq!(keys, ["TSK-001"]);
    assert_eq!(all(&it).await, before, "all or nothing");
}

#[tokio::test]
async fn a_task_that_left_the_plan_is_retired_not_deleted() {
    let it = sqlite().await;
    let mut sample = Sample::large();
    synced(&it, &sample).await.unwrap();
    let gone = sample.tasks.tasks.pop().unwrap();
    for ticket in &mut sample.tasks.tickets {
        ticket.tasks.retain(|task| *task != gone.id);
    }
    match synced(&it, &sample).await {
        Ok(_) => {
            let rows = all(&it).await;
            assert_eq!(rows.len(), 100);
            let row = rows.iter().find(|t| t.local_id == gone.id).unwrap();
            assert_eq!(row.status, TaskStatus::Cancelled);
            let again = synced(&it, &sample).await.unwrap();
            assert_eq!(again.n_writes(), 0);
        }
        Err(refused) => panic!("{refused}"),
    }
    let log = events::after(&mut it.read_tx().await, 0).await.unwrap();
    assert!(
        log.iter()
            .any(|e| e.event.kind() == EventKind::TaskCancelled)
    );
}

/// Makes the write of a row fail once `countdown` others went well, whatever the table.
async fn arm(db: &mut SqliteConnection) {
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'
         and name not like '_sqlx%' and name not like 'search_text%'",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    let mut sql =
        "create table countdown (n integer); insert into countdown values (0);".to_owned();
    for table in &tables {
        for change in ["insert", "update", "delete"] {
            sql.push_str(&format!(
                "create trigger fail_{change}_{table} before {change} on {table} begin
                     update countdown set n = n - 1;
                     select raise(abort, 'injected') where (select n from countdown) < 0;
                 end;"
            ));
        }
    }
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.unwrap();
}

#[tokio::test]
async fn a_failure_at_any_statement_leaves_everything_as_it_was() {
    let database = omoi_testkit::sqlite::database();
    let url = database.url().to_owned();
    let it = emptied(database).await;
    let facts = todo_tags().facts;
    let planned = PlannedOutputs {
        requirements: facts.requirements.as_ref().unwrap(),
        design: facts.design.as_ref().unwrap(),
        tasks: facts.tasks.as_ref().unwrap(),
    };
    let verdict = sync_verdict(planned, &SyncOpinion::default());
    let base_exits = facts.base_exits.iter();
    let base_exits = base_exits.map(|(check, exit)| (check.clone(), exit.unwrap()));
    let base_exits = base_exits.collect();
    let accepted = || AcceptedPlan {
        planned,
        verdict: &verdict,
        base_exits: &base_exits,
    };
    let stands = async || {
        let mut tx = it.read_tx().await;
        let project = projects::get(&mut tx, it.spec.project_id).await.unwrap();
        (counts(&mut tx, &it).await, project)
    };
    let mut db = SqliteConnection::connect(&url).await.unwrap();
    arm(&mut db).await;
    let before = stands().await;
    let mut failed = 0;
    let plan = loop {
        sqlx::query("update countdown set n = $1")
            .bind(failed)
            .execute(&mut db)
            .await
            .unwrap();
        match written(&it, accepted()).await {
            Ok(plan) => break plan,
            Err(ApplyError::Store(error)) => {
                let why = omoi_runtime::telemetry::error_chain(&error);
                assert!(why.contains("injected"), "{why}");
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(stands().await, before, "after {failed} rows");
        failed += 1;
    };
    // Each row of the plan was the one to fail, and each event and counter beside them.
    assert!(
        failed > plan.n_writes() as i64,
        "{failed} {}",
        plan.n_writes()
    );
    let after = stands().await.0;
    assert_eq!(after[4], planned.tasks.tasks.len());
}

/// A commit that moves slots has locked tasks and locks the project last.
#[tokio::test]
async fn a_plan_that_waits_for_a_task_holds_no_project() {
    let it = emptied(omoi_testkit::postgres::database()).await;
    let mut sample = Sample::large();
    synced(&it, &sample).await.unwrap();
    let mut other = RawConnection::open(it.database_url()).await.unwrap();
    other
        .execute("begin; select id from tasks where local_id = 'TSK-100' for no key update")
        .await
        .unwrap();
    sample.tasks.tasks[99].title = "Not begun".to_owned();
    let go_on = async {
        omoi_testkit::postgres::wait_until_blocked(it.database_url(), 1).await;
        other
            .execute("select id from projects for no key update nowait; commit")
            .await
            .unwrap();
    };
    let (changed, ()) = tokio::join!(synced(&it, &sample), go_on);
    assert_eq!(changed.unwrap().update.len(), 1);
}

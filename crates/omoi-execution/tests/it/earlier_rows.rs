//! Adding to an attempt costs the same however much it holds.

use serde_json::json;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::id::EventId;
use omoi_execution::intake;
use omoi_protocol::worker::{EVENTS_MAX, ReportEvents, WorkerEvent};
use omoi_store::attempts::Attempt;
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::raw_connection::RawConnection;

use crate::intake::turn;
use crate::statements::{Statement, Statements};

/// What takes a look at many rows to give back one.
const AGGREGATES: [&str; 5] = ["count(", "sum(", "max(", "min(", "avg("];

async fn report(it: &TestDeployment, attempt: &Attempt, n_events: usize) {
    let event = || WorkerEvent {
        event_id: EventId::from_uuid(omoi_runtime::ids::uuid_v7(&it.clock, &it.deployment.rng)),
        event_type: AgentEventKind::ToolUse,
        event_data: json!({}),
        summary: Some("reads a file".to_owned()),
    };
    let events = (0..n_events).map(|_| event()).collect();
    let report = intake::report_events(&it.deployment.store, attempt, ReportEvents { events });
    assert_eq!(report.await.unwrap().stored as usize, n_events);
}

/// Of what was asked, what names the table.
fn of_table<'a>(asked: &'a [Statement], table: &str) -> Vec<&'a Statement> {
    let named = asked.iter().filter(|s| s.sql.contains(table));
    named.collect()
}

/// Adding one row when there are few and when there are many: the same statements give back as many
/// rows, and none looks at more than one of those that are there.
fn asks_the_same(few: &[Statement], many: &[Statement], table: &str) {
    assert_eq!(few, many);
    let own = of_table(few, table);
    assert!(
        own.iter().any(|s| s.sql.starts_with("insert into")),
        "{own:?}"
    );
    for statement in own {
        assert!(statement.rows <= 1, "{statement:?}");
        let aggregates = AGGREGATES.iter().find(|a| statement.sql.contains(*a));
        assert_eq!(aggregates, None, "{statement:?}");
    }
}

async fn adding_reads_nothing_earlier(database: TestDatabase) -> (TestDeployment, Vec<Statement>) {
    let heard = Statements::listen();
    let it = TestDeployment::on_database(database, |parts| parts.limits.task.turns_max = 101).await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let report_one = async || {
        heard.take();
        report(&it, &attempt, 1).await;
        heard.take()
    };
    let commit = async |n| {
        heard.take();
        intake::commit_turn(&it.build_part(), &attempt, turn(n))
            .await
            .unwrap();
        heard.take()
    };
    report_one().await;
    let few_events = report_one().await;
    for _ in 0..5 {
        report(&it, &attempt, EVENTS_MAX).await;
    }
    let many_events = report_one().await;
    asks_the_same(&few_events, &many_events, "agent_events");

    commit(0).await;
    let few_turns = commit(1).await;
    for n in 2..100 {
        commit(n).await;
    }
    let many_turns = commit(100).await;
    asks_the_same(&few_turns, &many_turns, "turns");
    let asked = many_events.into_iter().chain(many_turns);
    (it, asked.collect())
}

#[tokio::test]
async fn adding_to_an_attempt_reads_nothing_of_what_it_holds_on_sqlite() {
    let (it, asked) = adding_reads_nothing_earlier(omoi_testkit::sqlite::database()).await;
    // Nor does the database go through them by itself: each is found by its whole key, or is the first
    // at the end of an index.
    let mut db = RawConnection::open(it.database_url()).await.unwrap();
    let mut n_explained = 0;
    for Statement { sql, .. } in &asked {
        let is_own = [" agent_events", " turns"].iter().any(|t| sql.contains(t));
        if !is_own || !sql.starts_with("select") {
            continue;
        }
        let explain = format!("explain query plan {sql}");
        let rows = db.rows(&explain).await.unwrap();
        // What a step does is its last column.
        let steps: Vec<String> = rows.into_iter().filter_map(|mut row| row.pop()?).collect();
        let [step] = steps.as_slice() else {
            panic!("{sql}: {steps:?}");
        };
        let by_key = step.contains("(event_id=?)");
        let at_end = step.contains("(attempt_id=?)") && sql.ends_with("desc limit 1");
        assert!(
            step.starts_with("SEARCH ") && (by_key || at_end),
            "{sql}: {step}"
        );
        n_explained += 1;
    }
    assert_eq!(n_explained, 5);
}

#[tokio::test]
async fn adding_to_an_attempt_reads_nothing_of_what_it_holds_on_postgres() {
    adding_reads_nothing_earlier(omoi_testkit::postgres::database()).await;
}

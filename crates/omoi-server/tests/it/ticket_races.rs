//! Tickets that many write and link at once.

use futures::future::{join, join_all};
use serde_json::{Value, json};

use omoi_domain::id::TicketId;
use omoi_store::tasks;
use omoi_store::tickets::{self, Ticket};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::sample_rows;

use crate::api::router_of;
use crate::tickets::{post, told_error, write_ticket};

omoi_testkit::on_both_databases!(
    numbers_are_given_once_however_many_write,
    two_halves_of_a_cycle_at_once_close_none,
    a_ticket_and_a_task_that_wait_at_once_close_no_cycle,
);

/// Writers at once, each of some tickets.
const WRITERS: usize = 50;
/// Tickets of a writer, where it is not two.
const TICKETS_VARIABLE: &str = "OMOI_TICKETS_OF_A_WRITER";
/// Cycles that are tried.
const N_CYCLES: i64 = 4;

#[expect(
    clippy::disallowed_methods,
    reason = "how many a long run writes is no configuration"
)]
fn tickets_of_a_writer() -> usize {
    let told = std::env::var(TICKETS_VARIABLE).ok();
    told.map_or(2, |told| told.parse().unwrap())
}

async fn numbers_are_given_once_however_many_write(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
    let n_each = tickets_of_a_writer();
    let writes = (0..WRITERS).map(|writer| {
        let router = &router;
        async move {
            let mut written = Vec::new();
            for n in 0..n_each {
                written.push(write_ticket(router, &format!("{writer} {n}")).await);
            }
            // One of those that say the same is written.
            let same = post(router, "/tickets", json!({ "title": "the same" })).await;
            (written, same.0)
        }
    });
    let done = join_all(writes).await;
    let all = || done.iter().flat_map(|(written, _)| written);
    let text = |ticket: &Value, field: &str| ticket[field].as_str().unwrap().to_owned();
    let mut numbers: Vec<String> = all().map(|ticket| text(ticket, "ticket_ref")).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), n_each * WRITERS);
    let n_same = done.iter().filter(|(_, status)| *status == 201).count();
    assert_eq!(n_same, 1);
    let mut ids = all().map(|ticket| text(ticket, "id").parse::<TicketId>());
    assert!(ids.all(|id| id.is_ok()));
}

/// Two answers, of which one is a yes and one refuses a cycle.
fn expect_one_refused(said: [(u16, Value); 2]) {
    let mut told = [told_error(&said[0]), told_error(&said[1])];
    told.sort_unstable();
    assert_eq!(told, [(200, ""), (400, "circular_dependency")], "{said:?}");
}

async fn two_halves_of_a_cycle_at_once_close_none(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
    let wait = async |waiting: &str, on: &str| {
        let body = json!({ "depends_on": on });
        post(&router, &format!("/tickets/{waiting}/dependencies"), body).await
    };
    for n in 0..N_CYCLES {
        let mut refs = Vec::new();
        for part in ["a", "b", "c", "d"] {
            let ticket = write_ticket(&router, &format!("{part} {n}")).await;
            refs.push(ticket["ticket_ref"].as_str().unwrap().to_owned());
        }
        // Each half is a chain of two: neither sees the other's last edge.
        assert_eq!(wait(&refs[0], &refs[1]).await.0, 200);
        assert_eq!(wait(&refs[2], &refs[3]).await.0, 200);
        let halves = join(wait(&refs[1], &refs[2]), wait(&refs[3], &refs[0])).await;
        expect_one_refused(halves.into());
    }
}

async fn a_ticket_and_a_task_that_wait_at_once_close_no_cycle(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let router = router_of(&test);
    for n in 0..N_CYCLES {
        let numbers = [10 + 2 * n, 11 + 2 * n];
        let planned = test.commit(async |tx| {
            for number in numbers {
                let ticket = Ticket::of_plan(tx, &test.spec, number);
                tickets::insert(tx, &ticket).await?;
                tasks::insert(tx, &sample_rows::task(tx, &ticket, number)).await?;
            }
            Ok(())
        });
        planned.await.unwrap();
        let [first, second] = numbers;
        let tickets = format!("/tickets/TKT-{first:03}/dependencies");
        let tasks = format!("/tasks/TSK-{second:03}/dependencies");
        let on_ticket = json!({ "depends_on": format!("TKT-{second:03}") });
        let on_task = json!({ "depends_on": [format!("TSK-{first:03}")] });
        let said = join(
            post(&router, &tickets, on_ticket),
            post(&router, &tasks, on_task),
        );
        expect_one_refused(said.await.into());
    }
}

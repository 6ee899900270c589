//! Tickets of which nothing goes on are held up, and go on again once the cause is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use omoi_domain::check::CheckKind;
use omoi_domain::event::EventKind;
use omoi_domain::id::TicketId;
use omoi_domain::task::{TaskStatus, TaskType};
use omoi_domain::ticket::{TicketBlockReason, TicketStatus};
use omoi_domain::workflow::PhaseId;
use omoi_execution::blocker_sweep::BlockerSweep;
use omoi_execution::commands::{StallSearch, detect_blocking};
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::{Entities, Reconciler as _};
use omoi_store::checks::{self, Check};
use omoi_store::tasks::{self, QueueScan, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, events};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

use crate::statements::Statements;

omoi_testkit::on_both_databases!(
    a_ticket_is_held_up_while_nothing_goes_on,
    of_many_looks_one_holds_a_ticket_up,
    what_moves_or_is_for_people_is_left_alone,
);

/// The sweep of a test, which ticks as often as its driver would have it.
struct Sweeper {
    sweep: BlockerSweep,
    entities: Entities,
}

impl Sweeper {
    fn new(it: &TestDeployment) -> Self {
        let sweep: BlockerSweep = it.build_part();
        let entities = Entities::new(sweep.name(), it.deployment.rng.fork());
        Self { sweep, entities }
    }

    async fn pass(&mut self, it: &TestDeployment) {
        let now = it.clock.now();
        let passed = self.sweep.tick(now, &mut self.entities).await;
        passed.unwrap();
        assert!(self.entities.failures().is_empty());
    }

    /// Passes for so many minutes.
    async fn watch(&mut self, it: &TestDeployment, minutes: u64) {
        for _ in 0..minutes / 5 {
            it.advance_clock(300);
            self.pass(it).await;
        }
    }
}

async fn add_suite(it: &TestDeployment) {
    let added = it.commit(async |tx| {
        let suite = Check {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: it.spec.id,
            task_id: None,
            ordinal: 1_000,
            kind: CheckKind::Suite,
            command: "true".to_owned(),
            files: Json(BTreeMap::new()),
            timeout_s: 60,
            base_exit: Some(0),
            is_deploy: false,
        };
        checks::insert(tx, &suite, &[]).await
    });
    added.await.unwrap();
}

async fn ticket_now(it: &TestDeployment, id: TicketId) -> Ticket {
    tickets::get(&mut it.read_tx().await, id).await.unwrap()
}

/// Changes nothing of a task but when it changed.
async fn touch(it: &TestDeployment, task: &Task) {
    let touched = it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        tasks::save(tx, &mut task).await
    });
    touched.await.unwrap();
}

/// The numbers of the tasks that may start, in order.
async fn startable(it: &TestDeployment) -> Vec<i64> {
    let scan = QueueScan {
        starving_since: it.clock.now(),
        project_slots: 4,
        limit: 10,
        spec: None,
    };
    let found = tasks::eligible(&mut it.read_tx().await, scan).await;
    let mut numbers: Vec<i64> = found.unwrap().iter().map(|task| task.number).collect();
    numbers.sort_unstable();
    numbers
}

async fn n_told(it: &TestDeployment, kind: EventKind) -> usize {
    let told = events::of_kind(&mut it.read_tx().await, it.spec.id, kind).await;
    told.unwrap().len()
}

async fn remedies(it: &TestDeployment) -> Vec<Task> {
    let mut all = tasks::of_ticket(&mut it.read_tx().await, it.ticket.id)
        .await
        .unwrap();
    all.retain(|task| task.local_id.starts_with("FIX-"));
    all
}

async fn a_ticket_is_held_up_while_nothing_goes_on(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    add_suite(&it).await;
    let task = it.add_task(1, &[]).await;
    let mut sweeper = Sweeper::new(&it);
    sweeper.pass(&it).await;
    for _ in 0..3 {
        sweeper.watch(&it, 20).await;
        touch(&it, &task).await;
    }
    sweeper.watch(&it, 25).await;
    assert!(!ticket_now(&it, it.ticket.id).await.is_blocked);
    sweeper.watch(&it, 5).await;
    let held = ticket_now(&it, it.ticket.id).await;
    let reason = Some(TicketBlockReason::Environment);
    assert_eq!((held.is_blocked, held.blocked_reason), (true, reason));
    let [remedy] = remedies(&it).await.try_into().unwrap();
    assert_eq!(held.remedy_task_id, Some(remedy.id));
    let is_optional = (remedy.status, remedy.task_type, remedy.needed);
    let expected = (TaskStatus::Pending, TaskType::FixBug, false);
    assert_eq!(is_optional, expected);
    let detail = held.blocked_detail.unwrap();
    assert!(remedy.description.contains("1 pending"), "{remedy:?}");
    assert!(detail.contains("looks for the cause"), "{detail}");
    // Of the ticket only what looks for the cause may start.
    assert_eq!(startable(&it).await, [remedy.number]);
    sweeper.watch(&it, 60).await;
    assert_eq!(remedies(&it).await.len(), 1);
    assert_eq!(n_told(&it, EventKind::TicketBlocked).await, 1);
    assert_eq!(n_told(&it, EventKind::TicketUnblocked).await, 0);
    // Somebody takes the task up: it may start at once, and the ticket goes on with the next look.
    it.advance_clock(1);
    touch(&it, &task).await;
    assert_eq!(startable(&it).await, [task.number, remedy.number]);
    sweeper.watch(&it, 5).await;
    let held = ticket_now(&it, it.ticket.id).await;
    assert_eq!((held.is_blocked, held.stalled_at), (false, None));
    let remedy = it.task_now(remedy.id).await;
    assert_eq!(remedy.status, TaskStatus::Cancelled, "nobody had begun it");
    assert_eq!(n_told(&it, EventKind::TicketUnblocked).await, 1);
    // It had its remedy: the next time it is for people.
    sweeper.watch(&it, 35).await;
    assert!(ticket_now(&it, it.ticket.id).await.is_blocked);
    assert_eq!(remedies(&it).await.len(), 1);
}

async fn of_many_looks_one_holds_a_ticket_up(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    it.add_task(1, &[]).await;
    it.advance_clock(31 * 60);
    let search = StallSearch {
        projects: Vec::new(),
        watched_for: Duration::MAX,
    };
    let look = || detect_blocking(&it.deployment.store, &search);
    let (one, two, three) = tokio::join!(look(), look(), look());
    let found = [one.unwrap(), two.unwrap(), three.unwrap()];
    let n_blocked: usize = found.iter().map(|found| found.blocked.len()).sum();
    assert_eq!(n_blocked, 1, "{found:?}");
    assert_eq!(n_told(&it, EventKind::TicketBlocked).await, 1);
    // Without a suite nothing could prove the remedy, which waits for a person.
    let [remedy] = remedies(&it).await.try_into().unwrap();
    assert_eq!(remedy.status, TaskStatus::Blocked);
    let task = tasks::of_ticket(&mut it.read_tx().await, it.ticket.id).await;
    it.advance_clock(1);
    touch(&it, &task.unwrap()[0]).await;
    let (one, two) = tokio::join!(look(), look());
    let released = one.unwrap().released.len() + two.unwrap().released.len();
    assert_eq!(released, 1);
    assert_eq!(n_told(&it, EventKind::TicketUnblocked).await, 1);
}

async fn what_moves_or_is_for_people_is_left_alone(database: TestDatabase) {
    let mut it = TestDeployment::on_database(database, |_| {}).await;
    it.leaves_open_attempts();
    let worked_on = it.ticket.clone();
    let task = it.add_task(1, &[]).await;
    it.run_task(task.id).await;
    it.next_spec(2).await;
    let queued = it.ticket.clone();
    it.add_task(2, &[]).await;
    it.next_spec(3).await;
    let persons = it.ticket.clone();
    it.add_task(3, &[]).await;
    let waiting = it.commit(async |tx| {
        let mut ticket = tickets::get(tx, persons.id).await?;
        let reason = TicketBlockReason::Dependency;
        tickets::block_ticket(tx, &mut ticket, reason, None).await?;
        let waiting = Ticket {
            id: tx.new_id(),
            number: 4,
            local_id: "TKT-004".to_owned(),
            status: TicketStatus::Backlog,
            phase_id: PhaseId::Backlog,
            ..queued.clone()
        };
        tickets::insert(tx, &waiting).await?;
        Ok(waiting)
    });
    let waiting = waiting.await.unwrap();
    let mut sweeper = Sweeper::new(&it);
    sweeper.pass(&it).await;
    sweeper.watch(&it, 120).await;
    for (ticket, is_blocked) in [
        (&worked_on, false),
        // A slot is taken: it waits for its turn.
        (&queued, false),
        (&persons, true),
        (&waiting, false),
    ] {
        let held = ticket_now(&it, ticket.id).await;
        assert_eq!(held.is_blocked, is_blocked, "{held:?}");
        assert_eq!((held.stalled_at, held.remedy_task_id), (None, None));
    }
}

#[tokio::test]
async fn what_tickets_share_is_read_once_for_a_look() {
    let heard = Statements::listen();
    let mut it = TestDeployment::new().await;
    for number in 2..=4 {
        it.add_task(number, &[]).await;
        it.next_spec(number).await;
    }
    it.advance_clock(31 * 60);
    let search = StallSearch {
        projects: Vec::new(),
        watched_for: Duration::ZERO,
    };
    heard.take();
    let found = detect_blocking(&it.deployment.store, &search).await;
    let found = found.unwrap();
    assert_eq!((found.n_examined, found.blocked.len()), (4, 0));
    let heard = heard.take();
    let n_read = |words: &str| heard.iter().filter(|one| one.sql.contains(words)).count();
    let shared = [
        "from attempts where",
        "from projects where org_id = $1 and id = $2",
        ", deployment d where",
    ];
    assert_eq!(shared.map(n_read), [1, 1, 1], "{heard:#?}");
}

#[tokio::test]
async fn only_watched_time_counts() {
    let it = TestDeployment::new().await;
    it.add_task(1, &[]).await;
    let mut sweeper = Sweeper::new(&it);
    sweeper.pass(&it).await;
    sweeper.watch(&it, 25).await;
    // The machine sleeps for a night.
    it.advance_clock(8 * 3_600);
    sweeper.pass(&it).await;
    sweeper.watch(&it, 25).await;
    assert!(!ticket_now(&it, it.ticket.id).await.is_blocked);
    sweeper.watch(&it, 5).await;
    assert!(ticket_now(&it, it.ticket.id).await.is_blocked);
}

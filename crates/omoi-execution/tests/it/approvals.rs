//! Tickets that programs write wait for a person, for so long.

use std::time::Duration;

use futures::future::{join, join_all};

use omoi_domain::actor::Actor;
use omoi_domain::approval::{ApprovalDecision, ApprovalState};
use omoi_domain::id::{ApiKeyId, UserId};
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::ticket::{TicketMoveRefusal, TicketTarget};
use omoi_domain::task::Priority;
use omoi_domain::ticket::{ApprovalStatus, TicketField};
use omoi_domain::workflow::PhaseId;
use omoi_execution::FromParts as _;
use omoi_execution::commands::{self, NewTicket, TicketCommandError, TicketMoveWish};
use omoi_execution::reaper::Reaper;
use omoi_runtime::clock::Clock as _;
use omoi_store::approvals::{self, Approval};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{state_transitions, tasks};
use omoi_testkit::deployment::{TestDeployment, tick_once};

omoi_testkit::on_both_databases!(
    an_unanswered_ticket_times_out_with_nothing_begun,
    one_of_many_answers_is_heard,
    two_sweeps_at_once_end_each_question_once,
);

/// How long people may take.
const REVIEW: Duration = Duration::from_mins(30);
/// People who answer at once.
const DECIDERS: usize = 20;

/// A ticket that a program writes, and the question about it.
async fn ask(it: &TestDeployment, title: &str) -> (Ticket, Approval) {
    let key = ApiKeyId::from_uuid(it.spec.id.as_uuid());
    let program = it.deployment.store.clone().acting_as(Actor::Key(key));
    let new = NewTicket {
        project: it.spec.project_id,
        title: title.to_owned(),
        description: String::new(),
        priority: Priority::Medium,
        labels: Vec::new(),
        assignee: None,
        phase: PhaseId::Backlog,
        mode: None,
        check_commands: Vec::new(),
        depends_on: Vec::new(),
        takes_duplicate: false,
        review: Some(REVIEW),
    };
    let ticket = commands::create_ticket(&program, new).await.unwrap();
    let asked = approvals::newest_of_ticket(&mut it.read_tx().await, ticket.id).await;
    (ticket, asked.unwrap().unwrap())
}

async fn reap(it: &TestDeployment) {
    tick_once(&mut Reaper::from_parts(&it.deployment), it.clock.now()).await;
}

async fn an_unanswered_ticket_times_out_with_nothing_begun(
    database: omoi_testkit::database::TestDatabase,
) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let (ticket, asked) = ask(&it, "a").await;
    assert_eq!(ticket.approval_status, ApprovalStatus::PendingReview);
    let wish = TicketMoveWish {
        target: TicketTarget::Phase(PhaseId::Implementation),
        is_forced: true,
        reason: Some("now".to_owned()),
        versions: None,
    };
    let held = commands::move_ticket(&it.deployment.store, ticket.id, &wish).await;
    let Err(TicketCommandError::Refused(TicketMoveRefusal::NotApproved(_))) = held else {
        panic!("{held:?}")
    };
    it.advance_clock(REVIEW.as_secs() - 1);
    reap(&it).await;
    let now = async || {
        let mut tx = it.read_tx().await;
        let ticket = tickets::get(&mut tx, ticket.id).await.unwrap();
        let asked = approvals::get(&mut tx, asked.id).await.unwrap();
        let n_tasks = tasks::of_ticket(&mut tx, ticket.id).await.unwrap().len();
        (ticket.approval_status, asked.state, n_tasks)
    };
    let waits = (ApprovalStatus::PendingReview, ApprovalState::Pending, 0);
    assert_eq!(now().await, waits);
    it.advance_clock(1);
    reap(&it).await;
    let over = (ApprovalStatus::TimedOut, ApprovalState::TimedOut, 0);
    assert_eq!(now().await, over);
    // The end is told once, and stays.
    reap(&it).await;
    let late = commands::answer_approval(
        &it.deployment.store,
        asked.id,
        ApprovalDecision::Approve,
        None,
    )
    .await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::Closed(_))) = late else {
        panic!("{late:?}")
    };
    assert_eq!(now().await, over);
    let history = state_transitions::of_ticket(&mut it.read_tx().await, ticket.id, 9).await;
    let fields: Vec<TicketField> = history.unwrap().iter().map(|row| row.field).collect();
    assert_eq!(fields, [TicketField::Approval]);
}

async fn one_of_many_answers_is_heard(database: omoi_testkit::database::TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let (ticket, asked) = ask(&it, "a").await;
    let person = it
        .deployment
        .store
        .clone()
        .acting_as(Actor::User(UserId::LOCAL));
    let bare = commands::answer_approval(&person, asked.id, ApprovalDecision::Reject, None).await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::NoComment)) = bare else {
        panic!("{bare:?}")
    };
    let answers = (0..DECIDERS).map(|n| {
        let (person, id) = (&person, asked.id);
        async move {
            let decision = match n % 2 {
                0 => ApprovalDecision::Approve,
                _ => ApprovalDecision::Reject,
            };
            commands::answer_approval(person, id, decision, Some("why")).await
        }
    });
    let heard: Vec<Approval> = join_all(answers).await.into_iter().flatten().collect();
    let [only] = heard.as_slice() else {
        panic!("{heard:?}")
    };
    assert_eq!(only.decided_by_id, Some(UserId::LOCAL));
    let mut tx = it.read_tx().await;
    let decided = tickets::get(&mut tx, ticket.id).await.unwrap();
    let expected = match only.state {
        ApprovalState::Approved => ApprovalStatus::Approved,
        _ => ApprovalStatus::Rejected,
    };
    assert_eq!(decided.approval_status, expected);
    assert_eq!(approvals::count_pending(&mut tx, None).await.unwrap(), 0);
    drop(tx);
    // Whoever says yes lets it go on.
    let (second, _) = ask(&it, "b").await;
    let yes = ApprovalDecision::Approve;
    let approved = commands::decide_ticket(&person, second.id, yes, None).await;
    assert_eq!(approved.unwrap().approval_status, ApprovalStatus::Approved);
    let unasked = commands::decide_ticket(&person, it.ticket.id, yes, None).await;
    assert!(
        matches!(unasked, Err(TicketCommandError::NotAsked)),
        "{unasked:?}"
    );
}

async fn two_sweeps_at_once_end_each_question_once(database: omoi_testkit::database::TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let mut asked = Vec::new();
    for title in ["a", "b", "c", "d"] {
        asked.push(ask(&it, title).await);
    }
    it.advance_clock(REVIEW.as_secs());
    join(reap(&it), reap(&it)).await;
    for (ticket, approval) in asked {
        let mut tx = it.read_tx().await;
        let over = approvals::get(&mut tx, approval.id).await.unwrap();
        assert_eq!(over.state, ApprovalState::TimedOut);
        let history = state_transitions::of_ticket(&mut tx, ticket.id, 9).await;
        let fields: Vec<TicketField> = history.unwrap().iter().map(|row| row.field).collect();
        assert_eq!(fields, [TicketField::Approval], "{}", ticket.title);
    }
}

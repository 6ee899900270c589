//! Gates of tickets: every try is kept, a refusal asks people, and they let a ticket pass or not.

use omoi_domain::actor::Actor;
use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::audit::AuditAction;
use omoi_domain::id::UserId;
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::{Priority, TaskStatus};
use omoi_domain::ticket::{TicketBlockReason, TicketStatus};
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId};
use omoi_execution::commands::{self, NewTicket, TicketCommandError, TicketMoveWish};
use omoi_store::approvals::{self, Approval};
use omoi_store::phase_artifacts::GivenArtifact;
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Tenant, audit_log, phase_gate_results, tasks};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

omoi_testkit::on_both_databases!(
    a_refused_gate_asks_people_once_and_a_yes_lets_it_pass,
    a_no_leaves_the_ticket_with_its_reason,
    what_a_gate_asks_for_may_come_later,
    work_that_goes_on_is_kept_and_asks_nobody,
);

fn person(it: &TestDeployment) -> Tenant {
    let store = it.deployment.store.clone();
    store.acting_as(Actor::User(UserId::LOCAL))
}

/// A ticket that is looked into, with a document that is too short.
async fn ticket_with_sketch(it: &TestDeployment) -> Ticket {
    let new = NewTicket {
        project: it.spec.project_id,
        title: "a".to_owned(),
        description: String::new(),
        priority: Priority::Medium,
        labels: Vec::new(),
        assignee: None,
        phase: PhaseId::Requirements,
        mode: None,
        check_commands: Vec::new(),
        depends_on: Vec::new(),
        takes_duplicate: false,
        review: None,
    };
    let ticket = commands::create_ticket(&person(it), new).await.unwrap();
    let sketch = GivenArtifact::Document("# Scope\nExport.".to_owned());
    let requirements = ArtifactType::RequirementsDocument;
    commands::give_artifact(&person(it), ticket.id, requirements, sketch)
        .await
        .unwrap();
    ticket
}

async fn results_of(it: &TestDeployment, ticket: &Ticket) -> Vec<(PhaseId, GateStatus, usize)> {
    let kept = phase_gate_results::of_ticket(&mut it.read_tx().await, ticket.id, 9).await;
    let kept = kept.unwrap().into_iter();
    kept.map(|row| (row.phase_id, row.gate_status, row.blocking_reasons.0.len()))
        .collect()
}

async fn asked_about(it: &TestDeployment, ticket: &Ticket) -> Option<Approval> {
    let asked = approvals::open_gate_of_ticket(&mut it.read_tx().await, ticket.id).await;
    asked.unwrap()
}

async fn ticket_now(it: &TestDeployment, ticket: &Ticket) -> Ticket {
    let now = tickets::get(&mut it.read_tx().await, ticket.id).await;
    now.unwrap()
}

async fn refuse_twice(it: &TestDeployment, ticket: &Ticket) -> Approval {
    for _ in 0..2 {
        let refused = commands::progress_ticket(&person(it), ticket.id).await;
        assert!(
            matches!(refused, Err(TicketCommandError::Refused(_))),
            "{refused:?}"
        );
    }
    asked_about(it, ticket).await.unwrap()
}

async fn a_refused_gate_asks_people_once_and_a_yes_lets_it_pass(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let ticket = ticket_with_sketch(&it).await;
    let asked = refuse_twice(&it, &ticket).await;
    assert_eq!(asked.kind, ApprovalKind::PhaseGate);
    let phases = (asked.gate_phase, asked.target_phase);
    let expected = (Some(PhaseId::Requirements), Some(PhaseId::Design));
    assert_eq!(phases, expected);
    let held = ticket_now(&it, &ticket).await;
    let reason = (held.phase_id, held.blocked_reason);
    let checks = Some(TicketBlockReason::FailingChecks);
    assert_eq!(reason, (PhaseId::Requirements, checks));
    let told = held.blocked_detail.unwrap();
    assert!(told.contains("acceptance_criteria"), "{told}");
    let refused = (PhaseId::Requirements, GateStatus::Failed, 2);
    assert_eq!(results_of(&it, &ticket).await, [refused, refused]);
    let yes = ApprovalDecision::Approve;
    commands::answer_approval(&person(&it), asked.id, yes, Some("clear enough"))
        .await
        .unwrap();
    let now = ticket_now(&it, &ticket).await;
    assert_eq!((now.phase_id, now.is_blocked), (PhaseId::Design, false));
    let passed = (PhaseId::Requirements, GateStatus::Overridden, 2);
    assert_eq!(results_of(&it, &ticket).await[0], passed);
    let acts = audit_log::entries_after(&mut it.read_tx().await, 0)
        .await
        .unwrap();
    let overridden = acts
        .iter()
        .find(|act| act.action == AuditAction::GateOverridden);
    assert_eq!(
        overridden.and_then(|act| act.reason.as_deref()),
        Some("clear enough")
    );
}

async fn a_no_leaves_the_ticket_with_its_reason(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let ticket = ticket_with_sketch(&it).await;
    let asked = refuse_twice(&it, &ticket).await;
    let no = ApprovalDecision::Reject;
    let bare = commands::answer_approval(&person(&it), asked.id, no, None).await;
    assert!(
        matches!(
            bare,
            Err(TicketCommandError::Approval(ApprovalRefusal::NoComment))
        ),
        "{bare:?}"
    );
    commands::answer_approval(&person(&it), asked.id, no, Some("say what counts"))
        .await
        .unwrap();
    let now = ticket_now(&it, &ticket).await;
    assert_eq!(
        (now.phase_id, now.is_blocked),
        (PhaseId::Requirements, true)
    );
    assert_eq!(now.blocked_detail.as_deref(), Some("say what counts"));
    // The next try asks anew.
    let again = refuse_twice(&it, &ticket).await;
    assert_ne!(again.id, asked.id);
}

async fn what_a_gate_asks_for_may_come_later(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let ticket = ticket_with_sketch(&it).await;
    let asked = refuse_twice(&it, &ticket).await;
    let whole = format!("# Scope\n{}\n# Acceptance criteria\n", "word ".repeat(100));
    let given = GivenArtifact::Document(whole);
    let requirements = ArtifactType::RequirementsDocument;
    commands::give_artifact(&person(&it), ticket.id, requirements, given)
        .await
        .unwrap();
    let said = commands::validate_gate(&person(&it), ticket.id).await;
    assert_eq!(said.unwrap().gate_status, GateStatus::Passed);
    let moved = commands::progress_ticket(&person(&it), ticket.id).await;
    let moved = moved.unwrap();
    assert_eq!((moved.phase_id, moved.is_blocked), (PhaseId::Design, false));
    let left = approvals::get(&mut it.read_tx().await, asked.id).await;
    assert_eq!(left.unwrap().state, ApprovalState::Withdrawn);
    for (artifact, given) in [
        (
            ArtifactType::TestResults,
            GivenArtifact::Document("all green".to_owned()),
        ),
        (ArtifactType::TestCoverage, GivenArtifact::Coverage(101)),
        (
            ArtifactType::DesignDocument,
            GivenArtifact::Document(" ".to_owned()),
        ),
    ] {
        let refused = commands::give_artifact(&person(&it), ticket.id, artifact, given).await;
        assert!(refused.is_err(), "{artifact}");
    }
}

async fn work_that_goes_on_is_kept_and_asks_nobody(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let task = it.add_task(1, &[]).await;
    let wish = TicketMoveWish {
        target: TicketTarget::Status(TicketStatus::BuildingDone),
        is_forced: false,
        reason: None,
        versions: None,
    };
    let refused = commands::move_ticket(&person(&it), task.ticket_id, &wish).await;
    assert!(refused.is_err());
    let ticket = tickets::get(&mut it.read_tx().await, task.ticket_id).await;
    let ticket = ticket.unwrap();
    assert!(!ticket.is_blocked);
    assert_eq!(asked_about(&it, &ticket).await, None);
    let pending = (PhaseId::Implementation, GateStatus::Pending, 1);
    assert_eq!(results_of(&it, &ticket).await, [pending]);
    // Merged work passes by what the platform saw of it.
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Merged;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    let wish = TicketMoveWish {
        target: TicketTarget::Phase(PhaseId::Done),
        ..wish
    };
    let done = commands::move_ticket(&person(&it), task.ticket_id, &wish).await;
    assert_eq!(done.unwrap().status, TicketStatus::Done);
    let passed = |phase| (phase, GateStatus::Passed, 0);
    let (built, tested) = (passed(PhaseId::Implementation), passed(PhaseId::Testing));
    assert_eq!(
        results_of(&it, &ticket).await,
        [tested, built, built, pending]
    );
}

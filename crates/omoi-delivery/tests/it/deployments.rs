//! Deploy checks: run on what was handed over, and what their receipts mean for tickets.

use omoi_domain::id::TicketId;
use omoi_domain::spec::SpecStatus;
use omoi_domain::ticket::{TicketBlockReason, TicketStatus};
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId};
use omoi_execution::commands;
use omoi_execution::specs::move_spec;
use omoi_store::phase_gate_results::{self, GateResult};
use omoi_store::projects;
use omoi_store::specs;
use omoi_store::tickets::{self, Ticket};
use omoi_store::{approvals, checks, deliveries};
use omoi_testkit::deployment::TestDeployment;

use crate::landed_work::{landed, pass, spec_now};
use crate::with_sandbox;

/// A ticket that follows the spec of the test and is built.
async fn following(it: &TestDeployment, number: i64) -> Ticket {
    it.commit(async |tx| {
        let ticket = Ticket {
            follows_spec_id: Some(it.spec.id),
            status: TicketStatus::Building,
            phase_id: PhaseId::Implementation,
            ..Ticket::in_backlog(tx, it.spec.project_id, number)
        };
        tickets::insert(tx, &ticket).await?;
        Ok(ticket)
    })
    .await
    .unwrap()
}

async fn name_check(it: &TestDeployment, command: Option<String>) {
    it.commit(async |tx| {
        let mut project = projects::get(tx, it.spec.project_id).await?;
        project.deploy_check = command;
        projects::save(tx, &mut project).await
    })
    .await
    .unwrap();
}

/// Hands the branch of the spec over, as far as rows tell.
async fn deliver(it: &TestDeployment) {
    let head = it.branch_head(&it.spec.integration_branch).await.unwrap();
    it.commit(async |tx| {
        deliveries::plan(tx, it.spec.id, head.as_str(), "omoi/tags").await?;
        let mut spec = specs::get(tx, it.spec.id).await?;
        move_spec(tx, &mut spec, SpecStatus::Delivered, None).await
    })
    .await
    .unwrap();
}

async fn ticket_now(it: &TestDeployment, id: TicketId) -> Ticket {
    tickets::get(&mut it.read_tx().await, id).await.unwrap()
}

async fn newest_result(it: &TestDeployment, id: TicketId) -> GateResult {
    let all = phase_gate_results::of_ticket(&mut it.read_tx().await, id, 1).await;
    all.unwrap().remove(0)
}

#[tokio::test]
async fn a_ticket_is_done_once_the_deploy_check_passes_on_what_was_handed_over() {
    let (it, state) = with_sandbox().await;
    let live = state.path().join("live");
    let ticket = following(&it, 7).await;
    name_check(&it, Some(format!("test -e '{}'", live.display()))).await;
    landed(&it, 1, "true").await;
    // Every check runs at the head; the hand-over itself has no repository to go to.
    pass(&it).await;
    let proven = checks::receipts_of_spec(&mut it.read_tx().await, it.spec.id).await;
    let proven: Vec<_> = proven.unwrap().into_iter().map(|found| found.id).collect();
    deliver(&it).await;
    assert_eq!(
        ticket_now(&it, ticket.id).await.status,
        TicketStatus::Deploying
    );
    let tested = newest_result(&it, ticket.id).await;
    assert_eq!(
        (tested.phase_id, tested.to_phase, tested.gate_status),
        (PhaseId::Testing, PhaseId::Deployment, GateStatus::Passed)
    );
    // No agent was asked: the receipts of the platform's own attempts are the evidence.
    let named: Vec<_> = tested
        .receipts
        .0
        .iter()
        .map(|found| found.receipt_id)
        .collect();
    assert!(
        !named.is_empty() && named.iter().all(|found| proven.contains(found)),
        "{named:?}"
    );

    pass(&it).await;
    let held = ticket_now(&it, ticket.id).await;
    assert_eq!(
        (held.status, held.blocked_reason),
        (
            TicketStatus::Deploying,
            Some(TicketBlockReason::FailingChecks)
        )
    );
    let asked = approvals::open_gate_of_ticket(&mut it.read_tx().await, ticket.id).await;
    assert_eq!(
        asked.unwrap().unwrap().gate_phase,
        Some(PhaseId::Deployment)
    );
    // What is held up is not looked at again by itself.
    pass(&it).await;
    let n_runs = async || {
        let all = checks::receipts_of_spec(&mut it.read_tx().await, it.spec.id).await;
        all.unwrap().len()
    };
    assert_eq!(n_runs().await, proven.len() + 1);

    std::fs::File::create(&live).unwrap();
    it.advance_clock(1);
    commands::unblock_ticket(&it.deployment.store, ticket.id)
        .await
        .unwrap();
    pass(&it).await;
    assert_eq!(ticket_now(&it, ticket.id).await.status, TicketStatus::Done);
    let deployed = newest_result(&it, ticket.id).await;
    assert_eq!(deployed.artifacts.0, [ArtifactType::DeploymentEvidence]);
    assert_eq!(deployed.gate_status, GateStatus::Passed);
    let [receipt] = deployed.receipts.0[..] else {
        panic!("{deployed:?}")
    };
    assert!(receipt.passed && !proven.contains(&receipt.receipt_id));
    let n_before = n_runs().await;
    follows_what_is_deployed(&it).await;
    assert_eq!(n_runs().await, n_before);
}

/// It passed there: whoever follows later needs no other run.
async fn follows_what_is_deployed(it: &TestDeployment) {
    let late = following(it, 8).await;
    it.commit(async |tx| {
        let mut late = tickets::get(tx, late.id).await?;
        for to in [
            TicketStatus::BuildingDone,
            TicketStatus::Testing,
            TicketStatus::Deploying,
        ] {
            tickets::transition(tx, &mut late, to).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    pass(it).await;
    assert_eq!(ticket_now(it, late.id).await.status, TicketStatus::Done);
    assert_eq!(spec_now(it).await.status, SpecStatus::Delivered);
}

#[tokio::test]
async fn a_deployment_that_nobody_looks_at_any_more_is_passed_by() {
    let (it, _state) = with_sandbox().await;
    let ticket = following(&it, 7).await;
    name_check(&it, Some("false".to_owned())).await;
    landed(&it, 1, "true").await;
    deliver(&it).await;
    assert_eq!(
        ticket_now(&it, ticket.id).await.status,
        TicketStatus::Deploying
    );
    name_check(&it, None).await;
    pass(&it).await;
    assert_eq!(ticket_now(&it, ticket.id).await.status, TicketStatus::Done);
    let passed = newest_result(&it, ticket.id).await;
    assert_eq!(
        (passed.phase_id, passed.gate_status),
        (PhaseId::Deployment, GateStatus::Skipped)
    );
}

//! The gates of tickets: what a phase shows is collected from rows, judged, and kept with every try to leave it.

use std::collections::BTreeSet;

use omoi_domain::approval::ApprovalState;
use omoi_domain::id::{TaskId, TicketId};
use omoi_domain::lifecycle::ticket::{
    ArtifactContent, GateArtifact, GateVerdict, TicketMoveFacts, TicketTask, section_names,
};
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecKind};
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketBlockReason;
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseDefinition, PhaseId, usual_next_phase};
use omoi_store::approvals::{self, ask_about_gate};
use omoi_store::phase_artifacts::{self, PhaseArtifact};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{
    StoreError, Tx, checked_work, phase_definitions, phase_gate_results, phases, projects, specs,
};

/// What gates of a ticket look at.
pub(crate) struct GateRows {
    phases: Vec<PhaseDefinition>,
    tasks: Vec<TicketTask>,
    artifacts: Vec<GateArtifact>,
    has_deploy_check: bool,
}

impl GateRows {
    /// Collects what `ticket` shows.
    pub(crate) async fn read_rows(tx: &mut Tx, ticket: &Ticket) -> Result<Self, StoreError> {
        let rows = tasks_of(tx, ticket).await?;
        let mut artifacts = given_artifacts(tx, ticket.id).await?;
        artifacts.extend(planned_artifacts(tx, ticket).await?);
        artifacts.extend(built_artifacts(tx, &rows).await?);
        let command = deploy_check_of(tx, ticket).await?;
        if let Some(command) = &command {
            artifacts.extend(deployed_artifact(tx, ticket, command).await?);
        }
        Ok(Self {
            has_deploy_check: command.is_some(),
            phases: phase_definitions::of_project(tx, ticket.project_id).await?,
            tasks: rows.iter().map(task_facts).collect(),
            artifacts,
        })
    }

    /// The same with where the ticket stands.
    pub(crate) fn facts_of(&self, ticket: &Ticket) -> TicketMoveFacts<'_> {
        TicketMoveFacts {
            status: ticket.status,
            phase: ticket.phase_id,
            approval: ticket.approval_status,
            tasks: &self.tasks,
            phases: &self.phases,
            artifacts: &self.artifacts,
            has_deploy_check: self.has_deploy_check,
        }
    }
}

/// Where the tasks of a ticket stand.
pub(crate) async fn work_of(tx: &mut Tx, ticket: &Ticket) -> Result<Vec<TicketTask>, StoreError> {
    Ok(tasks_of(tx, ticket).await?.iter().map(task_facts).collect())
}

fn task_facts(task: &Task) -> TicketTask {
    TicketTask {
        status: task.status,
        integration_state: task.integration_state,
        is_needed: task.needed,
    }
}

/// The tasks of a ticket: its own, or those of the spec that it follows.
async fn tasks_of(tx: &mut Tx, ticket: &Ticket) -> Result<Vec<Task>, StoreError> {
    match ticket.follows_spec_id {
        Some(spec) => tasks::of_spec(tx, spec).await,
        None => tasks::of_ticket(tx, ticket.id).await,
    }
}

async fn given_artifacts(tx: &mut Tx, ticket: TicketId) -> Result<Vec<GateArtifact>, StoreError> {
    let given = phase_artifacts::newest_of_ticket(tx, ticket).await?;
    Ok(given.iter().filter_map(given_artifact).collect())
}

fn given_artifact(row: &PhaseArtifact) -> Option<GateArtifact> {
    let content = match (&row.content, row.percent) {
        (Some(text), _) => ArtifactContent::Document {
            chars: u32::try_from(text.chars().count()).unwrap_or(u32::MAX),
            sections: section_names(text),
        },
        (None, Some(percent)) => ArtifactContent::Coverage { percent },
        (None, None) => return None,
    };
    Some(GateArtifact {
        artifact_type: row.artifact_type,
        content,
    })
}

/// Documents that planning made: its own gates judged them.
async fn planned_artifacts(tx: &mut Tx, ticket: &Ticket) -> Result<Vec<GateArtifact>, StoreError> {
    let Some(spec) = ticket.follows_spec_id.or(ticket.spec_id) else {
        return Ok(Vec::new());
    };
    if specs::get(tx, spec).await?.kind == SpecKind::Direct {
        return Ok(Vec::new());
    }
    let made = [
        (Phase::Requirements, ArtifactType::RequirementsDocument),
        (Phase::Design, ArtifactType::DesignDocument),
    ];
    let runs = phases::of_spec(tx, spec).await?;
    let is_made = |phase| {
        let mut runs = runs.iter();
        runs.any(|run| run.phase == phase && run.state == PhaseState::Passed)
    };
    let made = made.into_iter().filter(|(phase, _)| is_made(*phase));
    Ok(made.map(|(_, artifact)| present(artifact)).collect())
}

const fn present(artifact_type: ArtifactType) -> GateArtifact {
    GateArtifact {
        artifact_type,
        content: ArtifactContent::Present,
    }
}

/// What the platform saw of the work on `tasks`: merges, and receipts of their checks on the merged tree. The attempts that ran
/// these are the work of TESTING, so that no agent has to be asked.
async fn built_artifacts(tx: &mut Tx, tasks: &[Task]) -> Result<Vec<GateArtifact>, StoreError> {
    let completed: Vec<&Task> = tasks
        .iter()
        .filter(|task| task.status == TaskStatus::Completed)
        .collect();
    let mut found = Vec::new();
    let Some(spec) = completed.first().map(|task| task.spec_id) else {
        return Ok(found);
    };
    found.push(present(ArtifactType::CodeChanges));
    if completed
        .iter()
        .all(|task| task.integration_state.satisfies_dependents())
    {
        found.push(present(ArtifactType::PackagingBundle));
    }
    let completed: BTreeSet<TaskId> = completed.into_iter().map(|task| task.id).collect();
    let work = checked_work::of_tasks(tx, spec, &completed).await?;
    // Where nothing can be run, nothing failed and nothing more can be shown.
    if !work.receipts.is_empty() || work.n_named == 0 {
        found.push(GateArtifact {
            artifact_type: ArtifactType::TestResults,
            content: ArtifactContent::Checks(work.receipts),
        });
        found.push(present(ArtifactType::TestEvidence));
    }
    Ok(found)
}

/// The command that shows that what was built for `ticket` is deployed, where its project names one. A ticket of a plan is
/// deployed with its spec: others of the plan wait until it is done, and nothing is handed over before they are.
pub(crate) async fn deploy_check_of(
    tx: &mut Tx,
    ticket: &Ticket,
) -> Result<Option<String>, StoreError> {
    if let Some(spec) = ticket.spec_id
        && specs::get(tx, spec).await?.kind == SpecKind::Planned
    {
        return Ok(None);
    }
    Ok(projects::get(tx, ticket.project_id).await?.deploy_check)
}

/// The receipt of that check on what was handed over.
async fn deployed_artifact(
    tx: &mut Tx,
    ticket: &Ticket,
    command: &str,
) -> Result<Option<GateArtifact>, StoreError> {
    let Some(spec) = ticket.follows_spec_id.or(ticket.spec_id) else {
        return Ok(None);
    };
    let receipt = checked_work::of_deployment(tx, spec, command).await?;
    Ok(receipt.map(|receipt| GateArtifact {
        artifact_type: ArtifactType::DeploymentEvidence,
        content: ArtifactContent::Checks(vec![receipt]),
    }))
}

/// The phase that usually follows the one that `ticket` is in.
pub(crate) async fn next_phase_of(
    tx: &mut Tx,
    ticket: &Ticket,
) -> Result<Option<PhaseId>, StoreError> {
    let phases = phase_definitions::of_project(tx, ticket.project_id).await?;
    let has_deploy_check = deploy_check_of(tx, ticket).await?.is_some();
    Ok(usual_next_phase(&phases, ticket.phase_id, has_deploy_check))
}

/// Keeps what gates said of `ticket`.
pub(crate) async fn keep_verdicts(
    tx: &mut Tx,
    ticket: &Ticket,
    verdicts: Vec<GateVerdict>,
) -> Result<(), StoreError> {
    if !verdicts.is_empty() {
        // They are numbered: whoever else tries meanwhile waits.
        tickets::hold_ticket(tx, ticket.id).await?;
    }
    for verdict in verdicts {
        phase_gate_results::keep_verdict(tx, ticket, verdict).await?;
    }
    Ok(())
}

/// Keeps that a gate did not let `ticket` pass. Where the work on the phase has ended, a refusal holds the ticket up, and
/// people are asked whether it may pass all the same; while the work goes on, there is nothing to ask.
pub(crate) async fn keep_refusal(
    tx: &mut Tx,
    ticket: &mut Ticket,
    verdict: GateVerdict,
) -> Result<(), StoreError> {
    let (phase, to_phase, status) = (verdict.phase, verdict.to_phase, verdict.status);
    let lacks = format!(
        "the gate of {phase} is not met: {}",
        verdict.reasons.join("; ")
    );
    keep_verdicts(tx, ticket, vec![verdict]).await?;
    // A way of several steps may fail at a later one: the ticket is not in that phase yet, and people bring it there.
    let is_final = status == GateStatus::Failed && phase == ticket.phase_id;
    if !is_final
        || approvals::open_gate_of_ticket(tx, ticket.id)
            .await?
            .is_some()
    {
        return Ok(());
    }
    let target = match to_phase == phase {
        true => next_phase_of(tx, ticket).await?.unwrap_or(PhaseId::Done),
        false => to_phase,
    };
    let reason = TicketBlockReason::FailingChecks;
    tickets::block_ticket(tx, ticket, reason, Some(lacks.clone())).await?;
    ask_about_gate(tx, ticket, target, lacks).await?;
    Ok(())
}

/// Withdraws the question about a gate that `ticket` is not held by any more, and lets it go on.
pub(crate) async fn release_gate(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    if withdraw_gate(tx, ticket.id).await? && ticket.is_blocked {
        tickets::unblock_ticket(tx, ticket).await?;
    }
    Ok(())
}

/// Withdraws the question about a gate of a ticket, where one is open; tells whether one was.
pub(crate) async fn withdraw_gate(tx: &mut Tx, ticket: TicketId) -> Result<bool, StoreError> {
    let Some(mut asked) = approvals::open_gate_of_ticket(tx, ticket).await? else {
        return Ok(false);
    };
    approvals::close_approval(tx, &mut asked, ApprovalState::Withdrawn, None).await?;
    Ok(true)
}

//! Applies to tickets what rules decided: that their tasks landed or are open again, and what people ask of them.

use omoi_domain::board::{WipExceeded, check_wip_limit, column_of_phase, shown_phase};
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::ticket::{
    FollowedSpec, GateVerdict, PersonMovePlan, TicketMoveRefusal, TicketStep, TicketTarget,
    close_ticket, decide_person_move, follow_spec, judge_present_phase, judge_step, release_ticket,
    reopen_ticket,
};
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_domain::ticket::TicketStatus;
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId};
use omoi_store::specs::Spec;
use omoi_store::tasks::Task;
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tx, board_columns, board_positions};

use crate::phase_gates::{
    GateRows, deploy_check_of, keep_refusal, keep_verdicts, release_gate, withdraw_gate, work_of,
};

/// Tickets of a column that are counted: one more than the greatest limit.
const COUNTED_MAX: u32 = 10_001;

/// What keeps a person's move of a ticket from being made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PersonMoveError {
    /// A rule is against it.
    #[error(transparent)]
    Refused(#[from] TicketMoveRefusal),
    /// The column that it would come to is full.
    #[error(transparent)]
    Full(#[from] WipExceeded),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a person says of a move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PersonMove<'a> {
    /// Where the ticket is to be.
    pub(crate) target: TicketTarget,
    /// Whether its gates are passed by.
    pub(crate) is_forced: bool,
    /// Why.
    pub(crate) reason: Option<&'a str>,
}

/// Moves a ticket to where a person wants it; one that something holds up goes on by that.
pub(crate) async fn move_for_person(
    tx: &mut Tx,
    ticket: &mut Ticket,
    wanted: PersonMove<'_>,
) -> Result<(), PersonMoveError> {
    let rows = GateRows::read_rows(tx, ticket).await?;
    let plan = decide_person_move(&rows.facts_of(ticket), wanted.target, wanted.is_forced)?;
    let PersonMovePlan { steps, gates } = plan;
    if !wanted.is_forced {
        let phase = steps.last().map_or(ticket.phase_id, |step| step.phase);
        expect_room(tx, ticket, phase).await?;
    }
    withdraw_gate(tx, ticket.id).await?;
    if ticket.is_blocked {
        tickets::unblock_ticket(tx, ticket).await?;
    }
    keep_verdicts(tx, ticket, gates).await?;
    for step in steps {
        tickets::take_step(tx, ticket, step, wanted.reason).await?;
    }
    Ok(())
}

/// Where a ticket stands.
pub(crate) fn place_of(ticket: &Ticket) -> TicketStep {
    TicketStep {
        status: ticket.status,
        phase: ticket.phase_id,
    }
}

/// Takes a step that a rule decided, and keeps what the gate on the way says of it.
pub(crate) async fn take_judged_step(
    tx: &mut Tx,
    ticket: &mut Ticket,
    step: TicketStep,
) -> Result<(), StoreError> {
    let rows = GateRows::read_rows(tx, ticket).await?;
    let verdict = judge_step(&rows.facts_of(ticket), place_of(ticket), step);
    keep_verdicts(tx, ticket, verdict.into_iter().collect()).await?;
    tickets::take_step(tx, ticket, step, None).await
}

/// Keeps that a gate refused a move of `ticket`, where that of its phase does so still.
pub(crate) async fn keep_refused_move(
    tx: &mut Tx,
    ticket: &mut Ticket,
    refused: GateVerdict,
) -> Result<(), StoreError> {
    if ticket.phase_id != refused.phase {
        return keep_refusal(tx, ticket, refused).await;
    }
    let rows = GateRows::read_rows(tx, ticket).await?;
    let verdict = judge_present_phase(&rows.facts_of(ticket), refused.to_phase);
    match verdict.status.lets_pass() {
        true => Ok(()),
        false => keep_refusal(tx, ticket, verdict).await,
    }
}

/// Refuses to let a person bring a ticket to `phase` where that is shown in another column, which is full. Whoever else
/// brings one there waits meanwhile, so that of many who want the last free place one gets it.
pub(crate) async fn expect_room(
    tx: &mut Tx,
    ticket: &Ticket,
    phase: PhaseId,
) -> Result<(), PersonMoveError> {
    let shown = shown_phase(ticket.phase_id, ticket.is_blocked);
    let columns = board_columns::of_project(tx, ticket.project_id)
        .await?
        .columns;
    let from = column_of_phase(&columns, shown).map(|column| &column.key);
    let Some(to) = column_of_phase(&columns, phase) else {
        return Ok(());
    };
    if from == Some(&to.key) || to.wip_limit.is_none() {
        return Ok(());
    }
    board_columns::hold_column(tx, ticket.project_id, &to.key).await?;
    let columns = board_columns::of_project(tx, ticket.project_id)
        .await?
        .columns;
    if let Some(column) = column_of_phase(&columns, phase) {
        let others = board_positions::others_in_column(tx, ticket, column, COUNTED_MAX).await?;
        check_wip_limit(column, others.len() as u32)?;
    }
    Ok(())
}

/// What a person's move of a ticket would meet.
#[derive(Clone, Debug, Default)]
pub(crate) struct MoveOutlook {
    /// What is against it.
    pub(crate) reasons: Vec<String>,
    /// What the phases on the way show.
    pub(crate) artifacts: Vec<ArtifactType>,
}

/// Looks what is against a person's move of a ticket.
pub(crate) async fn look_ahead(
    tx: &mut Tx,
    ticket: &Ticket,
    target: TicketTarget,
) -> Result<MoveOutlook, StoreError> {
    let rows = GateRows::read_rows(tx, ticket).await?;
    Ok(
        match decide_person_move(&rows.facts_of(ticket), target, false) {
            Ok(plan) => MoveOutlook {
                reasons: Vec::new(),
                artifacts: plan
                    .gates
                    .into_iter()
                    .flat_map(|gate| gate.artifacts)
                    .collect(),
            },
            Err(TicketMoveRefusal::GateNotMet(verdict)) => MoveOutlook {
                reasons: verdict.reasons,
                artifacts: verdict.artifacts,
            },
            Err(refusal) => MoveOutlook {
                reasons: vec![refusal.to_string()],
                artifacts: Vec::new(),
            },
        },
    )
}

/// Closes the ticket of `task` when all that it needs is merged.
pub(crate) async fn close_ticket_of(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let mut ticket = tickets::get(tx, task.ticket_id).await?;
    go_on_to_end(tx, &mut ticket).await
}

/// Moves a ticket on whose tasks are merged, as far as its gates let it.
pub(crate) async fn go_on_to_end(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    let has_deploy_check = deploy_check_of(tx, ticket).await?.is_some();
    let work = work_of(tx, ticket).await?;
    let moves = close_ticket(ticket.status, &work, has_deploy_check);
    if moves.is_empty() {
        return Ok(());
    }
    release_gate(tx, ticket).await?;
    take_judged_steps(tx, ticket, moves).await
}

/// Moves a ticket along `moves`, as far as its gates let it.
async fn take_judged_steps(
    tx: &mut Tx,
    ticket: &mut Ticket,
    moves: Vec<TicketStatus>,
) -> Result<(), StoreError> {
    let rows = GateRows::read_rows(tx, ticket).await?;
    for to in moves {
        let from = TicketStep {
            status: ticket.status,
            phase: ticket.phase_id,
        };
        let step = TicketStep {
            status: to,
            phase: ticket.phase_id.kept_with(to),
        };
        match judge_step(&rows.facts_of(ticket), from, step) {
            Some(verdict) if !verdict.status.lets_pass() => {
                return keep_refusal(tx, ticket, verdict).await;
            }
            verdict => keep_verdicts(tx, ticket, verdict.into_iter().collect()).await?,
        }
        tickets::transition(tx, ticket, to).await?;
    }
    Ok(())
}

/// Closes a ticket that is shown to be deployed, or holds it up where it is shown not to be.
pub(crate) async fn close_deployed(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    take_judged_steps(tx, ticket, vec![TicketStatus::Done]).await
}

/// Lets the tickets of a spec be built, as its tasks may run now.
pub(crate) async fn release_tickets_of(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    for mut ticket in tickets::of_spec(tx, spec).await? {
        if let Some(to) = release_ticket(ticket.status) {
            keep_passing(tx, &ticket, to).await?;
            tickets::transition(tx, &mut ticket, to).await?;
        }
    }
    Ok(())
}

/// Keeps what the gate of a ticket says that goes along with its spec: a plan that people may let be worked on, and a spec that is
/// delivered, were judged by gates of their own.
async fn keep_passing(tx: &mut Tx, ticket: &Ticket, to: TicketStatus) -> Result<(), StoreError> {
    let from = TicketStep {
        status: ticket.status,
        phase: ticket.phase_id,
    };
    let step = TicketStep {
        status: to,
        phase: ticket.phase_id.kept_with(to),
    };
    if from.phase == PhaseId::Backlog {
        return Ok(());
    }
    let rows = GateRows::read_rows(tx, ticket).await?;
    let mut verdict = judge_step(&rows.facts_of(ticket), from, step);
    if let Some(verdict) = &mut verdict
        && !verdict.status.lets_pass()
    {
        // A person had the spec delivered as it stands.
        verdict.status = GateStatus::Overridden;
    }
    keep_verdicts(tx, ticket, verdict.into_iter().collect()).await
}

/// Has the tickets go along that a spec works for: its own, where that is its plan, and those that follow it.
pub(crate) async fn follow_spec_move(
    tx: &mut Tx,
    spec: &Spec,
    from: SpecStatus,
) -> Result<(), StoreError> {
    let mut all = tickets::following_spec(tx, spec.id).await?;
    if spec.kind == SpecKind::Direct {
        all.extend(tickets::of_spec(tx, spec.id).await?);
    }
    for mut ticket in all {
        let moved = FollowedSpec {
            from,
            to: spec.status,
            block: spec.blocked_by,
            is_planned: ticket.follows_spec_id == Some(spec.id),
            has_deploy_check: deploy_check_of(tx, &ticket).await?.is_some(),
        };
        let following = follow_spec(ticket.status, moved);
        if following.goes_on && ticket.is_blocked {
            tickets::unblock_ticket(tx, &mut ticket).await?;
        }
        for to in following.moves {
            keep_passing(tx, &ticket, to).await?;
            tickets::transition(tx, &mut ticket, to).await?;
        }
        if let Some(reason) = following.block {
            let detail = spec.last_error.clone();
            tickets::block_ticket(tx, &mut ticket, reason, detail).await?;
        }
    }
    Ok(())
}

/// Opens the ticket of `task` again, if it is closed.
pub(crate) async fn reopen_ticket_of(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let mut ticket = tickets::get(tx, task.ticket_id).await?;
    release_gate(tx, &mut ticket).await?;
    match reopen_ticket(ticket.status) {
        Some(to) => tickets::transition(tx, &mut ticket, to).await,
        None => Ok(()),
    }
}

//! Applies to tickets what rules decided: that their tasks landed or are open again, and what people ask of them.

use omoi_domain::board::{WipExceeded, check_wip_limit, column_of_phase, shown_phase};
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::ticket::{
    FollowedSpec, TicketMoveFacts, TicketMoveRefusal, TicketTarget, TicketTask, close_ticket,
    decide_person_move, follow_spec, release_ticket, reopen_ticket,
};
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_domain::workflow::PhaseId;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tx, board_columns, board_positions};

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
    let tasks = tasks_of(tx, ticket).await?;
    let facts = TicketMoveFacts {
        status: ticket.status,
        phase: ticket.phase_id,
        approval: ticket.approval_status,
        tasks: &tasks,
    };
    let steps = decide_person_move(&facts, wanted.target, wanted.is_forced)?;
    if !wanted.is_forced {
        let phase = steps.last().map_or(ticket.phase_id, |step| step.phase);
        expect_room(tx, ticket, phase).await?;
    }
    if ticket.is_blocked {
        tickets::unblock_ticket(tx, ticket).await?;
    }
    for step in steps {
        tickets::take_step(tx, ticket, step, wanted.reason).await?;
    }
    Ok(())
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

/// What is against a person's move of a ticket.
pub(crate) async fn reasons_against(
    tx: &mut Tx,
    ticket: &Ticket,
    target: TicketTarget,
) -> Result<Vec<String>, StoreError> {
    let tasks = tasks_of(tx, ticket).await?;
    let facts = TicketMoveFacts {
        status: ticket.status,
        phase: ticket.phase_id,
        approval: ticket.approval_status,
        tasks: &tasks,
    };
    Ok(match decide_person_move(&facts, target, false) {
        Ok(_) => Vec::new(),
        Err(TicketMoveRefusal::GateNotMet { reasons, .. }) => reasons,
        Err(refusal) => vec![refusal.to_string()],
    })
}

async fn tasks_of(tx: &mut Tx, ticket: &Ticket) -> Result<Vec<TicketTask>, StoreError> {
    let tasks = tasks::of_ticket(tx, ticket.id).await?.into_iter();
    let facts = tasks.map(|task| TicketTask {
        status: task.status,
        integration_state: task.integration_state,
        is_needed: task.needed,
    });
    Ok(facts.collect())
}

/// Closes the ticket of `task` when all that it needs is merged.
pub(crate) async fn close_ticket_of(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let mut ticket = tickets::get(tx, task.ticket_id).await?;
    let tasks = tasks_of(tx, &ticket).await?;
    for to in close_ticket(ticket.status, &tasks) {
        tickets::transition(tx, &mut ticket, to).await?;
    }
    Ok(())
}

/// Lets the tickets of a spec be built, as its tasks may run now.
pub(crate) async fn release_tickets_of(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    for mut ticket in tickets::of_spec(tx, spec).await? {
        if let Some(to) = release_ticket(ticket.status) {
            tickets::transition(tx, &mut ticket, to).await?;
        }
    }
    Ok(())
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
        };
        let following = follow_spec(ticket.status, moved);
        if following.goes_on && ticket.is_blocked {
            tickets::unblock_ticket(tx, &mut ticket).await?;
        }
        for to in following.moves {
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
    match reopen_ticket(ticket.status) {
        Some(to) => tickets::transition(tx, &mut ticket, to).await,
        None => Ok(()),
    }
}

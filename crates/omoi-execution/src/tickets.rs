//! Applies to tickets what rules decided: that their tasks landed or are open again, and what people ask of them.

use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::ticket::{
    TicketMoveFacts, TicketMoveRefusal, TicketTarget, TicketTask, close_ticket, decide_person_move,
    release_ticket, reopen_ticket,
};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tx};

/// What keeps a person's move of a ticket from being made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PersonMoveError {
    /// A rule is against it.
    #[error(transparent)]
    Refused(#[from] TicketMoveRefusal),
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
    if ticket.is_blocked {
        tickets::unblock_ticket(tx, ticket).await?;
    }
    for step in steps {
        tickets::take_step(tx, ticket, step, wanted.reason).await?;
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

/// Opens the ticket of `task` again, if it is closed.
pub(crate) async fn reopen_ticket_of(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let mut ticket = tickets::get(tx, task.ticket_id).await?;
    match reopen_ticket(ticket.status) {
        Some(to) => tickets::transition(tx, &mut ticket, to).await,
        None => Ok(()),
    }
}

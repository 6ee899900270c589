//! Ties tickets to a spec.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, SpecId, TicketId};
use omoi_store::specs::{self, Spec};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Tenant, Tx, spec_ticket_links};

use super::TicketCommandError;

/// Tickets that people may tie to one spec.
pub const LINKED_TICKETS_MAX: usize = 200;

/// Ties tickets of its project to a spec; those that are tied stay so, and those of its plan belong to it anyway.
///
/// # Errors
/// [`TicketCommandError::OtherProject`], [`TicketCommandError::TooManyLinks`]; nothing is tied then.
pub async fn link_tickets(
    tenant: &Tenant,
    spec: SpecId,
    wanted: &[TicketId],
) -> Result<(), TicketCommandError> {
    let link = async |tx: &mut Tx| {
        let spec = specs::get(tx, spec).await?;
        for ticket in held_tickets(tx, wanted).await? {
            if ticket.project_id != spec.project_id {
                let number = HumanRef::ticket(ticket.number);
                return Err(TicketCommandError::OtherProject(number));
            }
            let is_own = belongs_to(&ticket, &spec);
            if !is_own && spec_ticket_links::add(tx, spec.id, ticket.id).await? {
                tickets::tell_updated(tx, &ticket);
            }
        }
        match spec_ticket_links::of_spec(tx, spec.id).await?.len() {
            n if n > LINKED_TICKETS_MAX => Err(TicketCommandError::TooManyLinks),
            _ => Ok(()),
        }
    };
    tenant.write(CrashPoint::TicketChanged, link).await
}

/// Unties tickets from a spec; those that are not tied stay as they are.
///
/// # Errors
/// [`TicketCommandError::OfPlan`]; nothing is untied then.
pub async fn unlink_tickets(
    tenant: &Tenant,
    spec: SpecId,
    wanted: &[TicketId],
) -> Result<(), TicketCommandError> {
    let unlink = async |tx: &mut Tx| {
        let spec = specs::get(tx, spec).await?;
        for ticket in held_tickets(tx, wanted).await? {
            if belongs_to(&ticket, &spec) {
                let number = HumanRef::ticket(ticket.number);
                return Err(TicketCommandError::OfPlan(number));
            }
            if spec_ticket_links::remove(tx, spec.id, ticket.id).await? {
                tickets::tell_updated(tx, &ticket);
            }
        }
        Ok(())
    };
    tenant.write(CrashPoint::TicketChanged, unlink).await
}

/// The tickets, locked until the commit in the order that everybody locks them in.
async fn held_tickets(tx: &mut Tx, wanted: &[TicketId]) -> Result<Vec<Ticket>, TicketCommandError> {
    let mut ids = wanted.to_vec();
    ids.sort();
    ids.dedup();
    let mut held = Vec::with_capacity(ids.len());
    for id in ids {
        tickets::hold_ticket(tx, id).await?;
        held.push(tickets::get(tx, id).await?);
    }
    Ok(held)
}

/// Whether a ticket is of the plan of `spec`, is its plan, or follows it.
fn belongs_to(ticket: &Ticket, spec: &Spec) -> bool {
    ticket.spec_id == Some(spec.id) || ticket.follows_spec_id == Some(spec.id)
}

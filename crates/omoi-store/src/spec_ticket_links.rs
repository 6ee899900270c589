//! Tickets that people tied to specs, beside those of the plans of specs.

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, SpecId, TicketId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A ticket that has to do with a spec.
    SpecTicketLink in "spec_ticket_links" as "link of a ticket" {
        /// The spec.
        spec_id: SpecId,
        /// The ticket.
        ticket_id: TicketId,
        /// Whose it is.
        org_id: OrgId,
        /// Who says so.
        actor: Actor,
        /// Since when.
        created_at: Timestamp,
    }
}

/// Ties a ticket to a spec; false when it is already.
///
/// # Errors
/// When the database cannot be written.
pub async fn add(tx: &mut Tx, spec: SpecId, ticket: TicketId) -> Result<bool, StoreError> {
    let known: Option<SpecTicketLink> = tx
        .find("spec_id = $2 and ticket_id = $3", args![spec, ticket])
        .await?;
    if known.is_some() {
        return Ok(false);
    }
    let link = SpecTicketLink {
        spec_id: spec,
        ticket_id: ticket,
        org_id: tx.org(),
        actor: tx.current_actor(),
        created_at: tx.now(),
    };
    tx.insert(&link).await?;
    Ok(true)
}

/// Unties a ticket from a spec; false when it was not tied.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove(tx: &mut Tx, spec: SpecId, ticket: TicketId) -> Result<bool, StoreError> {
    let sql = "delete from spec_ticket_links where org_id = $1 and spec_id = $2 and ticket_id = $3";
    Ok(tx.execute(sql, args![spec, ticket]).await? > 0)
}

/// The links of a spec, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<SpecTicketLink>, StoreError> {
    tx.all("spec_id = $2 order by created_at, ticket_id", args![spec])
        .await
}

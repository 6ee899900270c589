//! Ties a commit to a ticket.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TicketId;
use omoi_store::{StoreError, Tenant, Tx, commit_links, tickets};

/// Ties a commit, which is in the mirror of the ticket's project, to a ticket; one that is tied stays so.
///
/// # Errors
/// [`StoreError::NotFound`] of the ticket.
pub async fn link_commit(
    tenant: &Tenant,
    ticket: TicketId,
    commit_sha: &str,
) -> Result<(), StoreError> {
    let link = async |tx: &mut Tx| -> Result<(), StoreError> {
        // Of two who tie the same commit one comes after the other.
        tickets::hold_ticket(tx, ticket).await?;
        tickets::get(tx, ticket).await?;
        commit_links::add(tx, ticket, commit_sha).await?;
        Ok(())
    };
    tenant.write(CrashPoint::TicketChanged, link).await
}

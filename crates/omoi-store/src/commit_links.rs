//! Commits that people tied to tickets, beside those that tasks made.

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, TicketId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A commit that is about a ticket.
    CommitLink in "commit_links" as "link of a commit" {
        /// The ticket.
        ticket_id: TicketId,
        /// Whose it is.
        org_id: OrgId,
        /// The whole name of the commit.
        commit_sha: String,
        /// Who says so.
        actor: Actor,
        /// Since when.
        created_at: Timestamp,
    }
}

/// Ties a commit to a ticket; false when it is already.
///
/// # Errors
/// When the database cannot be written.
pub async fn add(tx: &mut Tx, ticket: TicketId, commit_sha: &str) -> Result<bool, StoreError> {
    if find(tx, ticket, commit_sha).await?.is_some() {
        return Ok(false);
    }
    let link = CommitLink {
        ticket_id: ticket,
        org_id: tx.org(),
        commit_sha: commit_sha.to_owned(),
        actor: tx.current_actor(),
        created_at: tx.now(),
    };
    tx.insert(&link).await?;
    Ok(true)
}

/// The link of that commit to that ticket, where there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(
    tx: &mut Tx,
    ticket: TicketId,
    commit_sha: &str,
) -> Result<Option<CommitLink>, StoreError> {
    tx.find(
        "ticket_id = $2 and commit_sha = $3",
        args![ticket, commit_sha.to_owned()],
    )
    .await
}

/// The links of a ticket, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_ticket(tx: &mut Tx, ticket: TicketId) -> Result<Vec<CommitLink>, StoreError> {
    tx.all(
        "ticket_id = $2 order by created_at, commit_sha",
        args![ticket],
    )
    .await
}

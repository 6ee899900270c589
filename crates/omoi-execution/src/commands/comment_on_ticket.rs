//! Comments that people write on tickets.

use std::collections::BTreeSet;

use omoi_domain::comment::check_comment;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{CommentId, TicketId, UserId};
use omoi_store::comments::{self, Comment};
use omoi_store::{Tenant, Tx, tickets};

use super::TicketCommandError;
use super::create_ticket::expect_member;

/// Which comment a person changes, and what it is meant for.
#[derive(Clone, Debug)]
pub struct CommentOfTicket {
    /// The ticket.
    pub ticket: TicketId,
    /// The comment.
    pub comment: CommentId,
    /// The versions that this is meant for; none where every one is.
    pub versions: Option<Vec<i64>>,
}

/// Writes a comment; whom it mentions belongs to the organisation.
///
/// # Errors
/// [`TicketCommandError::Comment`], [`TicketCommandError::NoMember`].
pub async fn add_comment(
    tenant: &Tenant,
    ticket: TicketId,
    content: &str,
) -> Result<Comment, TicketCommandError> {
    let mentioned = check_comment(content)?;
    let added = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let ticket = tickets::get(tx, ticket).await?;
        expect_members(tx, &mentioned).await?;
        Ok(comments::add_comment(tx, &ticket, content, &mentioned).await?)
    });
    added.await
}

async fn expect_members(
    tx: &mut Tx,
    mentioned: &BTreeSet<UserId>,
) -> Result<(), TicketCommandError> {
    expect_member(tx, mentioned.iter().copied()).await
}

/// Gives a comment of one's own another text.
///
/// # Errors
/// [`TicketCommandError::NotAuthor`], [`TicketCommandError::StaleComment`], and as of [`add_comment`].
pub async fn edit_comment(
    tenant: &Tenant,
    which: &CommentOfTicket,
    content: &str,
) -> Result<Comment, TicketCommandError> {
    let mentioned = check_comment(content)?;
    let edited = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut comment = comment_to_change(tx, which).await?;
        if comment.actor != tx.current_actor() {
            return Err(TicketCommandError::NotAuthor);
        }
        expect_members(tx, &mentioned).await?;
        comments::edit_comment(tx, &mut comment, content, &mentioned).await?;
        Ok(comment)
    });
    edited.await
}

/// Takes a comment away: one's own, or with `is_any_author` anybody's.
///
/// # Errors
/// [`TicketCommandError::NotAuthor`], [`TicketCommandError::StaleComment`].
pub async fn delete_comment(
    tenant: &Tenant,
    which: &CommentOfTicket,
    is_any_author: bool,
) -> Result<(), TicketCommandError> {
    let deleted = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut comment = comment_to_change(tx, which).await?;
        if !is_any_author && comment.actor != tx.current_actor() {
            return Err(TicketCommandError::NotAuthor);
        }
        Ok(comments::delete_comment(tx, &mut comment).await?)
    });
    deleted.await
}

async fn comment_to_change(
    tx: &mut Tx,
    which: &CommentOfTicket,
) -> Result<Comment, TicketCommandError> {
    let comment = comments::get(tx, which.ticket, which.comment).await?;
    let meant = which.versions.as_deref();
    match meant.is_none_or(|meant| meant.contains(&comment.state_version)) {
        true => Ok(comment),
        false => Err(TicketCommandError::StaleComment(Box::new(comment))),
    }
}

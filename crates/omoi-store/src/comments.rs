//! Comments on tickets.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{CommentChange, Event};
use omoi_domain::id::{CommentId, OrgId, ProjectId, TicketId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Args, Column};
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::notifications;
use crate::row::{row, versioned};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::search_documents;
use crate::tickets::{self, Ticket};
use crate::tx::Tx;

row! {
    /// What somebody says of a ticket.
    Comment in "comments" as "comment" {
        /// Its id.
        id: CommentId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the ticket.
        project_id: ProjectId,
        /// The ticket.
        ticket_id: TicketId,
        /// Who wrote it.
        actor: Actor,
        /// The text, in Markdown.
        content: String,
        /// When its author last changed it.
        edited_at: Option<Timestamp>,
        /// When it was taken away; nobody is shown it since.
        deleted_at: Option<Timestamp>,
        /// Guards updates.
        state_version: i64,
        /// When it was written.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}
versioned!(Comment by id in "comments" { content, edited_at, deleted_at, updated_at });

row! {
    /// That a comment mentions somebody.
    CommentMention in "comment_mentions" as "mention" {
        /// The comment.
        comment_id: CommentId,
        /// Whom it mentions.
        user_id: UserId,
        /// Its organisation.
        org_id: OrgId,
    }
}

impl ListedRow for Comment {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[
        SortColumn {
            name: "created_at",
            sql: "created_at",
            value: SortValue::Instant,
            of_row: |comment| comment.created_at.as_micros(),
        },
        SortColumn {
            name: "updated_at",
            sql: "updated_at",
            value: SortValue::Instant,
            of_row: |comment| comment.updated_at.as_micros(),
        },
    ];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

impl Comment {
    fn change(&self) -> CommentChange {
        CommentChange {
            comment_id: self.id,
            ticket_id: self.ticket_id,
        }
    }
}

/// Writes a comment of whoever acts, which mentions `mentioned`.
///
/// # Errors
/// When the database cannot be written.
pub async fn add_comment(
    tx: &mut Tx,
    ticket: &Ticket,
    content: &str,
    mentioned: &BTreeSet<UserId>,
) -> Result<Comment, StoreError> {
    let comment = Comment {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        actor: tx.current_actor(),
        content: content.to_owned(),
        edited_at: None,
        deleted_at: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    tx.insert(&comment).await?;
    add_mentions(tx, comment.id, mentioned).await?;
    search_documents::index_comment(tx, &comment).await?;
    let event = Event::CommentCreated(comment.change());
    tx.emit(Some(ticket.project_id), ticket.spec_id, event);
    notifications::tell_mentioned(tx, &comment, mentioned).await?;
    Ok(comment)
}

async fn add_mentions(
    tx: &mut Tx,
    comment: CommentId,
    mentioned: &BTreeSet<UserId>,
) -> Result<(), StoreError> {
    let org_id = tx.org();
    let rows = mentioned.iter().map(|user| CommentMention {
        comment_id: comment,
        user_id: *user,
        org_id,
    });
    let rows: Vec<CommentMention> = rows.collect();
    tx.insert_all(&rows.iter().collect::<Vec<_>>()).await
}

/// Gives a comment another text, which mentions `mentioned`.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed since it was read.
pub async fn edit_comment(
    tx: &mut Tx,
    comment: &mut Comment,
    content: &str,
    mentioned: &BTreeSet<UserId>,
) -> Result<(), StoreError> {
    let spec = tickets::get(tx, comment.ticket_id).await?.spec_id;
    content.clone_into(&mut comment.content);
    comment.edited_at = Some(tx.now());
    comment.updated_at = tx.now();
    tx.update(comment).await?;
    let before = mentions_of(tx, &[comment.id]).await?;
    let before = before.get(&comment.id).map_or(&[][..], Vec::as_slice);
    let mut added = mentioned.clone();
    added.retain(|user| !before.contains(user));
    tx.execute(
        "delete from comment_mentions where org_id = $1 and comment_id = $2",
        args![comment.id],
    )
    .await?;
    add_mentions(tx, comment.id, mentioned).await?;
    search_documents::index_comment(tx, comment).await?;
    let event = Event::CommentEdited(comment.change());
    tx.emit(Some(comment.project_id), spec, event);
    notifications::tell_mentioned(tx, comment, &added).await
}

/// Takes a comment away.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed since it was read.
pub async fn delete_comment(tx: &mut Tx, comment: &mut Comment) -> Result<(), StoreError> {
    let spec = tickets::get(tx, comment.ticket_id).await?.spec_id;
    comment.deleted_at = Some(tx.now());
    comment.updated_at = tx.now();
    tx.update(comment).await?;
    search_documents::index_comment(tx, comment).await?;
    let event = Event::CommentDeleted(comment.change());
    tx.emit(Some(comment.project_id), spec, event);
    Ok(())
}

/// The comment of `ticket` with that id, unless it was taken away.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, ticket: TicketId, id: CommentId) -> Result<Comment, StoreError> {
    tx.get(
        id,
        "ticket_id = $2 and id = $3 and deleted_at is null",
        args![ticket, id],
    )
    .await
}

/// A page of the comments on `ticket`, those that were taken away among them.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    ticket: TicketId,
    window: &ListWindow,
    request: &PageRequest<Comment>,
) -> Result<RowPage<Comment>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("ticket_id", &[ticket])?;
    conditions.within_window(window)?;
    conditions.read_page(tx, request).await
}

/// Whom each of `comments` mentions.
///
/// # Errors
/// When the database cannot be read.
pub async fn mentions_of(
    tx: &mut Tx,
    comments: &[CommentId],
) -> Result<BTreeMap<CommentId, Vec<UserId>>, StoreError> {
    let mut found: BTreeMap<CommentId, Vec<UserId>> = BTreeMap::new();
    if comments.is_empty() {
        return Ok(found);
    }
    let mut args = Args::default();
    comments.iter().try_for_each(|comment| args.push(comment))?;
    let marks: Vec<String> = (2..comments.len() + 2).map(|n| format!("${n}")).collect();
    let sql = format!(
        "select comment_id, user_id from comment_mentions
         where org_id = $1 and comment_id in ({}) order by comment_id, user_id",
        marks.join(", ")
    );
    for row in &tx.built_rows(sql, args).await? {
        let mentioned = found
            .entry(CommentId::read(row, "comment_id")?)
            .or_default();
        mentioned.push(UserId::read(row, "user_id")?);
    }
    Ok(found)
}

//! What people search in: texts of specs, tickets, tasks and comments, by their words.
//!
//! **Invariant:** whatever writes such a text writes its document in the same transaction.

use omoi_domain::id::{HumanRef, ProjectId, TicketId};
use omoi_domain::search_kind::SearchKind;
use omoi_domain::search_words::{SearchQuery, index_words};
use omoi_domain::time::Timestamp;
use uuid::Uuid;

use crate::args;
use crate::column::{Args, Column as _};
use crate::comments::Comment;
use crate::error::StoreError;
use crate::specs::Spec;
use crate::tasks::Task;
use crate::tickets::Ticket;
use crate::tx::Tx;

/// Documents that are looked at for one search, the last changed first.
const CANDIDATES_MAX: usize = 1_000;

/// A text that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDocument {
    /// The row whose text it is.
    pub row_id: Uuid,
    /// Its project.
    pub project_id: ProjectId,
    /// What the row is.
    pub kind: SearchKind,
    /// Its title; none of a comment.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The ticket of a comment.
    pub ticket_id: Option<TicketId>,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What is searched, and where.
#[derive(Clone, Debug)]
pub struct SearchFilter {
    /// What a text must have.
    pub query: SearchQuery,
    /// What may be found.
    pub kinds: Vec<SearchKind>,
    /// The one project to search in; all of them without it.
    pub project: Option<ProjectId>,
    /// Texts that are given, at most.
    pub limit: usize,
}

/// A row's text as it is indexed.
struct IndexedText<'a> {
    row_id: Uuid,
    project_id: ProjectId,
    kind: SearchKind,
    /// What people call the row; none of a comment.
    reference: Option<HumanRef>,
    title: &'a str,
    body: &'a str,
    ticket_id: Option<TicketId>,
}

/// Has a spec found by its reference, title and the request.
///
/// # Errors
/// When the database cannot be written.
pub async fn index_spec(tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
    let text = IndexedText {
        row_id: spec.id.as_uuid(),
        project_id: spec.project_id,
        kind: SearchKind::Spec,
        reference: Some(HumanRef::spec(spec.number)),
        title: &spec.title,
        body: &spec.original_request,
        ticket_id: None,
    };
    index_text(tx, text).await
}

/// Has a ticket found by its reference, title and description.
///
/// # Errors
/// When the database cannot be written.
pub async fn index_ticket(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    let text = IndexedText {
        row_id: ticket.id.as_uuid(),
        project_id: ticket.project_id,
        kind: SearchKind::Ticket,
        reference: Some(HumanRef::ticket(ticket.number)),
        title: &ticket.title,
        body: &ticket.description,
        ticket_id: None,
    };
    index_text(tx, text).await
}

/// Has a task found by its reference, title and description.
///
/// # Errors
/// When the database cannot be written.
pub async fn index_task(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let text = IndexedText {
        row_id: task.id.as_uuid(),
        project_id: task.project_id,
        kind: SearchKind::Task,
        reference: Some(HumanRef::task(task.number)),
        title: &task.title,
        body: &task.description,
        ticket_id: None,
    };
    index_text(tx, text).await
}

/// Has a comment found by its text, and no more once it was taken away.
///
/// # Errors
/// When the database cannot be written.
pub async fn index_comment(tx: &mut Tx, comment: &Comment) -> Result<(), StoreError> {
    if comment.deleted_at.is_some() {
        let sql = "delete from search_documents where org_id = $1 and row_id = $2";
        return tx.execute(sql, args![comment.id]).await.map(drop);
    }
    let text = IndexedText {
        row_id: comment.id.as_uuid(),
        project_id: comment.project_id,
        kind: SearchKind::Comment,
        reference: None,
        title: "",
        body: &comment.content,
        ticket_id: Some(comment.ticket_id),
    };
    index_text(tx, text).await
}

async fn index_text(tx: &mut Tx, text: IndexedText<'_>) -> Result<(), StoreError> {
    let IndexedText {
        row_id,
        project_id,
        kind,
        reference,
        title,
        body,
        ticket_id,
    } = text;
    let words = index_words(&format!("{}\n{body}", named_title(reference, title)));
    let now = tx.now();
    let sql = "insert into search_documents (org_id, row_id, project_id, kind, number, title, body, words, ticket_id, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (row_id) do update set
            title = excluded.title, body = excluded.body, words = excluded.words, updated_at = excluded.updated_at";
    let args = args![
        row_id,
        project_id,
        kind,
        reference.map(|reference| reference.number),
        title.to_owned(),
        body.to_owned(),
        words,
        ticket_id,
        now
    ];
    tx.execute(sql, args).await.map(drop)
}

/// A title behind what people call its row, such as `TKT-012`.
fn named_title(reference: Option<HumanRef>, title: &str) -> String {
    reference.map_or_else(
        || title.to_owned(),
        |reference| format!("{reference} {title}"),
    )
}

/// What people call a row of `kind`; none of a comment.
fn reference_of(kind: SearchKind, number: i64) -> Option<HumanRef> {
    match kind {
        SearchKind::Spec => Some(HumanRef::spec(number)),
        SearchKind::Ticket => Some(HumanRef::ticket(number)),
        SearchKind::Task => Some(HumanRef::task(number)),
        SearchKind::Comment => None,
    }
}

/// Texts that have all of the query: first those that have it in their reference and title, then the last changed ones. Of very many
/// only the last changed `CANDIDATES_MAX` are looked at.
///
/// # Errors
/// When the database cannot be read.
pub async fn search_texts(
    tx: &mut Tx,
    filter: &SearchFilter,
) -> Result<Vec<FoundDocument>, StoreError> {
    if filter.kinds.is_empty() {
        return Ok(Vec::new());
    }
    let backend = tx.which_backend();
    let mut args = Args::default();
    args.push(&backend.match_query(filter.query.word_beginnings()))?;
    let mut sql = format!(
        "select row_id, kind, number, title from search_documents where org_id = $1 and {}",
        backend.match_condition("$2")
    );
    if let Some(project) = filter.project {
        args.push(&project)?;
        sql.push_str(" and project_id = $3");
    }
    let first = 3 + usize::from(filter.project.is_some());
    for kind in &filter.kinds {
        args.push(kind)?;
    }
    let marks: Vec<String> = (first..first + filter.kinds.len())
        .map(|n| format!("${n}"))
        .collect();
    sql.push_str(&format!(
        " and kind in ({}) order by updated_at desc, row_id desc limit {CANDIDATES_MAX}",
        marks.join(", ")
    ));
    let rows = tx.built_rows(sql, args).await?;
    let mut candidates = Vec::with_capacity(rows.len());
    for row in &rows {
        let kind = SearchKind::read(row, "kind")?;
        let number = Option::<i64>::read(row, "number")?;
        let reference = number.and_then(|number| reference_of(kind, number));
        let title = named_title(reference, &String::read(row, "title")?);
        candidates.push((Uuid::read(row, "row_id")?, title));
    }
    // Stable: within both halves the last changed ones stay first.
    candidates.sort_by_cached_key(|(_, title)| !filter.query.is_found_in(title));
    candidates.truncate(filter.limit);
    let order: Vec<Uuid> = candidates.into_iter().map(|(id, _)| id).collect();
    read_documents(tx, &order).await
}

/// The documents of `order`, in its order.
async fn read_documents(tx: &mut Tx, order: &[Uuid]) -> Result<Vec<FoundDocument>, StoreError> {
    if order.is_empty() {
        return Ok(Vec::new());
    }
    let mut args = Args::default();
    order.iter().try_for_each(|id| args.push(id))?;
    let marks: Vec<String> = (2..order.len() + 2).map(|n| format!("${n}")).collect();
    let sql = format!(
        "select row_id, project_id, kind, title, body, ticket_id, updated_at from search_documents
         where org_id = $1 and row_id in ({})",
        marks.join(", ")
    );
    let mut found = Vec::with_capacity(order.len());
    for row in &tx.built_rows(sql, args).await? {
        found.push(FoundDocument {
            row_id: Uuid::read(row, "row_id")?,
            project_id: ProjectId::read(row, "project_id")?,
            kind: SearchKind::read(row, "kind")?,
            title: String::read(row, "title")?,
            body: String::read(row, "body")?,
            ticket_id: Option::<TicketId>::read(row, "ticket_id")?,
            updated_at: Timestamp::read(row, "updated_at")?,
        });
    }
    found.sort_by_key(|document| order.iter().position(|id| *id == document.row_id));
    Ok(found)
}

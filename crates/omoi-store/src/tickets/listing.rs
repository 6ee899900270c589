//! Tickets in pages, by number, and those that say the same.

use uuid::Uuid;

use omoi_domain::id::{ProjectId, SpecId, UserId};
use omoi_domain::task::Priority;
use omoi_domain::ticket::{ApprovalStatus, TicketStatus};
use omoi_domain::ticket_text::text_digest;
use omoi_domain::workflow::PhaseId;

use super::Ticket;
use crate::args;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tasks::{PRIORITY_RANK, rank_of_priority};
use crate::tx::Tx;

impl ListedRow for Ticket {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[
        SortColumn {
            name: "created_at",
            sql: "created_at",
            value: SortValue::Instant,
            of_row: |ticket| ticket.created_at.as_micros(),
        },
        SortColumn {
            name: "updated_at",
            sql: "updated_at",
            value: SortValue::Instant,
            of_row: |ticket| ticket.updated_at.as_micros(),
        },
        SortColumn {
            name: "number",
            sql: "number",
            value: SortValue::Number,
            of_row: |ticket| ticket.number,
        },
        SortColumn {
            name: "priority",
            sql: PRIORITY_RANK,
            value: SortValue::Number,
            of_row: |ticket| rank_of_priority(ticket.priority),
        },
    ];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// Which tickets are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct TicketFilter {
    /// Those of this spec's plan.
    pub spec: Option<SpecId>,
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those in one of these states.
    pub statuses: Vec<TicketStatus>,
    /// Those in one of these phases.
    pub phases: Vec<PhaseId>,
    /// Those of one of these priorities.
    pub priorities: Vec<Priority>,
    /// Those of which people decided this.
    pub approvals: Vec<ApprovalStatus>,
    /// Those that one of these people takes care of.
    pub assignees: Vec<UserId>,
    /// Those that something holds up, or the others.
    pub is_blocked: Option<bool>,
    /// Those made and changed within this.
    pub window: ListWindow,
    /// Those with this in their title or description.
    pub text: Option<String>,
}

/// A page of the tickets that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &TicketFilter,
    request: &PageRequest<Ticket>,
) -> Result<RowPage<Ticket>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("spec_id", filter.spec.as_slice())?;
    conditions.one_of("project_id", &filter.projects)?;
    conditions.one_of("status", &filter.statuses)?;
    conditions.one_of("phase_id", &filter.phases)?;
    conditions.one_of("priority", &filter.priorities)?;
    conditions.one_of("approval_status", &filter.approvals)?;
    conditions.one_of("assignee_id", &filter.assignees)?;
    conditions.one_of("is_blocked", filter.is_blocked.as_slice())?;
    conditions.within_window(&filter.window)?;
    conditions.mentions_text(&["title", "description"], filter.text.as_deref())?;
    conditions.read_page(tx, request).await
}

/// Tickets of any project with that number.
///
/// # Errors
/// When the database cannot be read.
pub async fn with_number(tx: &mut Tx, number: i64) -> Result<Vec<Ticket>, StoreError> {
    tx.all("number = $2 order by created_at desc, id", args![number])
        .await
}

/// Open tickets of a project that say the same as `title` and `description`, oldest first, at most `limit`. Tickets that
/// were written before the platform compared them are none of them.
///
/// # Errors
/// When the database cannot be read.
pub async fn saying_the_same(
    tx: &mut Tx,
    project: ProjectId,
    title: &str,
    description: &str,
    limit: u32,
) -> Result<Vec<Ticket>, StoreError> {
    tx.all(
        "project_id = $2 and text_digest = $3 and status <> 'done'
             and approval_status in ('approved', 'pending_review')
         order by created_at, id limit $4",
        args![project, text_digest(title, description), limit],
    )
    .await
}

//! What agents and people say came of tickets, and what a ticket asks of its result.

use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{Event, ResultCriteriaChange, WorkflowResultChange};
use omoi_domain::id::{OrgId, ProjectId, TicketId, UserId, WorkflowResultId};
use omoi_domain::machine::transition as rule;
use omoi_domain::time::Timestamp;
use omoi_domain::work_result::{OnResultFound, WorkflowResultStatus};

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row::{row, versioned};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tickets::Ticket;
use crate::tx::Tx;

row! {
    /// What a ticket asks of its result.
    ResultCriteria in "result_criteria" as "criteria of a result" {
        /// The ticket.
        ticket_id: TicketId,
        /// Its organisation.
        org_id: OrgId,
        /// What the result has to meet, in words.
        criteria: Json<Vec<String>>,
        /// What follows when one does.
        on_result_found: OnResultFound,
        /// Guards updates.
        state_version: i64,
        /// When they were set first.
        created_at: Timestamp,
        /// When they last changed.
        updated_at: Timestamp,
    }
}
versioned!(ResultCriteria by ticket_id in "result_criteria" { criteria, on_result_found, updated_at });

row! {
    /// What somebody says came of a ticket.
    WorkflowResult in "workflow_results" as "result" {
        /// Its id.
        id: WorkflowResultId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the ticket.
        project_id: ProjectId,
        /// The ticket.
        ticket_id: TicketId,
        /// One line about it.
        summary: String,
        /// The text, in Markdown.
        content: String,
        /// What it is to meet.
        criteria: Json<Vec<String>>,
        /// Whether it does.
        status: WorkflowResultStatus,
        /// Who submitted it.
        actor: Actor,
        /// The person who judged it.
        judged_by_id: Option<UserId>,
        /// When they did.
        judged_at: Option<Timestamp>,
        /// What they said.
        feedback: Option<String>,
        /// The criteria that it does not meet.
        unmet: Json<Vec<String>>,
        /// Guards updates.
        state_version: i64,
        /// When it was submitted.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}
versioned!(WorkflowResult by id in "workflow_results" {
    status, judged_by_id, judged_at, feedback, unmet, updated_at,
});

impl ListedRow for WorkflowResult {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "created_at",
        sql: "created_at",
        value: SortValue::Instant,
        of_row: |result| result.created_at.as_micros(),
    }];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

impl WorkflowResult {
    fn change(&self) -> WorkflowResultChange {
        WorkflowResultChange {
            workflow_result_id: self.id,
            ticket_id: self.ticket_id,
            result_status: self.status,
            summary: self.summary.clone(),
        }
    }
}

/// Sets what `ticket` asks of its result.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody else does at once.
pub async fn set_criteria(
    tx: &mut Tx,
    ticket: &Ticket,
    criteria: Vec<String>,
    on_result_found: OnResultFound,
) -> Result<ResultCriteria, StoreError> {
    let change = ResultCriteriaChange {
        ticket_id: ticket.id,
        n_criteria: u32::try_from(criteria.len()).unwrap_or(u32::MAX),
        on_result_found,
    };
    let rows = match find_criteria(tx, ticket.id).await? {
        Some(mut known) => {
            known.criteria = Json(criteria);
            known.on_result_found = on_result_found;
            known.updated_at = tx.now();
            tx.update(&mut known).await?;
            known
        }
        None => {
            let new = ResultCriteria {
                ticket_id: ticket.id,
                org_id: tx.org(),
                criteria: Json(criteria),
                on_result_found,
                state_version: 0,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            tx.insert(&new).await?;
            new
        }
    };
    let event = Event::ResultCriteriaChanged(change);
    tx.emit(Some(ticket.project_id), ticket.spec_id, event);
    Ok(rows)
}

/// What `ticket` asks of its result, where it asks for one.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_criteria(
    tx: &mut Tx,
    ticket: TicketId,
) -> Result<Option<ResultCriteria>, StoreError> {
    tx.find("ticket_id = $2", args![ticket]).await
}

/// What is submitted.
#[derive(Clone, Debug)]
pub struct NewWorkflowResult {
    /// One line about it.
    pub summary: String,
    /// The text, in Markdown.
    pub content: String,
    /// What it is to meet.
    pub criteria: Vec<String>,
}

/// Writes down what whoever acts says came of `ticket`.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert_result(
    tx: &mut Tx,
    ticket: &Ticket,
    new: NewWorkflowResult,
) -> Result<WorkflowResult, StoreError> {
    let result = WorkflowResult {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        summary: new.summary,
        content: new.content,
        criteria: Json(new.criteria),
        status: WorkflowResultStatus::PendingValidation,
        actor: tx.current_actor(),
        judged_by_id: None,
        judged_at: None,
        feedback: None,
        unmet: Json(Vec::new()),
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    tx.insert(&result).await?;
    let event = Event::WorkflowResultSubmitted(result.change());
    tx.emit(Some(ticket.project_id), ticket.spec_id, event);
    Ok(result)
}

/// What somebody says of a result.
#[derive(Clone, Debug)]
pub struct WorkflowVerdict {
    /// Whether it meets the criteria.
    pub to: WorkflowResultStatus,
    /// Why.
    pub feedback: String,
    /// The criteria that it does not meet.
    pub unmet: Vec<String>,
}

/// Judges a result; where a person acts, they are who judged.
///
/// # Errors
/// [`StoreError::Transition`] when it was judged already, [`StoreError::Conflict`], and [`StoreError::Exists`] when another
/// one of the ticket was validated.
pub async fn judge_result(
    tx: &mut Tx,
    result: &mut WorkflowResult,
    verdict: WorkflowVerdict,
) -> Result<(), StoreError> {
    let kind = rule(result.status, verdict.to)?;
    result.status = verdict.to;
    result.judged_by_id = match tx.current_actor() {
        Actor::User(user) => Some(user),
        Actor::Key(_) | Actor::Agent(_) | Actor::System => None,
    };
    result.judged_at = Some(tx.now());
    result.feedback = Some(verdict.feedback);
    result.unmet = Json(verdict.unmet);
    result.updated_at = tx.now();
    tx.update(result).await?;
    let change = result.change();
    tx.emit_kind((Some(result.project_id), None), kind, &change)
}

/// The result with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: WorkflowResultId) -> Result<WorkflowResult, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Results of a ticket in `status`, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_with_status(
    tx: &mut Tx,
    ticket: TicketId,
    status: WorkflowResultStatus,
) -> Result<Vec<WorkflowResult>, StoreError> {
    tx.all(
        "ticket_id = $2 and status = $3 order by created_at, id",
        args![ticket, status],
    )
    .await
}

/// A page of the results of `ticket`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    ticket: TicketId,
    window: &ListWindow,
    request: &PageRequest<WorkflowResult>,
) -> Result<RowPage<WorkflowResult>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("ticket_id", &[ticket])?;
    conditions.within_window(window)?;
    conditions.read_page(tx, request).await
}

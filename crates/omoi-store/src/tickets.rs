//! Tickets: groups of tasks, and what people want done.

mod around;
mod begun;
mod edges;
mod listing;

pub use around::*;
pub use begun::*;
pub use edges::*;
pub use listing::*;

use omoi_domain::event::{Event, EventKind, TicketBlockChange, TicketChange};
use omoi_domain::id::{OrgId, ProjectId, SpecId, TaskId, TicketId, UserId};
use omoi_domain::lifecycle::ticket::TicketStep;
use omoi_domain::machine::transition as rule;
use omoi_domain::task::Priority;
use omoi_domain::ticket::{
    ApprovalStatus, TicketBlockReason, TicketField, TicketStatus, WorkflowMode,
};
use omoi_domain::ticket_text::text_digest;
use omoi_domain::time::Timestamp;
use omoi_domain::workflow::PhaseId;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::search_documents;
use crate::specs::Spec;
use crate::state_transitions::{TicketFieldChange, record_changes};
use crate::tasks;
use crate::tx::Tx;

row! {
    /// A group of tasks, or what somebody wants done.
    Ticket in "tickets" as "ticket" {
        /// Its id.
        id: TicketId,
        /// Its organisation.
        org_id: OrgId,
        /// Its repository.
        project_id: ProjectId,
        /// The spec whose plan it is of, or whose plan it is; none where it was written by itself and is not begun.
        spec_id: Option<SpecId>,
        /// The spec that is planned for it, which it follows.
        follows_spec_id: Option<SpecId>,
        /// What is begun for it by itself; none where it waits in its phase until people move it.
        workflow_mode: Option<WorkflowMode>,
        /// Commands that show that it is done, and fail before.
        check_commands: Json<Vec<String>>,
        /// `n` of the project's `TKT-n`.
        number: i64,
        /// The plan's `TKT-n`; its own reference where it is of no plan.
        local_id: String,
        /// Position in the plan.
        ordinal: i64,
        /// Its title.
        title: String,
        /// Its description.
        description: String,
        /// Its priority.
        priority: Priority,
        /// Where it stands.
        status: TicketStatus,
        /// The phase that it is in, which goes with the status.
        phase_id: PhaseId,
        /// The phase that it was in before.
        previous_phase_id: Option<PhaseId>,
        /// Whether it may be worked on.
        approval_status: ApprovalStatus,
        /// Whether something holds it up: nothing of it starts then.
        is_blocked: bool,
        /// What holds it up.
        blocked_reason: Option<TicketBlockReason>,
        /// The same in words.
        blocked_detail: Option<String>,
        /// Since when.
        blocked_at: Option<Timestamp>,
        /// Since when the platform holds it up because nothing went on; none where somebody else does, or nobody.
        stalled_at: Option<Timestamp>,
        /// The task that looks for what held it up then.
        remedy_task_id: Option<TaskId>,
        /// The person who wrote it.
        user_id: Option<UserId>,
        /// The person who takes care of it.
        assignee_id: Option<UserId>,
        /// Words that people find it by.
        labels: Json<Vec<String>>,
        /// What tickets that say the same have in common; written with the texts.
        text_digest: Option<String>,
        /// Guards updates.
        state_version: i64,
        /// When it was written.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}
versioned!(Ticket by id in "tickets" {
    spec_id, follows_spec_id, workflow_mode, check_commands, title, description, priority, status, phase_id, previous_phase_id, approval_status, is_blocked, blocked_reason,
    blocked_detail, blocked_at, stalled_at, remedy_task_id, assignee_id, labels, text_digest, updated_at,
});

/// What a person changes of a ticket; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TicketEdit {
    /// Another title.
    pub title: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Another priority.
    pub priority: Option<Priority>,
    /// Other labels.
    pub labels: Option<Vec<String>>,
    /// Another person who takes care of it, or nobody.
    pub assignee_id: Option<Option<UserId>>,
    /// Other commands that show that it is done.
    pub check_commands: Option<Vec<String>>,
    /// What is begun for it by itself from now on.
    pub workflow_mode: Option<WorkflowMode>,
}

impl Ticket {
    /// Ticket `number` of a project, of no plan, which nobody has begun.
    pub fn in_backlog(tx: &Tx, project: ProjectId, number: i64) -> Self {
        Self {
            id: tx.new_id(),
            org_id: tx.org(),
            project_id: project,
            spec_id: None,
            follows_spec_id: None,
            workflow_mode: None,
            check_commands: Json(Vec::new()),
            number,
            local_id: format!("TKT-{number:03}"),
            ordinal: 0,
            title: String::new(),
            description: String::new(),
            priority: Priority::Medium,
            status: TicketStatus::Backlog,
            phase_id: PhaseId::Backlog,
            previous_phase_id: None,
            approval_status: ApprovalStatus::Approved,
            is_blocked: false,
            blocked_reason: None,
            blocked_detail: None,
            blocked_at: None,
            stalled_at: None,
            remedy_task_id: None,
            user_id: None,
            assignee_id: None,
            labels: Json(Vec::new()),
            text_digest: None,
            state_version: 0,
            created_at: tx.now(),
            updated_at: tx.now(),
        }
    }

    /// Ticket `number` of the plan of `spec`, which waits until the tasks of the spec may run.
    pub fn of_plan(tx: &Tx, spec: &Spec, number: i64) -> Self {
        Self {
            spec_id: Some(spec.id),
            ..Self::in_backlog(tx, spec.project_id, number)
        }
    }

    fn change(&self, from: Option<TicketStatus>) -> TicketChange {
        TicketChange {
            ticket_id: self.id,
            number: self.number,
            title: self.title.clone(),
            from,
            to: self.status,
            phase_id: Some(self.phase_id),
        }
    }

    fn block_change(&self) -> TicketBlockChange {
        TicketBlockChange {
            ticket_id: self.id,
            number: self.number,
            title: self.title.clone(),
            blocked_reason: self.blocked_reason,
            blocked_detail: self.blocked_detail.clone(),
        }
    }

    /// Fills in what follows from other fields.
    fn settle(&mut self) {
        self.phase_id = self.phase_id.kept_with(self.status);
        self.text_digest = Some(text_digest(&self.title, &self.description));
    }

    fn scope(&self) -> (Option<ProjectId>, Option<SpecId>) {
        (Some(self.project_id), self.spec_id)
    }
}

/// Writes a new ticket.
///
/// # Errors
/// [`StoreError::Exists`] when its number or local id is taken.
pub async fn insert(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    let mut row = ticket.clone();
    row.settle();
    tx.insert(&row).await?;
    search_documents::index_ticket(tx, &row).await?;
    let (project, spec) = row.scope();
    tx.emit(project, spec, Event::TicketCreated(row.change(None)));
    Ok(())
}

/// The ticket with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: TicketId) -> Result<Ticket, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Tickets of a spec in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Ticket>, StoreError> {
    tx.all("spec_id = $2 order by ordinal, number", args![spec])
        .await
}

/// Writes changed fields other than the status.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    ticket.updated_at = tx.now();
    write(tx, ticket).await
}

/// Tells that something about a ticket changed that other rows hold.
pub fn tell_updated(tx: &mut Tx, ticket: &Ticket) {
    let (project, spec) = ticket.scope();
    let event = Event::TicketUpdated(ticket.change(Some(ticket.status)));
    tx.emit(project, spec, event);
}

/// Changes what a person changes of a ticket.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn edit_ticket(
    tx: &mut Tx,
    ticket: &mut Ticket,
    edit: TicketEdit,
) -> Result<(), StoreError> {
    let before = ticket.clone();
    let TicketEdit {
        title,
        description,
        priority,
        labels,
        assignee_id,
        check_commands,
        workflow_mode,
    } = edit;
    ticket.title = title.unwrap_or(before.title);
    ticket.description = description.unwrap_or(before.description);
    ticket.priority = priority.unwrap_or(before.priority);
    ticket.labels = labels.map_or(before.labels, Json);
    ticket.check_commands = check_commands.map_or(before.check_commands, Json);
    ticket.workflow_mode = workflow_mode.or(before.workflow_mode);
    ticket.assignee_id = assignee_id.unwrap_or(before.assignee_id);
    save(tx, ticket).await?;
    search_documents::index_ticket(tx, ticket).await?;
    tell_updated(tx, ticket);
    let mut changes = Vec::new();
    if ticket.priority != before.priority {
        changes.push(TicketFieldChange {
            field: TicketField::Priority,
            from: Some(before.priority.to_string()),
            to: Some(ticket.priority.to_string()),
        });
    }
    if ticket.assignee_id != before.assignee_id {
        changes.push(TicketFieldChange {
            field: TicketField::Assignee,
            from: before.assignee_id.map(|user| user.to_string()),
            to: ticket.assignee_id.map(|user| user.to_string()),
        });
    }
    record_changes(tx, ticket, changes, None).await
}

/// Moves a ticket along its machine, into the phase that goes with its status, and writes the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    ticket: &mut Ticket,
    to: TicketStatus,
) -> Result<(), StoreError> {
    let step = TicketStep {
        status: to,
        phase: ticket.phase_id.kept_with(to),
    };
    take_step(tx, ticket, step, None).await
}

/// Moves a ticket one step; a step between phases of one status is no move of the machine.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn take_step(
    tx: &mut Tx,
    ticket: &mut Ticket,
    step: TicketStep,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let (from, left) = (ticket.status, ticket.phase_id.kept_with(ticket.status));
    let entered = step.phase.kept_with(step.status);
    let mut kind = EventKind::TicketPhaseChanged;
    if from != step.status || left == entered {
        kind = rule(from, step.status)?;
    }
    ticket.status = step.status;
    ticket.phase_id = entered;
    ticket.updated_at = tx.now();
    if left != entered {
        ticket.previous_phase_id = Some(left);
    }
    write(tx, ticket).await?;
    let change = ticket.change(Some(from));
    tx.emit_kind(ticket.scope(), kind, &change)?;
    let moved = [
        (TicketField::Status, from.as_str(), step.status.as_str()),
        (TicketField::Phase, left.as_str(), entered.as_str()),
    ];
    let changes = moved.into_iter().filter(|(_, from, to)| from != to);
    let changes = changes.map(|(field, from, to)| TicketFieldChange {
        field,
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
    });
    record_changes(tx, ticket, changes.collect(), reason).await
}

/// Writes what people decided about a ticket; nothing of it starts unless it is approved.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn set_approval(
    tx: &mut Tx,
    ticket: &mut Ticket,
    approval: ApprovalStatus,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let before = ticket.approval_status;
    ticket.approval_status = approval;
    save(tx, ticket).await?;
    let changed = TicketFieldChange {
        field: TicketField::Approval,
        from: Some(before.to_string()),
        to: Some(approval.to_string()),
    };
    record_changes(tx, ticket, vec![changed], reason).await
}

/// Holds a ticket up: nothing of it starts until it goes on.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn block_ticket(
    tx: &mut Tx,
    ticket: &mut Ticket,
    reason: TicketBlockReason,
    detail: Option<String>,
) -> Result<(), StoreError> {
    ticket.stalled_at = None;
    put_block(tx, ticket, reason, detail).await
}

/// The same for a ticket of which nothing goes on, until its cause is gone: the task that looks for it starts all the same, and
/// so does what changed since.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn hold_up_stalled(
    tx: &mut Tx,
    ticket: &mut Ticket,
    reason: TicketBlockReason,
    detail: String,
) -> Result<(), StoreError> {
    ticket.stalled_at = Some(tx.now());
    put_block(tx, ticket, reason, Some(detail)).await
}

async fn put_block(
    tx: &mut Tx,
    ticket: &mut Ticket,
    reason: TicketBlockReason,
    detail: Option<String>,
) -> Result<(), StoreError> {
    let before = ticket.blocked_reason;
    ticket.is_blocked = true;
    ticket.blocked_reason = Some(reason);
    ticket.blocked_detail = detail;
    ticket.blocked_at = ticket.blocked_at.or(Some(tx.now()));
    save(tx, ticket).await?;
    tx.emit_kind(
        ticket.scope(),
        EventKind::TicketBlocked,
        &ticket.block_change(),
    )?;
    let changed = TicketFieldChange {
        field: TicketField::Blocked,
        from: before.map(|reason| reason.to_string()),
        to: Some(reason.to_string()),
    };
    let detail = ticket.blocked_detail.clone();
    record_changes(tx, ticket, vec![changed], detail.as_deref()).await
}

/// Lets a ticket go on.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn unblock_ticket(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    let before = ticket.blocked_reason.take();
    ticket.is_blocked = false;
    ticket.blocked_detail = None;
    ticket.blocked_at = None;
    ticket.stalled_at = None;
    save(tx, ticket).await?;
    tx.emit_kind(
        ticket.scope(),
        EventKind::TicketUnblocked,
        &ticket.block_change(),
    )?;
    let changed = TicketFieldChange {
        field: TicketField::Blocked,
        from: before.map(|reason| reason.to_string()),
        to: None,
    };
    record_changes(tx, ticket, vec![changed], None).await
}

/// Writes a row back, and with every task whose ticket waits for it whether it is done.
async fn write(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    ticket.settle();
    let rows = tx
        .rows(
            "select status from tickets where org_id = $1 and id = $2",
            args![ticket.id],
        )
        .await?;
    let before = rows.first().map(|row| TicketStatus::read(row, "status"));
    let before = before.transpose()?;
    tx.update(ticket).await?;
    let (was_open, is_open) = (before.is_some_and(is_open), is_open(ticket.status));
    if was_open != is_open {
        tasks::ticket_moved(tx, ticket.id, is_open).await?;
    }
    Ok(())
}

/// Lets nobody else change what `ticket` waits for, or add tasks to it, until the transaction ends.
/// Tickets are locked after tasks and before the project: see `docs/decisions/claims.md`.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_ticket(tx: &mut Tx, ticket: TicketId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tickets where org_id = $1 and id = $2",
        args![ticket],
    )
    .await?;
    Ok(())
}

/// The same for every ticket of a spec.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_of_spec(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from tickets where org_id = $1 and spec_id = $2 order by id",
        args![spec],
    )
    .await?;
    Ok(())
}

/// Whether tickets that wait for one in `status` go on waiting.
fn is_open(status: TicketStatus) -> bool {
    status != TicketStatus::Done
}

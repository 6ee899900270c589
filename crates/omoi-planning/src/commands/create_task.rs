//! A task that a person wants for a ticket.

use std::collections::BTreeSet;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TaskId, TicketId};
use omoi_domain::lifecycle::task::{
    ADDED_WORK_PREFIX, AddedTaskRefusal, AddedWorkFacts, add_by_person,
};
use omoi_domain::plain_title::{BadTitle, given_title};
use omoi_domain::spec::SpecKind;
use omoi_domain::task::{Priority, TaskType, TicketPhase};
use omoi_domain::ticket::TicketStatus;
use omoi_execution::discovery::{ProofMaterial, expect_runnable};
use omoi_execution::integration::task_branch;
use omoi_execution::tasks::{apply_to_task, follow_prerequisites};
use omoi_protocol::worker::ProposedCheck;
use omoi_store::projects::{NumberCounter, take_numbers};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx, checks, projects};

use crate::planned_task::pending_task;

/// A task that a person wants.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its ticket, whose spec it joins.
    pub ticket: TicketId,
    /// Its title.
    pub title: String,
    /// What its agent is told.
    pub description: String,
    /// The kind of work.
    pub task_type: TaskType,
    /// How much it matters.
    pub priority: Priority,
    /// The phase of its ticket that it belongs to.
    pub phase: TicketPhase,
    /// Tasks of its spec that must be done first.
    pub depends_on: BTreeSet<TaskId>,
    /// What shows that it is done; the suite of the project where there is none.
    pub check: Option<ProposedCheck>,
}

/// Why a task was not written; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum NewTaskError {
    /// A title that cannot be shown.
    #[error(transparent)]
    Title(#[from] BadTitle),
    /// A check that cannot be one.
    #[error("{0}")]
    Check(String),
    /// A kind of work that only the platform begins.
    #[error("only the platform has a conflict resolved")]
    PlatformWork,
    /// The work on the ticket is not begun: its first task is the ticket.
    #[error("{0} is not begun; its first task is the ticket itself")]
    NotBegun(HumanRef),
    /// The spec of the ticket takes no task.
    #[error(transparent)]
    Refused(#[from] AddedTaskRefusal),
    /// The commits of that task do not come to the branch that this one is cut from.
    #[error("{0} is of another spec, whose commits this task does not get")]
    OtherSpec(HumanRef),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// Writes a task that joins the spec of its ticket, with its check, as work that an agent finds does.
///
/// # Errors
/// [`NewTaskError`].
pub async fn create_task(tenant: &Tenant, new: NewTask) -> Result<Task, NewTaskError> {
    let title = given_title(&new.title)?;
    if new.task_type == TaskType::ResolveConflict {
        return Err(NewTaskError::PlatformWork);
    }
    if let Some(check) = &new.check {
        expect_runnable(check).map_err(NewTaskError::Check)?;
    }
    let new = NewTask { title, ..new };
    let created = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let ticket = tickets::get(tx, new.ticket).await?;
        let Some(spec) = ticket.spec_id else {
            return Err(NewTaskError::NotBegun(HumanRef::ticket(ticket.number)));
        };
        // Tasks and the ticket before the project, as whoever moves them locks them.
        let all = tasks::held_of_spec(tx, spec).await?;
        tickets::hold_ticket(tx, ticket.id).await?;
        projects::hold(tx, ticket.project_id).await?;
        let ticket = tickets::get(tx, ticket.id).await?;
        let mut spec = specs::get(tx, spec).await?;
        let task = write_task(tx, &spec, &ticket, (&new, &all)).await?;
        // Whoever was about to end the spec looks again.
        specs::save(tx, &mut spec).await?;
        Ok(task)
    });
    created.await.inspect(|task: &Task| {
        info!(task.id = %task.id, "Wrote {} for a person", HumanRef::task(task.number));
    })
}

async fn write_task(
    tx: &mut Tx,
    spec: &Spec,
    ticket: &Ticket,
    (new, all): (&NewTask, &[Task]),
) -> Result<Task, NewTaskError> {
    for id in &new.depends_on {
        let first = tasks::get(tx, *id).await?;
        if first.spec_id != spec.id {
            return Err(NewTaskError::OtherSpec(HumanRef::task(first.number)));
        }
    }
    let suite = checks::suite_of_spec(tx, spec.id).await?;
    let is_added = |task: &&Task| task.local_id.starts_with(ADDED_WORK_PREFIX);
    let added = add_by_person(AddedWorkFacts {
        spec: spec.status,
        is_ticket_done: ticket.status == TicketStatus::Done,
        n_added: all.iter().filter(is_added).count(),
        last_ordinal: all.iter().map(|task| task.ordinal).max().unwrap_or(0),
        has_check: new.check.is_some(),
        has_suite: suite.is_some(),
    })?;
    let number = take_numbers(tx, spec.project_id, NumberCounter::Task, 1).await?;
    let blank = pending_task(tx, spec, ticket.id, number);
    let mut task = Task {
        local_id: added.local_id,
        title: new.title.clone(),
        description: new.description.clone(),
        task_type: new.task_type,
        phase_id: new.phase,
        priority: new.priority,
        ordinal: added.ordinal,
        branch: task_branch(blank.id, &new.title),
        // The work on a ticket by itself needs nobody's autonomy.
        force_execute: spec.kind == SpecKind::Direct,
        ..blank
    };
    tasks::insert(tx, &task).await?;
    for first in &new.depends_on {
        tasks::depend(tx, task.id, *first).await?;
    }
    let material = ProofMaterial {
        own: new.check.as_ref(),
        suite: suite.as_ref(),
    };
    material.write_proof(tx, &task, added.proof).await?;
    apply_to_task(tx, &mut task, added.actions).await?;
    if !new.depends_on.is_empty() {
        follow_prerequisites(tx, &task).await?;
    }
    Ok(tasks::get(tx, task.id).await?)
}

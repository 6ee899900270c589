//! `POST`, `PUT` and `DELETE /tasks/{task_id}/dependencies`.

use std::collections::BTreeSet;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::graph::Edge;
use omoi_domain::id::{HumanRef, ProjectId, TaskId, TicketId};
use omoi_domain::lifecycle::task::{
    EdgeChange, EdgeFacts, EdgeRefusal, EdgeTask, expect_idle_task,
};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, Tx, projects, tickets};

use super::TaskCommandError;
use crate::tasks::follow_prerequisites;

/// How the prerequisites of a task are to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DependencyEdit {
    /// It waits for these too.
    Add(BTreeSet<TaskId>),
    /// It waits for these and nothing else.
    Replace(BTreeSet<TaskId>),
    /// It waits for this one no longer.
    Remove(TaskId),
}

impl DependencyEdit {
    /// What the task is to wait for, which waits for `now`.
    fn wanted(&self, now: BTreeSet<TaskId>) -> Result<BTreeSet<TaskId>, StoreError> {
        match self {
            Self::Add(more) => Ok(now.into_iter().chain(more.iter().copied()).collect()),
            Self::Replace(all) => Ok(all.clone()),
            Self::Remove(one) => {
                let mut left = now;
                let was_there = left.remove(one);
                was_there
                    .then_some(left)
                    .ok_or_else(|| StoreError::NotFound {
                        what: "dependency",
                        key: one.to_string(),
                    })
            }
        }
    }
}

/// The rows that say what waits for what in a project.
pub(super) struct EdgeRows {
    tasks: Vec<EdgeTask>,
    edges: Vec<Edge<TaskId>>,
    ticket_edges: Vec<Edge<TicketId>>,
}

impl EdgeRows {
    pub(super) async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<Self, StoreError> {
        let edges = tasks::dependencies_of_project(tx, project)
            .await?
            .into_iter();
        let ticket_edges = tickets::dependencies_of_project(tx, project)
            .await?
            .into_iter();
        Ok(Self {
            tasks: tasks::order_of_project(tx, project).await?,
            edges: edges
                .map(|(after, before)| Edge::new(before, after))
                .collect(),
            ticket_edges: ticket_edges
                .map(|(after, before)| Edge::new(before, after))
                .collect(),
        })
    }

    pub(super) fn edge_facts(&self) -> EdgeFacts<'_> {
        EdgeFacts {
            tasks: &self.tasks,
            edges: &self.edges,
            ticket_edges: &self.ticket_edges,
        }
    }
}

/// Changes what a task waits for. All tasks of the spec are held meanwhile, so that two changes at once close no cycle.
///
/// # Errors
/// [`TaskCommandError::CircularDependency`], [`TaskCommandError::OtherSpec`], [`TaskCommandError::AtWork`],
/// [`TaskCommandError::IsOver`].
pub async fn change_dependencies(
    tenant: &Tenant,
    id: TaskId,
    edit: &DependencyEdit,
) -> Result<Task, TaskCommandError> {
    let changed = tenant.write(CrashPoint::TaskMoved, async |tx| {
        let spec = tasks::get(tx, id).await?.spec_id;
        tasks::hold_of_spec(tx, spec).await?;
        tickets::hold_of_spec(tx, spec).await?;
        let task = tasks::get(tx, id).await?;
        // Tickets of the project may be made to wait for each other meanwhile.
        projects::hold(tx, task.project_id).await?;
        expect_idle_task(task.status)
            .map_err(|refusal| TaskCommandError::of_edit(&task, refusal))?;
        let change = judge_edit(tx, &task, edit).await?;
        if change.added.is_empty() && change.removed.is_empty() {
            return Ok(task);
        }
        apply_change(tx, &task, change).await?;
        let mut task = tasks::get(tx, id).await?;
        tasks::save_edited(tx, &mut task, &["dependencies"]).await?;
        Ok(task)
    });
    changed.await.inspect(|task: &Task| {
        info!(task.id = %task.id, "A person changed what TSK-{:03} waits for", task.number);
    })
}

/// The cycle that `edit` would close; none when it could be made as far as that goes.
///
/// # Errors
/// [`TaskCommandError::OtherSpec`].
pub async fn find_cycle(
    tenant: &Tenant,
    id: TaskId,
    edit: &DependencyEdit,
) -> Result<Option<Vec<HumanRef>>, TaskCommandError> {
    let judged = tenant.read(async |tx| {
        let task = tasks::get(tx, id).await?;
        judge_edit(tx, &task, edit).await
    });
    match judged.await {
        Ok(_) => Ok(None),
        Err(TaskCommandError::CircularDependency { path }) => Ok(Some(path)),
        Err(other) => Err(other),
    }
}

async fn judge_edit(
    tx: &mut Tx,
    task: &Task,
    edit: &DependencyEdit,
) -> Result<EdgeChange, TaskCommandError> {
    let rows = EdgeRows::of_project(tx, task.project_id).await?;
    let facts = rows.edge_facts();
    let wanted = edit.wanted(facts.prerequisites_of(task.id))?;
    match facts.set_prerequisites(task.id, &wanted) {
        Ok(change) => Ok(change),
        Err(EdgeRefusal::OtherSpec(other)) => Err(TaskCommandError::OtherSpec {
            task: task_ref(tx, other).await?,
        }),
        Err(EdgeRefusal::Cycle(cycle)) => {
            let mut path = Vec::new();
            for id in cycle {
                path.push(task_ref(tx, id).await?);
            }
            Err(TaskCommandError::CircularDependency { path })
        }
    }
}

async fn task_ref(tx: &mut Tx, id: TaskId) -> Result<HumanRef, StoreError> {
    Ok(HumanRef::task(tasks::get(tx, id).await?.number))
}

async fn apply_change(tx: &mut Tx, task: &Task, change: EdgeChange) -> Result<(), StoreError> {
    for before in change.added {
        tasks::depend(tx, task.id, before).await?;
    }
    for before in change.removed {
        tasks::drop_dependency(tx, task.id, before).await?;
    }
    for (id, level) in change.levels {
        let mut moved = tasks::get(tx, id).await?;
        moved.level = level;
        tasks::save(tx, &mut moved).await?;
    }
    follow_prerequisites(tx, task).await
}

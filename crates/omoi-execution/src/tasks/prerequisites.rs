//! What waits for a task: stopped when it is lost, freed when it goes on.

use omoi_domain::graph::Edge;
use omoi_domain::id::{SpecId, TaskId};
use omoi_domain::lifecycle::task::{DependentChange, DependentTask, TaskGraph, TaskNode};
use omoi_domain::merge::MergeState;
use omoi_domain::task::TaskStatus;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task, TaskStanding};
use omoi_store::{StoreError, Tx};

/// The rows of a spec that say which of its tasks waits for which.
struct TaskRows {
    tasks: Vec<TaskStanding>,
    nodes: Vec<TaskNode>,
    edges: Vec<Edge<TaskId>>,
    resolutions: Vec<Edge<TaskId>>,
}

impl TaskRows {
    async fn read_rows(tx: &mut Tx, spec: SpecId) -> Result<Self, StoreError> {
        let tasks = tasks::standing_of_spec(tx, spec).await?;
        let nodes = tasks.iter().map(|task| TaskNode {
            id: task.id,
            number: task.number,
            status: task.status,
            blocked_by: task.blocked_by,
            integration_state: task.integration_state,
        });
        let nodes = nodes.collect();
        let edges = tasks::dependencies(tx, spec).await?.into_iter();
        let edges = edges.map(|(task, prerequisite)| Edge::new(prerequisite, task));
        let merges = merges::of_spec(tx, spec).await?;
        let conflicted = merges.iter().filter(|m| m.state == MergeState::Resolving);
        let resolutions = conflicted.filter_map(|m| Some(Edge::new(m.resolve_task_id?, m.task_id)));
        Ok(Self {
            nodes,
            edges: edges.collect(),
            resolutions: resolutions.collect(),
            tasks,
        })
    }

    fn task_graph(&self) -> TaskGraph<'_> {
        TaskGraph {
            nodes: &self.nodes,
            edges: &self.edges,
            resolutions: &self.resolutions,
        }
    }

    fn find_task(&self, id: TaskId) -> Option<&TaskStanding> {
        self.tasks.iter().find(|task| task.id == id)
    }
}

/// The merges that land with `task`: the one it resolves, the one that one's task resolves, and so
/// on to the work that first met a conflict.
///
/// # Errors
/// When the database cannot be read.
pub async fn resolved_by(tx: &mut Tx, task: &Task) -> Result<Vec<Merge>, StoreError> {
    let mut found: Vec<Merge> = Vec::new();
    let mut next = task.resolves_merge_id;
    while let Some(id) = next {
        let merge = merges::get(tx, id).await?;
        next = tasks::get(tx, merge.task_id).await?.resolves_merge_id;
        found.push(merge);
    }
    Ok(found)
}

/// Blocks every open task that waits, directly or not, for one that failed or was cancelled.
///
/// # Errors
/// When the database cannot be written.
pub async fn block_dependents(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    block_stopped(tx, task, &[task.id]).await
}

/// Blocks every open task that waits for one that waits for a person itself or with its merge, or for
/// what would have landed with it.
pub(crate) async fn block_waiting(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let mut lost = vec![task.id];
    lost.extend(resolved_by(tx, task).await?.iter().map(|m| m.task_id));
    block_stopped(tx, task, &lost).await
}

async fn block_stopped(tx: &mut Tx, task: &Task, lost: &[TaskId]) -> Result<(), StoreError> {
    let rows = TaskRows::read_rows(tx, task.spec_id).await?;
    let changes = rows.task_graph().block_dependents(task.id, lost);
    apply_to_dependents(tx, &rows, changes).await
}

/// Frees every task that was blocked because of `task`, unless it waits for another lost one too.
pub(crate) async fn free_dependents(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let blocked = tasks::blocked_by(tx, task.id).await?;
    if blocked.is_empty() {
        return Ok(());
    }
    let rows = TaskRows::read_rows(tx, task.spec_id).await?;
    let ids: Vec<TaskId> = blocked.iter().map(|task| task.id).collect();
    let changes = rows.task_graph().free_dependents(&ids);
    apply_to_dependents(tx, &rows, changes).await
}

/// Stops or frees `task`, whose prerequisites are others now, and every task that waits for it.
///
/// # Errors
/// When the database refuses.
pub async fn follow_prerequisites(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let rows = TaskRows::read_rows(tx, task.spec_id).await?;
    let changes = rows.task_graph().follow_prerequisites(task.id);
    apply_to_dependents(tx, &rows, changes).await
}

/// Applies what was decided about tasks that wait for another one.
async fn apply_to_dependents(
    tx: &mut Tx,
    rows: &TaskRows,
    changes: Vec<DependentTask>,
) -> Result<(), StoreError> {
    tasks::hold_tasks(tx, changes.iter().map(|change| change.id)).await?;
    for DependentTask { id, change } in changes {
        let Some(seen) = rows.find_task(id) else {
            continue;
        };
        let mut task = tasks::get_as_seen(tx, seen).await?;
        match change {
            DependentChange::Block { block, reason } => {
                tasks::block(tx, &mut task, block, reason).await?;
            }
            DependentChange::Free => {
                tasks::transition(tx, &mut task, TaskStatus::Pending, None).await?;
            }
            DependentChange::WaitFor { block, reason } => {
                task.blocked_by = Some(block);
                task.blocked_reason = Some(reason);
                tasks::save(tx, &mut task).await?;
            }
        }
    }
    Ok(())
}

/// The task without which a blocked `task` cannot go on, whoever asks: one that failed, was cancelled,
/// cannot be merged or waits for the machine or the provider, and that it waits for, directly or not.
///
/// # Errors
/// When the database cannot be read.
pub async fn keeper_of(tx: &mut Tx, task: &Task) -> Result<Option<Task>, StoreError> {
    let rows = TaskRows::read_rows(tx, task.spec_id).await?;
    match rows.task_graph().keeper_of(task.id) {
        Some(keeper) => Ok(Some(tasks::get(tx, keeper).await?)),
        None => Ok(None),
    }
}

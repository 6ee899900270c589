//! What waits for a task: stopped when it is lost, freed when it goes on.

use omoi_domain::block::TaskBlock;
use omoi_domain::graph::Edge;
use omoi_domain::id::{SpecId, TaskId};
use omoi_domain::lifecycle::task::{TaskGraph, TaskNode};
use omoi_domain::merge::MergeState;
use omoi_domain::task::TaskStatus;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx};

/// The rows of a spec that say which of its tasks waits for which.
struct TaskRows {
    tasks: Vec<Task>,
    nodes: Vec<TaskNode>,
    edges: Vec<Edge<TaskId>>,
    resolutions: Vec<Edge<TaskId>>,
}

impl TaskRows {
    async fn read_rows(tx: &mut Tx, spec: SpecId) -> Result<Self, StoreError> {
        let tasks = tasks::of_spec(tx, spec).await?;
        let nodes = tasks.iter().map(|task| TaskNode {
            id: task.id,
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

    fn take_task(&mut self, id: TaskId) -> Option<Task> {
        let at = self.tasks.iter().position(|task| task.id == id)?;
        Some(self.tasks.swap_remove(at))
    }

    fn find_task(&self, id: TaskId) -> Option<&Task> {
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
///
/// # Errors
/// When the database cannot be written.
pub async fn block_waiting(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let mut lost = vec![task.id];
    lost.extend(resolved_by(tx, task).await?.iter().map(|m| m.task_id));
    block_stopped(tx, task, &lost).await
}

async fn block_stopped(tx: &mut Tx, task: &Task, lost: &[TaskId]) -> Result<(), StoreError> {
    let mut rows = TaskRows::read_rows(tx, task.spec_id).await?;
    let stopped = rows.task_graph().stopped_by(lost);
    tasks::hold_tasks(tx, stopped.iter().copied()).await?;
    for id in stopped {
        if let Some(mut dependent) = rows.take_task(id) {
            let (block, reason) = waits_for(task);
            tasks::block(tx, &mut dependent, block, reason).await?;
        }
    }
    Ok(())
}

/// What a task waits for that waits for `task`, and the same in words.
fn waits_for(task: &Task) -> (TaskBlock, String) {
    let block = TaskBlock::Prerequisite { task_id: task.id };
    (block, format!("{}:TSK-{:03}", block.kind(), task.number))
}

/// Frees every task that was blocked because of `task`, unless it waits for another lost one too.
pub(super) async fn free_dependents(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let blocked = tasks::blocked_by(tx, task.id).await?;
    if blocked.is_empty() {
        return Ok(());
    }
    let rows = TaskRows::read_rows(tx, task.spec_id).await?;
    let ids: Vec<TaskId> = blocked.iter().map(|task| task.id).collect();
    tasks::hold_tasks(tx, ids.iter().copied()).await?;
    let kept = rows.task_graph().kept_by(&ids);
    for (mut dependent, kept) in blocked.into_iter().zip(kept) {
        match kept.by.and_then(|id| rows.find_task(id)) {
            None => tasks::transition(tx, &mut dependent, TaskStatus::Pending, None).await?,
            Some(lost) => {
                let (block, reason) = waits_for(lost);
                dependent.blocked_by = Some(block);
                dependent.blocked_reason = Some(reason);
                tasks::save(tx, &mut dependent).await?;
            }
        }
    }
    Ok(())
}

/// A task that failed, was cancelled, cannot be merged or waits for the machine or the provider, and
/// that `task` waits for, directly or not; none when all it waits for can still land.
///
/// # Errors
/// When the database cannot be read.
pub async fn lost_prerequisite(tx: &mut Tx, task: &Task) -> Result<Option<Task>, StoreError> {
    let mut rows = TaskRows::read_rows(tx, task.spec_id).await?;
    let lost = rows.task_graph().lost_prerequisite(task.id);
    Ok(lost.and_then(|id| rows.take_task(id)))
}

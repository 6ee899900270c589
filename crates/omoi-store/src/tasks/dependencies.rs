//! What a task waits for, and what its agent must be able to do.

use omoi_domain::id::{ProjectId, SpecId, TaskId};
use omoi_domain::lifecycle::task::EdgeTask;

use super::{counters, get};
use crate::args;
use crate::column::Column;
use crate::edges::EdgeTable;
use crate::error::StoreError;
use crate::tx::Tx;

const EDGES: EdgeTable = EdgeTable {
    name: "task_dependencies",
    between: "tasks",
    waiting: "task_id",
};

/// Makes `task` wait for `depends_on`.
///
/// # Errors
/// [`StoreError::NotFound`] when either is not of this organisation.
pub async fn depend(tx: &mut Tx, task: TaskId, depends_on: TaskId) -> Result<(), StoreError> {
    let is_open = hold_prerequisite(tx, depends_on).await?;
    if !EDGES.insert_edge(tx, task, depends_on).await? {
        get(tx, task).await?;
        get(tx, depends_on).await?;
        return Ok(());
    }
    count_edge(tx, (task, depends_on), (1, is_open)).await
}

/// Has `task` wait for `depends_on` no longer.
///
/// # Errors
/// When the database cannot be written.
pub async fn drop_dependency(
    tx: &mut Tx,
    task: TaskId,
    depends_on: TaskId,
) -> Result<(), StoreError> {
    let is_open = hold_prerequisite(tx, depends_on).await?;
    match EDGES.delete_edge(tx, task, depends_on).await? {
        true => count_edge(tx, (task, depends_on), (-1, is_open)).await,
        false => Ok(()),
    }
}

/// Whether what waits for a task waits, until the commit: nobody completes the task between the count and the edge.
async fn hold_prerequisite(tx: &mut Tx, depends_on: TaskId) -> Result<bool, StoreError> {
    let held = tx
        .locked_rows(
            "select status, integration_state from tasks where org_id = $1 and id = $2",
            args![depends_on],
        )
        .await?;
    let is_open = held.first().map(counters::CountedFacts::is_open);
    Ok(is_open.transpose()?.unwrap_or(false))
}

/// Counts one edge more or less with both its tasks.
async fn count_edge(
    tx: &mut Tx,
    (task, depends_on): (TaskId, TaskId),
    (change, is_open): (i64, bool),
) -> Result<(), StoreError> {
    tx.execute(
        "update tasks set n_dependents = n_dependents + $3 where org_id = $1 and id = $2",
        args![depends_on, change],
    )
    .await?;
    if is_open {
        tx.execute(
            "update tasks set n_open_prerequisites = n_open_prerequisites + $3
             where org_id = $1 and id = $2",
            args![task, change],
        )
        .await?;
    }
    Ok(())
}

/// Task edges of a spec: (task, what it waits for).
///
/// # Errors
/// When the database cannot be read.
pub async fn dependencies(tx: &mut Tx, spec: SpecId) -> Result<Vec<(TaskId, TaskId)>, StoreError> {
    EDGES.of_spec(tx, spec).await
}

/// Task edges of a project: (task, what it waits for).
///
/// # Errors
/// When the database cannot be read.
pub async fn dependencies_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<(TaskId, TaskId)>, StoreError> {
    let rows = tx
        .rows(
            "select d.task_id, d.depends_on_id from task_dependencies d
             join tasks t on t.id = d.task_id
             where d.org_id = $1 and t.project_id = $2 order by 1, 2",
            args![project],
        )
        .await?;
    let edges = rows.iter().map(|row| {
        Ok((
            TaskId::read(row, "task_id")?,
            TaskId::read(row, "depends_on_id")?,
        ))
    });
    edges.collect()
}

/// Every task of a project, as far as it is ordered.
///
/// # Errors
/// When the database cannot be read.
pub async fn order_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<EdgeTask>, StoreError> {
    let rows = tx
        .rows(
            "select id, spec_id, ticket_id, level from tasks where org_id = $1 and project_id = $2 order by id",
            args![project],
        )
        .await?;
    let tasks = rows.iter().map(|row| {
        Ok(EdgeTask {
            id: Column::read(row, "id")?,
            spec: Column::read(row, "spec_id")?,
            ticket: Column::read(row, "ticket_id")?,
            level: i64::read(row, "level")?,
        })
    });
    tasks.collect()
}

/// How many tasks depend directly on each task of `spec` that waits for nothing itself; one that nothing
/// depends on is left out. Those that were cancelled meanwhile count too: it is a weight of the score.
///
/// # Errors
/// When the database cannot be read.
pub async fn dependent_counts(tx: &mut Tx, spec: SpecId) -> Result<Vec<(TaskId, i64)>, StoreError> {
    let rows = tx
        .rows(
            "select id, n_dependents from tasks
             where org_id = $1 and spec_id = $2 and status = 'pending'
             and n_open_prerequisites = 0 and n_dependents > 0 order by id",
            args![spec],
        )
        .await?;
    let counts = rows
        .iter()
        .map(|row| Ok((Column::read(row, "id")?, i64::read(row, "n_dependents")?)));
    counts.collect()
}

/// Makes `task` wait for agents that have `capability`.
///
/// # Errors
/// When the database cannot be written.
pub async fn require(tx: &mut Tx, task: TaskId, capability: &str) -> Result<(), StoreError> {
    tx.execute(
        "insert into task_capabilities (task_id, capability, org_id)
         select id, $3, org_id from tasks where org_id = $1 and id = $2
         on conflict do nothing",
        args![task, capability],
    )
    .await?;
    Ok(())
}

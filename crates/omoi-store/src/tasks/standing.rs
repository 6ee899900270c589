//! Where tasks stand, for whoever looks at many of them and works on none.

use omoi_domain::block::TaskBlock;
use omoi_domain::id::{MergeId, SpecId, TaskId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::TaskStatus;

use super::{Task, get};
use crate::args;
use crate::error::StoreError;
use crate::row::{Row as _, row};
use crate::tx::Tx;

row! {
    /// The short columns of a task: what it is called and how far it has come.
    TaskStanding in "tasks" as "task" {
        /// Its id.
        id: TaskId,
        /// `n` of the project's `TSK-n`.
        number: i64,
        /// Its title.
        title: String,
        /// Where it stands.
        status: TaskStatus,
        /// Position in the plan.
        ordinal: i64,
        /// Where its commits stand.
        integration_state: IntegrationState,
        /// Whether the spec fails when it fails.
        needed: bool,
        /// The last error.
        error_message: Option<String>,
        /// What it waits for, when it is blocked.
        blocked_by: Option<TaskBlock>,
        /// The same in words for people.
        blocked_reason: Option<String>,
        /// The task whose agent found it.
        parent_task_id: Option<TaskId>,
        /// The merge it resolves.
        resolves_merge_id: Option<MergeId>,
        /// Guards updates.
        state_version: i64,
    }
}

/// How the tasks of a spec stand, in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn standing_of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<TaskStanding>, StoreError> {
    tx.all("spec_id = $2 order by level, ordinal, number", args![spec])
        .await
}

/// The whole row of a task that is still as it was `seen`, to be changed by what was decided from that.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody else changed it since.
pub async fn get_as_seen(tx: &mut Tx, seen: &TaskStanding) -> Result<Task, StoreError> {
    let task = get(tx, seen.id).await?;
    if task.state_version != seen.state_version {
        return Err(StoreError::Conflict {
            what: Task::WHAT,
            key: seen.id.to_string(),
        });
    }
    Ok(task)
}

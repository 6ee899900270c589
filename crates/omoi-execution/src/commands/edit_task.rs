//! `PATCH /tasks/{task_id}`.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_domain::lifecycle::task::{expect_idle_task, expect_open_task};
use omoi_domain::task::Priority;
use omoi_domain::time::Timestamp;
use omoi_store::Tenant;
use omoi_store::tasks::{self, Task};

use super::TaskCommandError;

/// What a person says of a task; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPatch {
    /// Its title.
    pub title: Option<String>,
    /// What its agent is told.
    pub description: Option<String>,
    /// Its priority.
    pub priority: Option<Priority>,
    /// When it is due; `Some(None)` takes that away.
    pub deadline_at: Option<Option<Timestamp>>,
    /// Whether it starts without the project's autonomy.
    pub force_execute: Option<bool>,
}

impl TaskPatch {
    /// Takes the values that are others into `task`; gives their names.
    fn apply_to(&self, task: &mut Task) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let mut note = |name, is_changed: bool| {
            if is_changed {
                changed.push(name);
            }
        };
        note("title", replace(&mut task.title, self.title.as_ref()));
        let description = self.description.as_ref();
        note("description", replace(&mut task.description, description));
        note(
            "priority",
            replace(&mut task.priority, self.priority.as_ref()),
        );
        let deadline = self.deadline_at.as_ref();
        note("deadline_at", replace(&mut task.deadline_at, deadline));
        let force = self.force_execute.as_ref();
        note("force_execute", replace(&mut task.force_execute, force));
        changed
    }
}

/// Puts `value` in the place of another one.
fn replace<T: Clone + PartialEq>(place: &mut T, value: Option<&T>) -> bool {
    match value {
        Some(value) if value != place => {
            place.clone_from(value);
            true
        }
        _ => false,
    }
}

/// Changes what a person says of a task; with `versions`, only while the task has one of them. Its agent is told of
/// title and description when it begins, so that they stay while it works.
///
/// # Errors
/// [`TaskCommandError::StaleVersion`], [`TaskCommandError::AtWork`], [`TaskCommandError::IsOver`].
pub async fn edit_task(
    tenant: &Tenant,
    id: TaskId,
    versions: Option<&[i64]>,
    patch: &TaskPatch,
) -> Result<Task, TaskCommandError> {
    let edited = tenant.write(CrashPoint::TaskMoved, async |tx| {
        let mut task = tasks::get(tx, id).await?;
        if versions.is_some_and(|meant| !meant.contains(&task.state_version)) {
            return Err(TaskCommandError::StaleVersion(Box::new(task)));
        }
        let fields = patch.apply_to(&mut task);
        if fields.is_empty() {
            return Ok(task);
        }
        let is_told = |field: &&str| matches!(*field, "title" | "description");
        let may_be = match fields.iter().any(is_told) {
            true => expect_idle_task(task.status),
            false => expect_open_task(task.status),
        };
        may_be.map_err(|refusal| TaskCommandError::of_edit(&task, refusal))?;
        tasks::save_edited(tx, &mut task, &fields).await?;
        Ok(task)
    });
    edited.await.inspect(|task: &Task| {
        info!(task.id = %task.id, "A person changed TSK-{:03}", task.number);
    })
}

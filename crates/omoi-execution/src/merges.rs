//! Applies what the transitions of merges decide.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use omoi_domain::id::TaskId;
use omoi_domain::lifecycle::merge::{ConflictQuestion, MergeAction, NewResolutionTask};
use omoi_domain::merge::MergeState;
use omoi_domain::task::TaskType;
use omoi_store::merges::{self, Merge, MergeMove};
use omoi_store::projects::{NumberCounter, take_numbers};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tx, approvals, tickets};

use crate::integration::task_branch;
use crate::tasks::{block_waiting, free_dependents, send_back};
use crate::tickets::close_ticket_of;

/// Applies what a transition decided about a merge and its task, in order.
///
/// # Errors
/// When the database cannot be written.
pub fn apply_to_merge<'a>(
    tx: &'a mut Tx,
    merge: &'a mut Merge,
    actions: Vec<MergeAction>,
) -> BoxFuture<'a, Result<(), StoreError>> {
    // Boxed as `apply_to_task` is.
    apply_merge_actions(tx, merge, actions).boxed()
}

async fn apply_merge_actions(
    tx: &mut Tx,
    merge: &mut Merge,
    actions: Vec<MergeAction>,
) -> Result<(), StoreError> {
    if actions.is_empty() {
        return Ok(());
    }
    // Rows are locked in the order of their ids, and tasks before tickets and projects.
    match actions.iter().any(changes_others) {
        true => tasks::hold_of_spec(tx, merge.spec_id).await?,
        false => tasks::hold_tasks(tx, [merge.task_id]).await?,
    }
    let mut task = tasks::get(tx, merge.task_id).await?;
    // A move writes every field of both rows; what changes after the last one is saved at the end.
    let (mut merge_changed, mut task_changed) = (false, false);
    for action in actions {
        merge_changed |= keep_in_merge(merge, &action);
        match action {
            MergeAction::AskPeople => ask_people(tx, merge, &task).await?,
            MergeAction::Move { to, reason } => {
                if merge.state == MergeState::Manual {
                    approvals::withdraw_of_merge(tx, merge.id).await?;
                }
                merges::transition(tx, merge, &mut task, MergeMove { to, reason }).await?;
                (merge_changed, task_changed) = (false, false);
            }
            MergeAction::AddResolutionTask(new) => {
                merge.resolve_task_id = Some(add_resolution_task(tx, merge, &task, new).await?);
                merge_changed = true;
            }
            MergeAction::KeepTaskBase(base) => {
                task.base_sha = Some(base);
                task_changed = true;
            }
            MergeAction::SendBack(unmet) => {
                send_back(tx, &mut task, unmet).await?;
                task_changed = false;
            }
            MergeAction::CloseTicket => close_ticket_of(tx, &task).await?,
            MergeAction::BlockWaiting => block_waiting(tx, &task).await?,
            MergeAction::FreeDependents => free_dependents(tx, &task).await?,
            MergeAction::KeepError(_)
            | MergeAction::WaitForMachine
            | MergeAction::CountRestart
            | MergeAction::ResetTries
            | MergeAction::KeepCommit(_)
            | MergeAction::KeepConflicts(_) => {}
        }
    }
    if merge_changed {
        merges::save(tx, merge).await?;
    }
    if task_changed {
        tasks::save(tx, &mut task).await?;
    }
    Ok(())
}

/// Whether an action changes other tasks than the one that is merged, or may do so.
const fn changes_others(action: &MergeAction) -> bool {
    matches!(
        action,
        MergeAction::SendBack(_) | MergeAction::BlockWaiting | MergeAction::FreeDependents
    )
}

/// Takes an action that only changes fields of the merge into the row; false for any other.
fn keep_in_merge(merge: &mut Merge, action: &MergeAction) -> bool {
    match action {
        MergeAction::KeepError(error) => merge.error = Some(error.clone()),
        MergeAction::WaitForMachine => merge.lacks_environment = true,
        MergeAction::CountRestart => merge.restarts += 1,
        MergeAction::ResetTries => {
            merge.restarts = 0;
            merge.error = None;
        }
        MergeAction::KeepCommit(commit) => merge.merged_sha = Some(commit.clone()),
        MergeAction::KeepConflicts(paths) => merge.conflicts = Json(paths.clone()),
        MergeAction::Move { .. }
        | MergeAction::AddResolutionTask(_)
        | MergeAction::KeepTaskBase(_)
        | MergeAction::SendBack(_)
        | MergeAction::CloseTicket
        | MergeAction::BlockWaiting
        | MergeAction::FreeDependents
        | MergeAction::AskPeople => return false,
    }
    true
}

/// Asks people what becomes of the conflict of `merge`, which nobody resolved.
async fn ask_people(tx: &mut Tx, merge: &Merge, task: &Task) -> Result<(), StoreError> {
    let question = ConflictQuestion {
        number: task.number,
        title: &task.title,
        paths: &merge.conflicts.0,
        error: merge.error.as_deref().unwrap_or_default(),
    };
    approvals::ask_about_conflict(tx, merge, task, question.to_string()).await?;
    Ok(())
}

/// Writes the task that resolves the conflict of `merge`, whose commits are those of `source`.
async fn add_resolution_task(
    tx: &mut Tx,
    merge: &Merge,
    source: &Task,
    new: NewResolutionTask,
) -> Result<TaskId, StoreError> {
    tickets::hold_ticket(tx, source.ticket_id).await?;
    let number = take_numbers(tx, source.project_id, NumberCounter::Task, 1).await?;
    let fresh = source.fresh(tx);
    let task = Task {
        number,
        local_id: new.local_id,
        description: new.description,
        task_type: TaskType::ResolveConflict,
        priority: new.priority,
        files: merge.conflicts.clone(),
        branch: task_branch(fresh.id, &new.title),
        title: new.title,
        resolves_merge_id: Some(merge.id),
        ..fresh
    };
    tasks::insert(tx, &task).await?;
    Ok(task.id)
}

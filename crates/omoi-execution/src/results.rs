//! What agents and people say came of tasks and tickets, and what follows when it is judged.

use std::collections::BTreeSet;

use omoi_domain::actor::Actor;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ProjectId, TaskId, TicketId};
use omoi_domain::lifecycle::work_result::{
    ResultJudgement, WorkflowResultFacts, judge_task_result, judge_workflow_result, tasks_to_stop,
    verification_by_move,
};
use omoi_domain::work_result::{
    OPEN_RESULTS_MAX, OnResultFound, ResultRefusal, ResultScope, ResultType, WorkflowResultStatus,
    check_result,
};
use omoi_protocol::worker::{ReportResult, ResultAck};
use omoi_store::attempts::Attempt;
use omoi_store::task_results::{self, NewTaskResult, TaskResult};
use omoi_store::tasks::{self, Task};
use omoi_store::workflow_results::{
    self, NewWorkflowResult, ResultCriteria, WorkflowResult, WorkflowVerdict,
};
use omoi_store::{StoreError, Tenant, Tx, tickets};

use crate::intake::{IntakeError, lock_attempt};
use crate::tasks::{cancel, of_attempt};

/// Why a result was not taken or judged; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum ResultCommandError {
    /// It is against the rules of results.
    #[error(transparent)]
    Refused(#[from] ResultRefusal),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// Takes what whoever acts says came of a task. The same words again are the same result, as long as nobody has judged it.
///
/// # Errors
/// [`ResultCommandError`] where it cannot be one.
pub(crate) async fn take_task_result(
    tx: &mut Tx,
    task: TaskId,
    new: NewTaskResult,
) -> Result<TaskResult, ResultCommandError> {
    check_result(&new.content, &new.summary)?;
    // Of two that come at once, the second is counted with the first.
    tasks::hold_tasks(tx, [task]).await?;
    let task = tasks::get(tx, task).await?;
    let known = task_results::list_unverified(tx, task.id).await?;
    let actor = tx.current_actor();
    let is_same = |result: &TaskResult| result.actor == actor && result.content == new.content;
    if let Some(same) = known.into_iter().find(is_same) {
        return Ok(same);
    }
    if task_results::count_of_task(tx, task.id).await? >= OPEN_RESULTS_MAX {
        return Err(ResultRefusal::TooMany.into());
    }
    Ok(task_results::insert_result(tx, &task, new).await?)
}

/// Takes what whoever acts says came of a ticket, which asks for a result. The same words again are the same result.
///
/// # Errors
/// [`ResultCommandError`] where it cannot be one.
pub(crate) async fn take_workflow_result(
    tx: &mut Tx,
    ticket: TicketId,
    (summary, content): (String, String),
) -> Result<WorkflowResult, ResultCommandError> {
    check_result(&content, &summary)?;
    tickets::hold_ticket(tx, ticket).await?;
    let ticket = tickets::get(tx, ticket).await?;
    let criteria = workflow_results::find_criteria(tx, ticket.id).await?;
    let ResultCriteria { criteria, .. } = criteria.ok_or(ResultRefusal::NoCriteria)?;
    let validated = WorkflowResultStatus::Validated;
    let validated = workflow_results::list_with_status(tx, ticket.id, validated).await?;
    if !validated.is_empty() {
        return Err(ResultRefusal::AlreadyValidated.into());
    }
    let pending = WorkflowResultStatus::PendingValidation;
    let mut pending = workflow_results::list_with_status(tx, ticket.id, pending).await?;
    let actor = tx.current_actor();
    let is_same = |result: &WorkflowResult| result.actor == actor && result.content == content;
    if let Some(at) = pending.iter().position(is_same) {
        return Ok(pending.swap_remove(at));
    }
    if pending.len() >= OPEN_RESULTS_MAX as usize {
        return Err(ResultRefusal::TooMany.into());
    }
    let new = NewWorkflowResult {
        summary,
        content,
        criteria: criteria.0,
    };
    Ok(workflow_results::insert_result(tx, &ticket, new).await?)
}

/// Judges a result of a task.
///
/// # Errors
/// [`ResultCommandError`] where that cannot be said of it.
pub(crate) async fn judge_of_task(
    tx: &mut Tx,
    mut result: TaskResult,
    said: &ResultJudgement,
) -> Result<TaskResult, ResultCommandError> {
    let to = judge_task_result(result.status, said)?;
    task_results::judge_result(tx, &mut result, to, Some(&said.feedback)).await?;
    Ok(result)
}

/// Judges a result of a ticket; where it meets the criteria, what the ticket says of that follows.
///
/// # Errors
/// [`ResultCommandError`] where that cannot be said of it.
pub(crate) async fn judge_of_workflow(
    tx: &mut Tx,
    mut result: WorkflowResult,
    said: &ResultJudgement,
) -> Result<WorkflowResult, ResultCommandError> {
    let ticket = result.ticket_id;
    let validated = WorkflowResultStatus::Validated;
    let validated = workflow_results::list_with_status(tx, ticket, validated).await?;
    let to = judge_workflow_result(
        &WorkflowResultFacts {
            status: result.status,
            criteria: &result.criteria.0,
            has_validated: !validated.is_empty(),
        },
        said,
    )?;
    if to == WorkflowResultStatus::Validated {
        let criteria = workflow_results::find_criteria(tx, ticket).await?;
        let follows = criteria.map_or(OnResultFound::StopAll, |set| set.on_result_found);
        stop_ticket(tx, ticket, follows).await?;
    }
    let verdict = WorkflowVerdict {
        to,
        feedback: said.feedback.clone(),
        unmet: said.unmet.clone(),
    };
    workflow_results::judge_result(tx, &mut result, verdict).await?;
    Ok(result)
}

/// Cancels what is not over of a ticket, where that follows from its result; whatever runs is stopped by the reaper.
async fn stop_ticket(
    tx: &mut Tx,
    ticket: TicketId,
    follows: OnResultFound,
) -> Result<(), StoreError> {
    let seen = tasks::of_ticket(tx, ticket).await?;
    let specs: BTreeSet<_> = seen.iter().map(|task| task.spec_id).collect();
    // Before the first row is written: rows are locked in the order of their ids.
    for spec in specs {
        tasks::hold_of_spec(tx, spec).await?;
    }
    let held = tasks::of_ticket(tx, ticket).await?;
    let standing = held.iter().map(|task| (task.id, task.status));
    for id in tasks_to_stop(follows, standing) {
        let mut task = tasks::get(tx, id).await?;
        cancel(tx, &mut task, "the result of its ticket was validated").await?;
    }
    Ok(())
}

/// Judges what the agents of `task` said came of it, where a move says something of that: its checks passed, or it was sent
/// back.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn settle_results(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let Some((to, why)) = verification_by_move(task.status) else {
        return Ok(());
    };
    for mut result in task_results::list_unverified(tx, task.id).await? {
        if matches!(result.actor, Actor::Agent(_)) {
            task_results::judge_result(tx, &mut result, to, Some(why)).await?;
        }
    }
    Ok(())
}

/// Takes what the agent of `attempt` says came of its task, or of the ticket of that.
///
/// # Errors
/// [`IntakeError::Refused`] with what the agent can mend; [`IntakeError::Superseded`] when the attempt is over.
pub async fn report_result(
    store: &Tenant,
    attempt: &Attempt,
    report: ReportResult,
) -> Result<ResultAck, IntakeError> {
    let take = async |tx: &mut Tx| {
        let current = lock_attempt(tx, attempt.id).await?;
        let Some(task) = of_attempt(tx, &current).await? else {
            let says = "only the agents of tasks report results";
            return Err(IntakeError::Refused(says.to_owned()));
        };
        let (summary, content) = (report.summary, report.markdown);
        match report.scope {
            ResultScope::Task => {
                let new = NewTaskResult {
                    result_type: report.result_type.unwrap_or(ResultType::Implementation),
                    summary,
                    content,
                };
                let taken = take_task_result(tx, task.id, new).await;
                let taken = taken.map_err(refuse_agent)?;
                Ok(ResultAck::Task {
                    result_id: taken.id,
                    status: taken.status,
                })
            }
            ResultScope::Workflow => {
                let said = (summary, content);
                let taken = take_workflow_result(tx, task.ticket_id, said).await;
                let taken = taken.map_err(refuse_agent)?;
                Ok(ResultAck::Workflow {
                    result_id: taken.id,
                    status: taken.status,
                })
            }
        }
    };
    store.write(CrashPoint::ResultMoved, take).await
}

fn refuse_agent(error: ResultCommandError) -> IntakeError {
    match error {
        ResultCommandError::Store(store) => IntakeError::Store(store),
        ResultCommandError::Refused(refusal) => IntakeError::Refused(refusal.to_string()),
    }
}

/// Hides rows of other projects from a caller of one.
pub(crate) fn expect_project(
    project: ProjectId,
    only: Option<ProjectId>,
    key: &impl ToString,
) -> Result<(), StoreError> {
    match only.is_some_and(|only| only != project) {
        true => Err(StoreError::NotFound {
            what: "result",
            key: key.to_string(),
        }),
        false => Ok(()),
    }
}

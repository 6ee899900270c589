//! `omoi task retry`.

use tracing::info;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::lifecycle::spec::spec_of_retried_task;
use omoi_execution::commands::TaskCommandError;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_execution::tasks::keeper_of;
use omoi_store::tasks::{self, Task};
use omoi_store::{Tenant, Tx, projects, specs};

use super::SpecCommandError;
use super::spec_changes::{explain_refusal, read_spec_facts};
use super::spec_model::adopt_model;

/// Puts a failed task back into the queue, and its spec to work where it stopped for want of it.
///
/// # Errors
/// [`SpecCommandError::NotPlanned`], [`SpecCommandError::OtherModel`], [`SpecCommandError::Waits`];
/// [`TaskCommandError::InvalidMove`] when the task cannot go on.
pub async fn retry_task(
    selection: &SpecSelection,
    tenant: &Tenant,
    id: TaskId,
) -> Result<Task, SpecCommandError> {
    let retried = tenant.write(CrashPoint::TaskMoved, async |tx| {
        let mut task = tasks::get(tx, id).await?;
        expect_no_lost_prerequisite(tx, &task).await?;
        let status = task.status;
        let retried = omoi_execution::tasks::retry_by_person(tx, &mut task).await;
        let why = "only one that failed, was cancelled or waits is tried again";
        retried.map_err(|error| TaskCommandError::of_move(&task, status, why, error))?;
        tx.record_act(AuditAct::done_to(AuditAction::TaskRetried, id));
        let mut spec = specs::get(tx, task.spec_id).await?;
        let is_renamed = adopt_model(selection, tx, &mut spec).await?;
        let facts = read_spec_facts(tx, &spec).await?;
        match spec_of_retried_task(facts, spec.options.0.as_it_stands) {
            Ok(actions) => apply_to_spec(tx, &mut spec, actions, is_renamed).await?,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        }
        Ok(task)
    });
    let task = retried.await?;
    selection.scope.ask_for(task.spec_id);
    info!(task.id = %task.id, status = %task.status, "A person tries TSK-{:03} again", task.number);
    Ok(task)
}

async fn expect_no_lost_prerequisite(tx: &mut Tx, task: &Task) -> Result<(), SpecCommandError> {
    let Some(lost) = keeper_of(tx, task).await? else {
        return Ok(());
    };
    let names = projects::names(tx).await?;
    let name = |task: &Task| names.reference(task.project_id, HumanRef::task(task.number));
    Err(SpecCommandError::Waits {
        task: name(task),
        on: name(&lost),
        status: lost.status,
    })
}

//! What people ask of a spec.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::plan::outputs::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::task::TaskStatus;
use omoi_execution::Platform;
use omoi_store::phases::{self, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx};

/// Releases the tasks of a planned spec.
///
/// # Errors
/// [`StoreError::Transition`] when it is not planned.
pub async fn approve(platform: &Platform, id: SpecId) -> Result<Spec, StoreError> {
    let mut tx = platform.store.write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    if spec.status != SpecStatus::Working {
        specs::transition(&mut tx, &mut spec, SpecStatus::Working, None).await?;
        tx.commit(CrashPoint::SpecMoved).await?;
    }
    Ok(spec)
}

/// Takes a failed or blocked spec up where it stopped: the phase at fault runs again, or its failed
/// tasks go back into the queue. One that runs already, or is delivered, is left alone: it may have
/// been while the person asked.
///
/// # Errors
/// [`StoreError::Transition`] when it is cancelled.
pub async fn resume(platform: &Platform, id: SpecId) -> Result<Spec, StoreError> {
    let mut tx = platform.store.write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    match spec.status {
        SpecStatus::Executing
        | SpecStatus::Working
        | SpecStatus::Completed
        | SpecStatus::Delivered => return Ok(spec),
        _ => {}
    }
    if spec.current_phase == Phase::Complete.as_str() {
        for mut task in tasks::of_spec(&mut tx, id).await? {
            if task.status == TaskStatus::Failed {
                omoi_execution::tasks::retry(&mut tx, &mut task).await?;
            }
        }
        specs::transition(&mut tx, &mut spec, SpecStatus::Working, None).await?;
    } else {
        reopen(&mut tx, &spec).await?;
        specs::transition(&mut tx, &mut spec, SpecStatus::Executing, None).await?;
    }
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(spec)
}

/// Puts a failed task back into the queue, and its spec to work where it stopped for want of it.
///
/// # Errors
/// [`StoreError::Transition`] when the task or its spec cannot go on.
pub async fn retry_task(tx: &mut Tx, task: &mut Task) -> Result<(), StoreError> {
    omoi_execution::tasks::retry(tx, task).await?;
    let mut spec = specs::get(tx, task.spec_id).await?;
    if spec.status == SpecStatus::Working {
        return Ok(());
    }
    specs::transition(tx, &mut spec, SpecStatus::Working, None).await
}

/// Gives the phase at fault all its attempts again; its items and feedback stay.
async fn reopen(tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
    for mut run in phases::of_spec(tx, spec.id).await? {
        let at_fault = run.state == PhaseState::Failed
            || (run.state == PhaseState::Passed && run.phase == spec.current_phase);
        if at_fault {
            run.attempts = 0;
            run.waiting_since = None;
            let reason = Some("resumed by a person".to_owned());
            let verdict = Verdict {
                reason,
                ..Verdict::default()
            };
            phases::transition(tx, spec.project_id, &mut run, PhaseState::Pending, verdict).await?;
        }
    }
    Ok(())
}

/// Calls a spec off. What runs for it is stopped; what was done stays where it is.
///
/// # Errors
/// [`StoreError::Transition`] when it is over already.
pub async fn cancel(platform: &Platform, id: SpecId) -> Result<Spec, StoreError> {
    let mut tx = platform.store.write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    for mut task in tasks::of_spec(&mut tx, id).await? {
        if !task.status.is_final() {
            let reason = Some("its spec was cancelled".to_owned());
            tasks::transition(&mut tx, &mut task, TaskStatus::Cancelled, reason).await?;
        }
    }
    let reason = Some("cancelled by a person".to_owned());
    specs::transition(&mut tx, &mut spec, SpecStatus::Cancelled, reason).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(spec)
}

/// Changes a spec's title; every phase runs again with it.
///
/// # Errors
/// When the database cannot be written.
pub async fn retitle(platform: &Platform, id: SpecId, title: &str) -> Result<Spec, StoreError> {
    let mut tx = platform.store.write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    title.clone_into(&mut spec.title);
    specs::save(&mut tx, &mut spec).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(spec)
}

//! Applies what the transitions of specs decide.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use omoi_domain::block::SpecBlock;
use omoi_domain::lifecycle::spec::SpecAction;
use omoi_domain::phase::{Phase, PhaseVerdict};
use omoi_domain::retry::PhaseFailure;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::task::TaskStatus;
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tx, approvals, phases, tasks};

use crate::tickets::{follow_spec_move, release_tickets_of};

/// Applies `actions` in order. A move writes every changed field; what changes after the last one is
/// saved at the end. `is_changed` says that a field of `spec` was changed before.
///
/// # Errors
/// When the database cannot be written.
pub fn apply_to_spec<'a>(
    tx: &'a mut Tx,
    spec: &'a mut Spec,
    actions: Vec<SpecAction>,
    is_changed: bool,
) -> BoxFuture<'a, Result<(), StoreError>> {
    // Boxed as `apply_to_task` is.
    apply_spec_actions(tx, spec, actions, is_changed).boxed()
}

async fn apply_spec_actions(
    tx: &mut Tx,
    spec: &mut Spec,
    actions: Vec<SpecAction>,
    mut is_changed: bool,
) -> Result<(), StoreError> {
    let cancelled = actions.iter().filter_map(|action| match action {
        SpecAction::CancelTask { task, .. } => Some(*task),
        _ => None,
    });
    tasks::hold_tasks(tx, cancelled).await?;
    for action in actions {
        match action {
            SpecAction::Move { to, reason } => {
                move_spec(tx, spec, to, reason).await?;
                is_changed = false;
            }
            SpecAction::Block { block, reason } => {
                block_spec(tx, spec, block, reason).await?;
                is_changed = false;
            }
            SpecAction::SetCurrentPhase(phase) => {
                is_changed |= spec.current_phase != phase;
                spec.current_phase = phase;
            }
            SpecAction::SetAsItStands(wanted) => {
                is_changed |= spec.options.0.as_it_stands != wanted;
                spec.options.0.as_it_stands = wanted;
            }
            SpecAction::ReopenPhase(phase) => reopen_phase(tx, spec, phase).await?,
            SpecAction::ReturnPhase { phase, feedback } => {
                return_phase(tx, spec, phase, feedback).await?;
            }
            SpecAction::FailPhase { phase, failure } => {
                fail_phase(tx, spec, phase, failure).await?;
            }
            SpecAction::CancelTask { task, reason } => {
                let mut task = tasks::get(tx, task).await?;
                tasks::transition(tx, &mut task, TaskStatus::Cancelled, Some(reason)).await?;
            }
        }
    }
    if is_changed {
        specs::save(tx, spec).await?;
    }
    Ok(())
}

/// Moves a spec; its tickets are built once its tasks may run.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn move_spec(
    tx: &mut Tx,
    spec: &mut Spec,
    to: SpecStatus,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let from = spec.status;
    specs::transition(tx, spec, to, reason).await?;
    follow_spec_move(tx, spec, from).await?;
    match to {
        SpecStatus::Working => {
            approvals::withdraw_of_spec(tx, spec.id).await?;
            release_tickets_of(tx, spec.id).await
        }
        SpecStatus::Cancelled => {
            approvals::withdraw_of_spec(tx, spec.id).await?;
            approvals::withdraw_conflicts_of_spec(tx, spec.id).await
        }
        SpecStatus::Delivered => approvals::withdraw_conflicts_of_spec(tx, spec.id).await,
        // Whoever decides about a conflict has a failed spec go on.
        SpecStatus::Completed | SpecStatus::Failed => {
            approvals::withdraw_of_spec(tx, spec.id).await
        }
        SpecStatus::Draft | SpecStatus::Executing | SpecStatus::Blocked => Ok(()),
    }
}

/// Has a spec wait for `block`; what works for it is held up with it.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn block_spec(
    tx: &mut Tx,
    spec: &mut Spec,
    block: SpecBlock,
    reason: String,
) -> Result<(), StoreError> {
    let from = spec.status;
    specs::block(tx, spec, block, reason).await?;
    follow_spec_move(tx, spec, from).await
}

async fn reopen_phase(tx: &mut Tx, spec: &Spec, phase: Phase) -> Result<(), StoreError> {
    let mut run = phases::ensure(tx, spec.id, phase).await?;
    run.attempts = 0;
    let told = PhaseVerdict::with_reason("resumed by a person");
    phases::transition(tx, spec.project_id, &mut run, PhaseState::Pending, told).await
}

async fn return_phase(
    tx: &mut Tx,
    spec: &Spec,
    phase: Phase,
    feedback: String,
) -> Result<(), StoreError> {
    let mut run = phases::ensure(tx, spec.id, phase).await?;
    run.attempts = 0;
    run.feedback = Some(feedback);
    let told = PhaseVerdict::with_reason("returned by a person");
    phases::transition(tx, spec.project_id, &mut run, PhaseState::Pending, told).await
}

async fn fail_phase(
    tx: &mut Tx,
    spec: &Spec,
    phase: Phase,
    failure: PhaseFailure,
) -> Result<(), StoreError> {
    let mut run = phases::ensure(tx, spec.id, phase).await?;
    let told = PhaseVerdict::with_reason(failure.as_str());
    phases::transition(tx, spec.project_id, &mut run, PhaseState::Failed, told).await
}

//! Applies what the rules of phases decide, in one transaction.

use tracing::info;

use omoi_domain::attempt::{AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, PlanningEnded};
use omoi_domain::id::AttemptId;
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::lifecycle::phase::PhaseAction;
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::PhaseState;
use omoi_domain::time::Timestamp;
use omoi_execution::attempt;
use omoi_execution::failure_policy::FailurePolicy;
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::specs::{block_spec, move_spec};
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::reconcile::Next;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tenant, Tx, attempts, opinions};

use super::documents::hand_document_over;
use super::plan_rows::write_plan;
use crate::gate::JudgedOutput;
use crate::sync::ApplyError;

/// Writes what was decided of phases.
#[derive(Clone)]
pub(super) struct PhaseWriter {
    /// The rows it reads and writes.
    pub(super) store: Tenant,
    /// What an ended attempt means for its work.
    pub(super) failures: FailurePolicy,
    /// Attempts of this process, which may have to stop.
    pub(super) running: RunningAttempts,
}

impl FromParts for PhaseWriter {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            failures: FailurePolicy::from_parts(parts),
            running: parts.running.clone(),
        }
    }
}

/// A phase of a spec as it was read.
#[derive(Clone, Copy)]
pub(super) struct SpecPhase<'a> {
    /// The spec.
    pub(super) spec: &'a Spec,
    /// The phase.
    pub(super) run: &'a PhaseRun,
}

/// What is decided at the database's time, and what it needs.
pub(super) struct PhaseDecision<'a, D> {
    /// Names the commit.
    pub(super) point: CrashPoint,
    /// The accepted output of sync, where the plan is to be written.
    pub(super) plan: Option<&'a JudgedOutput>,
    /// Decides.
    pub(super) decide: D,
}

impl<D> PhaseDecision<'_, D> {
    /// One that moves the phase.
    pub(super) fn new(decide: D) -> Self {
        Self {
            point: CrashPoint::PhaseMoved,
            plan: None,
            decide,
        }
    }
}

/// Applies a decision in a transaction of its own.
///
/// # Errors
/// [`ApplyError`]; nothing is written then.
pub(super) async fn change_phase<D: FnOnce(Timestamp) -> Vec<PhaseAction>>(
    writer: &PhaseWriter,
    phase: SpecPhase<'_>,
    decision: PhaseDecision<'_, D>,
) -> Result<Next, ApplyError> {
    let PhaseDecision {
        point,
        plan,
        decide,
    } = decision;
    let changed = writer.store.write(point, async |tx| {
        let mut change = PhaseChangeset::new(phase);
        change.plan = plan;
        let actions = decide(tx.now());
        change.apply(tx, &writer.failures, actions).await?;
        Ok::<_, ApplyError>(change)
    });
    let changed = changed.await?;
    changed.log_state();
    changed.stop_ended_attempt(&writer.running);
    Ok(match changed.run.state {
        PhaseState::Backoff => Next::At(changed.run.not_before),
        PhaseState::Passed => Next::Now,
        PhaseState::Pending | PhaseState::Running | PhaseState::Failed => Next::Idle,
    })
}

/// A spec and its phase while actions are applied to them.
pub(super) struct PhaseChangeset<'a> {
    /// The spec as it stands now.
    pub(super) spec: Spec,
    /// The phase as it stands now.
    pub(super) run: PhaseRun,
    plan: Option<&'a JudgedOutput>,
    /// An attempt that was ended and may still run here.
    ended: Option<AttemptId>,
    is_spec_changed: bool,
    is_run_changed: bool,
}

impl PhaseChangeset<'_> {
    pub(super) fn new(phase: SpecPhase<'_>) -> Self {
        Self {
            spec: phase.spec.clone(),
            run: phase.run.clone(),
            plan: None,
            ended: None,
            is_spec_changed: false,
            is_run_changed: false,
        }
    }

    /// Applies `actions` in order. A move writes every changed field; what changes after the last one is
    /// saved at the end.
    pub(super) async fn apply(
        &mut self,
        tx: &mut Tx,
        failures: &FailurePolicy,
        actions: Vec<PhaseAction>,
    ) -> Result<(), ApplyError> {
        for action in actions {
            if let Some(action) = self.keep_field(action) {
                self.apply_one(tx, failures, action).await?;
            }
        }
        if self.is_run_changed {
            phases::save(tx, &mut self.run).await?;
        }
        if self.is_spec_changed {
            specs::save(tx, &mut self.spec).await?;
        }
        Ok(())
    }

    /// Logs where the phase stands, once that is committed.
    fn log_state(&self) {
        let (spec, run) = (&self.spec, &self.run);
        let (phase, state, number) = (run.phase, run.state, spec.number);
        info!(
            spec.id = %spec.id, %phase, %state, score = run.score, attempts = run.attempts,
            spec.status = %spec.status, "Phase {phase} of SPEC-{number} is {state}"
        );
    }

    /// Stops the sandbox of an attempt that was ended, once that is committed.
    pub(super) fn stop_ended_attempt(&self, running: &RunningAttempts) {
        if let Some(attempt) = self.ended {
            running.kill_sandbox(attempt);
        }
    }

    /// Takes an action that only changes fields into its row; gives any other one back.
    fn keep_field(&mut self, action: PhaseAction) -> Option<PhaseAction> {
        let run = &mut self.run;
        match action {
            PhaseAction::SetAttempts(attempts) => run.attempts = attempts,
            PhaseAction::KeepScore(score) => run.score = Some(score),
            PhaseAction::KeepFeedback(feedback) => run.feedback = Some(feedback),
            PhaseAction::KeepRejected { score, output } => {
                run.rejected_score = Some(score);
                run.rejected_output = output.map(Json);
            }
            PhaseAction::AcceptOutput { output, digest } => {
                run.output_digest = Some(digest);
                run.output = Some(Json(output));
            }
            PhaseAction::SetInputDigest(digest) => run.input_digest = Some(digest),
            PhaseAction::WaitUntil(at) => run.not_before = at,
            PhaseAction::LeaveFeedback { phase, feedback } if phase == run.phase => {
                run.feedback = Some(feedback);
            }
            PhaseAction::SetCurrentPhase(phase) => {
                self.spec.current_phase = phase;
                self.is_spec_changed = true;
                return None;
            }
            other => return Some(other),
        }
        self.is_run_changed = true;
        None
    }

    async fn apply_one(
        &mut self,
        tx: &mut Tx,
        failures: &FailurePolicy,
        action: PhaseAction,
    ) -> Result<(), ApplyError> {
        let (spec, run) = (&mut self.spec, &mut self.run);
        match action {
            PhaseAction::Move { to, verdict } => {
                phases::transition(tx, spec.project_id, run, to, verdict).await?;
                self.is_run_changed = false;
            }
            PhaseAction::TellVerdict(verdict) => {
                phases::emit_verdict(tx, spec.project_id, run, verdict);
            }
            PhaseAction::DropOutput => self.drop_output(tx).await?,
            PhaseAction::EndAttempt { reason } => {
                self.ended = end_live_attempt(tx, failures, run, reason).await?;
            }
            PhaseAction::MarkDoubtsSent => opinions::mark_sent_back(tx, spec.id).await?,
            PhaseAction::LeaveFeedback { phase, feedback } => {
                let mut other = phases::ensure(tx, spec.id, phase).await?;
                other.feedback = Some(feedback);
                phases::save(tx, &mut other).await?;
            }
            PhaseAction::KeepDocument => hand_document_over(tx, spec, run).await?,
            PhaseAction::WritePlan => write_plan(tx, spec, self.plan).await?,
            PhaseAction::EndPlanning { failed_phase } => {
                end_planning(tx, spec, failed_phase).await?;
            }
            PhaseAction::MoveSpec { to, reason } => {
                move_spec(tx, spec, to, reason).await?;
                self.is_spec_changed = false;
            }
            PhaseAction::BlockSpec { block, reason } => {
                block_spec(tx, spec, block, reason).await?;
                self.is_spec_changed = false;
            }
            PhaseAction::SetAttempts(_)
            | PhaseAction::KeepScore(_)
            | PhaseAction::KeepFeedback(_)
            | PhaseAction::KeepRejected { .. }
            | PhaseAction::AcceptOutput { .. }
            | PhaseAction::SetInputDigest(_)
            | PhaseAction::WaitUntil(_)
            | PhaseAction::SetCurrentPhase(_) => {}
        }
        Ok(())
    }

    async fn drop_output(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let run = &mut self.run;
        run.output = None;
        run.output_digest = None;
        run.feedback = None;
        run.started_at = None;
        self.is_run_changed = true;
        phases::clear_items(tx, run.spec_id, run.phase).await
    }
}

/// Ends the live attempt at a phase, if there is one, so that nothing goes on from it.
async fn end_live_attempt(
    tx: &mut Tx,
    failures: &FailurePolicy,
    run: &PhaseRun,
    reason: String,
) -> Result<Option<AttemptId>, StoreError> {
    let subject = AttemptSubject::SpecPhase { phase: run.phase };
    let Some(mut attempt) = attempts::live(tx, run.spec_id, subject).await? else {
        return Ok(None);
    };
    let loss = AttemptLoss {
        state: AttemptState::Failed,
        stop_reason: AttemptStopReason::Superseded,
        class: ErrorClass::Unknown,
        message: reason,
        counts: false,
    };
    attempt::lose_attempt(tx, failures, &mut attempt, loss).await?;
    Ok(Some(attempt.id))
}

/// Tells, once per run, that planning ended.
pub(crate) async fn end_planning(
    tx: &mut Tx,
    spec: &Spec,
    failed: Option<Phase>,
) -> Result<(), StoreError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let passed = Phase::ALL_WORKING.into_iter().filter(|p| {
        runs.iter()
            .any(|r| r.phase == *p && r.state == PhaseState::Passed)
    });
    let event = Event::AgentCompleted(PlanningEnded {
        spec_id: spec.id,
        success: failed.is_none(),
        phases_completed: passed.collect(),
        failed_phase: failed,
    });
    tx.emit(Some(spec.project_id), Some(spec.id), event);
    Ok(())
}

//! What follows when an attempt at a phase ended: passed, refused, or the plan is not ready.

use serde::Deserialize as _;
use serde_json::Value;
use tracing::{debug, info};

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::phase::{
    FailedPhaseAttempt, PassedOutput, PhaseOutage, PhaseRefusal, PlanBlocker, PostponedPhase,
    RefusalFacts, RefusedOutput, SpentPhase, block_not_ready, block_spent_phase,
    judge_failed_attempt, pass_phase, postpone_phase, provider_failed_phase, refuse_phase,
};
use omoi_domain::lifecycle::ticket::document_place;
use omoi_domain::phase::{Phase, PhaseVerdict};
use omoi_domain::retry::{ErrorClass, PhaseFailure};
use omoi_execution::outage;
use omoi_plan::evaluate::PhaseEvaluation;
use omoi_plan::finding::RuleFinding;
use omoi_plan::outputs::TasksOutput;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::attempts::Attempt;
use omoi_store::projects;

use super::documents::conclude_document;
use super::phase_change::{PhaseDecision, PhaseWriter, SpecPhase, change_phase};
use super::step::PhaseDriver;
use crate::gate::{INVALID_OUTPUT, JudgedOutput};
use crate::gate_facts::judge_phase;
use crate::planner::output_digest;
use crate::proofs;
use crate::second_opinion::{self, OpinionStanding};
use crate::sync::ApplyError;

/// What the gate's verdict means for a phase.
enum PhaseConclusion {
    /// A second opinion is not known yet.
    Open,
    /// The whole plan cannot be worked on.
    NotReady(PlanBlocker),
    /// The output is accepted.
    Passed(Value),
    /// It is not.
    Refused(PhaseRefusal),
}

/// Judges what an attempt submitted, once its proofs ran and a second opinion on it is known.
pub(super) async fn conclude_attempt(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
    attempt: &Attempt,
) -> Result<Next, BoxError> {
    let SpecPhase { spec, run } = at;
    if let Some(place) = document_place(run.phase) {
        return conclude_document(driver, at, place).await;
    }
    let is_of_tasks = run.phase == Phase::Tasks;
    if is_of_tasks && proofs::run_open(&driver.runner, spec, run, attempt.created_at).await? {
        return Ok(Next::Idle);
    }
    let judged = judge_phase(&driver.gate, spec, run.phase).await?;
    let (score, passed) = (judged.evaluation.score, judged.evaluation.passed);
    let blockers = judged.evaluation.blockers.iter();
    let blockers: Vec<&str> = blockers.map(|b| b.code.as_str()).collect();
    debug!(spec.id = %spec.id, phase = %run.phase, score, passed, ?blockers, "Judged an output");
    let opinion = match judged
        .output
        .as_ref()
        .filter(|_| is_of_tasks && judged.evaluation.passed)
    {
        Some(output) => {
            let tasks = TasksOutput::deserialize(output)?;
            second_opinion::standing(&driver.asker, spec, run, &tasks).await?
        }
        None => OpinionStanding::GoOn,
    };
    match conclude(&judged, opinion) {
        PhaseConclusion::Open => Ok(Next::Idle),

        PhaseConclusion::NotReady(fault) => {
            block(&driver.writer, at, &judged.evaluation, fault).await
        }
        PhaseConclusion::Passed(output) => pass(&driver.writer, at, &judged, output).await,
        PhaseConclusion::Refused(refusal) => refuse_phase_run(driver, at, refusal).await,
    }
}

/// Handles an attempt that ended in an error rather than an output.
pub(super) async fn handle_failure(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
    attempt: &Attempt,
) -> Result<Next, BoxError> {
    let class = attempt.error_class.unwrap_or(ErrorClass::Unknown);
    let message = attempt.error_message.clone().unwrap_or_default();
    let (id, phase) = (attempt.id, at.run.phase);
    info!(attempt.id = %id, %phase, %class, error = message, "An attempt at phase {phase} failed");
    match judge_failed_attempt(class, &message) {
        FailedPhaseAttempt::Refused(refusal) => refuse_phase_run(driver, at, refusal).await,
        FailedPhaseAttempt::OverBudget => {
            let spent = SpentPhase {
                phase,
                attempts: at.run.attempts,
                refusal: message,
            };
            let decision = PhaseDecision::new(|_| block_spent_phase(spent));
            Ok(change_phase(&driver.writer, at, decision).await?)
        }
        FailedPhaseAttempt::Provider => {
            let outage = PhaseOutage {
                phase: at.run.phase,
                attempts: at.run.attempts,
                reason: outage::outage_reason(class, &message),
                step: outage::step_of(
                    &driver.writer.store,
                    &driver.writer.failures,
                    attempt,
                    class,
                )
                .await?,
                message,
            };
            let decision = PhaseDecision::new(|_| provider_failed_phase(outage));
            Ok(change_phase(&driver.writer, at, decision).await?)
        }
    }
}

/// Has a phase wait whose attempt could not start since something outside did not answer.
pub(super) async fn postpone_start(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
    attempt: &Attempt,
) -> Result<Next, BoxError> {
    let (phase, spec_id) = (at.run.phase, at.run.spec_id);
    let subject = AttemptSubject::SpecPhase { phase };
    let step = driver
        .writer
        .store
        .read(async |tx| outage::postponed_start_step(tx, spec_id, subject).await);
    let postponed = PostponedPhase {
        phase,
        attempts: at.run.attempts,
        message: attempt.error_message.clone().unwrap_or_default(),
        step: step.await?,
    };
    let decision = PhaseDecision::new(|_| postpone_phase(postponed));
    Ok(change_phase(&driver.writer, at, decision).await?)
}

/// Decides what the gate's verdict and the second opinion mean.
fn conclude(judged: &JudgedOutput, opinion: OpinionStanding) -> PhaseConclusion {
    match opinion {
        OpinionStanding::Open => return PhaseConclusion::Open,
        OpinionStanding::SendBack(says) => return PhaseConclusion::Refused(doubt(says, judged)),
        OpinionStanding::GoOn => {}
    }
    if let Some(fault) = not_ready(judged) {
        return PhaseConclusion::NotReady(fault);
    }
    match judged.output.clone() {
        Some(output) if judged.evaluation.passed => PhaseConclusion::Passed(output),
        output => {
            let is_unreadable = |found: &RuleFinding| found.code == INVALID_OUTPUT;
            let kind = match judged.evaluation.blockers.iter().any(is_unreadable) {
                true => PhaseFailure::InvalidOutput,
                false => PhaseFailure::EvaluationFailed,
            };
            PhaseConclusion::Refused(PhaseRefusal {
                kind,
                feedback: judged.evaluation.feedback.clone(),
                output: Some(refused_output(&judged.evaluation, output)),
                is_last: false,
                is_doubt: false,
            })
        }
    }
}

/// What a second opinion says against an output that passed its gate.
fn doubt(says: String, judged: &JudgedOutput) -> PhaseRefusal {
    PhaseRefusal {
        kind: PhaseFailure::EvaluationFailed,
        feedback: says,
        output: Some(refused_output(&judged.evaluation, judged.output.clone())),
        is_last: false,
        is_doubt: true,
    }
}

fn refused_output(evaluation: &PhaseEvaluation, output: Option<Value>) -> RefusedOutput {
    RefusedOutput {
        verdict: verdict(evaluation),
        score: evaluation.score,
        output,
    }
}

fn verdict(evaluation: &PhaseEvaluation) -> PhaseVerdict {
    PhaseVerdict {
        score: Some(evaluation.score),
        passed: Some(evaluation.passed),
        blockers: evaluation.blockers.iter().map(|b| b.code.clone()).collect(),
        reason: None,
    }
}

/// What sync found missing.
fn not_ready(judged: &JudgedOutput) -> Option<PlanBlocker> {
    let sync = judged.sync.as_ref().filter(|s| !s.ready_for_execution)?;
    let lines: Vec<&str> = sync.blockers.iter().map(|b| b.message.as_str()).collect();
    Some(PlanBlocker {
        phase: sync.blockers.first().map_or(Phase::Tasks, |b| b.phase),
        reason: format!("not ready for execution: {}", lines.join("; ")),
    })
}

/// What stopped the rows from being written. Only other tasks can change that, so resuming plans
/// them again with the reason in view, and then syncs.
fn not_applied(spec: &str, refused: &ApplyError) -> PlanBlocker {
    let reason = match refused {
        ApplyError::Conflicts(keys) => format!(
            "the new plan changes what work has begun on: {}. It must leave these as they are. \
             `omoi spec resume {spec}` plans the tasks again with this in view; cancel first \
             (`omoi task cancel`) what the plan dropped and nobody needs",
            keys.join(", ")
        ),
        other => {
            format!("{other}; `omoi spec resume {spec}` plans the tasks again with this in view")
        }
    };
    PlanBlocker {
        phase: Phase::Tasks,
        reason,
    }
}

/// Has a phase tried again, or fails it where no attempt is left.
pub(super) async fn refuse_phase_run(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
    refusal: PhaseRefusal,
) -> Result<Next, BoxError> {
    let attempts_max = at.spec.work_limits(driver.gate.limits).phase.attempts_max;
    let decide = |now| {
        let facts = RefusalFacts {
            phase: at.run.phase,
            attempts: at.run.attempts,
            attempts_max,
            rejected_score: at.run.rejected_score,
            now,
        };
        refuse_phase(facts, refusal)
    };
    Ok(change_phase(&driver.writer, at, PhaseDecision::new(decide)).await?)
}

/// Accepts the output; where the plan cannot be written, the spec waits for a person.
async fn pass(
    writer: &PhaseWriter,
    at: SpecPhase<'_>,
    judged: &JudgedOutput,
    output: Value,
) -> Result<Next, BoxError> {
    let phase = at.run.phase;
    let passed = PassedOutput {
        phase,
        verdict: verdict(&judged.evaluation),
        score: judged.evaluation.score,
        digest: output_digest(&output),
        output,
        is_auto_start: at.spec.options.0.auto_start,
    };
    let decision = PhaseDecision {
        point: match phase {
            Phase::Sync => CrashPoint::PlanSynced,
            _ => CrashPoint::PhaseMoved,
        },
        plan: Some(judged),
        decide: |_| pass_phase(passed),
    };
    match change_phase(writer, at, decision).await {
        Ok(next) => Ok(next),
        Err(ApplyError::Store(error)) => Err(error.into()),
        Err(refused) => {
            let (project, number) = (at.spec.project_id, HumanRef::spec(at.spec.number));
            let store = &writer.store;
            let name = store.read(async |tx| projects::reference(tx, project, number).await);
            let fault = not_applied(&name.await?, &refused);
            block(writer, at, &judged.evaluation, fault).await
        }
    }
}

async fn block(
    writer: &PhaseWriter,
    at: SpecPhase<'_>,
    evaluation: &PhaseEvaluation,
    fault: PlanBlocker,
) -> Result<Next, BoxError> {
    let decide = |_| block_not_ready(evaluation.score, verdict(evaluation), fault);
    Ok(change_phase(writer, at, PhaseDecision::new(decide)).await?)
}

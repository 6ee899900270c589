//! What follows when an attempt at a phase ended: passed, refused, or the plan is not ready.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::block::SpecBlock;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, PlanningEnded};
use omoi_domain::id::HumanRef;
use omoi_domain::phase::Phase;
use omoi_domain::retry::{PhaseFailure, phase_delay};
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::Platform;
use omoi_execution::integration::output;
use omoi_plan::coverage::PlannedOutputs;
use omoi_plan::evaluate::PhaseEvaluation;
use omoi_plan::finding::RuleFinding;
use omoi_plan::outputs::{DesignOutput, RequirementsOutput, TasksOutput};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::phases::{self, PhaseRun, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tx, opinions, projects};

use crate::gate::{INVALID_OUTPUT, Judged};
use crate::planner::output_digest;
use crate::proofs;
use crate::sync::{Accepted, ApplyError, apply};

/// Why an attempt did not pass.
pub(super) struct Refusal {
    kind: PhaseFailure,
    feedback: String,
    evaluation: Option<(PhaseEvaluation, Option<Value>)>,
    /// No attempt follows.
    last: bool,
    /// It is what a second opinion says of an output that passed its gate.
    is_opinion: bool,
}

impl Refusal {
    pub(super) fn again(kind: PhaseFailure, feedback: String) -> Self {
        Self {
            kind,
            feedback,
            evaluation: None,
            last: false,
            is_opinion: false,
        }
    }

    pub(super) fn last(kind: PhaseFailure, feedback: String) -> Self {
        Self {
            kind,
            feedback,
            evaluation: None,
            last: true,
            is_opinion: false,
        }
    }

    /// What a second opinion says against an output that passed its gate.
    pub(super) fn objection(feedback: String, judged: Judged) -> Self {
        Self {
            kind: PhaseFailure::EvaluationFailed,
            feedback,
            evaluation: Some((judged.evaluation, judged.output)),
            last: false,
            is_opinion: true,
        }
    }
}

pub(super) async fn decide(
    platform: &Platform,
    spec: Spec,
    phase: Phase,
    run: PhaseRun,
    judged: Judged,
) -> Result<Next, BoxError> {
    if let Some(fault) = not_ready(&judged) {
        return block(platform, spec, run, (judged.evaluation, fault)).await;
    }
    match judged.output.clone() {
        Some(output) if judged.evaluation.passed => {
            pass(platform, spec, phase, run, judged, output).await
        }
        output => {
            let is_unreadable = |found: &RuleFinding| found.code == INVALID_OUTPUT;
            let refusal = Refusal {
                kind: match judged.evaluation.blockers.iter().any(is_unreadable) {
                    true => PhaseFailure::InvalidOutput,
                    false => PhaseFailure::EvaluationFailed,
                },
                feedback: judged.evaluation.feedback.clone(),
                evaluation: Some((judged.evaluation, output)),
                last: false,
                is_opinion: false,
            };
            refuse(platform, spec, phase, run, refusal).await
        }
    }
}

fn verdict(evaluation: &PhaseEvaluation) -> Verdict {
    Verdict {
        score: Some(evaluation.score),
        passed: Some(evaluation.passed),
        blockers: evaluation.blockers.iter().map(|b| b.code.clone()).collect(),
        reason: None,
    }
}

/// Puts a refused phase into its pause, or fails phase and spec when no attempt is left.
pub(super) async fn refuse(
    platform: &Platform,
    mut spec: Spec,
    phase: Phase,
    mut run: PhaseRun,
    refusal: Refusal,
) -> Result<Next, BoxError> {
    let mut tx = platform.store.begin_write().await?;
    run.feedback = Some(refusal.feedback.clone());
    if refusal.is_opinion {
        opinions::mark_sent_back(&mut tx, spec.id).await?;
    }
    let mut told = Verdict {
        reason: Some(refusal.kind.as_str().to_owned()),
        ..Verdict::default()
    };
    if let Some((evaluation, output)) = &refusal.evaluation {
        run.score = Some(evaluation.score);
        if run
            .rejected_score
            .is_none_or(|best| evaluation.score > best)
        {
            run.rejected_score = Some(evaluation.score);
            run.rejected_output = output.clone().map(Json);
        }
        told = Verdict {
            reason: told.reason,
            ..verdict(evaluation)
        };
        phases::emit_verdict(&mut tx, spec.project_id, &run, told.clone());
    }
    if run.attempts < platform.settings_of(&spec).phase_attempts_max && !refusal.last {
        run.not_before = tx.now() + phase_delay(run.attempts);
        phases::transition(
            &mut tx,
            spec.project_id,
            &mut run,
            PhaseState::Backoff,
            told,
        )
        .await?;
        tx.commit(CrashPoint::PhaseMoved).await?;
        return Ok(Next::At(run.not_before));
    }
    phases::transition(&mut tx, spec.project_id, &mut run, PhaseState::Failed, told).await?;
    let headline = headline(&refusal.feedback);
    let reason = format!(
        "phase {phase} failed after {} attempts: {headline}",
        run.attempts
    );
    end_planning(&mut tx, &spec, Some(phase)).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Failed, Some(reason)).await?;
    tx.commit(CrashPoint::PhaseMoved).await?;
    Ok(Next::Idle)
}

pub(super) async fn fail_spec(
    platform: &Platform,
    mut spec: Spec,
    phase: Phase,
    reason: String,
) -> Result<(), StoreError> {
    let mut tx = platform.store.begin_write().await?;
    end_planning(&mut tx, &spec, Some(phase)).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Failed, Some(reason)).await?;
    tx.commit(CrashPoint::SpecMoved).await
}

/// Accepts the output; sync also writes the plan's rows and ends planning, all in one transaction.
async fn pass(
    platform: &Platform,
    mut spec: Spec,
    phase: Phase,
    mut run: PhaseRun,
    judged: Judged,
    output: Value,
) -> Result<Next, BoxError> {
    let before = run.clone();
    let mut tx = platform.store.begin_write().await?;
    run.score = Some(judged.evaluation.score);
    run.output_digest = Some(output_digest(&output));
    run.output = Some(Json(output));
    // Why an earlier output was refused stays: a person may ask.
    let told = verdict(&judged.evaluation);
    phases::emit_verdict(&mut tx, spec.project_id, &run, told.clone());
    phases::transition(&mut tx, spec.project_id, &mut run, PhaseState::Passed, told).await?;
    let point = if phase == Phase::Sync {
        let mut planned = spec.clone();
        match write_plan(&mut tx, &mut planned, &judged).await {
            Ok(()) => {}
            Err(ApplyError::Store(error)) => return Err(error.into()),
            Err(refused) => {
                let name = HumanRef::spec(spec.number);
                let name = projects::reference(&mut tx, spec.project_id, name).await?;
                tx.rollback().await?;
                let fault = not_applied(&name, &refused);
                return block(platform, spec, before, (judged.evaluation, fault)).await;
            }
        }
        CrashPoint::PlanSynced
    } else {
        let next = phase.next().unwrap_or(Phase::Complete);
        spec.current_phase = next;
        specs::save(&mut tx, &mut spec).await?;
        CrashPoint::PhaseMoved
    };
    tx.commit(point).await?;
    Ok(Next::Now)
}

async fn write_plan(tx: &mut Tx, spec: &mut Spec, judged: &Judged) -> Result<(), ApplyError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let (Some(requirements), Some(design), Some(tasks), Some(verdict)) = (
        output::<RequirementsOutput>(&runs, Phase::Requirements)?,
        output::<DesignOutput>(&runs, Phase::Design)?,
        output::<TasksOutput>(&runs, Phase::Tasks)?,
        &judged.sync,
    ) else {
        return Err(ApplyError::Unresolved("an accepted output".to_owned()));
    };
    let planned = PlannedOutputs {
        requirements: &requirements,
        design: &design,
        tasks: &tasks,
    };
    let known = proofs::known(spec, &runs, &tasks)?;
    let base_exits: BTreeMap<_, _> = known
        .into_iter()
        .filter_map(|(check, exit)| Some((check, exit?)))
        .collect();
    apply(
        tx,
        spec,
        Accepted {
            planned,
            verdict,
            base_exits: &base_exits,
        },
    )
    .await?;
    spec.current_phase = Phase::Complete;
    end_planning(tx, spec, None).await?;
    specs::transition(tx, spec, SpecStatus::Completed, None).await?;
    if spec.options.0.auto_start {
        specs::transition(tx, spec, SpecStatus::Working, None).await?;
    }
    Ok(())
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

/// Why a whole plan cannot be worked on, and the phase that must change for it.
struct Fault {
    phase: Phase,
    reason: String,
}

/// What sync found missing.
fn not_ready(judged: &Judged) -> Option<Fault> {
    let sync = judged.sync.as_ref().filter(|s| !s.ready_for_execution)?;
    let lines: Vec<&str> = sync.blockers.iter().map(|b| b.message.as_str()).collect();
    Some(Fault {
        phase: sync.blockers.first().map_or(Phase::Tasks, |b| b.phase),
        reason: format!("not ready for execution: {}", lines.join("; ")),
    })
}

/// What stopped the rows from being written. Only other tasks can change that, so resuming plans
/// them again with the reason in view, and then syncs.
fn not_applied(spec: &str, refused: &ApplyError) -> Fault {
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
    Fault {
        phase: Phase::Tasks,
        reason,
    }
}

/// The spec waits for a person, with the phase at fault as where to resume. Sync runs again after.
async fn block(
    platform: &Platform,
    mut spec: Spec,
    mut run: PhaseRun,
    (evaluation, fault): (PhaseEvaluation, Fault),
) -> Result<Next, BoxError> {
    let Fault { phase, reason } = fault;
    let mut tx = platform.store.begin_write().await?;
    run.score = Some(evaluation.score);
    run.attempts = 0;
    let told = Verdict {
        reason: Some("not_ready".to_owned()),
        ..verdict(&evaluation)
    };
    phases::transition(
        &mut tx,
        spec.project_id,
        &mut run,
        PhaseState::Pending,
        told,
    )
    .await?;
    let mut faulty = phases::ensure(&mut tx, spec.id, phase).await?;
    faulty.feedback = Some(reason.clone());
    phases::save(&mut tx, &mut faulty).await?;
    spec.current_phase = phase;
    end_planning(&mut tx, &spec, Some(phase)).await?;
    specs::block(&mut tx, &mut spec, SpecBlock::PlanNotReady, reason).await?;
    tx.commit(CrashPoint::PhaseMoved).await?;
    Ok(Next::Idle)
}

/// The spec waits for a person at a phase whose attempt the model provider failed for good, or for too
/// long. What the phase has so far stays.
pub(super) async fn wait_for_person(
    platform: &Platform,
    mut spec: Spec,
    mut run: PhaseRun,
    (phase, reason): (Phase, String),
) -> Result<Next, BoxError> {
    let mut tx = platform.store.begin_write().await?;
    let told = Verdict {
        reason: Some(reason.clone()),
        ..Verdict::default()
    };
    phases::transition(
        &mut tx,
        spec.project_id,
        &mut run,
        PhaseState::Pending,
        told,
    )
    .await?;
    end_planning(&mut tx, &spec, Some(phase)).await?;
    specs::block(&mut tx, &mut spec, SpecBlock::Provider, reason).await?;
    tx.commit(CrashPoint::PhaseMoved).await?;
    Ok(Next::Idle)
}

/// The first thing that feedback has to say.
fn headline(feedback: &str) -> &str {
    let says = |line: &&str| !line.is_empty() && !line.ends_with(':');
    let mut lines = feedback.lines().map(|l| l.trim().trim_start_matches("- "));
    lines.find(says).unwrap_or_else(|| feedback.trim())
}

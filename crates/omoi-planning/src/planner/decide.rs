//! What follows when an attempt at a phase ended: passed, refused, or the plan is not ready.

use std::collections::BTreeMap;

use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, PlanningEnded};
use omoi_domain::plan::coverage::Planned;
use omoi_domain::plan::evaluate::Evaluation;
use omoi_domain::plan::outputs::{DesignOutput, Phase, RequirementsOutput, TasksOutput};
use omoi_domain::retry::phase_delay;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::Platform;
use omoi_execution::integration::output;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::phases::{self, PhaseRun, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tx};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::judge::Judged;
use crate::planner::render_files;
use crate::sync::{Accepted, ApplyError, apply};

/// Why an attempt did not pass.
pub(super) struct Refusal {
    kind: &'static str,
    feedback: String,
    evaluation: Option<(Evaluation, Option<Value>)>,
    /// No attempt follows.
    last: bool,
}

impl Refusal {
    pub(super) fn again(kind: &'static str, feedback: String) -> Self {
        Self {
            kind,
            feedback,
            evaluation: None,
            last: false,
        }
    }

    pub(super) fn last(kind: &'static str, feedback: String) -> Self {
        Self {
            kind,
            feedback,
            evaluation: None,
            last: true,
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
    let not_ready = judged
        .sync
        .as_ref()
        .is_some_and(|sync| !sync.ready_for_execution);
    if not_ready {
        return block(platform, spec, run, judged).await;
    }
    match judged.output.clone() {
        Some(output) if judged.evaluation.passed => {
            pass(platform, spec, phase, run, judged, output).await
        }
        output => {
            let refusal = Refusal {
                kind: "evaluation_failed",
                feedback: judged.evaluation.feedback.clone(),
                evaluation: Some((judged.evaluation, output)),
                last: false,
            };
            refuse(platform, spec, phase, run, refusal).await
        }
    }
}

fn verdict(evaluation: &Evaluation) -> Verdict {
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
    let mut tx = platform.store.write().await?;
    run.feedback = Some(refusal.feedback.clone());
    let mut told = Verdict {
        reason: Some(refusal.kind.to_owned()),
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
    let delay = phase_delay(run.attempts);
    let left = run.attempts < platform.settings.phase_attempts_max && !refusal.last;
    if let (true, Some(delay)) = (left, delay) {
        run.not_before = tx.now() + delay;
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
    let headline = refusal
        .feedback
        .lines()
        .find(|l| !l.trim().is_empty())
        .unwrap_or_default();
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
    let mut tx = platform.store.write().await?;
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
    let mut tx = platform.store.write().await?;
    run.score = Some(judged.evaluation.score);
    run.output_digest = Some(hex::encode(Sha256::digest(output.to_string())));
    run.output = Some(Json(output));
    run.waiting_since = None;
    run.feedback = None;
    if phase == Phase::Tasks {
        keep_base_exits(&mut run, &judged);
    }
    let told = verdict(&judged.evaluation);
    phases::emit_verdict(&mut tx, spec.project_id, &run, told.clone());
    phases::transition(&mut tx, spec.project_id, &mut run, PhaseState::Passed, told).await?;
    let point = if phase == Phase::Sync {
        match write_plan(&mut tx, &mut spec, &judged).await {
            Ok(()) => {}
            Err(ApplyError::Store(error)) => return Err(error.into()),
            Err(refused) => {
                drop(tx);
                return block_with(platform, spec, refused.to_string()).await;
            }
        }
        CrashPoint::PlanSynced
    } else {
        let next = phase.next().unwrap_or(Phase::Complete);
        next.as_str().clone_into(&mut spec.current_phase);
        specs::save(&mut tx, &mut spec).await?;
        CrashPoint::PhaseMoved
    };
    tx.commit(point).await?;
    render_files(platform, &spec).await?;
    Ok(Next::Now)
}

/// Base exits are facts of the platform, kept beside the output for sync.
fn keep_base_exits(run: &mut PhaseRun, judged: &Judged) {
    let exits: BTreeMap<String, i32> = judged
        .base_exits
        .iter()
        .map(|((task, n), exit)| (format!("{task}/{n}"), *exit))
        .collect();
    run.facts = Some(Json(json!({ "base_exits": exits })));
}

fn kept_base_exits(runs: &[PhaseRun]) -> BTreeMap<(String, usize), i32> {
    let kept = runs
        .iter()
        .find(|run| run.phase == Phase::Tasks.as_str())
        .and_then(|run| run.facts.as_ref())
        .and_then(|value| value.0.get("base_exits"))
        .and_then(Value::as_object);
    let parse = |(key, exit): (&String, &Value)| {
        let (task, n) = key.split_once('/')?;
        Some((
            (task.to_owned(), n.parse().ok()?),
            i32::try_from(exit.as_i64()?).ok()?,
        ))
    };
    kept.into_iter().flatten().filter_map(parse).collect()
}

async fn write_plan(tx: &mut Tx, spec: &mut Spec, judged: &Judged) -> Result<(), ApplyError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let (Some(requirements), Some(design), Some(tasks), Some(verdict)) = (
        output::<RequirementsOutput>(&runs, Phase::Requirements),
        output::<DesignOutput>(&runs, Phase::Design),
        output::<TasksOutput>(&runs, Phase::Tasks),
        &judged.sync,
    ) else {
        return Err(ApplyError::Unresolved("an accepted output".to_owned()));
    };
    let planned = Planned {
        requirements: &requirements,
        design: &design,
        tasks: &tasks,
    };
    let base_exits = kept_base_exits(&runs);
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
    Phase::Complete.as_str().clone_into(&mut spec.current_phase);
    end_planning(tx, spec, None).await?;
    specs::transition(tx, spec, SpecStatus::Completed, None).await?;
    if spec.options.0.auto_start {
        specs::transition(tx, spec, SpecStatus::Working, None).await?;
    }
    Ok(())
}

/// Tells, once per run, that planning ended.
async fn end_planning(tx: &mut Tx, spec: &Spec, failed: Option<Phase>) -> Result<(), StoreError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let passed = Phase::ALL_WORKING.iter().filter(|p| {
        runs.iter()
            .any(|r| r.phase == p.as_str() && r.state == PhaseState::Passed)
    });
    let event = Event::AgentCompleted(PlanningEnded {
        spec_id: spec.id,
        success: failed.is_none(),
        phases_completed: passed.map(|p| p.as_str().to_owned()).collect(),
        failed_phase: failed.map(|p| p.as_str().to_owned()),
    });
    tx.emit(Some(spec.project_id), Some(spec.id), event);
    Ok(())
}

/// The plan is not ready: the spec waits for a person, with the phase at fault as where to resume.
async fn block(
    platform: &Platform,
    mut spec: Spec,
    mut run: PhaseRun,
    judged: Judged,
) -> Result<Next, BoxError> {
    let blockers = judged.sync.map(|sync| sync.blockers).unwrap_or_default();
    let lines: Vec<String> = blockers.iter().map(|b| b.message.clone()).collect();
    let at_fault = blockers.first().map_or(Phase::Tasks, |b| b.phase);
    let reason = format!("not ready for execution: {}", lines.join("; "));
    let mut tx = platform.store.write().await?;
    run.score = Some(judged.evaluation.score);
    run.attempts = 0;
    let told = Verdict {
        reason: Some("not_ready".to_owned()),
        ..verdict(&judged.evaluation)
    };
    phases::transition(
        &mut tx,
        spec.project_id,
        &mut run,
        PhaseState::Pending,
        told,
    )
    .await?;
    let mut faulty = phases::ensure(&mut tx, spec.id, at_fault.as_str()).await?;
    faulty.feedback = Some(reason.clone());
    phases::save(&mut tx, &mut faulty).await?;
    at_fault.as_str().clone_into(&mut spec.current_phase);
    end_planning(&mut tx, &spec, Some(at_fault)).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Blocked, Some(reason)).await?;
    tx.commit(CrashPoint::PhaseMoved).await?;
    Ok(Next::Idle)
}

async fn block_with(platform: &Platform, mut spec: Spec, reason: String) -> Result<Next, BoxError> {
    let mut tx = platform.store.write().await?;
    end_planning(&mut tx, &spec, Some(Phase::Sync)).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Blocked, Some(reason)).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(Next::Idle)
}

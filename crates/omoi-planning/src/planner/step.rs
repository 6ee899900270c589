//! One durable step of one spec.

use std::collections::BTreeMap;
use std::time::Duration;

use omoi_domain::attempt::{AttemptState, Subject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, PlanningEnded};
use omoi_domain::plan::coverage::Planned;
use omoi_domain::plan::evaluate::Evaluation;
use omoi_domain::plan::outputs::{DesignOutput, Phase, RequirementsOutput, TasksOutput};
use omoi_domain::retry::{PHASE_PROVIDER_WAIT_MAX, phase_delay};
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::Platform;
use omoi_execution::attempt::{self, Job, NewAttempt, WorkPlan, role};
use omoi_execution::integration::output;
use omoi_execution::toolbox::Toolbox;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_sandbox::Access;
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, PhaseRun, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tx};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracing::info;

use crate::judge::{Judged, judge};
use crate::planner::render_files;
use crate::prompt::{PROMPT_VERSION, brief};
use crate::sync::{Accepted, ApplyError, apply};

/// Pause before a provider that was away is asked again.
const PROVIDER_PAUSE: Duration = Duration::from_secs(5);

/// Takes the step the rows ask for.
pub(super) async fn step(platform: &Platform, mut spec: Spec) -> Result<Next, BoxError> {
    let Some((phase, run)) = current(platform, &mut spec).await? else {
        return Ok(Next::Idle);
    };
    match run.state {
        PhaseState::Pending => begin(platform, &spec, phase, run).await,
        PhaseState::Backoff => {
            if run.not_before > platform.clock.now() {
                return Ok(Next::At(run.not_before));
            }
            begin(platform, &spec, phase, run).await
        }
        PhaseState::Running => follow(platform, spec, phase, run).await,
        PhaseState::Failed => {
            let reason = format!("phase {phase} has no attempt left");
            fail_spec(platform, spec, phase, reason).await?;
            Ok(Next::Idle)
        }
        PhaseState::Passed => Ok(Next::Now),
    }
}

/// The first phase that has not passed with these inputs. A passed phase whose inputs changed is
/// stale and runs again.
async fn current(
    platform: &Platform,
    spec: &mut Spec,
) -> Result<Option<(Phase, PhaseRun)>, StoreError> {
    let mut tx = platform.store.write().await?;
    let mut passed: BTreeMap<&str, String> = BTreeMap::new();
    for phase in Phase::ALL_WORKING {
        let mut run = phases::ensure(&mut tx, spec.id, phase.as_str()).await?;
        let digest = input_digest(spec, phase, &passed);
        if run.state == PhaseState::Passed && run.input_digest.as_ref() == Some(&digest) {
            passed.insert(
                phase.as_str(),
                run.output_digest.clone().unwrap_or_default(),
            );
            continue;
        }
        if run.state == PhaseState::Passed {
            let reason = Some("its inputs changed".to_owned());
            let verdict = Verdict {
                reason,
                ..Verdict::default()
            };
            run.attempts = 0;
            run.output = None;
            run.feedback = None;
            run.started_at = None;
            phases::clear_items(&mut tx, spec.id, phase.as_str()).await?;
            phases::transition(
                &mut tx,
                spec.project_id,
                &mut run,
                PhaseState::Pending,
                verdict,
            )
            .await?;
        }
        let moved =
            spec.current_phase != phase.as_str() || run.input_digest.as_ref() != Some(&digest);
        if moved {
            run.input_digest = Some(digest);
            phases::save(&mut tx, &mut run).await?;
            phase.as_str().clone_into(&mut spec.current_phase);
            specs::save(&mut tx, spec).await?;
            tx.commit(CrashPoint::PhaseMoved).await?;
        }
        return Ok(Some((phase, run)));
    }
    Ok(None)
}

/// SHA-256 over everything a phase reads.
fn input_digest(spec: &Spec, phase: Phase, passed: &BTreeMap<&str, String>) -> String {
    let inputs: Vec<&str> = phase
        .inputs()
        .iter()
        .map(|input| passed.get(input.as_str()).map_or("", String::as_str))
        .collect();
    let text = json!([
        spec.title,
        spec.original_request,
        spec.base_sha,
        spec.model,
        PROMPT_VERSION,
        phase.as_str(),
        inputs
    ]);
    hex::encode(Sha256::digest(text.to_string()))
}

fn subject(spec: &Spec, phase: Phase) -> String {
    format!("{}/{}", spec.id, phase.as_str())
}

/// Starts an attempt that counts.
async fn begin(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
    mut run: PhaseRun,
) -> Result<Next, BoxError> {
    let mut tx = platform.store.write().await?;
    run.attempts += 1;
    phases::transition(
        &mut tx,
        spec.project_id,
        &mut run,
        PhaseState::Running,
        Verdict::default(),
    )
    .await?;
    start(platform, tx, spec, phase, &run).await
}

/// Inserts and launches an attempt at a running phase.
async fn start(
    platform: &Platform,
    mut tx: Tx,
    spec: &Spec,
    phase: Phase,
    run: &PhaseRun,
) -> Result<Next, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let fence = attempts::of_subject(&mut tx, &subject(spec, phase))
        .await?
        .len() as i64
        + 1;
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject: Subject::SpecPhase,
        subject_id: subject(spec, phase),
        round: run.attempts.saturating_sub(1),
        role: role::PLANNER,
        fence,
        base_sha: Some(spec.base_sha.clone()),
    };
    let created = attempt::insert(&mut tx, platform, new).await?;
    tx.commit(CrashPoint::AttemptCreated).await?;
    info!(spec.id = %spec.id, "Phase {phase} of SPEC-{}, attempt {}", spec.number, run.attempts);
    let brief = brief(platform, spec, phase, run).await?;
    let work = WorkPlan {
        commit: base,
        branch: format!("plan/{phase}"),
        snapshot: None,
        merge: None,
        access: Access::ReadOnly,
        toolbox: Toolbox::of_survey(&spec.survey.0),
    };
    let (token, turns) = (created.token, created.turns);
    attempt::launch(
        platform,
        Job {
            attempt: created.attempt,
            token,
            turns,
            work,
            brief,
        },
    );
    Ok(Next::Idle)
}

/// A running phase: waits for its attempt, takes a lost one up again, or judges what ended.
async fn follow(
    platform: &Platform,
    spec: Spec,
    phase: Phase,
    run: PhaseRun,
) -> Result<Next, BoxError> {
    let last = {
        let mut tx = platform.store.read().await?;
        attempts::of_subject(&mut tx, &subject(&spec, phase))
            .await?
            .pop()
    };
    let Some(last) = last.filter(|a| a.round + 1 == run.attempts) else {
        let tx = platform.store.write().await?;
        return start(platform, tx, &spec, phase, &run).await;
    };
    match last.state {
        AttemptState::Pending | AttemptState::Starting | AttemptState::Running => Ok(Next::Idle),
        AttemptState::Lost | AttemptState::Interrupted => {
            let tx = platform.store.write().await?;
            start(platform, tx, &spec, phase, &run).await
        }
        AttemptState::Failed => failed(platform, spec, phase, run, &last).await,
        AttemptState::Succeeded | AttemptState::Incomplete => {
            let judged = judge(platform, &spec, phase).await?;
            decide(platform, spec, phase, run, judged).await
        }
    }
}

/// An attempt that ended in an error rather than an output.
async fn failed(
    platform: &Platform,
    spec: Spec,
    phase: Phase,
    mut run: PhaseRun,
    last: &Attempt,
) -> Result<Next, BoxError> {
    let class = last.error_class.as_deref().unwrap_or("unknown");
    let message = last.error_message.clone().unwrap_or_default();
    let now = platform.clock.now();
    match class {
        "quota_exceeded" => {
            let reason = format!("budget_exhausted: {message}");
            refuse(
                platform,
                spec,
                phase,
                run,
                Refusal::last("budget_exhausted", reason),
            )
            .await
        }
        "upstream_5xx" | "rate_limited" | "network" => {
            let since = run.waiting_since.unwrap_or(now);
            if now.since(since) > PHASE_PROVIDER_WAIT_MAX {
                let reason = format!("provider_unavailable: {message}");
                return refuse(
                    platform,
                    spec,
                    phase,
                    run,
                    Refusal::last("provider_unavailable", reason),
                )
                .await;
            }
            // An outage of the provider is no attempt of the model.
            run.waiting_since = Some(since);
            run.attempts = run.attempts.saturating_sub(1);
            run.not_before = now + PROVIDER_PAUSE;
            let verdict = Verdict {
                reason: Some("provider_unavailable".to_owned()),
                ..Verdict::default()
            };
            let mut tx = platform.store.write().await?;
            phases::transition(
                &mut tx,
                spec.project_id,
                &mut run,
                PhaseState::Backoff,
                verdict,
            )
            .await?;
            tx.commit(CrashPoint::PhaseMoved).await?;
            Ok(Next::At(run.not_before))
        }
        other => {
            let reason = format!("execution_error ({other}): {message}");
            refuse(
                platform,
                spec,
                phase,
                run,
                Refusal::again("execution_error", reason),
            )
            .await
        }
    }
}

/// Why an attempt did not pass.
struct Refusal {
    kind: &'static str,
    feedback: String,
    evaluation: Option<(Evaluation, Option<Value>)>,
    /// No attempt follows.
    last: bool,
}

impl Refusal {
    fn again(kind: &'static str, feedback: String) -> Self {
        Self {
            kind,
            feedback,
            evaluation: None,
            last: false,
        }
    }

    fn last(kind: &'static str, feedback: String) -> Self {
        Self {
            kind,
            feedback,
            evaluation: None,
            last: true,
        }
    }
}

async fn decide(
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
async fn refuse(
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

async fn fail_spec(
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

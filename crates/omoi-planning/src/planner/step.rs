//! One durable step of one spec.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::info;

use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, SpecId};
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::outage::OutageStep;
use omoi_domain::phase::Phase;
use omoi_domain::retry::{ErrorClass, PhaseFailure};
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::attempt::{self, Brief, Job, NewAttempt, WorkPlan};
use omoi_execution::toolbox::Toolbox;
use omoi_execution::{Platform, outage};
use omoi_git::object::ObjectId;
use omoi_plan::outputs::TasksOutput;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_sandbox::Access;
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, PhaseRun, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tx};

use crate::judge::judge;
use crate::planner::decide::{Refusal, decide, end_planning, fail_spec, refuse, wait_for_person};
use crate::prompt::{PROMPT_VERSION, brief};
use crate::second_opinion::{self, Standing};
use crate::{base_suite, proofs};

/// Takes the step the rows ask for.
pub(super) async fn step(platform: &Platform, mut spec: Spec) -> Result<Next, BoxError> {
    let Some((phase, run)) = current(platform, &mut spec).await? else {
        return Ok(Next::Idle);
    };
    if matches!(run.state, PhaseState::Pending | PhaseState::Backoff)
        && let Some(next) = base_suite::hold(platform, &mut spec, phase).await?
    {
        return Ok(next);
    }
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

/// The first phase that has not passed with these inputs. What a phase made, or is making, of other
/// inputs is stale, and it runs again.
async fn current(
    platform: &Platform,
    spec: &mut Spec,
) -> Result<Option<(Phase, PhaseRun)>, StoreError> {
    let mut tx = platform.store.begin_write().await?;
    let mut passed: BTreeMap<&str, String> = BTreeMap::new();
    for phase in Phase::ALL_WORKING {
        let mut run = phases::ensure(&mut tx, spec.id, phase).await?;
        let digest = input_digest(spec, phase, &passed);
        let fresh = run.input_digest.as_ref() == Some(&digest);
        if run.state == PhaseState::Passed && fresh {
            passed.insert(
                phase.as_str(),
                run.output_digest.clone().unwrap_or_default(),
            );
            continue;
        }
        let mut ended = None;
        if run.input_digest.is_some() && !fresh {
            ended = make_stale(&mut tx, platform, (spec, phase), &mut run).await?;
        }
        if spec.current_phase != phase || !fresh {
            run.input_digest = Some(digest);
            phases::save(&mut tx, &mut run).await?;
            spec.current_phase = phase;
            specs::save(&mut tx, spec).await?;
            tx.commit(CrashPoint::PhaseMoved).await?;
        }
        if let Some(attempt) = ended {
            platform.running.kill(attempt);
        }
        return Ok(Some((phase, run)));
    }
    Ok(None)
}

/// Drops what was made of other inputs and ends the attempt that still makes something of them;
/// returns that attempt.
async fn make_stale(
    tx: &mut Tx,
    platform: &Platform,
    (spec, phase): (&Spec, Phase),
    run: &mut PhaseRun,
) -> Result<Option<AttemptId>, StoreError> {
    run.attempts = 0;
    run.output = None;
    run.output_digest = None;
    run.feedback = None;
    run.started_at = None;
    phases::clear_items(tx, spec.id, phase).await?;
    let ended = end_live(tx, platform, (spec, phase), "its inputs changed").await?;
    if run.state != PhaseState::Pending {
        let reason = Some("its inputs changed".to_owned());
        let verdict = Verdict {
            reason,
            ..Verdict::default()
        };
        phases::transition(tx, spec.project_id, run, PhaseState::Pending, verdict).await?;
    }
    Ok(ended)
}

/// Ends the live attempt at a phase, if there is one, so that nothing goes on from it.
async fn end_live(
    tx: &mut Tx,
    platform: &Platform,
    (spec, phase): (&Spec, Phase),
    why: &str,
) -> Result<Option<AttemptId>, StoreError> {
    let live = attempts::live(tx, spec.id, AttemptSubject::SpecPhase { phase }).await?;
    let Some(mut attempt) = live else {
        return Ok(None);
    };
    let loss = AttemptLoss {
        state: AttemptState::Failed,
        stop_reason: AttemptStopReason::Superseded,
        class: ErrorClass::Unknown,
        message: why.to_owned(),
        counts: false,
    };
    attempt::lose(tx, platform, &mut attempt, loss).await?;
    Ok(Some(attempt.id))
}

/// Fails the phase at which a spec stands, and the spec with it: its step did not succeed.
pub(super) async fn give_up(
    platform: &Platform,
    id: SpecId,
    reason: &str,
) -> Result<(), StoreError> {
    let mut tx = platform.store.begin_write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    if spec.status != SpecStatus::Executing {
        return Ok(());
    }
    let phase = Some(spec.current_phase).filter(|p| Phase::ALL_WORKING.contains(p));
    let phase = phase.unwrap_or(Phase::Explore);
    let reason = format!("execution_error: {reason}");
    let ended = end_live(&mut tx, platform, (&spec, phase), &reason).await?;
    let mut run = phases::ensure(&mut tx, id, phase).await?;
    if !matches!(run.state, PhaseState::Failed | PhaseState::Passed) {
        run.feedback = Some(reason.clone());
        let verdict = Verdict {
            reason: Some(PhaseFailure::ExecutionError.as_str().to_owned()),
            ..Verdict::default()
        };
        phases::transition(
            &mut tx,
            spec.project_id,
            &mut run,
            PhaseState::Failed,
            verdict,
        )
        .await?;
    }
    end_planning(&mut tx, &spec, Some(phase)).await?;
    let reason = format!("phase {phase} failed: {reason}");
    specs::transition(&mut tx, &mut spec, SpecStatus::Failed, Some(reason)).await?;
    tx.commit(CrashPoint::PhaseMoved).await?;
    if let Some(attempt) = ended {
        platform.running.kill(attempt);
    }
    Ok(())
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

/// Starts an attempt that counts.
async fn begin(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
    mut run: PhaseRun,
) -> Result<Next, BoxError> {
    run.attempts += 1;
    // Before anything is written: without orders there must be no attempt.
    let brief = brief(platform, spec, phase, &run).await?;
    let mut tx = platform.store.begin_write().await?;
    phases::transition(
        &mut tx,
        spec.project_id,
        &mut run,
        PhaseState::Running,
        Verdict::default(),
    )
    .await?;
    start(platform, tx, (spec, phase, &run), brief).await
}

/// Starts one more attempt at a phase that runs.
async fn again(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
    run: &PhaseRun,
) -> Result<Next, BoxError> {
    let brief = brief(platform, spec, phase, run).await?;
    let tx = platform.store.begin_write().await?;
    start(platform, tx, (spec, phase, run), brief).await
}

/// Inserts and launches an attempt at a running phase.
async fn start(
    platform: &Platform,
    mut tx: Tx,
    (spec, phase, run): (&Spec, Phase, &PhaseRun),
    brief: Brief,
) -> Result<Next, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let toolbox = Toolbox::of_spec(spec)?;
    let subject = AttemptSubject::SpecPhase { phase };
    let earlier = attempts::of_subject(&mut tx, spec.id, subject).await?;
    // What was said about other inputs is not gone on with.
    let stale = |last: &Attempt| run.started_at.is_none_or(|at| last.created_at < at);
    let anew = earlier.last().is_some_and(stale);
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject,
        round: run.attempts.saturating_sub(1),
        role: AgentRole::Planner,
        fence: earlier.len() as i64 + 1,
        base_sha: Some(spec.base_sha.clone()),
    };
    let mut created = attempt::insert(&mut tx, platform, new).await?;
    if anew && !created.turns.is_empty() {
        attempts::drop_turns(&mut tx, created.attempt.id).await?;
        created.turns.clear();
    }
    tx.commit(CrashPoint::AttemptCreated).await?;
    info!(spec.id = %spec.id, "Phase {phase} of SPEC-{}, attempt {}", spec.number, run.attempts);
    let work = WorkPlan {
        base: base.clone(),
        commit: base,
        branch: format!("plan/{phase}"),
        snapshot: None,
        merge: None,
        access: Access::ReadOnly,
        toolbox,
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
        let mut tx = platform.store.begin_read().await?;
        attempts::of_subject(&mut tx, spec.id, AttemptSubject::SpecPhase { phase })
            .await?
            .pop()
    };
    let Some(last) = last.filter(|a| a.round + 1 == run.attempts) else {
        return again(platform, &spec, phase, &run).await;
    };
    match last.state {
        AttemptState::Pending | AttemptState::Starting | AttemptState::Running => Ok(Next::Idle),
        AttemptState::Lost | AttemptState::Interrupted => again(platform, &spec, phase, &run).await,
        AttemptState::Failed => failed(platform, spec, phase, run, &last).await,
        AttemptState::Succeeded | AttemptState::Incomplete => {
            let open = phase == Phase::Tasks
                && proofs::run_open(platform, &spec, &run, last.created_at).await?;
            if open {
                return Ok(Next::Idle);
            }
            let judged = judge(platform, &spec, phase).await?;
            if let (Phase::Tasks, true, Some(output)) =
                (phase, judged.evaluation.passed, &judged.output)
            {
                let tasks = TasksOutput::deserialize(output)?;
                match second_opinion::standing(platform, &spec, &run, &tasks).await? {
                    Standing::Open => return Ok(Next::Idle),
                    Standing::GoOn => {}
                    Standing::SendBack(says) => {
                        let refusal = Refusal::objection(says, judged);
                        return refuse(platform, spec, phase, run, refusal).await;
                    }
                }
            }
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
    let class = last.error_class.unwrap_or(ErrorClass::Unknown);
    let kind = PhaseFailure::of(class);
    let message = last.error_message.clone().unwrap_or_default();
    match kind {
        PhaseFailure::ProviderUnavailable => {
            // An outage of the provider is no attempt of the model.
            run.attempts = run.attempts.saturating_sub(1);
            let step = outage::step_of(platform, last, class).await?;
            let OutageStep::TryAgain { at, until } = step else {
                let reason = outage::reason(class, &message);
                return wait_for_person(platform, spec, run, (phase, reason)).await;
            };
            run.not_before = at;
            let (at, until) = (at.time_of_day(), until.time_of_day());
            let verdict = Verdict {
                reason: Some(format!("{kind}: {message}; at {at}, until {until}")),
                ..Verdict::default()
            };
            let mut tx = platform.store.begin_write().await?;
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
        _ => {
            let refusal = match (kind.retryable(), class.retryable()) {
                (false, _) => Refusal::last(kind, format!("{kind}: {message}")),
                // As a platform's key that is missing or refused, which no attempt mends.
                (true, false) => Refusal::last(kind, format!("{class}: {message}")),
                (true, true) => Refusal::again(kind, format!("{kind} ({class}): {message}")),
            };
            refuse(platform, spec, phase, run, refusal).await
        }
    }
}

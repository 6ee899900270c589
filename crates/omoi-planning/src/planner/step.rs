//! One durable step of one spec.

use std::collections::BTreeMap;
use std::time::Duration;

use omoi_domain::attempt::{AttemptState, Subject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::plan::outputs::Phase;
use omoi_domain::retry::PHASE_PROVIDER_WAIT_MAX;
use omoi_domain::spec::PhaseState;
use omoi_execution::Platform;
use omoi_execution::attempt::{self, Job, NewAttempt, WorkPlan, role};
use omoi_execution::toolbox::Toolbox;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_sandbox::Access;
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, PhaseRun, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tx};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::info;

use crate::judge::judge;
use crate::planner::decide::{Refusal, decide, fail_spec, refuse};
use crate::prompt::{PROMPT_VERSION, brief};

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

//! One durable step of one spec.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::debug;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::phase::{
    PhaseAttempt, PhaseFacts, PhaseStep, StoredPhase, begin_phase, give_up_phase,
    give_up_spent_phase, open_phase, phase_at_fault, phase_step,
};
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecKind};
use omoi_execution::attempt::{AttemptIssuer, AttemptStarter};
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::BoxError;
use omoi_runtime::clock::Clocked;
use omoi_runtime::reconcile::Next;
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::{self, Spec};

use omoi_store::{StoreError, Tenant};

use super::conclude::{conclude_attempt, handle_failure, postpone_start};
use super::direct;
use super::edited_tasks::hold_for_proofs;
use super::hold_for_people::hold_for_people;
use super::phase_change::{PhaseChangeset, PhaseDecision, PhaseWriter, SpecPhase, change_phase};
use super::start::{AttemptOrder, start_attempt};
use crate::base_runner::BaseRunner;
use crate::base_suite;
use crate::open_questions::answers_of;
use crate::plan_gate::PlanGate;
use crate::prompt::PROMPT_VERSION;
use crate::second_opinion::OpinionAsker;
use crate::sync::ApplyError;

/// Drives the phases of specs, one step at a time.
#[derive(Clone)]
pub(super) struct PhaseDriver {
    /// The clock of this process.
    pub(super) clock: Clocked,
    /// Judges what a phase submits.
    pub(super) gate: PlanGate,
    /// Writes what was decided of a phase.
    pub(super) writer: PhaseWriter,
    /// Gives attempts their identity.
    pub(super) issuer: AttemptIssuer,
    /// Starts the agents of phases.
    pub(super) starter: AttemptStarter,
    /// Runs the suite and the proofs on the base commit.
    pub(super) runner: BaseRunner,
    /// Asks for a second opinion.
    pub(super) asker: OpinionAsker,
}

impl FromParts for PhaseDriver {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            clock: parts.clock.clone(),
            gate: PlanGate::from_parts(parts),
            writer: PhaseWriter::from_parts(parts),
            issuer: AttemptIssuer::from_parts(parts),
            starter: AttemptStarter::from_parts(parts),
            runner: BaseRunner::from_parts(parts),
            asker: OpinionAsker::from_parts(parts),
        }
    }
}

/// Takes the step the rows ask for.
pub(super) async fn planner_step(driver: &PhaseDriver, mut spec: Spec) -> Result<Next, BoxError> {
    if spec.kind == SpecKind::Direct {
        return direct::direct_step(driver, spec).await;
    }
    let Some(run) = find_open_phase(&driver.writer, &mut spec).await? else {
        return Ok(Next::Idle);
    };
    if matches!(run.state, PhaseState::Pending | PhaseState::Backoff)
        && let Some(next) =
            base_suite::hold_for_suite(&driver.runner, &spec, Some(run.phase)).await?
    {
        return Ok(next);
    }
    if run.state == PhaseState::Pending
        && let Some(next) = hold_for_people(&driver.writer.store, &spec, run.phase).await?
    {
        return Ok(next);
    }
    let at = SpecPhase {
        spec: &spec,
        run: &run,
    };
    if run.state == PhaseState::Pending
        && run.phase == Phase::Sync
        && let Some(next) = hold_for_proofs(driver, at).await?
    {
        return Ok(next);
    }
    take_phase_step(driver, at).await
}

/// Takes the step that the rows of a phase ask for, which nothing holds up.
pub(super) async fn take_phase_step(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
) -> Result<Next, BoxError> {
    let run = at.run;
    let last = last_attempt(&driver.writer.store, run).await?;
    let facts = PhaseFacts {
        state: run.state,
        attempts: run.attempts,
        not_before: run.not_before,
        now: driver.clock.now(),
        last: last.map(|last| PhaseAttempt {
            state: last.state,
            stop_reason: last.stop_reason,
            round: last.round,
            attempt: last,
        }),
    };
    match phase_step(facts) {
        PhaseStep::WaitUntil(instant) => Ok(Next::At(instant)),
        PhaseStep::Begin { attempt } => {
            let actions = begin_phase(attempt);
            start_attempt(driver, at, AttemptOrder { attempt, actions }).await
        }
        PhaseStep::Retake => {
            let (attempt, actions) = (run.attempts, Vec::new());
            start_attempt(driver, at, AttemptOrder { attempt, actions }).await
        }
        PhaseStep::Await => Ok(Next::Idle),
        PhaseStep::Judge(last) => conclude_attempt(driver, at, &last).await,
        PhaseStep::HandleFailure(last) => handle_failure(driver, at, &last).await,
        PhaseStep::Postpone(last) => postpone_start(driver, at, &last).await,
        PhaseStep::FailSpec => {
            let decision = PhaseDecision {
                point: CrashPoint::SpecMoved,
                ..PhaseDecision::new(|_| give_up_spent_phase(run.phase))
            };
            Ok(change_phase(&driver.writer, at, decision).await?)
        }
        PhaseStep::GoOn => Ok(Next::Now),
    }
}

/// The newest attempt at a phase that runs.
async fn last_attempt(store: &Tenant, run: &PhaseRun) -> Result<Option<Attempt>, StoreError> {
    if run.state != PhaseState::Running {
        return Ok(None);
    }
    let subject = AttemptSubject::SpecPhase { phase: run.phase };
    let newest = store.read(async |tx| attempts::newest_of_subject(tx, run.spec_id, subject).await);
    newest.await
}

/// The first phase that has not passed with its present inputs, which the spec stands at from then on.
/// What a phase made, or is making, of other inputs is stale, and it runs again.
async fn find_open_phase(
    writer: &PhaseWriter,
    spec: &mut Spec,
) -> Result<Option<PhaseRun>, ApplyError> {
    let found = writer.store.write(CrashPoint::PhaseMoved, async |tx| {
        let runs = phases::of_spec(tx, spec.id).await?;
        let answers = answers_of(tx, spec).await?;
        let digest = |phase, passed: &_| {
            let answer = answers.read_by(phase, passed);
            input_digest(spec, phase, passed, answer)
        };
        let Some(open) = open_phase(&stored_phases(&runs), digest) else {
            return Ok(None);
        };
        let run = match runs.into_iter().find(|run| run.phase == open.phase) {
            Some(run) => run,
            None => phases::ensure(tx, spec.id, open.phase).await?,
        };
        let actions = open.open_actions(run.state, spec.current_phase);
        let mut change = PhaseChangeset::new(SpecPhase { spec, run: &run });
        change.apply(tx, &writer.failures, actions).await?;
        Ok::<_, ApplyError>(Some(change))
    });
    let Some(change) = found.await? else {
        debug!(spec.id = %spec.id, "Every phase of SPEC-{} has passed", spec.number);
        return Ok(None);
    };
    change.stop_ended_attempt(&writer.running);
    *spec = change.spec;
    Ok(Some(change.run))
}

pub(super) fn stored_phases(runs: &[PhaseRun]) -> Vec<StoredPhase> {
    let stored = |run: &PhaseRun| StoredPhase {
        phase: run.phase,
        state: run.state,
        input_digest: run.input_digest.clone(),
        output_digest: run.output_digest.clone(),
    };
    runs.iter().map(stored).collect()
}

/// Fails the phase at which a spec stands, and the spec with it: its step did not succeed.
pub(super) async fn give_up(
    writer: &PhaseWriter,
    id: SpecId,
    reason: &str,
) -> Result<(), ApplyError> {
    let read = writer.store.read(async |tx| specs::get(tx, id).await);
    let spec = read.await?;
    if spec.kind == SpecKind::Direct && !spec.current_phase.is_document() {
        return Ok(direct::give_up(&writer.store, id, reason).await?);
    }
    let given_up = writer.store.write(CrashPoint::PhaseMoved, async |tx| {
        let spec = specs::get(tx, id).await?;
        let Some(phase) = phase_at_fault(spec.status, spec.current_phase) else {
            return Ok(None);
        };
        let run = phases::ensure(tx, id, phase).await?;
        let actions = give_up_phase(phase, run.state, reason);
        let at = SpecPhase {
            spec: &spec,
            run: &run,
        };
        let mut change = PhaseChangeset::new(at);
        change.apply(tx, &writer.failures, actions).await?;
        Ok::<_, ApplyError>(Some(change))
    });
    if let Some(change) = given_up.await? {
        change.stop_ended_attempt(&writer.running);
    }
    Ok(())
}

/// SHA-256 over everything a phase reads.
fn input_digest(
    spec: &Spec,
    phase: Phase,
    passed: &BTreeMap<Phase, String>,
    answer: Option<&String>,
) -> String {
    let inputs = phase
        .inputs()
        .iter()
        .map(|input| passed.get(input).map_or("", String::as_str));
    // Without an answer, the digest is what it was before there could be one.
    let inputs: Vec<&str> = inputs.chain(answer.map(String::as_str)).collect();
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

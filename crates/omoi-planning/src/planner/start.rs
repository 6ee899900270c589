//! Starts an attempt at a phase.

use tracing::{debug, info};

use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::phase::PhaseAction;
use omoi_domain::model_route::RouteName;
use omoi_execution::attempt::{
    self, AttemptIssuer, AttemptJob, CreatedAttempt, NewAttempt, WorkPlan,
};
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_sandbox::WorkspaceAccess;
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::PhaseRun;
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tx};

use super::phase_change::{PhaseChangeset, SpecPhase};
use super::step::PhaseDriver;
use crate::prompt::phase_brief;
use crate::sync::ApplyError;

/// An attempt that is to be made at a phase.
pub(super) struct AttemptOrder {
    /// Which one it is of those that count, from 1.
    pub(super) attempt: u32,
    /// What changes with it.
    pub(super) actions: Vec<PhaseAction>,
}

/// Inserts and launches an attempt at a phase, which runs from then on.
pub(super) async fn start_attempt(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
    order: AttemptOrder,
) -> Result<Next, BoxError> {
    let SpecPhase { spec, run } = at;
    // Before anything is written: without orders there must be no attempt.
    let brief = phase_brief(&driver.gate, spec, run, order.attempt).await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    let toolchains = &driver.runner.checkouts.toolchains;
    let toolbox = toolchains.toolchain_of(spec).await?;
    let created = driver
        .writer
        .store
        .write(CrashPoint::AttemptCreated, async |tx| {
            let mut change = PhaseChangeset::new(at);
            change
                .apply(tx, &driver.writer.failures, order.actions)
                .await?;
            let created = insert_attempt(tx, &driver.issuer, spec, &change.run).await?;
            // Before the commit: an attempt that nobody holds is taken for one of a process that died.
            let held = driver
                .writer
                .running
                .hold_attempt(created.attempt.org_id, created.attempt.id);
            Ok::<_, ApplyError>((created, held))
        });
    let (created, held) = created.await?;
    let (phase, number) = (run.phase, spec.number);
    info!(
        spec.id = %spec.id, attempt.id = %created.attempt.id, n_turns = created.turns.len(),
        "Phase {phase} of SPEC-{number}, attempt {}", order.attempt
    );
    let work = WorkPlan {
        base: base.clone(),
        commit: base,
        branch: format!("plan/{phase}"),
        snapshot: None,
        merge: None,
        access: WorkspaceAccess::ReadOnly,
        toolbox,
    };
    let job = AttemptJob {
        route: RouteName::of_agent(created.attempt.role, None),
        attempt: created.attempt,
        token: created.token,
        turns: created.turns,
        work,
        brief,
    };
    attempt::launch_attempt(&driver.starter, held, job);
    Ok(Next::Idle)
}

async fn insert_attempt(
    tx: &mut Tx,
    issuer: &AttemptIssuer,
    spec: &Spec,
    run: &PhaseRun,
) -> Result<CreatedAttempt, StoreError> {
    let subject = AttemptSubject::SpecPhase { phase: run.phase };
    let earlier = attempts::of_subject(tx, spec.id, subject).await?;
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject,
        round: run.attempts.saturating_sub(1),
        role: AgentRole::Planner,
        agent: Some(spec.options.0.agents.phase_agent(run.phase)),
        fence: earlier.len() as i64 + 1,
        base_sha: Some(spec.base_sha.clone()),
    };
    let mut created = attempt::insert_attempt(tx, issuer, new).await?;
    // What was said about other inputs is not gone on with.
    let is_stale = |last: &Attempt| run.started_at.is_none_or(|at| last.created_at < at);
    if earlier.last().is_some_and(is_stale) && !created.turns.is_empty() {
        debug!(spec.id = %spec.id, phase = %run.phase, "The inputs changed: earlier turns are dropped");
        attempts::drop_turns(tx, created.attempt.id).await?;
        created.turns.clear();
    }
    Ok(created)
}

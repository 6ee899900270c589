//! The project's own suite on the base commit, before any model is asked.
//!
//! It runs as an attempt of the platform, so that a kill in the middle costs one more run and nothing
//! else. A suite that is red there, or cannot start, would send back every task for what no agent did.

use std::time::Duration;

use tracing::{info, warn};

use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::block::SpecBlock;
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::phase::Phase;
use omoi_domain::suite::fault::base_refusal;
use omoi_domain::suite::report::read_suite_report;
use omoi_domain::suite::verdict::{BaseVerdict, judge_base};
use omoi_execution::Platform;
use omoi_execution::attempt::{NewAttempt, insert};
use omoi_execution::check_receipt::{CheckRun, receipt_of};
use omoi_execution::command::{self, Command};
use omoi_execution::platform::Held;
use omoi_execution::toolbox::Toolbox;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::Kind;
use omoi_runtime::reconcile::Next;
use omoi_runtime::telemetry::chain;
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tx, attempts};

use crate::planner::end_planning;

/// Keeps a spec from its first model call until its suite has passed on the base commit, or a person
/// has accepted how it fails. None when planning may go on.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn hold(
    platform: &Platform,
    spec: &mut Spec,
    phase: Phase,
) -> Result<Option<Next>, BoxError> {
    if spec.suite_command().is_none() {
        return Ok(None);
    }
    let mut tx = platform.store.begin_write().await?;
    let Some(suite) = checks::suite_of_spec(&mut tx, spec.id).await? else {
        return Ok(None);
    };
    if let Some(base) = checks::base_receipt(&mut tx, suite.id).await? {
        return match judge_base(&base.suite_run(), spec.options.0.accept_red) {
            BaseVerdict::Begin => Ok(None),
            BaseVerdict::Refused { acceptable } => {
                let ending = base
                    .exit_code
                    .map_or("it was stopped".to_owned(), |code| format!("exit {code}"));
                let reason = base_refusal(&suite.command, &ending, &base.output, acceptable);
                block(tx, spec, phase, SpecBlock::SuiteRed, reason)
                    .await
                    .map(Some)
            }
        };
    }
    let tried = attempts::of_subject(&mut tx, spec.id, AttemptSubject::BaseSuite).await?;
    if tried.iter().any(|attempt| attempt.state.is_live()) {
        return Ok(Some(Next::Idle));
    }
    let failed = tried
        .last()
        .filter(|last| last.state == AttemptState::Failed && last.created_at >= spec.updated_at);
    if let Some(failed) = failed {
        let why = failed.error_message.clone().unwrap_or_default();
        let reason = format!(
            "{}: the sandbox could not run `{}` on the base commit: {why}; see `omoi doctor`",
            SpecBlock::SuiteNotRun,
            suite.command
        );
        return block(tx, spec, phase, SpecBlock::SuiteNotRun, reason)
            .await
            .map(Some);
    }
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject: AttemptSubject::BaseSuite,
        round: 0,
        role: AgentRole::Platform,
        fence: tried.len() as i64 + 1,
        base_sha: Some(spec.base_sha.clone()),
    };
    let mut attempt = insert(&mut tx, platform, new).await?.attempt;
    attempts::transition(&mut tx, &mut attempt, AttemptState::Starting).await?;
    let held = platform.hold(attempt.id);
    tx.commit(CrashPoint::AttemptCreated).await?;
    spawn(platform, spec.clone(), held, suite);
    Ok(Some(Next::Idle))
}

/// Ends the run until a person changes something.
async fn block(
    mut tx: Tx,
    spec: &mut Spec,
    phase: Phase,
    block: SpecBlock,
    reason: String,
) -> Result<Next, BoxError> {
    info!(spec.id = %spec.id, "The suite of SPEC-{} does not pass on its base", spec.number);
    end_planning(&mut tx, spec, Some(phase)).await?;
    specs::block(&mut tx, spec, block, reason).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(Next::Idle)
}

fn spawn(platform: &Platform, spec: Spec, held: Held, suite: Check) {
    let name = format!("suite of SPEC-{} on its base", spec.number);
    let platform_ = platform.clone();
    platform.lifecycle.spawn(name, Kind::Work, async move {
        let attempt = held.attempt();
        let ended = run(&platform_, &spec, &suite, attempt).await;
        if let Err(error) = ended {
            let why = chain(error.as_ref());
            warn!(spec.id = %spec.id, error = %why, "Could not run the suite of SPEC-{}", spec.number);
            let mut tx = platform_.store.begin_write().await?;
            if end(&mut tx, attempt, Some(why)).await? {
                tx.commit(CrashPoint::AttemptEnded).await?;
            }
        }
        drop(held);
        Ok(())
    });
}

async fn run(
    platform: &Platform,
    spec: &Spec,
    suite: &Check,
    attempt: AttemptId,
) -> Result<(), BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let toolbox = Toolbox::of_spec(spec)?;
    let tree = platform
        .mirror(spec.project_id)
        .await?
        .tree_of(&base)
        .await?;
    let started_at = platform.store.begin_read().await?.now();
    let command = Command {
        spec,
        commit: &base,
        command: &suite.command,
        files: &suite.files.0,
        timeout: Duration::from_secs(u64::try_from(suite.timeout_s).unwrap_or(0)),
        toolbox: &toolbox,
    };
    let ran = command::run(platform, command).await?;
    let mut tx = platform.store.begin_write().await?;
    let run = CheckRun {
        spec: spec.id,
        check: suite.id,
        task: None,
        attempt,
        stage: CheckStage::Base,
        commit: &base,
        tree: tree.as_str(),
    };
    let receipt = Receipt {
        tests: Json(Some(read_suite_report(&ran.output))),
        started_at,
        ..receipt_of(&tx, run, ran)
    };
    if end(&mut tx, attempt, None).await? {
        checks::store_receipt(&mut tx, spec.project_id, suite, &receipt).await?;
        tx.commit(CrashPoint::AttemptEnded).await?;
    }
    Ok(())
}

/// Ends the attempt; false when it is over already, as after a lost lease.
async fn end(tx: &mut Tx, attempt: AttemptId, why: Option<String>) -> Result<bool, StoreError> {
    let mut attempt = attempts::get(tx, attempt).await?;
    if !attempt.state.is_live() {
        return Ok(false);
    }
    let (to, stop_reason) = match &why {
        None => (AttemptState::Succeeded, AttemptStopReason::Done),
        Some(_) => (AttemptState::Failed, AttemptStopReason::Error),
    };
    attempt.stop_reason = Some(stop_reason);
    attempt.error_message = why;
    attempts::transition(tx, &mut attempt, to).await?;
    Ok(true)
}

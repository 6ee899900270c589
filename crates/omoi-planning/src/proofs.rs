//! Proof checks on the spec's base commit: one that passes there proves nothing.
//!
//! They run apart from the planner's tick, as an attempt of the platform, so that a command that
//! hangs holds up nobody else. How each ended is kept with the phase under a digest of what was
//! run, so that nothing is run twice.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::phase::Phase;
use omoi_domain::time::Timestamp;
use omoi_execution::Platform;
use omoi_execution::attempt::{NewAttempt, insert};
use omoi_execution::command::{self, Command, CommandError};
use omoi_execution::platform::Held;
use omoi_execution::toolbox::Toolbox;
use omoi_git::object::ObjectId;
use omoi_plan::items::assemble_output;
use omoi_plan::outputs::TasksOutput;
use omoi_plan::outputs::tasks::PlannedCheck;
use omoi_plan::sync::CHECK_TIMEOUT_S;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::Kind;
use omoi_runtime::telemetry::chain;
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{Json, StoreError, Tx};

use crate::items::journal;

/// Proofs run at once.
const AT_ONCE: usize = 3;
/// Times the proofs of one output may fail to run at all.
const SPAWNS_MAX: usize = 3;

/// How proofs ended on the base commit, by task and index: the exit code, none when a time limit or
/// a signal ended one.
pub(crate) type BaseExits = BTreeMap<(String, usize), Option<i32>>;

/// The same by digest of what was run.
type Kept = BTreeMap<String, Option<i32>>;

/// Gives every check the time it will have, so that the plan says what is meant.
pub(crate) fn set_times(tasks: &mut TasksOutput, longest: Duration) {
    let longest = u32::try_from(longest.as_secs()).unwrap_or(u32::MAX);
    for check in tasks.tasks.iter_mut().flat_map(|task| &mut task.checks) {
        let asked = check.timeout_s.unwrap_or(CHECK_TIMEOUT_S);
        check.timeout_s = Some(asked.min(longest));
    }
}

/// What is known of the proofs of `tasks`.
pub(crate) fn known(
    spec: &Spec,
    runs: &[PhaseRun],
    tasks: &TasksOutput,
) -> Result<BaseExits, StoreError> {
    let run = runs.iter().find(|run| run.phase == Phase::Tasks);
    let kept = run.map_or_else(|| Ok(Kept::new()), kept)?;
    let of = |(key, check): ((String, usize), &PlannedCheck)| {
        kept.get(&digest(spec, check)).map(|exit| (key, *exit))
    };
    Ok(proofs(tasks).filter_map(of).collect())
}

/// Starts what has not been tried of the proofs the tasks phase handed in since `since`; true while
/// any is on its way.
///
/// # Errors
/// When they failed to run [`SPAWNS_MAX`] times.
pub(crate) async fn run_open(
    platform: &Platform,
    spec: &Spec,
    run: &PhaseRun,
    since: Timestamp,
) -> Result<bool, BoxError> {
    let items = {
        let mut tx = platform.store.begin_read().await?;
        journal(&mut tx, spec.id, Phase::Tasks).await?
    };
    // What cannot be read is refused by the judge.
    let Some(mut tasks) = assemble_output(Phase::Tasks, &items)
        .ok()
        .and_then(|whole| serde_json::from_value::<TasksOutput>(whole).ok())
    else {
        return Ok(false);
    };
    set_times(&mut tasks, platform.settings_of(spec).check_timeout);
    let kept = kept(run)?;
    let mut open: BTreeMap<String, PlannedCheck> = BTreeMap::new();
    for (_, check) in proofs(&tasks) {
        let digest = digest(spec, check);
        if !kept.contains_key(&digest) {
            open.insert(digest, check.clone());
        }
    }
    if open.is_empty() {
        return Ok(false);
    }
    let mut tx = platform.store.begin_write().await?;
    let subject = AttemptSubject::PlanProofs;
    if attempts::live(&mut tx, spec.id, subject).await?.is_some() {
        return Ok(true);
    }
    let tried = attempts::of_subject(&mut tx, spec.id, subject).await?;
    let failed = |a: &&Attempt| a.state == AttemptState::Failed && a.created_at >= since;
    if tried.iter().filter(failed).count() >= SPAWNS_MAX {
        let why = tried.last().and_then(|a| a.error_message.clone());
        let why = why.unwrap_or_default();
        return Err(format!("the proof checks could not be run: {why}").into());
    }
    let about = CheckAttempt {
        subject,
        round: run.attempts,
        role: AgentRole::Platform,
    };
    let attempt = begin(&mut tx, platform, spec, about).await?.id;
    let held = platform.hold(attempt);
    tx.commit(CrashPoint::AttemptCreated).await?;
    spawn(platform, spec.clone(), held, open);
    Ok(true)
}

/// An attempt of the platform beside a phase.
pub(crate) struct CheckAttempt {
    /// What it is about.
    pub(crate) subject: AttemptSubject,
    /// The attempt of the phase.
    pub(crate) round: u32,
    /// Who makes it.
    pub(crate) role: AgentRole,
}

/// Begins an attempt of the platform; whoever does its work holds it.
pub(crate) async fn begin(
    tx: &mut Tx,
    platform: &Platform,
    spec: &Spec,
    about: CheckAttempt,
) -> Result<Attempt, StoreError> {
    let fence = attempts::of_subject(tx, spec.id, about.subject)
        .await?
        .len() as i64
        + 1;
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject: about.subject,
        round: about.round,
        role: about.role,
        fence,
        base_sha: Some(spec.base_sha.clone()),
    };
    let mut attempt = insert(tx, platform, new).await?.attempt;
    attempts::transition(tx, &mut attempt, AttemptState::Starting).await?;
    Ok(attempt)
}

fn spawn(platform: &Platform, spec: Spec, held: Held, open: BTreeMap<String, PlannedCheck>) {
    let name = format!("proofs of SPEC-{} on its base", spec.number);
    let platform_ = platform.clone();
    platform.lifecycle.spawn(name, Kind::Work, async move {
        let attempt = held.attempt();
        let ended = match run(&platform_, &spec, &open).await {
            Ok(exits) => end(&platform_, &spec, attempt, Ok(exits)).await,
            Err(error) => {
                let why = chain(error.as_ref());
                warn!(spec.id = %spec.id, error = %why, "Could not run the proofs of SPEC-{}", spec.number);
                end(&platform_, &spec, attempt, Err(why)).await
            }
        };
        drop(held);
        Ok(ended?)
    });
}

async fn run(
    platform: &Platform,
    spec: &Spec,
    open: &BTreeMap<String, PlannedCheck>,
) -> Result<Kept, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let toolbox = Toolbox::of_spec(spec)?;
    let one = async |(digest, check): (&String, &PlannedCheck)| {
        let command = Command {
            spec,
            commit: &base,
            command: &check.command,
            files: &check.files,
            timeout: Duration::from_secs(check.timeout_s.unwrap_or(CHECK_TIMEOUT_S).into()),
            toolbox: &toolbox,
        };
        let ran = command::run(platform, command).await?;
        Ok::<_, CommandError>((digest.clone(), ran.exit_code))
    };
    let exits = stream::iter(open).map(one).buffer_unordered(AT_ONCE);
    Ok(exits.try_collect().await?)
}

/// Keeps what came of the proofs and ends their attempt. One that is over already, as after a lost
/// lease, writes nothing.
async fn end(
    platform: &Platform,
    spec: &Spec,
    attempt: AttemptId,
    ended: Result<Kept, String>,
) -> Result<(), StoreError> {
    let mut tx = platform.store.begin_write().await?;
    let mut attempt = attempts::get(&mut tx, attempt).await?;
    if !attempt.state.is_live() {
        return Ok(());
    }
    let to = match ended {
        Ok(exits) => {
            let mut run = phases::ensure(&mut tx, spec.id, Phase::Tasks).await?;
            let mut all = kept(&run)?;
            all.extend(exits);
            run.facts = Some(Json(json!({ "base_exits": all })));
            phases::save(&mut tx, &mut run).await?;
            attempt.stop_reason = Some(AttemptStopReason::Done);
            AttemptState::Succeeded
        }
        Err(why) => {
            attempt.stop_reason = Some(AttemptStopReason::Error);
            attempt.error_message = Some(why);
            AttemptState::Failed
        }
    };
    attempts::transition(&mut tx, &mut attempt, to).await?;
    tx.commit(CrashPoint::AttemptEnded).await
}

fn proofs(tasks: &TasksOutput) -> impl Iterator<Item = ((String, usize), &PlannedCheck)> {
    tasks.tasks.iter().flat_map(|task| {
        let numbered = task.checks.iter().enumerate();
        let proofs = numbered.filter(|(_, check)| check.kind == CheckKind::Proof);
        proofs.map(|(n, check)| ((task.id.clone(), n), check))
    })
}

fn kept(run: &PhaseRun) -> Result<Kept, StoreError> {
    let stored = run.facts.as_ref().and_then(|f| f.0.get("base_exits"));
    let Some(stored) = stored else {
        return Ok(Kept::new());
    };
    Kept::deserialize(stored).map_err(|error| StoreError::Corrupt {
        column: "facts",
        value: error.to_string(),
        expected: "map of exit codes",
    })
}

/// Names what is run: the same command over the same files for as long on the same commit.
fn digest(spec: &Spec, check: &PlannedCheck) -> String {
    let what: Value = json!([spec.base_sha, check.command, check.files, check.timeout_s]);
    hex::encode(Sha256::digest(what.to_string()))
}

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
use tracing::debug;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::EgressMode;
use omoi_domain::id::AttemptId;
use omoi_domain::lifecycle::phase::{ProofFacts, ProofStep, proof_step};
use omoi_domain::phase::Phase;
use omoi_domain::time::Timestamp;
use omoi_execution::command::{self, CheckoutCommand, CheckoutRunner, CommandError as RunError};
use omoi_execution::platform_run::{PlatformWork, RunEnding, begin_run, earlier_runs, end_run};
use omoi_git::object::ObjectId;
use omoi_plan::items::{OutputItem, assemble_output};
use omoi_plan::outputs::TasksOutput;
use omoi_plan::outputs::tasks::PlannedCheck;
use omoi_plan::sync::CHECK_TIMEOUT_S;
use omoi_runtime::BoxError;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{Json, StoreError, Tenant};

use crate::base_runner::BaseRunner;

use crate::items::journal;

/// Says that a person changed the tasks since: the facts of the next run of proofs take its place.
const UNTRIED: &str = "has_untried";
/// Proofs run at once.
const AT_ONCE: usize = 3;

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

/// Says of a run whose tasks a person changed that proofs of theirs may not have been tried.
pub(crate) fn mark_untried(run: &mut PhaseRun) -> Result<(), StoreError> {
    let tried = kept(run)?;
    run.facts = Some(Json(json!({ "base_exits": tried, UNTRIED: true })));
    Ok(())
}

/// Whether a person changed the tasks since proofs were tried last.
pub(crate) fn has_untried(run: &PhaseRun) -> bool {
    let facts = run.facts.as_ref();
    facts.is_some_and(|facts| facts.0[UNTRIED] == true)
}

/// Starts what has not been tried of the proofs the tasks phase submitted since `since`; true while
/// any is on its way.
///
/// # Errors
/// When they failed to run too often.
pub(crate) async fn run_open(
    runner: &BaseRunner,
    spec: &Spec,
    run: &PhaseRun,
    since: Timestamp,
) -> Result<bool, BoxError> {
    let read = runner.store.read(async |tx| {
        let items = journal(tx, spec.id, Phase::Tasks).await?;
        let subject = AttemptSubject::PlanProofs;
        Ok::<_, StoreError>((items, earlier_runs(tx, spec.id, subject).await?))
    });
    let (items, runs) = read.await?;
    let longest = spec.work_limits(runner.limits).check_timeout;
    let open = open_proofs(spec, &items, &kept(run)?, longest);
    let facts = ProofFacts {
        has_open: !open.is_empty(),
        runs: &runs,
        since,
    };
    match proof_step(facts) {
        ProofStep::GoOn => Ok(false),
        ProofStep::Await => Ok(true),
        ProofStep::GiveUp(why) => Err(format!("the proof checks could not be run: {why}").into()),
        ProofStep::Run => {
            debug!(spec.id = %spec.id, n_proofs = open.len(), "Running proofs on the base of SPEC-{}", spec.number);
            start(runner, spec, run.attempts, open).await?;
            Ok(true)
        }
    }
}

/// Proofs that have not been tried, by the digest of what is run.
type OpenProofs = BTreeMap<String, PlannedCheck>;

/// The proofs among `items` whose end on the base commit is not in `kept`. What cannot be read has none:
/// the judge refuses it.
fn open_proofs(spec: &Spec, items: &[OutputItem], kept: &Kept, longest: Duration) -> OpenProofs {
    let whole = assemble_output(Phase::Tasks, items).ok();
    let Some(mut tasks) = whole.and_then(|whole| TasksOutput::deserialize(&whole).ok()) else {
        return OpenProofs::new();
    };
    set_times(&mut tasks, longest);
    let all = proofs(&tasks).map(|(_, check)| (digest(spec, check), check));
    let open = all.filter(|(digest, _)| !kept.contains_key(digest));
    open.map(|(digest, check)| (digest, check.clone()))
        .collect()
}

async fn start(
    runner: &BaseRunner,
    spec: &Spec,
    round: u32,
    open: OpenProofs,
) -> Result<(), StoreError> {
    let begun = runner.store.write(CrashPoint::AttemptCreated, async |tx| {
        let subject = AttemptSubject::PlanProofs;
        begin_run(tx, &runner.platform, spec, PlatformWork { subject, round }).await
    });
    let run = begun.await?;
    let name = format!("proofs of SPEC-{} on its base", spec.number);
    let (runner, spec, attempt) = (runner.clone(), spec.clone(), run.attempt.id);
    run.spawn(name, async move {
        let exits = run_proofs(&runner.checkouts, &spec, &open).await?;
        Ok(keep_exits(&runner.store, &spec, attempt, exits).await?)
    });
    Ok(())
}

async fn run_proofs(
    checkouts: &CheckoutRunner,
    spec: &Spec,
    open: &OpenProofs,
) -> Result<Kept, BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let toolbox = checkouts.toolchains.toolchain_of(spec).await?;
    let one = async |(digest, check): (&String, &PlannedCheck)| {
        let command = CheckoutCommand {
            spec,
            commit: &base,
            command: &check.command,
            files: &check.files,
            timeout: Duration::from_secs(check.timeout_s.unwrap_or(CHECK_TIMEOUT_S).into()),
            toolbox: &toolbox,
            // It is the base.
            setup_mode: EgressMode::Closed,
        };
        let ran = command::run_in_checkout(checkouts, command).await?;
        Ok::<_, RunError>((digest.clone(), ran.exit_code))
    };
    let exits = stream::iter(open).map(one).buffer_unordered(AT_ONCE);
    Ok(exits.try_collect().await?)
}

/// Keeps how the proofs ended, and ends their attempt. One that is over already, as after a lost lease,
/// writes nothing.
async fn keep_exits(
    store: &Tenant,
    spec: &Spec,
    attempt: AttemptId,
    exits: Kept,
) -> Result<(), StoreError> {
    let ended = store.write(CrashPoint::AttemptEnded, async |tx| {
        if !end_run(tx, attempt, RunEnding::Done).await? {
            return Ok(());
        }
        let mut run = phases::ensure(tx, spec.id, Phase::Tasks).await?;
        let mut all = kept(&run)?;
        all.extend(exits);
        run.facts = Some(Json(json!({ "base_exits": all })));
        phases::save(tx, &mut run).await
    });
    ended.await
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

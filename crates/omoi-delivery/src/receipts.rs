//! Runs checks on a commit and stores what came of them.

mod check_runner;
mod feedback;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::EgressMode;
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::merge::MergeState;
use omoi_domain::model_fallback::WorkModels;
use omoi_execution::base_run::{BaseRun, BaseRunError, check_timeout};
use omoi_execution::check_receipt::{CheckRun, receipt_of};
use omoi_execution::command::{self, CheckoutCommand, CheckoutRunner, CommandError, CommandRun};
use omoi_execution::egress::work_setup_mode;
use omoi_execution::tasks::resolved_by;
use omoi_git::mirror::{Mirror, MirrorError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::checks::{self, Check, PackageList, Receipt};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task, TaskStanding};
use omoi_store::{Json, StoreError, Tenant, Tx, attempts, costs, egress_entries, merges};

use crate::suite;

pub use check_runner::CheckRunner;
pub(crate) use feedback::output_tail;
pub use feedback::unmet_checks;

/// Checks run at once.
pub(crate) const PARALLEL: usize = 2;
/// What a receipt of a proposed check says that passed without the work.
const PROVES_NOTHING: &str =
    "\n[check_proves_nothing: it passes without the work, so the project's suite decides]\n";

/// Checks could not be run; says nothing about what they would have found.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// A command could not be run.
    #[error("a check could not be run")]
    Command(#[from] CommandError),
    /// A proposed check could not be run on the commit its work was cut from.
    #[error("a proposed check could not be tried")]
    Base(#[from] BaseRunError),
    /// The mirror could not be opened.
    #[error("the mirror could not be opened")]
    Mirror(#[from] MirrorError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// A stored object name is broken.
    #[error("a stored object name is broken")]
    ObjectId(#[from] BadObjectId),
}

/// A run of checks on one commit.
pub struct CheckBatch<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The platform's attempt that runs them.
    pub attempt: AttemptId,
    /// `task`, `merge`, `head` or `ablation`.
    pub stage: CheckStage,
    /// The commit.
    pub commit: &'a ObjectId,
    /// The checks.
    pub checks: Vec<Check>,
    /// The task they are run for; none at the end of a spec.
    pub task: Option<TaskId>,
}

/// The checks a task must pass at `commit`: its own and the project's suite; for a resolution those
/// of both sides, which are the task coming in and all that landed in what it was cut from.
///
/// # Errors
/// When the database or git cannot be read.
pub async fn of_task(
    runner: &CheckRunner,
    task: &Task,
    commit: &ObjectId,
) -> Result<Vec<Check>, ReceiptError> {
    match task.resolves_merge_id {
        Some(_) => of_both_sides(runner, task, commit).await,
        None => of_owners(runner, task, &BTreeSet::from([task.id])).await,
    }
}

/// The checks of both sides of a merge at `commit`: those of the task, of what it resolves, and of all that landed there.
///
/// # Errors
/// As [`of_task`].
pub async fn of_both_sides(
    runner: &CheckRunner,
    task: &Task,
    commit: &ObjectId,
) -> Result<Vec<Check>, ReceiptError> {
    let mut owners = BTreeSet::from([task.id]);
    let mirror = runner.folders.project_mirror(task.project_id).await?;
    let read = runner.store.read(async |tx| {
        let all = merges::of_spec(tx, task.spec_id).await?;
        Ok::<_, StoreError>((all, resolved_by(tx, task).await?))
    });
    let (merges, resolved) = read.await?;
    for merge in merges {
        let landed = match (merge.state, &merge.merged_sha) {
            (MergeState::Completed, Some(sha)) => {
                mirror.is_ancestor(&ObjectId::parse(sha)?, commit).await?
            }
            _ => false,
        };
        if landed || resolved.iter().any(|m| m.id == merge.id) {
            owners.insert(merge.task_id);
        }
    }
    of_owners(runner, task, &owners).await
}

async fn of_owners(
    runner: &CheckRunner,
    task: &Task,
    owners: &BTreeSet<TaskId>,
) -> Result<Vec<Check>, ReceiptError> {
    let read = runner.store.read(async |tx| {
        let checks = checks::of_spec(tx, task.spec_id).await?;
        Ok::<_, StoreError>((checks, tasks::standing_of_spec(tx, task.spec_id).await?))
    });
    let (checks, tasks) = read.await?;
    Ok(checks_of_owners(checks, owners, &tasks))
}

/// The checks that say something of `owners`, with the project's suite; one suite is run once.
fn checks_of_owners(
    mut checks: Vec<Check>,
    owners: &BTreeSet<TaskId>,
    tasks: &[TaskStanding],
) -> Vec<Check> {
    checks.retain(|check| check.task_id.is_none_or(|task| owners.contains(&task)));
    checks.retain(|check| !check.is_deploy);
    checks.retain(|check| proves(check, tasks));
    // A task whose own check is the suite need not run it twice.
    let mut seen = BTreeSet::new();
    checks.retain(|check| {
        check.kind != CheckKind::Suite
            || seen.insert((check.command.clone(), check.files.0.clone()))
    });
    checks
}

/// Runs every check that has not passed on this commit at this stage yet, and returns all receipts.
///
/// # Errors
/// [`ReceiptError`] when a check could not be run at all.
pub async fn run_checks(
    runner: &CheckRunner,
    run: CheckBatch<'_>,
) -> Result<Vec<(Check, Receipt)>, ReceiptError> {
    let mirror = runner.folders.project_mirror(run.spec.project_id).await?;
    let tree = mirror.tree_of(run.commit).await?.as_str().to_owned();
    let mut jobs: Vec<BoxFuture<'_, Result<(Check, Receipt), ReceiptError>>> = Vec::new();
    for check in &run.checks {
        jobs.push(Box::pin(run_check_for_receipt(
            runner, &mirror, &run, check, &tree,
        )));
    }
    let mut done: Vec<(Check, Receipt)> =
        stream::iter(jobs).buffered(PARALLEL).try_collect().await?;
    done.sort_by_key(|(check, _)| (check.ordinal, check.id));
    Ok(done)
}

async fn run_check_for_receipt(
    runner: &CheckRunner,
    mirror: &Mirror,
    run: &CheckBatch<'_>,
    check: &Check,
    tree: &str,
) -> Result<(Check, Receipt), ReceiptError> {
    let read = runner.store.read(async |tx| {
        let known = checks::passing(tx, check.id, run.commit.as_str(), run.stage).await?;
        let mode = work_setup_mode(tx, run.spec.id, run.task).await?;
        Ok::<_, StoreError>((known, mode, tx.now()))
    });
    let (known, setup_mode, started_at) = read.await?;
    if let Some(receipt) = known {
        return Ok((check.clone(), receipt));
    }
    let limit = RunLimit {
        commit: run.commit,
        timeout: check_timeout(check),
        setup_mode,
    };
    let mut ran = run_check_command(&runner.checkouts, run.spec, check, limit).await?;
    let self_tested = self_tested(&runner.store, mirror, check, &ran).await?;
    let judged = suite::judge_suite_run(runner, run, check, &mut ran).await?;
    let stored = runner.store.write(CrashPoint::ReceiptStored, async |tx| {
        let task = run.task.or(check.task_id);
        let models = match task {
            Some(task) => costs::models_of_head(tx, task, run.commit.as_str()).await?,
            None => WorkModels::default(),
        };
        let packages = package_list(tx, task, ran.packages_layer.as_deref()).await?;
        let receipt = Receipt {
            self_tested,
            started_at,
            models: Json(models),
            packages: Json(packages),
            tests: Json(judged.tests),
            passed: judged.passed,
            ..receipt_of(tx, check_run(run, check, tree), ran)
        };
        checks::store_receipt(tx, run.spec.project_id, check, &receipt).await?;
        Ok::<_, StoreError>(receipt)
    });
    Ok((check.clone(), stored.await?))
}

/// What came in for the agents at `task` and for the packages `layer`.
async fn package_list(
    tx: &mut Tx,
    task: Option<TaskId>,
    layer: Option<&str>,
) -> Result<Option<PackageList>, StoreError> {
    let lines = egress_entries::arrival_lines(tx, task, layer).await?;
    Ok((!lines.is_empty()).then(|| PackageList {
        n_files: lines.len() as u64,
        digest: command::digest(&lines.concat()),
    }))
}

/// Where a check is run, and for how long at most.
#[derive(Clone, Copy)]
struct RunLimit<'a> {
    commit: &'a ObjectId,
    timeout: Duration,
    setup_mode: EgressMode,
}

async fn run_check_command(
    checkouts: &CheckoutRunner,
    spec: &Spec,
    check: &Check,
    limit: RunLimit<'_>,
) -> Result<CommandRun, CommandError> {
    let toolbox = checkouts.toolchains.toolchain_of(spec).await?;
    let command = CheckoutCommand {
        spec,
        commit: limit.commit,
        command: &check.command,
        files: &check.files.0,
        timeout: limit.timeout,
        toolbox: &toolbox,
        setup_mode: limit.setup_mode,
    };
    command::run_in_checkout(checkouts, command).await
}

/// Runs a check for at most `limit`, and stores its receipt. None when it was cut off before its own
/// time was over, which says nothing about it.
///
/// # Errors
/// [`ReceiptError`] when the check could not be run at all.
pub(crate) async fn run_within(
    runner: &CheckRunner,
    run: &CheckBatch<'_>,
    check: &Check,
    limit: Duration,
) -> Result<Option<Receipt>, ReceiptError> {
    let mirror = runner.folders.project_mirror(run.spec.project_id).await?;
    let tree = mirror.tree_of(run.commit).await?;
    let store = &runner.store;
    let read = store.read(async |tx| {
        let mode = work_setup_mode(tx, run.spec.id, run.task).await?;
        Ok::<_, StoreError>((mode, tx.now()))
    });
    let (setup_mode, started_at) = read.await?;
    let run_limit = RunLimit {
        commit: run.commit,
        timeout: limit,
        setup_mode,
    };
    let ran = run_check_command(&runner.checkouts, run.spec, check, run_limit).await?;
    if ran.exit_code.is_none() && ran.took >= limit && limit < check_timeout(check) {
        return Ok(None);
    }
    let stored = store.write(CrashPoint::ReceiptStored, async |tx| {
        let receipt = Receipt {
            started_at,
            // It says nothing of the task, whose work is not there.
            task_id: None,
            ..receipt_of(tx, check_run(run, check, tree.as_str()), ran)
        };
        checks::store_receipt(tx, run.spec.project_id, check, &receipt).await?;
        Ok::<_, StoreError>(receipt)
    });
    Ok(Some(stored.await?))
}

fn check_run<'a>(run: &CheckBatch<'a>, check: &Check, tree: &'a str) -> CheckRun<'a> {
    CheckRun {
        spec: run.spec.id,
        check: check.id,
        task: run.task.or(check.task_id),
        attempt: run.attempt,
        stage: run.stage,
        commit: run.commit,
        tree,
    }
}

/// Runs the check an agent proposed for work it found on the commit the work was cut from, once. One
/// that passes there proves nothing: it is left out from then on, a receipt says so, and the
/// project's suite decides.
///
/// # Errors
/// [`ReceiptError`] when the check could not be run at all.
pub async fn try_proposed(
    runner: &CheckRunner,
    spec: &Spec,
    task: &Task,
    attempt: AttemptId,
) -> Result<(), ReceiptError> {
    let (Some(_), Some(base)) = (task.parent_task_id, &task.base_sha) else {
        return Ok(());
    };
    let base = ObjectId::parse(base)?;
    let store = &runner.store;
    let own = store
        .read(async |tx| checks::of_task(tx, task.id).await)
        .await?;
    let untried = |check: &&Check| check.kind == CheckKind::Proof && check.base_exit.is_none();
    for check in own.iter().filter(untried) {
        let run = BaseRun {
            spec,
            check,
            task: Some(task.id),
            attempt,
            commit: &base,
        };
        let mut finished = run.run_check(store, &runner.checkouts).await?;
        let stored = store.write(CrashPoint::ReceiptStored, async |tx| {
            let ran = &mut finished.command;
            checks::set_base_exit(tx, check.id, ran.exit_code.unwrap_or(-1)).await?;
            if !ran.passed() {
                return Ok(());
            }
            ran.output.push_str(PROVES_NOTHING);
            ran.output_digest = command::digest(&ran.output);
            run.store_base_receipt(tx, finished, None).await
        });
        stored.await?;
    }
    Ok(())
}

/// Whether a check says anything: one proposed for work found on the way must have failed before.
pub fn proves(check: &Check, tasks: &[TaskStanding]) -> bool {
    let found = |t: &&TaskStanding| Some(t.id) == check.task_id && t.parent_task_id.is_some();
    !(check.kind == CheckKind::Proof
        && check.base_exit == Some(0)
        && tasks.iter().any(|t| found(&t)))
}

/// Whether a test file the check read was changed by the task it proves. Files the check brings
/// itself are not the task's.
async fn self_tested(
    store: &Tenant,
    mirror: &Mirror,
    check: &Check,
    ran: &CommandRun,
) -> Result<bool, ReceiptError> {
    let Some(owner) = check.task_id else {
        return Ok(false);
    };
    let read = store.read(async |tx| {
        let task = tasks::get(tx, owner).await?;
        let mut tries = attempts::of_task(tx, owner).await?.into_iter();
        Ok::<_, StoreError>((task, tries.find_map(|attempt| attempt.base_sha)))
    });
    let (task, first) = read.await?;
    // A task sent back after it landed has a newer base, but its tests of then are its own as well.
    let (Some(base), Some(head)) = (&first.or(task.base_sha), &task.head_sha) else {
        return Ok(false);
    };
    let changes = mirror
        .changed_files(&ObjectId::parse(base)?, &ObjectId::parse(head)?)
        .await?;
    Ok(changes.iter().any(|change| {
        let path = change.path.to_string();
        let read = ran
            .exercised
            .as_ref()
            .is_none_or(|files| files.contains(&path));
        read && is_test_path(&path) && !check.files.0.contains_key(&path)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{sample_check, task_id};

    #[test]
    fn a_task_is_judged_by_its_own_checks_and_one_suite() {
        let of = |n, owner: Option<u128>, kind, command: &str| Check {
            task_id: owner.map(task_id),
            ..sample_check(n, kind, command)
        };
        let all = vec![
            of(1, Some(1), CheckKind::Proof, "own"),
            of(2, Some(2), CheckKind::Proof, "of another task"),
            of(3, None, CheckKind::Suite, "make test"),
            of(4, Some(1), CheckKind::Suite, "make test"),
            of(5, Some(1), CheckKind::Suite, "make lint"),
            Check {
                is_deploy: true,
                ..of(6, None, CheckKind::Regression, "curl shop")
            },
        ];
        for (owners, expected) in [
            (vec![1], vec!["own", "make test", "make lint"]),
            (vec![2], vec!["of another task", "make test"]),
            (
                vec![1, 2],
                vec!["own", "of another task", "make test", "make lint"],
            ),
            (vec![], vec!["make test"]),
        ] {
            let owners = owners.into_iter().map(task_id).collect();
            let checks = checks_of_owners(all.clone(), &owners, &[]);
            let commands: Vec<_> = checks.iter().map(|check| check.command.as_str()).collect();
            assert_eq!(commands, expected);
        }
    }
}

//! Runs checks on a commit and stores what came of them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::merge::MergeState;
use omoi_domain::task::UnmetCode;
use omoi_execution::Platform;
use omoi_execution::check_receipt::{CheckRun, receipt_of};
use omoi_execution::command::{self, Command, CommandError, Ran};
use omoi_execution::tasks::resolved_by;
use omoi_execution::toolbox::Toolbox;
use omoi_git::mirror::{Mirror, MirrorError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tx, attempts, merges};

use crate::suite;

/// Checks run at once.
pub(crate) const PARALLEL: usize = 2;
/// What a receipt of a proposed check says that passed without the work.
const PROVES_NOTHING: &str =
    "\n[check_proves_nothing: it passes without the work, so the project's suite decides]\n";
/// Bytes of a failed check's output that go back to the agent.
const FEEDBACK_BYTES: usize = 4_000;

/// Checks could not be run; says nothing about what they would have found.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// A command could not be run.
    #[error("a check could not be run")]
    Command(#[from] CommandError),
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
pub struct Run<'a> {
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
    platform: &Platform,
    task: &Task,
    commit: &ObjectId,
) -> Result<Vec<Check>, ReceiptError> {
    let mut owners = BTreeSet::from([task.id]);
    if task.resolves_merge_id.is_some() {
        let mirror = platform.mirror(task.project_id).await?;
        let (merges, resolved) = {
            let mut tx = platform.store.begin_read().await?;
            let all = merges::of_spec(&mut tx, task.spec_id).await?;
            (all, resolved_by(&mut tx, task).await?)
        };
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
    }
    let mut tx = platform.store.begin_read().await?;
    let mut own = checks::of_spec(&mut tx, task.spec_id).await?;
    own.retain(|check| check.task_id.is_none_or(|task| owners.contains(&task)));
    let all = tasks::of_spec(&mut tx, task.spec_id).await?;
    own.retain(|check| proves(check, &all));
    // A task whose own check is the suite need not run it twice.
    let mut seen = BTreeSet::new();
    own.retain(|check| {
        check.kind != CheckKind::Suite
            || seen.insert((check.command.clone(), check.files.0.clone()))
    });
    Ok(own)
}

/// Runs every check that has not passed on this commit at this stage yet, and returns all receipts.
///
/// # Errors
/// [`ReceiptError`] when a check could not be run at all.
pub async fn run(platform: &Platform, run: Run<'_>) -> Result<Vec<(Check, Receipt)>, ReceiptError> {
    let mirror = platform.mirror(run.spec.project_id).await?;
    let tree = mirror.tree_of(run.commit).await?.as_str().to_owned();
    let mut jobs: Vec<BoxFuture<'_, Result<(Check, Receipt), ReceiptError>>> = Vec::new();
    for check in &run.checks {
        jobs.push(Box::pin(one(platform, &mirror, &run, check, &tree)));
    }
    let mut done: Vec<(Check, Receipt)> =
        stream::iter(jobs).buffered(PARALLEL).try_collect().await?;
    done.sort_by_key(|(check, _)| (check.ordinal, check.id));
    Ok(done)
}

async fn one(
    platform: &Platform,
    mirror: &Mirror,
    run: &Run<'_>,
    check: &Check,
    tree: &str,
) -> Result<(Check, Receipt), ReceiptError> {
    let (known, started_at) = {
        let mut tx = platform.store.begin_read().await?;
        let commit = run.commit.as_str();
        (
            checks::passing(&mut tx, check.id, commit, run.stage).await?,
            tx.now(),
        )
    };
    if let Some(receipt) = known {
        return Ok((check.clone(), receipt));
    }
    let mut ran = exec(platform, run.spec, check, (run.commit, timeout(check))).await?;
    let self_tested = self_tested(platform, mirror, check, &ran).await?;
    let judged = suite::judge(platform, mirror, (run, check), &mut ran).await?;
    let mut tx = platform.store.begin_write().await?;
    let receipt = Receipt {
        self_tested,
        started_at,
        tests: Json(judged.tests),
        passed: judged.passed,
        ..receipt(&tx, run, (check, tree), ran)
    };
    checks::store_receipt(&mut tx, run.spec.project_id, check, &receipt).await?;
    tx.commit(CrashPoint::ReceiptStored).await?;
    Ok((check.clone(), receipt))
}

async fn exec(
    platform: &Platform,
    spec: &Spec,
    check: &Check,
    (commit, timeout): (&ObjectId, Duration),
) -> Result<Ran, CommandError> {
    let toolbox = Toolbox::of_spec(spec)?;
    let command = Command {
        spec,
        commit,
        command: &check.command,
        files: &check.files.0,
        timeout,
        toolbox: &toolbox,
    };
    command::run(platform, command).await
}

/// Wall time a check may take.
fn timeout(check: &Check) -> Duration {
    Duration::from_secs(u64::try_from(check.timeout_s).unwrap_or(0))
}

/// Runs a check for at most `limit`, and stores its receipt. None when it was cut off before its own
/// time was over, which says nothing about it.
///
/// # Errors
/// [`ReceiptError`] when the check could not be run at all.
pub(crate) async fn run_within(
    platform: &Platform,
    run: &Run<'_>,
    check: &Check,
    limit: Duration,
) -> Result<Option<Receipt>, ReceiptError> {
    let mirror = platform.mirror(run.spec.project_id).await?;
    let tree = mirror.tree_of(run.commit).await?;
    let started_at = platform.store.begin_read().await?.now();
    let ran = exec(platform, run.spec, check, (run.commit, limit)).await?;
    if ran.exit_code.is_none() && ran.took >= limit && limit < timeout(check) {
        return Ok(None);
    }
    let mut tx = platform.store.begin_write().await?;
    let receipt = Receipt {
        started_at,
        // It says nothing of the task, whose work is not there.
        task_id: None,
        ..receipt(&tx, run, (check, tree.as_str()), ran)
    };
    checks::store_receipt(&mut tx, run.spec.project_id, check, &receipt).await?;
    tx.commit(CrashPoint::ReceiptStored).await?;
    Ok(Some(receipt))
}

fn receipt(tx: &Tx, run: &Run<'_>, of: (&Check, &str), ran: Ran) -> Receipt {
    let (check, tree) = of;
    let run = CheckRun {
        spec: run.spec.id,
        check: check.id,
        task: run.task.or(check.task_id),
        attempt: run.attempt,
        stage: run.stage,
        commit: run.commit,
        tree,
    };
    receipt_of(tx, run, ran)
}

/// Runs the check an agent proposed for work it found on the commit the work was cut from, once. One
/// that passes there proves nothing: it is left out from then on, a receipt says so, and the
/// project's suite decides.
///
/// # Errors
/// [`ReceiptError`] when the check could not be run at all.
pub async fn try_proposed(
    platform: &Platform,
    spec: &Spec,
    task: &Task,
    attempt: AttemptId,
) -> Result<(), ReceiptError> {
    let (Some(_), Some(base)) = (task.parent_task_id, &task.base_sha) else {
        return Ok(());
    };
    let base = ObjectId::parse(base)?;
    let mirror = platform.mirror(spec.project_id).await?;
    let own = checks::of_task(&mut platform.store.begin_read().await?, task.id).await?;
    let untried = |check: &&Check| check.kind == CheckKind::Proof && check.base_exit.is_none();
    for check in own.iter().filter(untried) {
        let mut ran = exec(platform, spec, check, (&base, timeout(check))).await?;
        let run = Run {
            spec,
            attempt,
            stage: CheckStage::Base,
            commit: &base,
            checks: Vec::new(),
            task: Some(task.id),
        };
        let tree = mirror.tree_of(&base).await?;
        let mut tx = platform.store.begin_write().await?;
        checks::set_base_exit(&mut tx, check.id, ran.exit_code.unwrap_or(-1)).await?;
        if ran.passed() {
            ran.output.push_str(PROVES_NOTHING);
            ran.output_digest = command::digest(&ran.output);
            let receipt = receipt(&tx, &run, (check, tree.as_str()), ran);
            checks::store_receipt(&mut tx, spec.project_id, check, &receipt).await?;
        }
        tx.commit(CrashPoint::ReceiptStored).await?;
    }
    Ok(())
}

/// Whether a check says anything: one proposed for work found on the way must have failed before.
pub fn proves(check: &Check, tasks: &[Task]) -> bool {
    let found = |t: &&Task| Some(t.id) == check.task_id && t.parent_task_id.is_some();
    !(check.kind == CheckKind::Proof
        && check.base_exit == Some(0)
        && tasks.iter().any(|t| found(&t)))
}

/// Whether a test file the check read was changed by the task it proves. Files the check brings
/// itself are not the task's.
async fn self_tested(
    platform: &Platform,
    mirror: &Mirror,
    check: &Check,
    ran: &Ran,
) -> Result<bool, ReceiptError> {
    let Some(owner) = check.task_id else {
        return Ok(false);
    };
    let (task, first) = {
        let mut tx = platform.store.begin_read().await?;
        let task = tasks::get(&mut tx, owner).await?;
        let tries = attempts::of_task(&mut tx, owner).await?;
        (task, tries.into_iter().find_map(|attempt| attempt.base_sha))
    };
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

/// What a task is told when some of its checks failed; none when all passed.
pub fn unmet(code: UnmetCode, receipts: &[(Check, Receipt)]) -> Option<UnmetResult> {
    let failed: Vec<_> = receipts
        .iter()
        .filter(|(_, receipt)| !receipt.passed)
        .collect();
    let (check, receipt) = failed.first()?;
    let exit = receipt
        .exit_code
        .map_or("was stopped".to_owned(), |code| format!("exit {code}"));
    let feedback = format!(
        "{} of {} checks failed; first `{}` ({exit}):\n{}",
        failed.len(),
        receipts.len(),
        check.command,
        tail(&receipt.output)
    );
    let recommendations = failed
        .iter()
        .map(|(check, receipt)| {
            format!(
                "make `{}` pass: {}",
                check.command,
                last_line(&receipt.output)
            )
        })
        .collect();
    Some(UnmetResult {
        code,
        feedback,
        recommendations,
    })
}

/// The end of a check's output, as much as an agent or a person is shown.
pub(crate) fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(FEEDBACK_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no output")
}

//! The project's own suite: judged by how it ended on the base commit.

use std::collections::BTreeSet;

use omoi_domain::check::CheckKind;
use omoi_domain::suite::fault::{is_environment_fault, missing_packages_reason, missing_part};
use omoi_domain::suite::report::{SuiteReport, read_suite_report};
use omoi_domain::suite::verdict::{SuiteRun, judge_suite};
use omoi_execution::command::{self, CommandRun};
use omoi_git::mirror::{ChangeKind, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_git::survey::is_test_path;
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tenant};

use crate::receipts::{CheckBatch, CheckRunner, ReceiptError};

/// Files in which a project names the packages it needs.
const MANIFESTS: &[&str] = &[
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "Pipfile",
    "package.json",
    "Cargo.toml",
];
/// Manifests that are read.
const MANIFESTS_MAX: usize = 50;
/// Bytes of one that are read; a longer one is left out.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// A commit in its mirror.
#[derive(Clone, Copy)]
pub(crate) struct CommitAt<'a> {
    pub(crate) mirror: &'a Mirror,
    pub(crate) commit: &'a ObjectId,
}

/// The commits of a branch.
#[derive(Clone, Copy)]
pub(crate) struct BranchRange<'a> {
    /// What it was cut from.
    pub(crate) base: &'a ObjectId,
    /// Where it is.
    pub(crate) head: &'a ObjectId,
}

/// What a run of a check means.
pub(crate) struct JudgedRun {
    /// What the runner said of its tests, where the check is the suite.
    pub(crate) tests: Option<SuiteReport>,
    /// Whether it passes.
    pub(crate) passed: bool,
}

/// Judges a run: the suite by its run on the base commit, another check by its exit code. What the
/// exit code does not say is written below the output.
pub(crate) async fn judge_suite_run(
    runner: &CheckRunner,
    run: &CheckBatch<'_>,
    check: &Check,
    ran: &mut CommandRun,
) -> Result<JudgedRun, ReceiptError> {
    if check.kind != CheckKind::Suite {
        return Ok(JudgedRun {
            tests: None,
            passed: ran.passed(),
        });
    }
    let report = read_suite_report(&ran.output);
    let is_own =
        run.spec.suite_command() == Some(check.command.as_str()) && check.files.0.is_empty();
    if !is_own {
        return Ok(JudgedRun {
            tests: Some(report),
            passed: ran.passed(),
        });
    }
    let base = runner.store.read(
        async |tx| match checks::suite_of_spec(tx, run.spec.id).await? {
            Some(suite) => checks::base_receipt(tx, suite.id).await,
            None => Ok(None),
        },
    );
    let base = base.await?;
    let mirror = runner.folders.project_mirror(run.spec.project_id).await?;
    let base = base.as_ref().map(Receipt::suite_run);
    let now = SuiteRun {
        exit_code: ran.exit_code,
        report,
    };
    let may_drop = changes_tests(&mirror, run).await?;
    let verdict = judge_suite(base.as_ref(), &now, may_drop);
    if let Some(note) = verdict.receipt_note() {
        ran.output.push_str(&format!("\n{note}\n"));
        ran.output_digest = command::digest(&ran.output);
    }
    Ok(JudgedRun {
        passed: verdict.is_passing(),
        tests: Some(now.report),
    })
}

/// Whether a test that stood at the base was changed. Only the plan may let a task do that.
async fn changes_tests(mirror: &Mirror, run: &CheckBatch<'_>) -> Result<bool, ReceiptError> {
    let base = ObjectId::parse(&run.spec.base_sha)?;
    let changes = mirror.changed_files(&base, run.commit).await?;
    let stood = |kind| kind != ChangeKind::Added;
    Ok(changes
        .iter()
        .any(|change| stood(change.kind) && is_test_path(&change.path.to_string())))
}

/// What the machine lacks, when that is why every failed check failed: no agent can mend it.
///
/// # Errors
/// When git cannot be read.
pub(crate) async fn environment_fault(
    at: CommitAt<'_>,
    receipts: &[(Check, Receipt)],
) -> Result<Option<String>, GitError> {
    let failed = receipts.iter().filter(|(_, receipt)| !receipt.passed);
    let missing: Option<Vec<_>> = failed
        .map(|(_, receipt)| Some((missing_part(&receipt.output)?, receipt)))
        .collect();
    let Some(missing) = missing.filter(|missing| !missing.is_empty()) else {
        return Ok(None);
    };
    let CommitAt { mirror, commit } = at;
    let entries = mirror.list_tree(commit).await?;
    let mut manifests = String::new();
    let is_manifest = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        MANIFESTS.contains(&name) || name.starts_with("requirements")
    };
    let named = entries
        .iter()
        .filter(|entry| is_manifest(&entry.path.to_string()));
    for entry in named.take(MANIFESTS_MAX) {
        match mirror
            .read_blob(commit, &entry.path, MANIFEST_BYTES_MAX)
            .await
        {
            Ok(text) => {
                manifests.push_str(&String::from_utf8_lossy(&text.unwrap_or_default()));
                manifests.push('\n');
            }
            Err(GitError::OutputTooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let tracked: Vec<String> = entries.iter().map(|entry| entry.path.to_string()).collect();
    let is_fault = missing
        .iter()
        .all(|(part, _)| is_environment_fault(part, &tracked, &manifests));
    Ok(missing.first().filter(|_| is_fault).map(|(part, receipt)| {
        let remedy = part.remedy(missing_packages_reason(&receipt.output));
        format!("the sandbox lacks {}: {remedy}", part.describe())
    }))
}

/// As [`environment_fault`], for checks on work that was merged. A check that passed in this very sandbox
/// before the merge fails for what was merged with it, whatever its words are.
///
/// # Errors
/// When the database or git cannot be read.
pub(crate) async fn fault_after_merge(
    store: &Tenant,
    at: CommitAt<'_>,
    receipts: &[(Check, Receipt)],
) -> Result<Option<String>, ReceiptError> {
    let passed_before = store.read(async |tx| {
        for (check, receipt) in receipts.iter().filter(|(_, receipt)| !receipt.passed) {
            let before = checks::passed_before_merge(tx, check.id).await?;
            let now = &receipt.conditions.0;
            if before.is_some_and(|before| before.conditions.0.is_same_sandbox(now)) {
                return Ok(true);
            }
        }
        Ok::<_, StoreError>(false)
    });
    if passed_before.await? {
        return Ok(None);
    }
    Ok(environment_fault(at, receipts).await?)
}

/// Files that differ between the ends of a branch and that no task of the plan names.
///
/// # Errors
/// When git cannot be read.
pub(crate) async fn outside_plan(
    mirror: &Mirror,
    range: BranchRange<'_>,
    tasks: &[Task],
) -> Result<Vec<String>, GitError> {
    let planned: BTreeSet<&String> = tasks
        .iter()
        .filter(|task| task.parent_task_id.is_none() && task.resolves_merge_id.is_none())
        .flat_map(|task| &task.files.0)
        .collect();
    let changes = mirror.changed_files(range.base, range.head).await?;
    let paths = changes.iter().map(|change| change.path.to_string());
    Ok(paths
        .filter(|path| !path.starts_with(".omoi_os/") && !planned.contains(path))
        .collect())
}

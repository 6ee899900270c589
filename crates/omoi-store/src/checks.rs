//! Acceptance checks, which criteria they prove, and the receipts of their runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::event::{Event, ReceiptDone};
use omoi_domain::id::{
    AttemptId, CheckId, CriterionId, OrgId, ProjectId, ReceiptId, SpecId, TaskId,
};
use omoi_domain::model_fallback::WorkModels;
use omoi_domain::sandbox::{SandboxRung, StartStep};
use omoi_domain::suite::report::SuiteReport;
use omoi_domain::suite::verdict::SuiteRun;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A command that must exit 0.
    Check in "checks" as "check" {
        /// Its id.
        id: CheckId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// The task it belongs to; none for the project's suite.
        task_id: Option<TaskId>,
        /// Position in the plan.
        ordinal: i64,
        /// What it shows.
        kind: CheckKind,
        /// Run by `sh -c` at the root of a clean checkout.
        command: String,
        /// Files laid over the checkout before the run.
        files: Json<BTreeMap<String, String>>,
        /// Wall time it may take.
        timeout_s: i64,
        /// Its exit code on the spec's base commit.
        base_exit: Option<i32>,
        /// Whether it shows that what was handed over is deployed: it is run for nothing else.
        is_deploy: bool,
    }
}

/// What a run can be trusted for: what its sandbox held, and what it could see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConditions {
    /// Each property of the sandbox, and why it does not hold; none when it does.
    pub held: Vec<(String, Option<String>)>,
    /// Host paths that could be read.
    pub mounts: Vec<String>,
    /// What the workspace was made of, and why not of something faster.
    pub workspace: String,
    /// How its start went.
    pub start_steps: Vec<StartStep>,
    /// The packages that it was given, by their digest.
    #[serde(default)]
    pub packages_layer: Option<String>,
}

impl RunConditions {
    /// Whether both runs could see and do the same; how long their starts took says nothing of that.
    pub fn is_same_sandbox(&self, other: &Self) -> bool {
        let without_start = |conditions: &Self| Self {
            start_steps: Vec::new(),
            ..conditions.clone()
        };
        without_start(self) == without_start(other)
    }
}

/// The files of packages that came in for what a check ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageList {
    /// How many.
    pub n_files: u64,
    /// SHA-256 of the lines `VERSION FILE sha256:DIGEST`, each ended, in order of their bytes.
    pub digest: String,
}

row! {
    /// The record of one run of a check.
    Receipt in "receipts" as "receipt" {
        /// Its id.
        id: ReceiptId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// The check.
        check_id: CheckId,
        /// The task it was run for; none at the end of a spec.
        task_id: Option<TaskId>,
        /// The attempt that ran it.
        attempt_id: AttemptId,
        /// Why it was run.
        stage: CheckStage,
        /// The commit it was run on.
        commit_sha: String,
        /// That commit's tree.
        tree_sha: String,
        /// The sandbox rung.
        rung: SandboxRung,
        /// What the sandbox held and showed.
        conditions: Json<RunConditions>,
        /// Exit code; none when it was stopped.
        exit_code: Option<i32>,
        /// Whether it exited 0.
        passed: bool,
        /// Head and tail of its output.
        output: String,
        /// SHA-256 of all it printed.
        output_digest: String,
        /// Tracked files it read; none when the file system would not say.
        exercised: Json<Option<Vec<String>>>,
        /// A test file it read was changed by the task it proves.
        self_tested: bool,
        /// What the suite's runner said of its tests; none for other checks.
        tests: Json<Option<SuiteReport>>,
        /// Models whose answers the task's commits are made of; none for other checks.
        models: Json<WorkModels>,
        /// Files of packages that came in for the task's agents and for the packages that the check was given.
        packages: Json<Option<PackageList>>,
        /// When it began.
        started_at: Timestamp,
        /// Wall time in milliseconds.
        took_ms: i64,
    }
}

impl Receipt {
    /// What the suite did in this run.
    pub fn suite_run(&self) -> SuiteRun {
        SuiteRun {
            exit_code: self.exit_code,
            report: self.tests.0.clone().unwrap_or_default(),
        }
    }
}

/// Writes a new check and links it to `criteria`; only a check of kind `proof` may have any.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(
    tx: &mut Tx,
    check: &Check,
    criteria: &[CriterionId],
) -> Result<(), StoreError> {
    tx.insert(check).await?;
    for criterion in criteria {
        tx.execute(
            "insert into check_criteria (org_id, check_id, criterion_id) values ($1, $2, $3)",
            args![check.id, *criterion],
        )
        .await?;
    }
    Ok(())
}

/// The check with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: CheckId) -> Result<Check, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Checks of a spec in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Check>, StoreError> {
    tx.all("spec_id = $2 order by ordinal, id", args![spec])
        .await
}

/// Checks of a task in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_task(tx: &mut Tx, task: TaskId) -> Result<Vec<Check>, StoreError> {
    tx.all("task_id = $2 order by ordinal, id", args![task])
        .await
}

/// Which criteria the proofs of a spec prove; no other check is linked to one.
///
/// # Errors
/// When the database cannot be read.
pub async fn criteria_links(
    tx: &mut Tx,
    spec: SpecId,
) -> Result<Vec<(CheckId, CriterionId)>, StoreError> {
    let rows = tx
        .rows(
            "select l.check_id, l.criterion_id from check_criteria l join checks c on c.id = l.check_id and c.kind = l.check_kind
             where c.org_id = $1 and c.spec_id = $2 order by 1, 2",
            args![spec],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                Column::read(row, "check_id")?,
                Column::read(row, "criterion_id")?,
            ))
        })
        .collect()
}

/// Notes how a check ended on the commit its task was cut from.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_base_exit(tx: &mut Tx, check: CheckId, exit: i32) -> Result<(), StoreError> {
    tx.execute(
        "update checks set base_exit = $3 where org_id = $1 and id = $2",
        args![check, exit],
    )
    .await?;
    Ok(())
}

/// The project's suite as a check of the whole spec, if it has one.
///
/// # Errors
/// When the database cannot be read.
pub async fn suite_of_spec(tx: &mut Tx, spec: SpecId) -> Result<Option<Check>, StoreError> {
    tx.find(
        "spec_id = $2 and task_id is null and kind = 'suite'",
        args![spec],
    )
    .await
}

/// The check of a spec that shows with `command` that what was handed over is deployed, once there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn deploy_of_spec(
    tx: &mut Tx,
    spec: SpecId,
    command: &str,
) -> Result<Option<Check>, StoreError> {
    tx.find(
        "spec_id = $2 and is_deploy and command = $3",
        args![spec, command.to_owned()],
    )
    .await
}

/// The receipt of the suite's run on the spec's base commit, once it was made.
///
/// # Errors
/// When the database cannot be read.
pub async fn base_receipt(tx: &mut Tx, suite: CheckId) -> Result<Option<Receipt>, StoreError> {
    tx.find("check_id = $2 and stage = 'base'", args![suite])
        .await
}

/// Forgets how the suite ended on the base commit, so that it is run there again.
///
/// # Errors
/// When the database cannot be written.
pub async fn forget_base_run(tx: &mut Tx, suite: CheckId) -> Result<(), StoreError> {
    tx.execute(
        "delete from receipts where org_id = $1 and check_id = $2 and stage = 'base'",
        args![suite],
    )
    .await?;
    Ok(())
}

/// Takes away a suite that no task was judged by yet.
///
/// # Errors
/// When the database cannot be written.
pub async fn drop_suite(tx: &mut Tx, suite: CheckId) -> Result<(), StoreError> {
    forget_base_run(tx, suite).await?;
    tx.execute(
        "delete from checks where org_id = $1 and id = $2",
        args![suite],
    )
    .await?;
    Ok(())
}

/// Takes away the proofs of a spec, with the requirements that they are for, while no task was judged by them yet.
///
/// # Errors
/// When the database cannot be written.
pub async fn drop_proofs(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    for sql in [
        "delete from receipts where org_id = $1 and check_id in
             (select id from checks where spec_id = $2 and kind = 'proof')",
        "delete from check_criteria where org_id = $1 and check_id in
             (select id from checks where spec_id = $2 and kind = 'proof')",
        "delete from checks where org_id = $1 and spec_id = $2 and kind = 'proof'",
        "delete from criteria where org_id = $1 and spec_id = $2",
        "delete from requirements where org_id = $1 and spec_id = $2",
    ] {
        tx.execute(sql, args![spec]).await?;
    }
    Ok(())
}

/// Stores a receipt. A check that passed on a commit at a stage stays passed: its receipt again
/// changes nothing, while a red one may be followed by another try. Returns whether it was new.
///
/// # Errors
/// When the database cannot be written.
pub async fn store_receipt(
    tx: &mut Tx,
    project: ProjectId,
    check: &Check,
    receipt: &Receipt,
) -> Result<bool, StoreError> {
    if passing(tx, check.id, &receipt.commit_sha, receipt.stage)
        .await?
        .is_some()
    {
        return Ok(false);
    }
    tx.insert(receipt).await?;
    let event = Event::ReceiptStored(ReceiptDone {
        receipt_id: receipt.id,
        check_id: check.id,
        task_id: receipt.task_id,
        kind: check.kind,
        stage: receipt.stage,
        commit: receipt.commit_sha.clone(),
        passed: receipt.passed,
        exit_code: receipt.exit_code,
        command: check.command.clone(),
        took_ms: receipt.took_ms,
    });
    tx.emit(Some(project), Some(check.spec_id), event);
    Ok(true)
}

/// The passing receipt of `check` on `commit` at `stage`, if there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn passing(
    tx: &mut Tx,
    check: CheckId,
    commit: &str,
    stage: CheckStage,
) -> Result<Option<Receipt>, StoreError> {
    tx.find(
        "check_id = $2 and commit_sha = $3 and stage = $4 and passed",
        args![check, commit, stage],
    )
    .await
}

/// The newest passing receipt of `check` from before its work was merged: on the base commit or on the
/// task's own branch.
///
/// # Errors
/// When the database cannot be read.
pub async fn passed_before_merge(
    tx: &mut Tx,
    check: CheckId,
) -> Result<Option<Receipt>, StoreError> {
    tx.find(
        "check_id = $2 and stage in ('base', 'task') and passed
         order by started_at desc, id desc limit 1",
        args![check],
    )
    .await
}

/// The newest receipt of `check` on `commit` at `stage`, if there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest(
    tx: &mut Tx,
    check: CheckId,
    commit: &str,
    stage: CheckStage,
) -> Result<Option<Receipt>, StoreError> {
    tx.find(
        "check_id = $2 and commit_sha = $3 and stage = $4 order by started_at desc, id desc limit 1",
        args![check, commit, stage],
    )
    .await
}

/// Receipts of a spec, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn receipts_of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Receipt>, StoreError> {
    tx.all("spec_id = $2 order by started_at, id", args![spec])
        .await
}

/// Receipts of a task, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn receipts_of_task(tx: &mut Tx, task: TaskId) -> Result<Vec<Receipt>, StoreError> {
    tx.all("task_id = $2 order by started_at, id", args![task])
        .await
}

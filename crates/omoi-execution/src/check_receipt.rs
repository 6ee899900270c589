//! The receipt of one run of a check.

use omoi_domain::check::CheckStage;
use omoi_domain::id::{AttemptId, CheckId, SpecId, TaskId};
use omoi_domain::model_fallback::WorkModels;
use omoi_git::object::ObjectId;
use omoi_store::checks::{Receipt, RunConditions};
use omoi_store::{Json, Tx};

use crate::command::CommandRun;

/// The run of a check that a receipt is about.
#[derive(Clone, Copy, Debug)]
pub struct CheckRun<'a> {
    /// The spec.
    pub spec: SpecId,
    /// The check.
    pub check: CheckId,
    /// The task it was run for; none at the end of a spec.
    pub task: Option<TaskId>,
    /// The platform's attempt that ran it.
    pub attempt: AttemptId,
    /// Why it was run.
    pub stage: CheckStage,
    /// The commit it was run on.
    pub commit: &'a ObjectId,
    /// That commit's tree.
    pub tree: &'a str,
}

/// The receipt of `run`, begun now, passed when it exited 0, with no tests read from its output.
pub fn receipt_of(tx: &Tx, run: CheckRun<'_>, ran: CommandRun) -> Receipt {
    Receipt {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: run.spec,
        check_id: run.check,
        task_id: run.task,
        attempt_id: run.attempt,
        stage: run.stage,
        commit_sha: run.commit.as_str().to_owned(),
        tree_sha: run.tree.to_owned(),
        passed: ran.passed(),
        rung: ran.rung,
        exit_code: ran.exit_code,
        output: ran.output,
        output_digest: ran.output_digest,
        exercised: Json(ran.exercised),
        conditions: Json(RunConditions {
            held: ran.held,
            mounts: ran.mounts,
            workspace: ran.workspace,
            start_steps: ran.start_steps,
            packages_layer: ran.packages_layer,
        }),
        self_tested: false,
        tests: Json(None),
        packages: Json(None),
        models: Json(WorkModels::default()),
        started_at: tx.now(),
        took_ms: i64::try_from(ran.took.as_millis()).unwrap_or(i64::MAX),
    }
}

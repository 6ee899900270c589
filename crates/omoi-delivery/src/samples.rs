//! Rows for the tables of this crate's tests.

use std::collections::BTreeMap;

use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::id::TaskId;
use omoi_domain::model_fallback::WorkModels;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::time::Timestamp;
use omoi_store::Json;
use omoi_store::checks::{Check, Receipt, RunConditions};

fn id<I: From<uuid::Uuid>>(n: u128) -> I {
    I::from(uuid::Uuid::from_u128(n))
}

/// The id of task `n`.
pub(crate) fn task_id(n: u128) -> TaskId {
    id(n)
}

/// A check of the spec, of no task.
pub(crate) fn sample_check(n: u128, kind: CheckKind, command: &str) -> Check {
    Check {
        id: id(n),
        org_id: id(0),
        spec_id: id(0),
        task_id: None,
        ordinal: 0,
        kind,
        command: command.to_owned(),
        files: Json(BTreeMap::new()),
        timeout_s: 60,
        base_exit: None,
        is_deploy: false,
    }
}

/// The receipt of a run of `check`.
pub(crate) fn sample_receipt(check: &Check, passed: bool, output: &str) -> Receipt {
    Receipt {
        id: id(0),
        org_id: check.org_id,
        spec_id: check.spec_id,
        check_id: check.id,
        task_id: check.task_id,
        attempt_id: id(0),
        stage: CheckStage::Task,
        commit_sha: "c".repeat(40),
        tree_sha: "t".repeat(40),
        rung: SandboxRung::Bubblewrap,
        conditions: Json(RunConditions::default()),
        exit_code: Some(i32::from(!passed)),
        passed,
        output: output.to_owned(),
        output_digest: String::new(),
        exercised: Json(None),
        self_tested: false,
        tests: Json(None),
        packages: Json(None),
        models: Json(WorkModels::default()),
        started_at: Timestamp::from_micros(0),
        took_ms: 1,
    }
}

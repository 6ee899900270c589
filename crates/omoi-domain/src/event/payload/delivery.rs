//! What events of checks, merges and delivered work carry.

use serde::{Deserialize, Serialize};

use crate::ablation::AblationVerdict;
use crate::check::{CheckKind, CheckStage};
use crate::discovery::DiscoveryType;
use crate::id::{CheckId, DiscoveryId, HandOverId, MergeId, ReceiptId, SpecId, TaskId};
use crate::merge::{IntegrationState, MergeState};

/// A check was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiptDone {
    /// Row id of the receipt.
    pub receipt_id: ReceiptId,
    /// Row id of the check.
    pub check_id: CheckId,
    /// The task it was run for, where it was.
    pub task_id: Option<TaskId>,
    /// What the check shows.
    pub kind: CheckKind,
    /// Why it was run.
    pub stage: CheckStage,
    /// The commit it was run on.
    pub commit: String,
    /// Whether it exited 0.
    pub passed: bool,
    /// Its exit code; none when it was stopped.
    pub exit_code: Option<i32>,
    /// Command line of the check.
    pub command: String,
    /// Wall time of the command in milliseconds.
    pub took_ms: i64,
}

/// A requirement's proofs were run without the work that serves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblationDone {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// Id of the requirement, `REQ-…`.
    pub requirement: String,
    /// The head the work was taken back from.
    pub head: String,
    /// `TSK-n` of the tasks whose commits were taken back.
    pub without: Vec<String>,
    /// What was found out about each criterion.
    pub verdicts: Vec<(String, AblationVerdict)>,
    /// Why nothing could be found out, where that is so.
    pub reason: Option<String>,
}

/// A merge moved to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergeChange {
    /// The merge, where a row exists.
    pub merge_id: Option<MergeId>,
    /// The task whose commits it lands.
    pub task_id: TaskId,
    /// `n` of its `TSK-n`.
    pub number: i64,
    /// Integration branch that the merge moves.
    pub target_branch: String,
    /// The merge's state after, where a row exists.
    pub merge_state: Option<MergeState>,
    /// The task's integration state after.
    pub state: IntegrationState,
    /// Paths that both sides changed.
    pub conflicts: Vec<String>,
    /// Commit of the target branch by which it landed.
    pub result_sha: Option<String>,
    /// The task that resolves the conflict.
    pub resolve_task: Option<TaskId>,
    /// Other queued tasks, `n` of `TSK-n`, and in how many paths each would conflict with the target
    /// as it was when this merge had its turn.
    pub forecast: Vec<(i64, u32)>,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// Work found on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscoveryDone {
    /// Row id of the discovery.
    pub discovery_id: DiscoveryId,
    /// What kind of work it is.
    pub discovery_type: DiscoveryType,
    /// The task whose agent found it.
    pub source_task_id: TaskId,
    /// `n` of the source's `TSK-n`.
    pub source_number: i64,
    /// The task that carries it; none when a cap refused it.
    pub task_id: Option<TaskId>,
    /// `n` of the spawned `TSK-n`.
    pub number: Option<i64>,
    /// What was found, on one line.
    pub title: String,
    /// Why nothing was spawned.
    pub refused: Option<String>,
}

/// A branch was handed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandOverDone {
    /// Row id of the hand-over.
    pub hand_over_id: HandOverId,
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The branch in the user's repository.
    pub branch: String,
    /// Commit that the branch points at.
    pub head: String,
    /// Something the user should know, such as a name that was taken.
    pub note: Option<String>,
}

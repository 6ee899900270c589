//! What proves each criterion of a spec.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::model_kind::ModelKind;
use omoi_domain::spec::WorkEvidence;

use super::spec::OpinionView;
use super::task::ReceiptView;

/// Requirement → criterion → task → commit → receipt. `GET /specs/{spec_id}/trace`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecTrace {
    /// Reference of the spec, `SPEC-n`.
    pub spec_ref: String,
    /// Title of the spec.
    pub title: String,
    /// The head receipts are looked for at.
    pub head: Option<String>,
    /// What answered the agents.
    pub model: String,
    /// The kind of that model.
    pub model_kind: ModelKind,
    /// What took the turns of its attempts, with the version: `claude-code 2.1.332`.
    #[serde(default)]
    pub agents: Vec<String>,
    /// What shows that the work on a ticket does what was asked for, where the ticket is the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<WorkEvidence>,
    /// The second opinion on its checks, once it was asked for.
    pub opinion: Option<OpinionView>,
    /// Files of the branch that no task of the plan names.
    #[serde(default)]
    pub outside_plan: Vec<String>,
    /// Model calls that failed, oldest first, one line each.
    #[serde(default)]
    pub failed_calls: Vec<String>,
    /// Files of packages that came into sandboxes, each once: `npm:left-pad@1.3.0 sha256:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// What tasks changed in lock files, one line each: `TSK-2: added npm:left-pad@1.3.0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies_changed: Vec<String>,
    /// Requirements in the order of the plan.
    pub requirements: Vec<TraceRequirement>,
}

/// One requirement of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TraceRequirement {
    /// Id of the requirement, `REQ-…`.
    pub id: String,
    /// Title of the requirement.
    pub title: String,
    /// The requirement as a sentence.
    pub text: String,
    /// Acceptance criteria of the requirement.
    pub criteria: Vec<TraceCriterion>,
}

/// One criterion of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TraceCriterion {
    /// Id of the criterion, `REQ-…#n`.
    pub id: String,
    /// The criterion in words.
    pub text: String,
    /// Whether a check of it passed at the head.
    pub proven: bool,
    /// Later commit that touched what its last receipt exercised, when it went stale.
    pub stale_since: Option<String>,
    /// What became of its checks without the commits of its tasks, once that was tried.
    pub ablation: Option<AblationView>,
    /// Tasks whose checks prove it, with their landed commits: (`TSK-n`, sha).
    pub tasks: Vec<(String, Option<String>)>,
    /// Its receipts at the head, or the newest ones.
    pub receipts: Vec<ReceiptView>,
}

/// What became of a criterion's checks without the commits of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AblationView {
    /// What was found out.
    pub verdict: AblationVerdict,
    /// The head the commits were taken back from.
    pub head: String,
    /// `TSK-n` of the tasks whose commits were taken back.
    pub without: Vec<String>,
    /// Why it is so, where that is not plain.
    pub reason: Option<String>,
    /// Whether a person lets it stand although it is weak.
    pub is_accepted: bool,
}

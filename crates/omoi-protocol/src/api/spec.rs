//! Specs as commands make, show and change them.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::id::SpecId;
use omoi_domain::model_kind::ModelKind;
use omoi_domain::opinion::CheckDoubt;
use omoi_domain::phase::Phase;
use omoi_domain::repository_settings::RepositorySandboxLimits;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::ticket::TicketStatus;

use super::example::EXAMPLE_REPOSITORY;
use super::guarded_cost::GuardedCost;
use super::money::UsdText;
use super::task::TaskView;
use super::time::ApiTime;

/// `POST /specs/launch`: write a spec down and start it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "idea": "Add tags to todos", "repo_path": EXAMPLE_REPOSITORY }))]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The person's words, verbatim.
    pub idea: String,
    /// Absolute path of a git repository.
    pub repo_path: String,
    /// Release the tasks as soon as they are planned.
    #[serde(default)]
    pub auto_start: bool,
    /// Carry the markdown of `.omoi_os/` in the hand-over.
    #[serde(default)]
    pub spec_files: bool,
    /// The command that runs the project's suite, or `none`; without it the repository is looked at.
    #[serde(default)]
    pub suite: Option<String>,
    /// Begin although the suite fails on the base commit, and count new failures only.
    #[serde(default)]
    pub accept_red: bool,
    /// What takes the turns of its attempts; by the rules of the configuration when absent.
    #[serde(default)]
    pub agent: Option<AgentProgram>,
    /// Whether planning waits for a person after the requirements and after the design.
    #[serde(default)]
    pub require_approval_gates: bool,
}

/// What the `.omoi.yaml` of a repository asks for at HEAD. `GET /trust`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryTrustView {
    /// Absolute path of the repository.
    pub repo: String,
    /// The commit its file was read at.
    pub commit: String,
    /// Digest of the file's text, if there is a file.
    pub file_digest: Option<String>,
    /// What needs the yes of a person, one line each.
    pub asks: Vec<String>,
    /// Whether the person said yes to this text.
    pub is_trusted: bool,
}

/// A person's yes. `POST /trust`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "repo_path": EXAMPLE_REPOSITORY, "file_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }))]
#[serde(deny_unknown_fields)]
pub struct TrustRepository {
    /// Absolute path of a git repository.
    pub repo_path: String,
    /// Digest of the text they saw.
    pub file_digest: String,
}

/// Has the packages of HEAD installed. `POST /setup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "repo_path": EXAMPLE_REPOSITORY, "only_find": true }))]
#[serde(deny_unknown_fields)]
pub struct SetUpRepository {
    /// Absolute path of a git repository.
    pub repo_path: String,
    /// Install them again, though they are there.
    #[serde(default)]
    pub rebuild: bool,
    /// Install nothing: tell what is there.
    #[serde(default)]
    pub only_find: bool,
}

/// What is installed for HEAD of a repository: result of the operation that `POST /setup` begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupView {
    /// Absolute path of the repository.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// What installs packages; empty when it needs none.
    pub commands: Vec<String>,
    /// Whether the repository's own file, or a person's, names the commands.
    pub is_written: bool,
    /// Packages that came in from registries for it.
    pub packages: Vec<String>,
    /// The outermost folders and files that were installed.
    pub installed: Vec<String>,
    /// The digest that the installed packages are kept by; none while they are not there.
    #[serde(default)]
    pub packages_layer: Option<String>,
    /// How long it took when it ran, in milliseconds.
    pub took_ms: Option<u64>,
    /// What went wrong.
    pub failure: Option<String>,
    /// The end of what a failed one printed.
    pub output: Option<String>,
    /// What a check of that commit gets beside packages.
    #[serde(default)]
    pub checks: CheckSandboxView,
}

/// What a check of a repository gets beside its commit and packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckSandboxView {
    /// Folders that the repository's own file asks for and a person allowed.
    #[schema(value_type = Vec<String>)]
    pub read_only: Vec<PathBuf>,
    /// Amounts that the repository's own file lowers.
    pub limits: RepositorySandboxLimits,
    /// Files of the person's checkout, from its top.
    pub copies: Vec<String>,
}

/// Body of `POST /specs/{spec_id}/resume`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "accept_red": true }))]
#[serde(deny_unknown_fields)]
pub struct ResumeSpec {
    /// Hand the branch over although criteria are weak.
    #[serde(default)]
    pub accept_weak: bool,
    /// Begin although the suite fails on the base commit, and count new failures only.
    #[serde(default)]
    pub accept_red: bool,
    /// Another command that runs the project's suite, or `none`, while nothing is planned yet.
    #[serde(default)]
    pub suite: Option<String>,
}

/// A spec. `GET /specs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecView {
    /// Row id of the spec.
    pub id: SpecId,
    /// Reference within its project, `SPEC-n`.
    pub spec_ref: String,
    /// `project/SPEC-n`: what every command takes from anywhere.
    pub name: String,
    /// Title shown to people.
    pub title: String,
    /// Current stage of its life cycle.
    pub status: SpecStatus,
    /// Why the process that was asked does not go on with it, although it is not over.
    pub waits: Option<SpecWaits>,
    /// The phase it is in.
    pub current_phase: Phase,
    /// Name of the model that answers, or `simulated`.
    pub model: String,
    /// The kind of that model.
    pub model_kind: ModelKind,
    /// The file of the scripted answers, when it is simulated.
    pub scenario: Option<String>,
    /// What takes the turns of its attempts.
    pub agents: Vec<AgentProgram>,
    /// Path of the user's repository.
    pub repo: String,
    /// The commit everything starts from.
    pub base_sha: String,
    /// The branch HEAD was on, if any.
    pub base_branch: Option<String>,
    /// Name of the integration branch.
    pub branch: String,
    /// Why it failed or is blocked.
    pub last_error: Option<String>,
    /// When it was written down.
    pub created_at: ApiTime,
    /// When it ended; none while it goes on.
    pub ended_at: Option<ApiTime>,
    /// When it was put away; none while lists have it.
    #[serde(default)]
    pub archived_at: Option<ApiTime>,
    /// Things the person was told at the start.
    pub notes: Vec<String>,
    /// Folders of the machine that its sandboxes read, beyond the system's.
    pub mounts: Vec<String>,
    /// Survey of the repository: its files, toolchains and test commands.
    pub survey: Value,
}

/// Why a process does not go on with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecWaits {
    /// The model that began it.
    pub begun: String,
    /// The command that goes on with it.
    pub resume: String,
}

/// A spec with all that belongs to it. `GET /specs/{spec_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecDetail {
    /// The spec without its plan.
    pub spec: SpecView,
    /// The person's words, verbatim.
    pub original_request: String,
    /// Its phases in order.
    pub phases: Vec<PhaseView>,
    /// Its tickets in plan order.
    pub tickets: Vec<SpecTicketView>,
    /// Its tasks in plan order.
    pub tasks: Vec<TaskView>,
    /// What it will take, once planned.
    pub estimate: Option<PlanEstimate>,
    /// Where merges to come may conflict.
    pub overlaps: Vec<OverlapView>,
    /// The second opinion on its checks, once it was asked for.
    pub opinion: Option<OpinionView>,
}

/// What a model that did not write the plan says of its checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpinionView {
    /// The model that was asked.
    pub model: String,
    /// Whether it is the model that wrote the plan, asked afresh.
    pub is_same_model: bool,
    /// How checks could pass while their criteria are violated.
    pub doubts: Vec<CheckDoubt>,
    /// Why there is no opinion, where there is none.
    pub skipped: Option<String>,
    /// Whether its objections went back to the planner.
    pub was_sent_back: bool,
}

/// Two tasks that may be worked on at once and say that they change the same files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverlapView {
    /// References of both tasks, `TSK-n`.
    pub task_refs: [String; 2],
    /// Paths from the repository's root.
    pub files: Vec<String>,
}

/// What a plan will take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanEstimate {
    /// Number of tickets in the plan.
    pub tickets: u32,
    /// Number of tasks in the plan.
    pub tasks: u32,
    /// Number of acceptance criteria in the plan.
    pub criteria: u32,
    /// Tasks on the longest chain.
    pub longest_chain: u32,
    /// Most tasks that could run at once.
    pub width: u32,
    /// Hours a person would take.
    pub hours: f64,
    /// Most it may cost; absent without `cost:read`.
    #[serde(default, skip_serializing_if = "GuardedCost::is_hidden")]
    #[schema(value_type = UsdText, required = false)]
    pub cost_cap_usd: GuardedCost<UsdText>,
    /// Share of requirements covered, 0 to 100.
    pub coverage_percent: f64,
}

/// One planning phase of a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseView {
    /// Which phase it is.
    pub phase: Phase,
    /// Current state of the phase.
    pub state: PhaseState,
    /// Attempts that count against the limit.
    pub attempts: u32,
    /// The evaluator's last score.
    pub score: Option<f64>,
    /// What the last refusal said.
    pub feedback: Option<String>,
    /// The best output that was refused.
    pub rejected_output: Option<Value>,
    /// The score of that output.
    pub rejected_score: Option<f64>,
    /// Milliseconds from first attempt to end.
    pub took_ms: Option<i64>,
}

/// A ticket of a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecTicketView {
    /// Reference within its project, `TKT-n`.
    pub ticket_ref: String,
    /// Title shown to people.
    pub title: String,
    /// Current stage of its life cycle.
    pub status: TicketStatus,
}

/// One exported file. `GET /specs/{spec_id}/export`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedFile {
    /// Path below the repository's root.
    pub path: String,
    /// Contents of the file.
    pub text: String,
}

/// Body of `PATCH /specs/{spec_id}`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "title": "Labels for todos" }))]
#[serde(deny_unknown_fields)]
pub struct UpdateSpec {
    /// Another title, of up to 500 characters in one line.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub title: Option<String>,
    /// Whether it is put away, so that lists leave it out.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = bool)]
    pub archived: Option<bool>,
}

/// The integration branch of a spec. Answer of `POST /specs/{spec_id}/create-branch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecBranchView {
    /// Its name.
    pub branch_name: String,
    /// The commit that it is at.
    pub head_sha: String,
}

/// A field that may be left out; `null` is a value of it, or none of its values.
pub(super) fn given_value<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// What one phase handed in. `GET /specs/{spec_id}/phase-data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseDataView {
    /// Which phase it is.
    pub phase: Phase,
    /// Current state of the phase.
    pub state: PhaseState,
    /// The evaluator's last score.
    pub score: Option<f64>,
    /// The output that was accepted.
    pub output: Option<Value>,
    /// When it passed or failed.
    pub ended_at: Option<ApiTime>,
}

/// `GET /specs/{spec_id}/criteria-status`: which criteria are proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CriteriaStatus {
    /// The head that proofs are looked for at.
    pub head: Option<String>,
    /// Criteria that are proven there.
    pub n_proven: u64,
    /// Every criterion, in the order of the plan.
    pub items: Vec<CriterionStatus>,
}

/// Whether one criterion is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CriterionStatus {
    /// Id of the criterion, `REQ-…#n`.
    pub id: String,
    /// Id of its requirement, `REQ-…`.
    pub requirement_id: String,
    /// The criterion in words.
    pub text: String,
    /// Whether a check of it passed at the head.
    pub is_proven: bool,
    /// Later commit that touched what its last receipt exercised, when it went stale.
    pub stale_since: Option<String>,
}

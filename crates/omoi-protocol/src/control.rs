//! What a command line and a running `omoi` say to each other.
//!
//! Base path `/api/v1`, over the data folder's socket or HTTP, with the bearer token of the token
//! file. `{spec}` and `{task}` are row ids or human references: `SPEC-1`, `todo/TSK-003`. What a number
//! without a project means is decided by the repository named in the header [`HERE`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason};
use omoi_domain::block::TaskBlock;
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::id::{AttemptId, SpecId, TaskId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::message::MessageType;
use omoi_domain::money::NanoUsd;
use omoi_domain::opinion::CheckDoubt;
use omoi_domain::phase::Phase;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::suite::report::SuiteReport;
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};
use omoi_domain::ticket::TicketStatus;
use omoi_domain::time::Timestamp;

/// Header with the path of the repository a command was typed in.
pub const HERE: &str = "omoi-repository";

/// `POST /specs`: write a spec down and start it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSpec {
    /// The person's words, verbatim.
    pub idea: String,
    /// Absolute path of a git repository.
    pub repo: String,
    /// Release the tasks as soon as they are planned.
    pub auto_start: bool,
    /// Carry the markdown of `.omoi_os/` in the hand-over.
    pub spec_files: bool,
    /// The command that runs the project's suite, or `none`; without it the repository is looked at.
    #[serde(default)]
    pub suite: Option<String>,
    /// Begin although the suite fails on the base commit, and count new failures only.
    #[serde(default)]
    pub accept_red: bool,
}

/// What the `.omoi.yaml` of a repository asks for at HEAD. `GET /trust`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryTrustView {
    /// The repository.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRepository {
    /// Absolute path of a git repository.
    pub repo: String,
    /// Digest of the text they saw.
    pub file_digest: String,
}

/// `POST /specs/{spec}/resume`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeSpec {
    /// Hand the branch over although criteria are weak.
    pub accept_weak: bool,
    /// Begin although the suite fails on the base commit, and count new failures only.
    #[serde(default)]
    pub accept_red: bool,
    /// Another command that runs the project's suite, or `none`, while nothing is planned yet.
    #[serde(default)]
    pub suite: Option<String>,
}

/// A spec. `GET /specs`, `GET /specs/{spec}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecView {
    /// Row id.
    pub id: SpecId,
    /// `SPEC-n`.
    pub spec_ref: String,
    /// `project/SPEC-n`: what every command takes from anywhere.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: SpecStatus,
    /// Why the process that was asked does not go on with it, although it is not over.
    pub waits: Option<SpecWaits>,
    /// The phase it is in.
    pub current_phase: Phase,
    /// What answers.
    pub model: String,
    /// The file of the scripted answers, when it is simulated.
    pub scenario: Option<String>,
    /// The user's repository.
    pub repo: String,
    /// The commit everything starts from.
    pub base_sha: String,
    /// The branch HEAD was on, if any.
    pub base_branch: Option<String>,
    /// The integration branch.
    pub branch: String,
    /// Why it failed or is blocked.
    pub last_error: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Things the person was told at the start.
    pub notes: Vec<String>,
    /// Folders of the machine that its sandboxes read, beyond the system's.
    pub mounts: Vec<String>,
    /// The repository survey.
    pub survey: Value,
}

/// Why a process does not go on with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecWaits {
    /// The model that began it.
    pub begun: String,
    /// The command that goes on with it.
    pub resume: String,
}

/// A spec with all that belongs to it. `GET /specs/{spec}/detail`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecDetail {
    /// The spec.
    pub spec: SpecView,
    /// The person's words, verbatim.
    pub original_request: String,
    /// Its phases in order.
    pub phases: Vec<PhaseView>,
    /// Its tickets in plan order.
    pub tickets: Vec<TicketView>,
    /// Its tasks in plan order.
    pub tasks: Vec<TaskView>,
    /// What it will take, once planned.
    pub estimate: Option<Estimate>,
    /// Where merges to come may conflict.
    pub overlaps: Vec<OverlapView>,
    /// The second opinion on its checks, once it was asked for.
    pub opinion: Option<OpinionView>,
}

/// What a model that did not write the plan says of its checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapView {
    /// `TSK-n` of both.
    pub task_refs: [String; 2],
    /// Paths from the repository's root.
    pub files: Vec<String>,
}

/// What a plan will take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Tickets.
    pub tickets: u32,
    /// Tasks.
    pub tasks: u32,
    /// Acceptance criteria.
    pub criteria: u32,
    /// Tasks on the longest chain.
    pub longest_chain: u32,
    /// Most tasks that could run at once.
    pub width: u32,
    /// Hours a person would take.
    pub hours: f64,
    /// Most it may cost in billionths of a dollar.
    pub cost_cap_nanousd: NanoUsd,
    /// Share of requirements covered, 0 to 100.
    pub coverage_percent: f64,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseView {
    /// Its name.
    pub phase: Phase,
    /// Where it stands.
    pub state: PhaseState,
    /// Attempts that counted.
    pub attempts: u32,
    /// The evaluator's last score.
    pub score: Option<f64>,
    /// What the last refusal said.
    pub feedback: Option<String>,
    /// The best output that was refused.
    pub rejected_output: Option<Value>,
    /// Its score.
    pub rejected_score: Option<f64>,
    /// Milliseconds from first attempt to end.
    pub took_ms: Option<i64>,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketView {
    /// `TKT-n`.
    pub ticket_ref: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: TicketStatus,
}

/// A task. `GET /tasks?spec=`, `GET /tasks/{task}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Row id.
    pub id: TaskId,
    /// `TSK-n`.
    pub task_ref: String,
    /// `project/TSK-n`: what every command takes from anywhere.
    pub name: String,
    /// `TKT-n`.
    pub ticket_ref: String,
    /// Its spec.
    pub spec_ref: String,
    /// `project/SPEC-n` of its spec.
    pub spec_name: String,
    /// Its title.
    pub title: String,
    /// Its type.
    pub task_type: TaskType,
    /// The phase of its ticket that it belongs to, such as `PHASE_IMPLEMENTATION`.
    pub phase: TicketPhase,
    /// Its priority.
    pub priority: Priority,
    /// Where it stands.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Times it was sent back.
    pub round: u32,
    /// What it waits for: `TSK-n`.
    pub depends_on: Vec<String>,
    /// The task whose agent found it.
    pub found_by: Option<String>,
    /// Whether the spec cannot succeed without it.
    pub needed: bool,
    /// Its branch.
    pub branch: String,
    /// Its head.
    pub head_sha: Option<String>,
    /// Requirements it serves.
    pub requirements: Vec<String>,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<TaskBlock>,
    /// What the last refusal said, or the last error.
    pub problem: Option<String>,
    /// What the agent says it did.
    pub summary: Option<String>,
}

/// A task with its attempts and receipts. `GET /tasks/{task}/detail`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// The task.
    pub task: TaskView,
    /// What the agent is told.
    pub description: String,
    /// Oldest first.
    pub attempts: Vec<AttemptView>,
    /// Oldest first.
    pub receipts: Vec<ReceiptView>,
    /// Snapshot ref of the last attempt, if it has one.
    pub wip_ref: Option<String>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Row id.
    pub id: AttemptId,
    /// Counted per task, from 1.
    pub attempt_no: u32,
    /// Times the task had been sent back.
    pub round: u32,
    /// Who made it.
    pub role: AgentRole,
    /// Where it stands.
    pub state: AttemptState,
    /// The sandbox rung.
    pub rung: Option<SandboxRung>,
    /// Read-only mounts beyond the system's.
    pub mounts: Vec<String>,
    /// Why it ended.
    pub stop_reason: Option<AttemptStopReason>,
    /// Its error.
    pub error: Option<String>,
    /// Turns taken.
    pub turns: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// The check's command.
    pub command: String,
    /// What the check shows.
    pub kind: CheckKind,
    /// Why it was run.
    pub stage: CheckStage,
    /// The commit it was run on.
    pub commit: String,
    /// That commit's tree: equal trees are equal files, whatever their history.
    pub tree: String,
    /// Whether it exited 0.
    pub passed: bool,
    /// Its exit code; none when it was stopped.
    pub exit_code: Option<i32>,
    /// The sandbox rung.
    pub rung: SandboxRung,
    /// Each property of the sandbox, and why it did not hold; none when it did.
    #[serde(default)]
    pub held: Vec<(String, Option<String>)>,
    /// Host paths the sandbox could read.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// A test file it read was changed by the task it proves.
    pub self_tested: bool,
    /// Tracked files it read; none when the file system would not say.
    pub exercised: Option<Vec<String>>,
    /// What the suite's runner said of its tests; none for other checks. Without a count in it, a
    /// test that is gone would go unseen.
    #[serde(default)]
    pub tests: Option<SuiteReport>,
    /// Head and tail of its output.
    pub output: String,
    /// Wall time in milliseconds.
    pub took_ms: i64,
    /// The task it was run for.
    pub task_ref: Option<String>,
}

/// Requirement → criterion → task → commit → receipt. `GET /specs/{spec}/trace`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// `SPEC-n`.
    pub spec_ref: String,
    /// Its title.
    pub title: String,
    /// The head receipts are looked for at.
    pub head: Option<String>,
    /// What answered the agents.
    pub model: String,
    /// The second opinion on its checks, once it was asked for.
    pub opinion: Option<OpinionView>,
    /// Files of the branch that no task of the plan names.
    #[serde(default)]
    pub outside_plan: Vec<String>,
    /// Model calls that failed, oldest first, one line each.
    #[serde(default)]
    pub failed_calls: Vec<String>,
    /// In plan order.
    pub requirements: Vec<TraceRequirement>,
}

/// One requirement of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceRequirement {
    /// `REQ-…`
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its sentence.
    pub text: String,
    /// Its criteria.
    pub criteria: Vec<TraceCriterion>,
}

/// One criterion of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceCriterion {
    /// `REQ-…#n`
    pub id: String,
    /// Its text.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// `POST /tasks/{task}/messages`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steer {
    /// Its text.
    pub content: String,
    /// What it is.
    pub message_type: MessageType,
}

/// `GET /tasks/{task}/log?after=&after_event=`: what happened to a task since then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskLog {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// `after` of the next request.
    pub after: i64,
    /// `after_event` of the next request.
    pub after_event: i64,
}

/// Something an agent reported, or that became of its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The attempt; 0 before the first.
    pub attempt_no: u32,
    /// When it happened.
    pub at: Timestamp,
    /// Event type, of a worker's event or of the registry's.
    pub event_type: String,
    /// What it carries; of a receipt also the output, of an attempt's end also its error.
    pub data: Value,
}

/// One exported file. `GET /specs/{spec}/export`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedFile {
    /// Path below the repository's root.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// `GET /status`: the process that owns the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Program version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Roles it plays.
    pub roles: Vec<String>,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// `in-process` or `redis`.
    pub bus: String,
    /// Active sandbox rung.
    pub sandbox: Option<String>,
    /// What answers agents.
    pub model: Option<String>,
    /// Why nothing answers them, with what to set.
    #[serde(default)]
    pub model_missing: Option<String>,
    /// What people should know about the models in use, such as an assumed price.
    #[serde(default)]
    pub model_notes: Vec<String>,
    /// Its loops; none where it has no agents work.
    #[serde(default)]
    pub loops: Vec<LoopStatus>,
    /// Why work stands still for want of space on a disk; none when it does not.
    #[serde(default)]
    pub stall: Option<DiskStall>,
}

/// Work that stands still for want of space on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStall {
    /// For how many milliseconds; 0 while an agent is let finish.
    pub ms: u64,
    /// Which disk, and how it is, without an end.
    pub reason: String,
}

/// How one loop of the process does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopStatus {
    /// `planner`, `merger` …
    pub name: String,
    /// Whole passes that failed in a row.
    pub failing: u32,
    /// Why the last of them did.
    pub error: Option<String>,
    /// What it could not go on with.
    pub entities: Vec<FailingEntity>,
}

/// Something a loop could not go on with, while it goes on with the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingEntity {
    /// `SPEC-1 (…)`, `TSK-004 (…)` …
    pub entity: String,
    /// Turns that failed in a row.
    pub failing: u32,
    /// When it is tried again.
    pub retry_at: Timestamp,
    /// Why the last turn failed.
    pub error: String,
}

//! What a worker is told at its start.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::dialect::Dialect;
use omoi_domain::egress::EgressLaunch;
use omoi_domain::id::{AttemptId, SandboxId};

use super::turns::TurnRecord;

/// Name of the context file among a sandbox's generated files.
pub const CONTEXT_FILE: &str = "context.json";

/// A tool an attempt may offer its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentTool {
    /// Read a file of the workspace.
    Read,
    /// List files by pattern.
    Glob,
    /// Search file contents by regular expression.
    Grep,
    /// Find where a name is defined and used.
    FindSymbol,
    /// Write a whole file.
    Write,
    /// Replace text in a file.
    Edit,
    /// Change files by a patch; offered in place of `edit` to models that were trained on it.
    ApplyPatch,
    /// Run a command in the sandbox.
    Shell,
    /// Look at a picture of the workspace.
    Image,
    /// Write down what must not be forgotten.
    Notes,
    /// Say which steps are to be taken.
    Plan,
    /// Report a bug or missing piece.
    ReportDiscovery,
    /// Say what came of the task, or of its ticket.
    ReportResult,
    /// Speak with other agents, and with people.
    Threads,
    /// Ask a person, and go on with the answer.
    AskPerson,
    /// Submit one item of a phase's output.
    SubmitItem,
    /// Say that a phase's output is complete.
    SubmitDone,
}

impl AgentTool {
    /// The name models call it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Glob => "glob",
            Self::Grep => "grep",
            Self::FindSymbol => "find_symbol",
            Self::Write => "write",
            Self::Edit => "edit",
            Self::ApplyPatch => "apply_patch",
            Self::Shell => "shell",
            Self::Image => "image",
            Self::Notes => "notes",
            Self::Plan => "plan",
            Self::ReportDiscovery => "report_discovery",
            Self::ReportResult => "report_result",
            Self::Threads => "threads",
            Self::AskPerson => "ask_person",
            Self::SubmitItem => "submit_item",
            Self::SubmitDone => "submit_done",
        }
    }
}

/// Everything a worker is told, in a file of mode 0600 named as its first argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptContext {
    /// Row id of the attempt.
    pub attempt_id: AttemptId,
    /// Its sandbox; part of every path.
    pub sandbox_id: SandboxId,
    /// Fence that every report carries.
    pub fence: i64,
    /// The kind of work this attempt performs, and the row it is for.
    #[serde(flatten)]
    pub subject: AttemptSubject,
    /// `TSK-003`, or the phase's name.
    pub subject_ref: String,
    /// Times the subject was sent back.
    pub round: u32,
    /// The one credential inside the sandbox.
    pub token: String,
    /// The platform's Unix socket, as the worker sees it.
    pub socket: String,
    /// The workspace, as the worker sees it.
    pub workspace: String,
    /// What takes the turns.
    pub agent: AgentLaunch,
    /// Model alias to ask for.
    pub model: String,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// System prompt of the agent.
    pub system: String,
    /// The first user message.
    pub prompt: String,
    /// Tools the model is offered.
    pub tools: Vec<AgentTool>,
    /// JSON schema of `submit_item`'s input, when it is offered.
    pub item_schema: Option<Value>,
    /// What it may use.
    pub limits: AttemptLimits,
    /// How its work is committed; none for attempts that only read.
    pub commit: Option<CommitPlan>,
    /// Its way out; none for attempts that reach nothing.
    pub egress: Option<EgressLaunch>,
    /// Turns of the attempt it goes on from; the work tree stands as after the last of them.
    pub resume: Vec<TurnRecord>,
}

/// What takes the turns of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLaunch {
    /// Our own loop, or an agent program.
    pub program: AgentProgram,
    /// Where the program is installed; none for our own loop.
    pub installed: Option<WorkerProgram>,
    /// Version of the prompts of our own loop, such as `claude-1`; none for programs, which have their own.
    pub prompts: Option<String>,
}

impl AgentLaunch {
    /// Our own loop, told the `prompts` of that version.
    pub const fn native_loop(prompts: String) -> Self {
        Self {
            program: AgentProgram::Native,
            installed: None,
            prompts: Some(prompts),
        }
    }
}

/// An agent program that a worker starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerProgram {
    /// Its command line, as the worker sees its files: the executable first, then what comes before the
    /// arguments of its driver.
    pub command: Vec<String>,
    /// The version that was installed; a program that says it is another one is not used.
    pub version: String,
    /// How it is told of its model, where a person has declared it.
    pub declared: Option<DeclaredProgram>,
}

/// What a person has declared of an agent program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredProgram {
    /// Its arguments. They and the variables may hold `{address}`, `{token}` and `{model}`.
    pub arguments: Vec<String>,
    /// Variables beyond those of every program.
    pub variables: Vec<(String, String)>,
    /// The wire format of its model calls.
    pub dialect: Dialect,
}

/// What one attempt may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptLimits {
    /// Turns, those of a resumed attempt included.
    pub turns_max: u32,
    /// Wall time of the attempt in seconds.
    pub wall_s: u64,
    /// Wall time of one command in seconds.
    pub command_s: u64,
    /// Bytes of one tool result that reach the model.
    pub result_bytes: usize,
    /// Seconds between two heartbeats.
    pub heartbeat_s: u64,
    /// Tokens that the model reads at most, where that is known.
    pub window_tokens: Option<u64>,
}

/// How an attempt's work is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// The branch checked out in the workspace.
    pub branch: String,
    /// The commit it was cut from; the bundle holds what came after.
    pub base_sha: String,
    /// First line of the message.
    pub subject: String,
    /// `Key: value` lines at its end.
    pub trailers: Vec<(String, String)>,
    /// Author and committer name.
    pub author_name: String,
    /// Author and committer address.
    pub author_email: String,
    /// Paths the commit must not touch; changes there are put back.
    pub protected: Vec<String>,
    /// Longest bundle the platform takes.
    pub bundle_bytes_max: usize,
}

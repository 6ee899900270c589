//! The agent's tools: one file per tool; this one offers, runs and reports them.

mod allowed_paths;
mod file_change;
mod find_symbol;
mod program_access;
mod text_limits;

mod ask_person;
mod edit;
pub mod edit_text;
mod glob;
mod grep;
mod image;
mod item_calls;
mod notes;
mod patch;
pub mod patch_text;
mod plan;
mod read;
mod report_discovery;
mod report_result;
mod shell;
mod shell_sessions;
mod submit_done;
mod submit_item;
mod threads;
mod tool_error;
mod tool_table;
mod write;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use omoi_domain::agent_event::AgentEventKind;
use omoi_llm::wire::answer::BrokenCall;
use omoi_llm::wire::anthropic::{ContentBlock, MessageContent, ToolUseBlock};
use omoi_protocol::worker::{AgentTool, AskPerson, AttemptContext, AttemptLimits};
use omoi_runtime::clock::Clocked;
use serde::Deserialize as _;
use serde_json::{Value, json};

use self::allowed_paths::{AllowedPaths, PathError};
pub(crate) use self::ask_person::{LastQuestion, last_question};
pub(crate) use self::file_change::FileBefore;
pub(crate) use self::program_access::{OwnTool, is_own_tool, own_tools, written_paths};
use self::shell_sessions::ShellSessions;
pub(crate) use self::text_limits::{cap_text, shorten_text};
use self::tool_error::ToolError;
use self::tool_table::{call_summary, describe_tool, object_schema, parse_input, tool_schema};
pub(crate) use self::tool_table::{offered_tools, shown_input};
use crate::agent_notes::{AgentNotes, NoteChange, NotedPlan};
use crate::event_reporter::EventReporter;
use crate::platform_client::PlatformClient;
use crate::transcript::{BadTurn, read_turn};

/// Characters of a tool's input or result that an event carries.
pub(crate) const SHOWN_CHARS_MAX: usize = 5_000;

/// Tools that may leave the work tree changed.
const CHANGING_TOOLS: [AgentTool; 4] = [
    AgentTool::Write,
    AgentTool::Edit,
    AgentTool::ApplyPatch,
    AgentTool::Shell,
];

/// Equal refusals of a phase's output that end an attempt: its model does not mend what it is told.
const EQUAL_REFUSALS_MAX: u32 = 3;

/// Result of one tool call.
pub(crate) struct ToolOutcome {
    /// Result text for the model.
    pub(crate) text: String,
    /// A picture beside it.
    pub(crate) picture: Option<ContentBlock>,
    /// Whether the tool failed.
    pub(crate) is_error: bool,
    /// Whether it ends the phase.
    pub(crate) ends_phase: bool,
    /// Why no further answer is of use: the same refusal came too often.
    pub(crate) gives_up: Option<String>,
    /// What it asks a person; the attempt rests until somebody answers.
    pub(crate) asks: Option<AskPerson>,
}

/// What a tool gave.
struct ToolOutput {
    text: String,
    picture: Option<ContentBlock>,
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self {
            text,
            picture: None,
        }
    }
}

/// The tools of one attempt.
pub(crate) struct AgentTools {
    offered: Vec<AgentTool>,
    paths: AllowedPaths,
    limits: AttemptLimits,
    platform: PlatformClient,
    reporter: EventReporter,
    clock: Clocked,
    /// Variables that commands get.
    environment: Vec<(OsString, OsString)>,
    sessions: ShellSessions,
    notes: Mutex<AgentNotes>,
    refused_paths: Mutex<Vec<String>>,
    refusals: Mutex<BTreeMap<String, u32>>,
}

/// Services that the tools use, beside the context.
pub(crate) struct ToolServices {
    /// Client of the platform's routes.
    pub(crate) platform: PlatformClient,
    /// Queue that tool events go to.
    pub(crate) reporter: EventReporter,
    /// Clock that times commands.
    pub(crate) clock: Clocked,
    /// Folders beside the workspace that may be written.
    pub(crate) scratch: Vec<PathBuf>,
    /// Variables that commands get.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Whether a call of tool `name` may leave the work tree changed.
pub(crate) fn may_change_files(name: &str) -> bool {
    CHANGING_TOOLS.iter().any(|tool| tool.as_str() == name)
}

/// Whether tool `name` hands in a phase's output.
fn is_submission(name: &str) -> bool {
    [AgentTool::SubmitItem, AgentTool::SubmitDone]
        .iter()
        .any(|tool| tool.as_str() == name)
}

/// The reason that call `id` was refused with, from the results of its turn.
fn refusal_of(id: &str, results: &[ContentBlock]) -> Option<String> {
    results.iter().find_map(|block| match block {
        ContentBlock::ToolResult(result)
            if result.tool_use_id == id && result.is_error == Some(true) =>
        {
            result.content.as_ref().map(MessageContent::joined_text)
        }
        _ => None,
    })
}

/// Whether call `id` was answered, and not with a failure.
fn succeeded(id: &str, results: &[ContentBlock]) -> bool {
    results.iter().any(|block| {
        matches!(block, ContentBlock::ToolResult(result)
            if result.tool_use_id == id && result.is_error != Some(true))
    })
}

/// Writes into `notes` what a call that succeeded wrote there.
pub(crate) fn write_notes(notes: &mut AgentNotes, call: &ToolUseBlock) {
    // It succeeded once, so it does again.
    if call.name == AgentTool::Notes.as_str()
        && let Ok(change) = NoteChange::deserialize(&call.input)
    {
        let _ = notes.change_notes(change);
    } else if call.name == AgentTool::Plan.as_str()
        && let Ok(plan) = NotedPlan::deserialize(&call.input)
    {
        let _ = notes.replace_plan(plan);
    }
}

impl AgentTools {
    /// The tools that `context` offers.
    pub(crate) fn new(context: &AttemptContext, services: ToolServices) -> io::Result<Self> {
        let protected = context.commit.as_ref().map(|plan| plan.protected.clone());
        let places = AllowedPaths::new(
            context.workspace.as_ref(),
            services.scratch,
            protected.unwrap_or_default(),
        )?;
        Ok(Self {
            offered: context.tools.clone(),
            sessions: ShellSessions::new(places.scratch_folder(), context.attempt_id),
            paths: places,
            limits: context.limits.clone(),
            platform: services.platform,
            reporter: services.reporter,
            clock: services.clock,
            environment: services.environment,
            notes: Mutex::default(),
            refused_paths: Mutex::default(),
            refusals: Mutex::default(),
        })
    }

    /// Notes the refused writes and items, and the agent's own notes, of a resumed transcript; nobody else
    /// remembers them.
    pub(crate) fn recall_turns(&self, context: &AttemptContext) -> Result<(), BadTurn> {
        for turn in &context.resume {
            let (reply, results) = read_turn(turn)?;
            for call in reply.tool_calls() {
                if succeeded(&call.id, &results) {
                    write_notes(&mut self.lock_notes(), call);
                }
                if let Some(says) = refusal_of(&call.id, &results)
                    && is_submission(&call.name)
                {
                    self.count_refusal(&call.name, &says);
                }
                for path in written_paths(call) {
                    if let Err(PathError::Outside { path }) = self.paths.resolve_writable(&path) {
                        self.note_refused_path(path);
                    }
                }
            }
        }
        Ok(())
    }

    /// Folders beside the work tree that may be written.
    pub(crate) fn scratch_folders(&self) -> &[PathBuf] {
        self.paths.scratch_folders()
    }

    /// Paths outside what may be written that were asked for.
    pub(crate) fn refused_paths(&self) -> Vec<String> {
        let refused = self
            .refused_paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    /// Whether a command goes on after the call that started it.
    pub(crate) async fn has_sessions(&self) -> bool {
        self.sessions.has_running().await
    }

    /// Ends the commands that outlived their calls.
    pub(crate) async fn end_sessions(&self) {
        self.sessions.end_all(&self.clock).await;
    }

    /// Runs one call. Never fails: what went wrong is the result.
    pub(crate) async fn run_call(
        &self,
        call: &ToolUseBlock,
        broken: Option<&BrokenCall>,
    ) -> ToolOutcome {
        self.conclude_call(call, broken, None).await
    }

    /// Runs one call, unless what became of it is `known`, and reports it.
    async fn conclude_call(
        &self,
        call: &ToolUseBlock,
        broken: Option<&BrokenCall>,
        known: Option<Result<String, ToolError>>,
    ) -> ToolOutcome {
        let input = shown_input(&call.input);
        let data = json!({ "tool": call.name, "tool_use_id": call.id, "input": input });
        match call_summary(call) {
            Some(summary) => {
                self.reporter
                    .show_event(AgentEventKind::ToolUse, data, &summary)
                    .await;
            }
            None => {
                self.reporter
                    .report_event(AgentEventKind::ToolUse, data)
                    .await;
            }
        }
        let result = match (broken, known, self.find_tool(&call.name)) {
            (Some(broken), ..) => Err(ToolError::Broken(broken.clone())),
            (None, Some(known), _) => known.map(ToolOutput::from),
            (None, None, Some(tool)) => self.dispatch_call(tool, &call.input).await,
            (None, None, None) => Err(self.not_offered(call.name.clone())),
        };
        let is_error = result.is_err();
        let ends_phase = !is_error && call.name == AgentTool::SubmitDone.as_str();
        let is_question = !is_error && call.name == AgentTool::AskPerson.as_str();
        let asks = is_question.then(|| AskPerson::deserialize(&call.input));
        let mut gives_up = None;
        let ToolOutput { text, picture } = match result {
            Ok(output) => output,
            Err(error) => {
                self.report_violation(call, &error).await;
                let says = error.to_string();
                if is_submission(&call.name) {
                    gives_up = self.report_refusal(call, &says).await;
                }
                says.into()
            }
        };
        let text = text_limits::cap_text(&text, self.limits.result_bytes);
        let shown = shorten_text(&text, SHOWN_CHARS_MAX);
        let data = json!({
            "tool": call.name, "tool_use_id": call.id, "is_error": is_error,
            "result_truncated": shown.len() < text.len(), "result_full_length": text.len(),
            "result": shown,
        });
        self.reporter
            .report_event(AgentEventKind::ToolResult, data)
            .await;
        ToolOutcome {
            text,
            picture,
            is_error,
            ends_phase,
            gives_up,
            asks: asks.and_then(Result::ok),
        }
    }

    /// Reports at once why a part of a phase's output was refused; gives the reason to end the attempt
    /// when the same refusal came too often.
    async fn report_refusal(&self, call: &ToolUseBlock, says: &str) -> Option<String> {
        let field = |name| call.input.get(name).and_then(Value::as_str).unwrap_or("");
        let (section, key) = (field("section"), field("key"));
        let what = match (section, key) {
            ("", _) => "the output".to_owned(),
            (section, "") => section.to_owned(),
            (section, key) => format!("{section} {key}"),
        };
        let message = shorten_text(says, SHOWN_CHARS_MAX);
        let data = json!({ "tool": call.name, "section": section, "key": key, "message": message });
        let summary = format!("{what} refused: {says}");
        self.reporter
            .show_event(AgentEventKind::ItemRefused, data, &summary)
            .await;
        let times = self.count_refusal(&call.name, says);
        (times >= EQUAL_REFUSALS_MAX).then(|| format!("{what} was refused {times} times: {says}"))
    }

    fn count_refusal(&self, tool: &str, says: &str) -> u32 {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let times = refusals.entry(format!("{tool} {says}")).or_default();
        *times += 1;
        *times
    }

    /// Why a tool cannot be called. One that writes exists elsewhere, and is withheld here.
    fn not_offered(&self, name: String) -> ToolError {
        let offered = self.offered.iter().map(|tool| tool.as_str()).collect();
        let is_read_only = !self
            .offered
            .iter()
            .any(|tool| CHANGING_TOOLS.contains(tool));
        if is_read_only && may_change_files(&name) {
            return ToolError::ReadOnly { name, offered };
        }
        ToolError::Unknown { name, offered }
    }

    fn find_tool(&self, name: &str) -> Option<AgentTool> {
        self.offered.iter().copied().find(|t| t.as_str() == name)
    }

    async fn dispatch_call(&self, tool: AgentTool, input: &Value) -> Result<ToolOutput, ToolError> {
        let text = match tool {
            AgentTool::Image => return image::run(self, &parse_input(tool, input)?),
            AgentTool::Read => read::run(self, parse_input(tool, input)?),
            AgentTool::Glob => glob::run(self, parse_input(tool, input)?).await,
            AgentTool::Grep => grep::run(self, parse_input(tool, input)?).await,
            AgentTool::FindSymbol => find_symbol::run(self, parse_input(tool, input)?).await,
            AgentTool::Write => write::run(self, parse_input(tool, input)?).await,
            AgentTool::Edit => edit::run(self, parse_input(tool, input)?).await,
            AgentTool::ApplyPatch => patch::run(self, parse_input(tool, input)?).await,
            AgentTool::Shell => shell::run(self, parse_input(tool, input)?).await,
            AgentTool::Notes => notes::run(self, parse_input(tool, input)?),
            AgentTool::Plan => plan::run(self, parse_input(tool, input)?),
            AgentTool::ReportDiscovery => {
                report_discovery::run(self, parse_input(tool, input)?).await
            }
            AgentTool::ReportResult => report_result::run(self, parse_input(tool, input)?).await,
            AgentTool::Threads => threads::run(self, parse_input(tool, input)?).await,
            AgentTool::AskPerson => ask_person::run(&parse_input(tool, input)?),
            AgentTool::SubmitItem => return self.hand_in_item(input).await,
            AgentTool::SubmitDone => submit_done::run(self, parse_input(tool, input)?).await,
        };
        Ok(text?.into())
    }

    fn lock_notes(&self) -> MutexGuard<'_, AgentNotes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports a call that went against the rules of the workspace.
    async fn report_violation(&self, call: &ToolUseBlock, error: &ToolError) {
        let writes = [AgentTool::Write, AgentTool::Edit, AgentTool::ApplyPatch];
        let is_writing = |tool: AgentTool| writes.contains(&tool);
        if let ToolError::Path(error) = error
            && self.find_tool(&call.name).is_some_and(is_writing)
        {
            self.report_path(call, error).await;
        }
    }

    /// Reports a write to where nothing may be written.
    async fn report_path(&self, call: &ToolUseBlock, error: &PathError) {
        let path = match error {
            PathError::Outside { path } => {
                self.note_refused_path(path.clone());
                path
            }
            PathError::Protected { path } | PathError::GitData { path } => path,
            PathError::Nowhere { .. } | PathError::Io { .. } | PathError::Empty => return,
        };
        let data = json!({ "tool": call.name, "tool_use_id": call.id, "path": path, "message": error.to_string() });
        let summary = format!("refused to {} {path}", call.name);
        self.reporter
            .show_event(AgentEventKind::PolicyViolation, data, &summary)
            .await;
    }

    fn note_refused_path(&self, path: String) {
        let mut refused = self
            .refused_paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !refused.contains(&path) {
            refused.push(path);
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

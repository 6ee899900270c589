//! What a model may do: one file per tool, and the box that offers, runs and reports them.

mod change;
mod paths;
mod text;

mod edit;
mod glob;
mod grep;
mod read;
mod report_discovery;
mod shell;
mod submit_done;
mod submit_item;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use omoi_domain::agent_event::AgentEventKind;
use omoi_llm::wire::answer::BrokenCall;
use omoi_llm::wire::anthropic::{self, Content, ContentBlock, ToolUseBlock};
use omoi_protocol::worker::{AttemptContext, Limits, Tool};
use omoi_runtime::clock::Clocked;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::paths::{PathError, Places};
pub(crate) use self::text::shortened;
use crate::platform::{CallError, Platform};
use crate::process::ShellError;
use crate::reporter::Reporter;
use crate::transcript::{BadTurn, read as read_turn};

/// Characters of a tool's input or result that an event carries.
const SHOWN_CHARS_MAX: usize = 5_000;

/// Equal refusals of a phase's output that end an attempt: its model does not mend what it is told.
const EQUAL_REFUSALS_MAX: u32 = 3;

/// Why a tool did not do what it was asked; the model reads this.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error("`{name}` is not offered: this workspace is read-only for you; the tools are {}", .offered.join(", "))]
    ReadOnly {
        name: String,
        offered: Vec<&'static str>,
    },
    #[error("there is no tool `{name}`; the tools are {}", .offered.join(", "))]
    Unknown {
        name: String,
        offered: Vec<&'static str>,
    },
    #[error("bad input for `{tool}`: {source}; expected {expected}")]
    Input {
        tool: &'static str,
        source: serde_json::Error,
        expected: Value,
    },
    #[error("{0}; call it again with a whole JSON object")]
    Broken(BrokenCall),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("could not {step} `{path}`: {source}")]
    Io {
        step: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("`{path}` is not a regular file")]
    NotAFile { path: String },
    #[error("`{path}` is binary ({bytes} bytes); only text can be read")]
    Binary { path: String, bytes: u64 },
    #[error(
        "`{path}` has {bytes} bytes, more than {max}; look at a part of it with grep or a command"
    )]
    TooLarge { path: String, bytes: u64, max: u64 },
    #[error("`{path}` has {lines} lines; offset {offset} is behind its end")]
    BehindEnd {
        path: String,
        lines: usize,
        offset: usize,
    },
    #[error(
        "`old` does not occur in `{path}`; read the file and give its exact text, blanks and line ends included"
    )]
    NotFound { path: String },
    #[error(
        "`old` occurs {count} times in `{path}`; give more of the text around it, or set `replace_all`"
    )]
    NotUnique { path: String, count: usize },
    #[error("`old` and `new` are equal; nothing would change")]
    Equal,
    #[error("`old` is empty; use `write` to make a file")]
    EmptyOld,
    #[error("bad pattern: {0}")]
    Glob(globset::Error),
    #[error("bad pattern: {0}")]
    Regex(regex::Error),
    #[error("{0}")]
    Shell(#[from] ShellError),
    #[error("{0}")]
    Platform(#[from] CallError),
    #[error("the tool broke down")]
    Panicked(#[from] tokio::task::JoinError),
}

/// What a call gave.
pub(crate) struct Outcome {
    /// The words for the model.
    pub(crate) text: String,
    /// Whether the tool failed.
    pub(crate) is_error: bool,
    /// Whether it ends the phase.
    pub(crate) ends_phase: bool,
    /// Why no further answer is of use: the same refusal came too often.
    pub(crate) gives_up: Option<String>,
}

/// The tools of one attempt.
pub(crate) struct Toolbox {
    offered: Vec<Tool>,
    places: Places,
    limits: Limits,
    platform: Platform,
    reporter: Reporter,
    clock: Clocked,
    refused: Mutex<Vec<String>>,
    refusals: Mutex<BTreeMap<String, u32>>,
}

/// What a toolbox needs beside the context.
pub(crate) struct Means {
    /// The line to the platform.
    pub(crate) platform: Platform,
    /// Where events go.
    pub(crate) reporter: Reporter,
    /// The time.
    pub(crate) clock: Clocked,
    /// Folders beside the workspace that may be written.
    pub(crate) scratch: Vec<PathBuf>,
}

/// Whether a call of tool `name` may leave the work tree changed.
pub(crate) fn may_change_files(name: &str) -> bool {
    [Tool::Write, Tool::Edit, Tool::Shell]
        .iter()
        .any(|tool| tool.as_str() == name)
}

/// Whether tool `name` hands in a phase's output.
fn hands_in(name: &str) -> bool {
    [Tool::SubmitItem, Tool::SubmitDone]
        .iter()
        .any(|tool| tool.as_str() == name)
}

/// What the call `id` was refused with, among the results of its turn.
fn refusal_of(id: &str, results: &[ContentBlock]) -> Option<String> {
    results.iter().find_map(|block| match block {
        ContentBlock::ToolResult(result)
            if result.tool_use_id == id && result.is_error == Some(true) =>
        {
            result.content.as_ref().map(Content::text)
        }
        _ => None,
    })
}

/// The tools that requests of this attempt offer.
pub(crate) fn offered(context: &AttemptContext) -> Vec<anthropic::Tool> {
    let item_schema = context.item_schema.as_ref();
    let tools = context.tools.iter();
    tools
        .map(|tool| {
            anthropic::Tool::new(tool.as_str(), describe(*tool), schema(*tool, item_schema))
        })
        .collect()
}

impl Toolbox {
    /// The tools that `context` offers.
    pub(crate) fn new(context: &AttemptContext, means: Means) -> io::Result<Self> {
        let protected = context.commit.as_ref().map(|plan| plan.protected.clone());
        let places = Places::new(
            context.workspace.as_ref(),
            means.scratch,
            protected.unwrap_or_default(),
        )?;
        Ok(Self {
            offered: context.tools.clone(),
            places,
            limits: context.limits.clone(),
            platform: means.platform,
            reporter: means.reporter,
            clock: means.clock,
            refused: Mutex::default(),
            refusals: Mutex::default(),
        })
    }

    /// Notes the refused writes and items of a resumed transcript; nobody else remembers them.
    pub(crate) fn recall(&self, context: &AttemptContext) -> Result<(), BadTurn> {
        for turn in &context.resume {
            let (said, results) = read_turn(turn)?;
            for call in said.calls() {
                if let Some(says) = refusal_of(&call.id, &results)
                    && hands_in(&call.name)
                {
                    self.counted(&call.name, &says);
                }
                let writes = [Tool::Write.as_str(), Tool::Edit.as_str()].contains(&&*call.name);
                let path = call.input.get("path").and_then(Value::as_str);
                if let (true, Some(path)) = (writes, path)
                    && let Err(PathError::Outside { path }) = self.places.writable(path)
                {
                    self.refuse(path);
                }
            }
        }
        Ok(())
    }

    /// Paths outside what may be written that were asked for.
    pub(crate) fn refused_paths(&self) -> Vec<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    /// Runs one call. Never fails: what went wrong is the result.
    pub(crate) async fn call(&self, call: &ToolUseBlock, broken: Option<&BrokenCall>) -> Outcome {
        let input = shown_input(&call.input);
        let data = json!({ "tool": call.name, "tool_use_id": call.id, "input": input });
        match summary(call) {
            Some(summary) => {
                self.reporter
                    .show(AgentEventKind::ToolUse, data, &summary)
                    .await;
            }
            None => self.reporter.event(AgentEventKind::ToolUse, data).await,
        }
        let result = match (broken, self.tool(&call.name)) {
            (Some(broken), _) => Err(ToolError::Broken(broken.clone())),
            (None, Some(tool)) => self.dispatch(tool, &call.input).await,
            (None, None) => Err(self.not_offered(call.name.clone())),
        };
        let is_error = result.is_err();
        let ends_phase = !is_error && call.name == Tool::SubmitDone.as_str();
        let mut gives_up = None;
        let text = match result {
            Ok(text) => text,
            Err(error) => {
                self.violation(call, &error).await;
                let says = error.to_string();
                if hands_in(&call.name) {
                    gives_up = self.refusal(call, &says).await;
                }
                says
            }
        };
        let text = text::capped(&text, self.limits.result_bytes);
        let shown = shortened(&text, SHOWN_CHARS_MAX);
        let data = json!({
            "tool": call.name, "tool_use_id": call.id, "is_error": is_error,
            "result_truncated": shown.len() < text.len(), "result_full_length": text.len(),
            "result": shown,
        });
        self.reporter.event(AgentEventKind::ToolResult, data).await;
        Outcome {
            text,
            is_error,
            ends_phase,
            gives_up,
        }
    }

    /// Tells people at once why a part of a phase's output was refused; the reason to give up when
    /// the model was told the same too often.
    async fn refusal(&self, call: &ToolUseBlock, says: &str) -> Option<String> {
        let field = |name| call.input.get(name).and_then(Value::as_str).unwrap_or("");
        let (section, key) = (field("section"), field("key"));
        let what = match (section, key) {
            ("", _) => "the output".to_owned(),
            (section, "") => section.to_owned(),
            (section, key) => format!("{section} {key}"),
        };
        let message = shortened(says, SHOWN_CHARS_MAX);
        let data = json!({ "tool": call.name, "section": section, "key": key, "message": message });
        let summary = format!("{what} refused: {says}");
        self.reporter
            .show(AgentEventKind::ItemRefused, data, &summary)
            .await;
        let times = self.counted(&call.name, says);
        (times >= EQUAL_REFUSALS_MAX).then(|| format!("{what} was refused {times} times: {says}"))
    }

    fn counted(&self, tool: &str, says: &str) -> u32 {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let times = refusals.entry(format!("{tool} {says}")).or_default();
        *times += 1;
        *times
    }

    /// Why a tool cannot be called. One that writes exists elsewhere, and is withheld here.
    fn not_offered(&self, name: String) -> ToolError {
        let offered = self.offered.iter().map(|tool| tool.as_str()).collect();
        let writes = [Tool::Write, Tool::Edit, Tool::Shell];
        if writes.iter().any(|tool| tool.as_str() == name) {
            return ToolError::ReadOnly { name, offered };
        }
        ToolError::Unknown { name, offered }
    }

    fn tool(&self, name: &str) -> Option<Tool> {
        self.offered.iter().copied().find(|t| t.as_str() == name)
    }

    async fn dispatch(&self, tool: Tool, input: &Value) -> Result<String, ToolError> {
        match tool {
            Tool::Read => read::run(self, parsed(tool, input)?),
            Tool::Glob => glob::run(self, parsed(tool, input)?).await,
            Tool::Grep => grep::run(self, parsed(tool, input)?).await,
            Tool::Write => write::run(self, parsed(tool, input)?).await,
            Tool::Edit => edit::run(self, parsed(tool, input)?).await,
            Tool::Shell => shell::run(self, parsed(tool, input)?).await,
            Tool::ReportDiscovery => report_discovery::run(self, parsed(tool, input)?).await,
            Tool::SubmitItem => submit_item::run(self, parsed(tool, input)?).await,
            Tool::SubmitDone => submit_done::run(self, parsed(tool, input)?).await,
        }
    }

    /// Reports a call that went against the rules of the workspace.
    async fn violation(&self, call: &ToolUseBlock, error: &ToolError) {
        let (ToolError::Path(error), Some(Tool::Write | Tool::Edit)) =
            (error, self.tool(&call.name))
        else {
            return;
        };
        let path = match error {
            PathError::Outside { path } => {
                self.refuse(path.clone());
                path
            }
            PathError::Protected { path } | PathError::GitData { path } => path,
            PathError::Nowhere { .. } | PathError::Io { .. } | PathError::Empty => return,
        };
        let data = json!({ "tool": call.name, "tool_use_id": call.id, "path": path, "message": error.to_string() });
        let summary = format!("refused to {} {path}", call.name);
        self.reporter
            .show(AgentEventKind::PolicyViolation, data, &summary)
            .await;
    }

    fn refuse(&self, path: String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused.contains(&path) {
            refused.push(path);
        }
    }

    /// Longest time of a command.
    fn command_max(&self) -> Duration {
        Duration::from_secs(self.limits.command_s)
    }
}

/// A tool's input, or what was expected of it.
fn parsed<T: DeserializeOwned>(tool: Tool, input: &Value) -> Result<T, ToolError> {
    T::deserialize(input).map_err(|source| ToolError::Input {
        tool: tool.as_str(),
        source,
        // The schema of items is long and the model has it.
        expected: match tool {
            Tool::SubmitItem => json!({"phase": "…", "section": "…", "key": "…", "value": "…"}),
            _ => schema(tool, None),
        },
    })
}

fn describe(tool: Tool) -> &'static str {
    match tool {
        Tool::Read => read::DESCRIPTION,
        Tool::Glob => glob::DESCRIPTION,
        Tool::Grep => grep::DESCRIPTION,
        Tool::Write => write::DESCRIPTION,
        Tool::Edit => edit::DESCRIPTION,
        Tool::Shell => shell::DESCRIPTION,
        Tool::ReportDiscovery => report_discovery::DESCRIPTION,
        Tool::SubmitItem => submit_item::DESCRIPTION,
        Tool::SubmitDone => submit_done::DESCRIPTION,
    }
}

fn schema(tool: Tool, item_schema: Option<&Value>) -> Value {
    match tool {
        Tool::Read => read::schema(),
        Tool::Glob => glob::schema(),
        Tool::Grep => grep::schema(),
        Tool::Write => write::schema(),
        Tool::Edit => edit::schema(),
        Tool::Shell => shell::schema(),
        Tool::ReportDiscovery => report_discovery::schema(),
        Tool::SubmitItem => submit_item::schema(item_schema),
        Tool::SubmitDone => submit_done::schema(),
    }
}

/// The schema of an object with these properties and nothing else.
fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// The one line for people about a call, for calls that no other event tells of.
fn summary(call: &ToolUseBlock) -> Option<String> {
    let field = |name| call.input.get(name).and_then(Value::as_str).unwrap_or("");
    if call.name == Tool::ReportDiscovery.as_str() {
        Some(format!("found: {}", field("title")))
    } else if call.name == Tool::SubmitItem.as_str() {
        Some(format!("writing {} {}", field("section"), field("key")))
    } else {
        None
    }
}

fn shown_input(input: &Value) -> Value {
    let text = input.to_string();
    if text.len() <= SHOWN_CHARS_MAX {
        return input.clone();
    }
    json!({ "shortened": shortened(&text, SHOWN_CHARS_MAX), "full_length": text.len() })
}

#[cfg(test)]
mod tests;

//! Judges the tools of an agent program before they run and reports what they did, in the events of the
//! native tools.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::time::Timestamp;
use omoi_llm::wire::anthropic::ToolUseBlock;
use omoi_protocol::worker::AgentTool;
use omoi_runtime::clock::Clocked;
use serde_json::json;

use super::tool_rules::{ToolEffect, refuse_tool};
use crate::event_reporter::EventReporter;
use crate::tools::{AgentTools, FileBefore, SHOWN_CHARS_MAX, shorten_text, shown_input};

/// Follows the tools of one agent program.
pub(crate) struct ToolObserver {
    tools: Arc<AgentTools>,
    offered: Vec<AgentTool>,
    reporter: EventReporter,
    clock: Clocked,
    /// Folder of the program's state.
    closed: PathBuf,
    open: BTreeMap<String, ObservedCall>,
    has_acted: bool,
}

/// A call that was told of and has no result yet.
struct ObservedCall {
    name: String,
    began: Timestamp,
    doing: CallWork,
}

/// What a call changes or runs.
enum CallWork {
    /// The file that it is about to change.
    File(FileBefore),
    /// The command that it runs, shortened.
    Command(String),
    /// Nothing that is followed.
    Other,
}

/// Result of a tool, as the program tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolEnd {
    /// Whether it failed.
    pub(crate) is_error: bool,
    /// What the model is told.
    pub(crate) text: String,
    /// Exit code of a command, where the program tells it.
    pub(crate) exit_code: Option<i32>,
}

impl ToolObserver {
    /// An observer for the attempt that offers `offered`.
    pub(crate) fn new(
        tools: &Arc<AgentTools>,
        offered: &[AgentTool],
        reporter: &EventReporter,
        clock: &Clocked,
    ) -> Self {
        Self {
            tools: tools.clone(),
            offered: offered.to_vec(),
            reporter: reporter.clone(),
            clock: clock.clone(),
            closed: PathBuf::new(),
            open: BTreeMap::new(),
            has_acted: false,
        }
    }

    /// It with the folder of the program's state, which no tool changes.
    pub(crate) fn with_closed_folder(self, closed: PathBuf) -> Self {
        Self { closed, ..self }
    }

    /// Folders beside the work tree that may be written.
    pub(crate) fn scratch_folders(&self) -> &[PathBuf] {
        self.tools.scratch_folders()
    }

    /// Whether a call of the round under way may have done something beyond reading.
    pub(crate) const fn has_acted(&self) -> bool {
        self.has_acted
    }

    /// A call may act of which nobody was asked.
    pub(crate) const fn note_act(&mut self) {
        self.has_acted = true;
    }

    /// The round has ended: what its calls did is committed with it.
    pub(crate) const fn end_round(&mut self) {
        self.has_acted = false;
    }

    /// Reports that a tool is about to run, unless it must not: then why, in words for the model.
    pub(crate) async fn begin_call(
        &mut self,
        call: &ToolUseBlock,
        effect: &ToolEffect,
    ) -> Result<(), String> {
        // The server of our tools reports its calls itself.
        if *effect == ToolEffect::Own {
            return Ok(());
        }
        let input = shown_input(&call.input);
        let data = json!({ "tool": call.name, "tool_use_id": call.id, "input": input });
        self.reporter
            .report_event(AgentEventKind::ToolUse, data)
            .await;
        let doing = match (refuse_tool(&self.offered, &call.name, effect), effect) {
            (Some(refusal), _) => Err(refusal),
            (None, ToolEffect::Write(path)) => self
                .tools
                .file_before_write(call, path, &self.closed)
                .await
                .map(CallWork::File),
            (None, ToolEffect::Read(paths)) => {
                let mut checked = paths.iter().map(|path| self.tools.check_readable(path));
                checked
                    .try_for_each(|found| found)
                    .map(|()| CallWork::Other)
            }
            (None, ToolEffect::Shell(command)) => {
                let shown = shorten_text(command, SHOWN_CHARS_MAX);
                let data = json!({ "command": shown });
                self.reporter
                    .show_event(
                        AgentEventKind::CommandStarted,
                        data,
                        &format!("running {shown}"),
                    )
                    .await;
                Ok(CallWork::Command(shown))
            }
            (None, _) => Ok(CallWork::Other),
        };
        let (doing, verdict) = match doing {
            Ok(doing) => (doing, Ok(())),
            Err(refusal) => (CallWork::Other, Err(refusal)),
        };
        self.has_acted |= verdict.is_ok() && !matches!(effect, ToolEffect::Read(_));
        let open = ObservedCall {
            name: call.name.clone(),
            began: self.clock.now(),
            doing,
        };
        self.open.insert(call.id.clone(), open);
        verdict
    }

    /// Reports what the tool of call `id` did. A call that did not begin, as the program refused it
    /// itself, leaves only its result.
    pub(crate) async fn end_call(&mut self, id: &str, name: &str, end: &ToolEnd) {
        let call = self.open.remove(id).unwrap_or_else(|| ObservedCall {
            name: name.to_owned(),
            began: self.clock.now(),
            doing: CallWork::Other,
        });
        match &call.doing {
            CallWork::File(before) if !end.is_error => {
                if let Some((data, summary)) = before.change_event() {
                    self.reporter
                        .show_event(AgentEventKind::FileEdited, data, &summary)
                        .await;
                }
            }
            CallWork::Command(command) => self.report_command(&call, command, end).await,
            CallWork::File(_) | CallWork::Other => {}
        }
        let shown = shorten_text(&end.text, SHOWN_CHARS_MAX);
        let data = json!({
            "tool": call.name, "tool_use_id": id, "is_error": end.is_error,
            "result_truncated": shown.len() < end.text.len(), "result_full_length": end.text.len(),
            "result": shown,
        });
        self.reporter
            .report_event(AgentEventKind::ToolResult, data)
            .await;
    }

    async fn report_command(&self, call: &ObservedCall, command: &str, end: &ToolEnd) {
        let took_ms = self.clock.now().since(call.began).as_millis() as u64;
        let data = json!({
            "command": command, "exit_code": end.exit_code, "signal": null, "timed_out": false,
            "took_ms": took_ms,
        });
        let kind = AgentEventKind::CommandCompleted;
        if end.is_error {
            let summary = format!("failed: {command}");
            self.reporter.show_event(kind, data, &summary).await;
        } else {
            self.reporter.report_event(kind, data).await;
        }
    }
}

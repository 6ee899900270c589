//! What the program asks before a call runs, and in which order our own calls are let go.

use std::path::Path;
use std::time::Duration;

use omoi_llm::wire::anthropic::ToolUseBlock;
use omoi_protocol::worker::AgentTool;
use serde_json::{Value, json};

use super::protocol::{
    AppServerInput, CommandApproval, FileUpdate, ItemNews, ProgramRequest, ThreadItem,
};
use super::reading::paths_read;
use super::rollout::RolloutRound;
use super::{Codex, failed};
use crate::program::session_file::SessionFile;
use crate::program::tool_observer::ToolEnd;
use crate::program::tool_rules::ToolEffect;
use crate::program::tool_server::SERVER_NAME;
use crate::runtime::RuntimeError;

/// Its tool that runs commands.
const COMMAND_TOOL: &str = "exec_command";
const INPUT_TOOL: &str = "write_stdin";
const PATCH_TOOL: &str = "apply_patch";
/// State of a call that went well.
const COMPLETED: &str = "completed";
/// Arguments of a command that change nothing of what it does.
const PLAIN_ARGUMENTS: [&str; 4] = ["cmd", "workdir", "yield_time_ms", "max_output_tokens"];
/// How often the session file is looked at until it holds the calls that wait.
const LOOKS_MAX: u32 = 50;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether a call of tool `name` may change files.
pub(super) fn may_change(name: &str) -> bool {
    [COMMAND_TOOL, INPUT_TOOL, PATCH_TOOL].contains(&name)
}

/// Whether calls of tool `name` wait for each other: those of ours. Commands run side by side, as the
/// program tells its model: while one waits for a verdict, it tells of no other.
fn is_ordered(name: &str) -> bool {
    let own = [
        AgentTool::ReportDiscovery,
        AgentTool::ReportResult,
        AgentTool::Threads,
        AgentTool::SubmitItem,
        AgentTool::SubmitDone,
    ];
    own.iter().any(|tool| tool.as_str() == name)
}

/// What a command does, where the attempt offers `tools`.
fn effect_of_command(tools: &[AgentTool], input: &Value) -> ToolEffect {
    let command = input["cmd"].as_str().unwrap_or_default();
    let is_plain = input.as_object().is_some_and(|arguments| {
        let mut keys = arguments.keys();
        keys.all(|key| PLAIN_ARGUMENTS.contains(&key.as_str()))
    });
    let is_reading = !tools.contains(&AgentTool::Shell) && is_plain;
    match paths_read(command).filter(|_| is_reading) {
        Some(paths) => ToolEffect::Read(in_folder(paths, input["workdir"].as_str())),
        None => ToolEffect::Shell(command.to_owned()),
    }
}

/// The paths of a command that runs in `folder`, with the folder itself.
fn in_folder(paths: Vec<String>, folder: Option<&str>) -> Vec<String> {
    let folder = Path::new(folder.unwrap_or("."));
    let paths = paths.iter().map(|path| folder.join(path));
    let all = std::iter::once(folder.to_path_buf()).chain(paths);
    all.map(|path| path.display().to_string()).collect()
}

impl Codex<'_> {
    pub(super) async fn take_request(
        &mut self,
        id: Value,
        request: ProgramRequest,
    ) -> Result<(), RuntimeError> {
        match request {
            ProgramRequest::Command(approval) if approval.is_input() => {
                // The command that it is for was allowed.
                self.write(&AppServerInput::approval_verdict(&id, !self.is_stopping))
                    .await
            }
            ProgramRequest::Command(approval) => {
                self.calls.open_round();
                let is_allowed = self.judge_command(&approval).await?;
                self.write(&AppServerInput::approval_verdict(
                    &id,
                    is_allowed && !self.is_stopping,
                ))
                .await
            }
            ProgramRequest::FileChange { item_id } => {
                self.calls.open_round();
                let is_allowed = self.judge_patch(&item_id).await;
                self.write(&AppServerInput::approval_verdict(
                    &id,
                    is_allowed && !self.is_stopping,
                ))
                .await
            }
            ProgramRequest::Elicitation { server } => {
                let is_ours = server == SERVER_NAME;
                self.write(&AppServerInput::elicitation_answer(&id, is_ours))
                    .await
            }
            ProgramRequest::UserInput => self.write(&AppServerInput::no_user_input(&id)).await,
            ProgramRequest::Other => self.write(&AppServerInput::unknown_request(&id)).await,
        }
    }

    pub(super) async fn follow_item(&mut self, news: ItemNews) -> Result<(), RuntimeError> {
        let (id, status) = match news.item {
            ThreadItem::McpToolCall { id, server, .. } if !news.is_ended => {
                if server == SERVER_NAME {
                    self.calls.add_waiting(id);
                }
                return self.release_ready().await;
            }
            ThreadItem::FileChange { id, changes, .. } if !news.is_ended => {
                let paths = changes.iter().flat_map(FileUpdate::changed_paths);
                self.patches.insert(id, paths.map(str::to_owned).collect());
                return Ok(());
            }
            ThreadItem::CommandExecution {
                id,
                status,
                aggregated_output,
                exit_code,
            } if news.is_ended => {
                let end = ToolEnd {
                    is_error: status != COMPLETED,
                    text: aggregated_output.unwrap_or_default(),
                    exit_code,
                };
                self.report_end(&id, COMMAND_TOOL, end).await;
                (id, status)
            }
            ThreadItem::FileChange { id, status, .. } => {
                let paths = self.patches.remove(&id).unwrap_or_default();
                for n in 0..paths.len() {
                    let end = ToolEnd {
                        is_error: status != COMPLETED,
                        ..ToolEnd::default()
                    };
                    let call = patch_call_id(&id, n);
                    self.report_end(&call, PATCH_TOOL, end).await;
                }
                (id, status)
            }
            ThreadItem::McpToolCall { id, status, .. } => (id, status),
            _ => return Ok(()),
        };
        if status != COMPLETED {
            self.failed_calls.insert(id.clone());
        }
        self.calls.end_call(&id);
        self.release_ready().await
    }

    /// Reports the end of a call; of one that was refused, with the reason.
    async fn report_end(&mut self, id: &str, name: &str, mut end: ToolEnd) {
        if let Some(refusal) = self.refusals.remove(id) {
            end.text = refusal;
        }
        self.host.observer.end_call(id, name, &end).await;
    }

    /// Lets every call of ours go that waits for none before it.
    async fn release_ready(&mut self) -> Result<(), RuntimeError> {
        if !self.calls.has_waiting() {
            self.held_since = None;
            return Ok(());
        }
        let order = self.read_order().await?;
        while let Some(id) = self.calls.take_ready(&order) {
            self.held_since = None;
            self.host.tool_server.release_call(&id);
        }
        self.note_held();
        Ok(())
    }

    /// Lets the first call go that waits, as those before it seem never to end.
    pub(super) async fn release_first(&mut self) -> Result<(), RuntimeError> {
        self.held_since = None;
        let order = self.read_order().await?;
        if let Some(id) = self.calls.take_first(&order) {
            self.host.tool_server.release_call(&id);
        }
        self.note_held();
        Ok(())
    }

    /// The calls of ours in the answer under way.
    async fn read_order(&self) -> Result<Vec<String>, RuntimeError> {
        let waiting: Vec<_> = self.calls.waiting_ids().collect();
        let answer = self.read_answer(&waiting).await?;
        let calls = answer.answer_calls().filter(|call| is_ordered(&call.name));
        Ok(calls.map(|call| call.id.clone()).collect())
    }

    fn note_held(&mut self) {
        if self.calls.has_waiting() {
            let now = self.host.clock.now();
            self.held_since.get_or_insert(now);
        }
    }

    /// The answer under way, once the session file holds the calls `wanted`.
    async fn read_answer(&self, wanted: &[&str]) -> Result<RolloutRound, RuntimeError> {
        let mut round = RolloutRound::default();
        for _ in 0..LOOKS_MAX {
            let lines = self.session.as_ref().map(SessionFile::lines_ahead);
            let lines = lines.transpose();
            let lines = lines.map_err(|error| failed(format!("its session file: {error}")))?;
            let Some(lines) = lines.flatten() else {
                return Err(failed("its session file is too long".to_owned()));
            };
            round = RolloutRound::read(&lines, &self.failed_calls);
            let is_there = |id: &&str| round.answer_calls().any(|call| call.id == *id);
            if wanted.iter().all(is_there) {
                break;
            }
            self.host.clock.sleep(LOOK_INTERVAL).await;
        }
        Ok(round)
    }

    async fn judge_command(&mut self, approval: &CommandApproval) -> Result<bool, RuntimeError> {
        let id = approval.item_id.as_str();
        let answer = self.read_answer(&[id]).await?;
        let input = match answer.answer_calls().find(|call| call.id == id) {
            Some(call) if call.name == COMMAND_TOOL => call.input.clone(),
            // With one more argument, so that it is never taken for a plain one.
            _ => json!({"cmd": approval.command, "shell": true}),
        };
        let effect = effect_of_command(&self.context.tools, &input);
        let call = program_call(id.to_owned(), COMMAND_TOOL, input);
        Ok(self.judge(&call, &effect).await)
    }

    async fn judge_patch(&mut self, id: &str) -> bool {
        let paths = self.patches.get(id).cloned().unwrap_or_default();
        let mut is_allowed = !paths.is_empty();
        for (n, path) in paths.into_iter().enumerate() {
            let input = json!({ "file_path": path });
            let call = program_call(patch_call_id(id, n), PATCH_TOOL, input);
            is_allowed &= self.judge(&call, &ToolEffect::Write(path)).await;
        }
        is_allowed
    }

    /// Whether a call may run. The program has no words of ours for the model: the events tell why.
    async fn judge(&mut self, call: &ToolUseBlock, effect: &ToolEffect) -> bool {
        match self.host.observer.begin_call(call, effect).await {
            Ok(()) => true,
            Err(refusal) => {
                self.refusals.insert(call.id.clone(), refusal);
                false
            }
        }
    }
}

fn program_call(id: String, name: &str, input: Value) -> ToolUseBlock {
    ToolUseBlock {
        id,
        name: name.to_owned(),
        input,
        extra: Default::default(),
    }
}

/// A patch is one call of the program and one of the observer for each of its files.
fn patch_call_id(id: &str, n: usize) -> String {
    match n {
        0 => id.to_owned(),
        n => format!("{id}/{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_reading_one_only_where_no_shell_is_offered() {
        let planner: &[AgentTool] = &[AgentTool::Read];
        let implementer: &[AgentTool] = &[AgentTool::Read, AgentTool::Shell];
        let shell = |text: &str| ToolEffect::Shell(text.to_owned());
        let reading =
            |paths: &[&str]| ToolEffect::Read(paths.iter().map(|p| (*p).to_owned()).collect());
        for (tools, input, effect) in [
            (planner, json!({"cmd": "cat a"}), reading(&[".", "./a"])),
            (
                planner,
                json!({"cmd": "cat a /b", "workdir": "src"}),
                reading(&["src", "src/a", "/b"]),
            ),
            (planner, json!({"cmd": "rm a"}), shell("rm a")),
            (
                planner,
                json!({"cmd": "cat a", "shell": "./evil"}),
                shell("cat a"),
            ),
            (implementer, json!({"cmd": "cat a"}), shell("cat a")),
            (planner, json!("broken"), shell("")),
        ] {
            assert_eq!(effect_of_command(tools, &input), effect, "{input}");
        }
    }
}

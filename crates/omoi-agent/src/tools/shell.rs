//! `shell`: a command in the workspace.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;

use super::{AgentTools, ToolError, object_schema, shorten_text};
use crate::process::{CommandEnd, ShellError, ToolCommand, run_command};

pub(super) const DESCRIPTION: &str = "Runs a command with `sh -c` in the workspace, without input, \
    and gives its output and exit code. The only network is what npm, pip, cargo and go may fetch, if that. Everything it leaves running is ended with it.";

const SHOWN_CHARS_MAX: usize = 2_000;

/// Input of the tool `shell`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShellInput {
    command: String,
    timeout_s: Option<u64>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "command": {"type": "string", "description": "For `sh -c`."},
            "timeout_s": {"type": "integer", "minimum": 1, "description": "Seconds it may take; at most the limit of the attempt."},
        }),
        &["command"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: ShellInput) -> Result<String, ToolError> {
    let max = tools.command_max();
    let timeout = input.timeout_s.map_or(max, Duration::from_secs).min(max);
    let shown = shorten_text(&input.command, SHOWN_CHARS_MAX);
    let summary = format!("running {shown}");
    let data = json!({ "command": shown });
    tools
        .reporter
        .show_event(AgentEventKind::CommandStarted, data, &summary)
        .await;
    let began = tools.clock.now();
    let command = ToolCommand {
        line: &input.command,
        folder: tools.paths.workspace_root(),
        environment: &tools.environment,
        timeout,
        output_bytes_max: tools.limits.result_bytes.saturating_sub(200),
    };
    let result = run_command(command, tools.clock.as_ref()).await;
    let took_ms = tools.clock.now().since(began).as_millis() as u64;
    let end = result.as_ref().ok().map(|result| result.end);
    let (exit_code, signal) = match end {
        Some(CommandEnd::Exited(code)) => (Some(code), None),
        Some(CommandEnd::Signalled(signal)) => (None, Some(signal)),
        Some(CommandEnd::TimedOut) | None => (None, None),
    };
    let data = json!({
        "command": shown, "exit_code": exit_code, "signal": signal,
        "timed_out": end == Some(CommandEnd::TimedOut), "took_ms": took_ms,
    });
    if end == Some(CommandEnd::Exited(0)) {
        tools
            .reporter
            .report_event(AgentEventKind::CommandCompleted, data)
            .await;
    } else {
        let summary = format!("failed: {shown}");
        tools
            .reporter
            .show_event(AgentEventKind::CommandCompleted, data, &summary)
            .await;
    }
    let result = result?;
    match result.end {
        CommandEnd::Exited(code) => Ok(format!("{}[exit code {code}]", result.output)),
        CommandEnd::Signalled(signal) => Ok(format!("{}[ended by signal {signal}]", result.output)),
        CommandEnd::TimedOut => Err(ShellError::TimedOut {
            seconds: timeout.as_secs(),
            output: result.output,
        }
        .into()),
    }
}

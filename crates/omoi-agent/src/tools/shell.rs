//! `shell`: a command in the workspace.

use std::time::Duration;

use omoi_domain::agent_event::AgentEventKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ToolError, Toolbox, object, shortened};
use crate::process::{Command, How, ShellError, run as run_command};

pub(super) const DESCRIPTION: &str = "Runs a command with `sh -c` in the workspace, without input and without network, \
    and gives its output and exit code. Everything it leaves running is ended with it.";

const SHOWN_CHARS_MAX: usize = 2_000;

/// Its input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    command: String,
    timeout_s: Option<u64>,
}

pub(super) fn schema() -> Value {
    object(
        json!({
            "command": {"type": "string", "description": "For `sh -c`."},
            "timeout_s": {"type": "integer", "minimum": 1, "description": "Seconds it may take; at most the limit of the attempt."},
        }),
        &["command"],
    )
}

pub(super) async fn run(toolbox: &Toolbox, input: Input) -> Result<String, ToolError> {
    let max = toolbox.command_max();
    let timeout = input.timeout_s.map_or(max, Duration::from_secs).min(max);
    let shown = shortened(&input.command, SHOWN_CHARS_MAX);
    let summary = format!("running {shown}");
    let data = json!({ "command": shown });
    toolbox
        .reporter
        .show(AgentEventKind::CommandStarted, data, &summary)
        .await;
    let began = toolbox.clock.now();
    let command = Command {
        line: &input.command,
        folder: toolbox.places.workspace(),
        timeout,
        output_bytes_max: toolbox.limits.result_bytes.saturating_sub(200),
    };
    let ran = run_command(command, toolbox.clock.as_ref()).await;
    let took_ms = toolbox.clock.now().since(began).as_millis() as u64;
    let how = ran.as_ref().ok().map(|ran| ran.how);
    let (exit_code, signal) = match how {
        Some(How::Exited(code)) => (Some(code), None),
        Some(How::Signalled(signal)) => (None, Some(signal)),
        Some(How::TimedOut) | None => (None, None),
    };
    let data = json!({
        "command": shown, "exit_code": exit_code, "signal": signal,
        "timed_out": how == Some(How::TimedOut), "took_ms": took_ms,
    });
    if how == Some(How::Exited(0)) {
        toolbox
            .reporter
            .event(AgentEventKind::CommandCompleted, data)
            .await;
    } else {
        let summary = format!("failed: {shown}");
        toolbox
            .reporter
            .show(AgentEventKind::CommandCompleted, data, &summary)
            .await;
    }
    let ran = ran?;
    match ran.how {
        How::Exited(code) => Ok(format!("{}[exit code {code}]", ran.output)),
        How::Signalled(signal) => Ok(format!("{}[ended by signal {signal}]", ran.output)),
        How::TimedOut => Err(ShellError::TimedOut {
            seconds: timeout.as_secs(),
            output: ran.output,
        }
        .into()),
    }
}

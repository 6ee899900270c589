//! `shell`: a command in the workspace, or a look at one in the background.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::time::Timestamp;

use super::shell_sessions::SessionLook;
use super::{AgentTools, ToolError, object_schema, shorten_text};
use crate::process::{CommandEnd, ShellError, ToolCommand, run_command};

pub(super) const DESCRIPTION: &str = "Runs a command with `sh -c` in the workspace, without input, and gives its output \
    and exit code. There is no network but what npm, pip, cargo and go may fetch where the task allows it. Everything it leaves running is ended with it. For what has to go on, such as a server or a long \
    test run, give it a `session` name: it then runs in the background, and calls with `session` and `wait` give its \
    new output, `kill` ends it. Long output is shown by its head and tail; the file with all of it is named.";

const SHOWN_CHARS_MAX: usize = 2_000;
/// Bytes of a result beside the output itself.
const FRAME_BYTES: usize = 400;
/// How long a command in the background is watched when it starts: one that fails at once says so.
const START_WAIT: Duration = Duration::from_secs(2);

/// Input of the tool `shell`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShellInput {
    command: Option<String>,
    timeout_s: Option<u64>,
    session: Option<String>,
    wait: Option<u64>,
    #[serde(default)]
    kill: bool,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "command": {"type": "string", "description": "For `sh -c`."},
            "timeout_s": {"type": "integer", "minimum": 1, "description": "Seconds it may take; at most the limit of the attempt."},
            "session": {"type": "string", "description": "With `command`: runs it in the background under this name. Alone: looks at it."},
            "wait": {"type": "integer", "minimum": 0, "description": "Seconds to wait for the session's end before its new output is shown."},
            "kill": {"type": "boolean", "description": "Ends the session with everything it started."},
        }),
        &[],
    )
}

pub(super) async fn run(tools: &AgentTools, input: ShellInput) -> Result<String, ToolError> {
    let wait = input
        .wait
        .map(|s| Duration::from_secs(s).min(tools.command_max()));
    match (input.command, input.session) {
        (Some(command), None) if wait.is_none() && !input.kill => {
            run_to_end(tools, &command, input.timeout_s).await
        }
        (Some(command), Some(session)) if !input.kill => {
            let background = BackgroundCommand {
                tools,
                session: &session,
            };
            background.start(&command, wait.unwrap_or(START_WAIT)).await
        }
        (None, Some(session)) => {
            let background = BackgroundCommand {
                tools,
                session: &session,
            };
            background
                .look_at(wait.unwrap_or_default(), input.kill)
                .await
        }
        _ => Err(ToolError::ShellForm),
    }
}

async fn run_to_end(
    tools: &AgentTools,
    line: &str,
    timeout_s: Option<u64>,
) -> Result<String, ToolError> {
    let max = tools.command_max();
    let timeout = timeout_s.map_or(max, Duration::from_secs).min(max);
    let shown = shorten_text(line, SHOWN_CHARS_MAX);
    report_start(tools, &shown, None).await;
    let began = tools.clock.now();
    let result = run_command(tools.command(line), timeout, tools.clock.as_ref()).await;
    let end = CommandReport {
        tools,
        shown: &shown,
        session: None,
    };
    end.report(result.as_ref().ok().map(|result| result.end), Some(began))
        .await;
    let result = result?;
    match result.end {
        CommandEnd::TimedOut => Err(ShellError::TimedOut {
            seconds: timeout.as_secs(),
            output: result.output,
        }
        .into()),
        end => Ok(format!("{}{}", result.output, end_words(end))),
    }
}

fn end_words(end: CommandEnd) -> String {
    match end {
        CommandEnd::Exited(code) => format!("[exit code {code}]"),
        CommandEnd::Signalled(signal) => format!("[ended by signal {signal}]"),
        CommandEnd::TimedOut => "[killed]".to_owned(),
    }
}

async fn report_start(tools: &AgentTools, shown: &str, session: Option<&str>) {
    let data = json!({ "command": shown, "session": session });
    let summary = format!("running {shown}");
    tools
        .reporter
        .show_event(AgentEventKind::CommandStarted, data, &summary)
        .await;
}

/// Tells people how a command ended.
struct CommandReport<'a> {
    tools: &'a AgentTools,
    /// The command, or the name of its session.
    shown: &'a str,
    session: Option<&'a str>,
}

impl CommandReport<'_> {
    async fn report(&self, end: Option<CommandEnd>, began: Option<Timestamp>) {
        let Self {
            tools,
            shown,
            session,
        } = self;
        let (exit_code, signal) = match end {
            Some(CommandEnd::Exited(code)) => (Some(code), None),
            Some(CommandEnd::Signalled(signal)) => (None, Some(signal)),
            Some(CommandEnd::TimedOut) | None => (None, None),
        };
        let took_ms = began.map(|began| tools.clock.now().since(began).as_millis() as u64);
        let data = json!({
            "command": shown, "session": session, "exit_code": exit_code, "signal": signal,
            "timed_out": end == Some(CommandEnd::TimedOut), "took_ms": took_ms,
        });
        let kind = AgentEventKind::CommandCompleted;
        if end == Some(CommandEnd::Exited(0)) {
            tools.reporter.report_event(kind, data).await;
        } else {
            let summary = format!("failed: {shown}");
            tools.reporter.show_event(kind, data, &summary).await;
        }
    }
}

/// A command in the background.
struct BackgroundCommand<'a> {
    tools: &'a AgentTools,
    session: &'a str,
}

impl BackgroundCommand<'_> {
    async fn start(&self, line: &str, wait: Duration) -> Result<String, ToolError> {
        let Self { tools, session } = self;
        let command = tools.command(line);
        tools.sessions.start(session, command, &tools.clock).await?;
        report_start(tools, &shorten_text(line, SHOWN_CHARS_MAX), Some(session)).await;
        self.look_at(wait, false).await
    }

    async fn look_at(&self, wait: Duration, kill: bool) -> Result<String, ToolError> {
        let Self { tools, session } = self;
        let SessionLook { end, output } = match kill {
            true => tools.sessions.kill(session, &tools.clock).await?,
            false => tools.sessions.look_at(session, wait, &tools.clock).await?,
        };
        let Some(end) = end else {
            return Ok(format!(
                "{output}[session `{session}` is running; look again with `wait`, or end it with `kill`]"
            ));
        };
        // A command that was killed on purpose did not fail.
        if !kill {
            let report = CommandReport {
                tools,
                shown: session,
                session: Some(session),
            };
            report.report(Some(end), None).await;
        }
        Ok(format!("{output}{}", end_words(end)))
    }
}

impl AgentTools {
    /// Longest time of a command.
    fn command_max(&self) -> Duration {
        Duration::from_secs(self.limits.command_s)
    }

    /// `line` as a command in the workspace.
    fn command<'a>(&'a self, line: &'a str) -> ToolCommand<'a> {
        ToolCommand {
            line,
            folder: self.paths.workspace_root(),
            environment: &self.environment,
            output_bytes_max: self.limits.result_bytes.saturating_sub(FRAME_BYTES),
            spool: self.sessions.next_spool(),
        }
    }
}

//! How Claude Code is started: its command line, its environment, its files and its first message.

use std::ffi::OsString;
use std::path::PathBuf;

use omoi_domain::model_route::RouteName;
use omoi_protocol::worker::AttemptContext;
use serde_json::json;

use super::tools::built_in_tools;
use crate::process::ProgramCommand;
use crate::program::ProgramHost;
use crate::program::first_message::{FirstMessage, first_message};
use crate::program::session_file::{KeptSession, SessionFile, dashed_path, session_of_turns};
use crate::runtime::RuntimeError;

/// Where it keeps its settings and sessions, below its home.
const CONFIG_FOLDER: &str = "claude";
const SYSTEM_FILE: &str = "system.md";
/// Longest that one model call may take: more than the gateway lets it.
const CALL_MS: u32 = 40 * 60 * 1000;
/// How old a turn may be that is taken up again.
const TURN_AGE_MS: u64 = 400 * 24 * 3600 * 1000;

/// Everything that a start needs.
#[derive(Debug)]
pub(super) struct ClaudeStart {
    pub(super) command: ProgramCommand,
    pub(super) session: SessionFile,
    pub(super) first: FirstMessage,
    pub(super) files: Vec<(PathBuf, String)>,
}

/// Plans the start for `context`.
pub(super) fn plan_start(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<ClaudeStart, RuntimeError> {
    let resumed = session_of_turns(&context.resume);
    let first = first_message(context, resumed.is_some())?;
    let id = resumed
        .as_ref()
        .map_or_else(|| context.attempt_id.to_string(), |kept| kept.id.clone());
    let session = sessions_folder(host).join(format!("{id}.jsonl"));
    let system = host.folder.join(SYSTEM_FILE);
    let mut files = vec![(system.clone(), context.system.clone())];
    let kept = resumed.as_ref().map(KeptSession::next_position);
    let chooses = match resumed {
        Some(kept) => {
            files.push((session.clone(), kept.text));
            "--resume"
        }
        None => "--session-id",
    };
    let mut arguments = fixed_arguments(context, host);
    arguments.extend(["--append-system-prompt-file".into(), system.into()]);
    arguments.extend([chooses.into(), id.clone().into()]);
    Ok(ClaudeStart {
        command: host.program_command(
            arguments,
            environment(context, host, matches!(first, FirstMessage::GoesOn(_))),
        ),
        session: SessionFile::new(id, session, kept.unwrap_or_default()),
        first,
        files,
    })
}

fn fixed_arguments(context: &AttemptContext, host: &ProgramHost) -> Vec<OsString> {
    let (server, command) = host.tool_command();
    let servers = json!({"mcpServers": {server: {"command": command[0], "args": command[1..]}}});
    let words = [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-mode",
        "default",
        "--permission-prompt-tool",
        "stdio",
        // The settings of a repository are those of whoever wrote it.
        "--setting-sources",
        "user",
        "--strict-mcp-config",
        "--mcp-config",
    ];
    let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
    arguments.push(servers.to_string().into());
    let tools = built_in_tools(&context.tools).join(",");
    arguments.extend(["--tools".into(), tools.into()]);
    arguments.extend(["--model".into(), context.model.clone().into()]);
    arguments
}

fn environment(
    context: &AttemptContext,
    host: &ProgramHost,
    goes_on: bool,
) -> Vec<(OsString, OsString)> {
    let mut variables = program_variables(context, host);
    if goes_on {
        let mut set = |key: &str, value: OsString| variables.push((key.into(), value));
        set("CLAUDE_CODE_RESUME_INTERRUPTED_TURN", "1".into());
        set(
            "CLAUDE_CODE_RESUME_INTERRUPTED_TURN_MAX_AGE_MS",
            TURN_AGE_MS.to_string().into(),
        );
    }
    variables
}

/// What Claude Code is told by its environment, whoever starts it.
pub(crate) fn program_variables(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Vec<(OsString, OsString)> {
    let command_ms = context.limits.command_s.saturating_mul(1000);
    let config = host.folder.join(CONFIG_FOLDER);
    let mut variables = host.program_environment();
    let mut set = |key: &str, value: OsString| variables.push((key.into(), value));
    set("CLAUDE_CONFIG_DIR", config.into_os_string());
    set("ANTHROPIC_BASE_URL", host.forwarder.base_url().into());
    set("ANTHROPIC_API_KEY", context.token.clone().into());
    set(
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
        RouteName::Title.as_str().into(),
    );
    // The gateway makes the retries; one is left for an answer that was cut.
    set("CLAUDE_CODE_MAX_RETRIES", "1".into());
    set(
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
        context.max_tokens.to_string().into(),
    );
    if let Some(window) = context.limits.window_tokens {
        // The first holds for models that it does not know, the second for those it does.
        set("CLAUDE_CODE_MAX_CONTEXT_TOKENS", window.to_string().into());
        set("CLAUDE_CODE_AUTO_COMPACT_WINDOW", window.to_string().into());
    }
    // Else it hides the tools of servers behind a search, and our own are not offered.
    set("ENABLE_TOOL_SEARCH", "false".into());
    set("API_TIMEOUT_MS", CALL_MS.to_string().into());
    set("BASH_DEFAULT_TIMEOUT_MS", command_ms.to_string().into());
    set("BASH_MAX_TIMEOUT_MS", command_ms.to_string().into());
    for quiet in [
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
        // What the work tree says to agents is quoted by the prompt, from the base commit.
        "CLAUDE_CODE_DISABLE_CLAUDE_MDS",
        "CLAUDE_CODE_DISABLE_CRON",
        "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY",
        "CLAUDE_CODE_DISABLE_FILE_CHECKPOINTING",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_TELEMETRY",
        "DISABLE_UPDATES",
    ] {
        set(quiet, "1".into());
    }
    variables
}

/// Where the program keeps its sessions, a file each: by the folder it works in.
pub(crate) fn sessions_folder(host: &ProgramHost) -> PathBuf {
    let projects = host.folder.join(CONFIG_FOLDER).join("projects");
    projects.join(dashed_path(&host.workspace))
}

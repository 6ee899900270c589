//! How Codex is started: its command line, its settings, its files and what begins its thread.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use omoi_protocol::worker::{AgentTool, AttemptContext};
use serde_json::{Value, json};

use crate::process::ProgramCommand;
use crate::program::ProgramHost;
use crate::program::first_message::{FirstMessage, first_message};
use crate::program::session_file::{KeptSession, SessionPosition, session_of_turns};
use crate::runtime::RuntimeError;

/// Where it keeps its state, below its home: never below the folder of temporary files, where it refuses
/// to run commands.
const HOME_FOLDER: &str = "codex";
/// Variable that holds the attempt's token.
const KEY_VARIABLE: &str = "OMOI_MODEL_KEY";
/// What it is told of the model's address.
const PROVIDER: &str = "omoi";
/// Longest silence of a model call: more than the gateway lets it.
const SILENCE_MS: u32 = 40 * 60 * 1000;
/// Longest call of a tool of ours, the wait for those before it included.
const TOOL_S: u32 = 3600;
/// Share of the window from which on it sums up its conversation: as our own loop does.
const SUMMARY_PERCENT: u64 = 80;
/// What it has beyond its tools and would use by itself: other agents, packages and services.
const FEATURES_OFF: [&str; 5] = ["apps", "goals", "hooks", "multi_agent", "plugins"];

/// Everything that a start needs.
#[derive(Debug)]
pub(super) struct CodexStart {
    pub(super) command: ProgramCommand,
    /// Method and parameters of the request that opens its thread.
    pub(super) thread: (&'static str, Value),
    /// How much of its session the platform has.
    pub(super) kept: SessionPosition,
    pub(super) first: FirstMessage,
    pub(super) files: Vec<(PathBuf, String)>,
}

/// Plans the start for `context`.
pub(super) fn plan_start(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<CodexStart, RuntimeError> {
    let home = host.folder.join(HOME_FOLDER);
    let resumed = session_of_turns(&context.resume);
    let first = first_message(context, resumed.is_some())?;
    let mut thread = json!({
        "cwd": host.workspace,
        "model": context.model,
        "modelProvider": PROVIDER,
        // Every command and patch is asked for; our sandbox is the wall, not that of the program.
        "approvalPolicy": "untrusted",
        "sandbox": "danger-full-access",
        "developerInstructions": instructions(context),
    });
    let kept = resumed.as_ref().map(KeptSession::next_position);
    let mut method = "thread/start";
    // It is there with or without a session, so that the program has its home.
    let mut files = vec![(home.join("config.toml"), String::new())];
    if let Some(session) = resumed {
        files.push((session_path(&home, &session.id), session.text));
        method = "thread/resume";
        thread["threadId"] = json!(session.id);
        thread["excludeTurns"] = json!(true);
    }
    let mut environment = host.program_environment();
    environment.push(("CODEX_HOME".into(), home.into_os_string()));
    environment.push((KEY_VARIABLE.into(), context.token.clone().into()));
    Ok(CodexStart {
        command: host.program_command(arguments(context, host), environment),
        thread: (method, thread),
        kept: kept.unwrap_or_default(),
        first,
        files,
    })
}

fn arguments(context: &AttemptContext, host: &ProgramHost) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["app-server".into()];
    for feature in FEATURES_OFF {
        arguments.extend(["--disable".into(), feature.into()]);
    }
    let window = context.limits.window_tokens.into_iter();
    for setting in settings(host)
        .into_iter()
        .chain(window.flat_map(window_settings))
    {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}

fn settings(host: &ProgramHost) -> Vec<String> {
    let base_url = quote(&format!("{}/v1", host.forwarder.base_url()));
    let workspace = quote(&host.workspace.to_string_lossy());
    let (server, command) = host.tool_command();
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    let (program, rest) = words
        .split_first()
        .map_or(("", &words[..]), |(first, rest)| (first.as_str(), rest));
    let rest = rest.join(",");
    vec![
        format!("model_provider=\"{PROVIDER}\""),
        // The gateway makes the retries; one is left for an answer that was cut.
        format!(
            "model_providers.{PROVIDER}={{name=\"{PROVIDER}\",base_url={base_url},wire_api=\"responses\",\
             env_key=\"{KEY_VARIABLE}\",request_max_retries=0,stream_max_retries=1,\
             stream_idle_timeout_ms={SILENCE_MS}}}"
        ),
        format!(
            "mcp_servers={{{server}={{command={program},args=[{rest}],supports_parallel_tool_calls=true,\
             default_tools_approval_mode=\"approve\",tool_timeout_sec={TOOL_S}}}}}"
        ),
        // With all rights it would trust the repository's own settings, which name programs to start.
        format!("projects={{{workspace}={{trust_level=\"untrusted\"}}}}"),
        // What the work tree says to agents is quoted by the prompt, from the base commit; here any task could say it.
        "project_doc_max_bytes=0".to_owned(),
        "project_doc_fallback_filenames=[]".to_owned(),
        // The web would be reached through the maker of the model, past every rule for this sandbox.
        "web_search=\"disabled\"".to_owned(),
        "analytics.enabled=false".to_owned(),
        "check_for_update_on_startup=false".to_owned(),
        format!("shell_environment_policy.exclude=[\"{KEY_VARIABLE}\"]"),
    ]
}

/// How much the model reads, and from where on the conversation is summed up.
fn window_settings(window_tokens: u64) -> [String; 2] {
    let summed_up_at = window_tokens / 100 * SUMMARY_PERCENT;
    [
        format!("model_context_window={window_tokens}"),
        format!("model_auto_compact_token_limit={summed_up_at}"),
    ]
}

/// A text as TOML has it; what JSON escapes, TOML does as well.
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn instructions(context: &AttemptContext) -> String {
    if context.tools.contains(&AgentTool::Shell) {
        return context.system.clone();
    }
    format!(
        "{}\n\nThis workspace is read-only for you. Commands are refused, but for plain reading: cat, find, \
         grep, head, ls, nl, rg, sed -n, tail and wc, one after another or piped, with no redirection, no \
         substitution and every pattern in quotes.",
        context.system
    )
}

/// A place where the program looks for a session: by its id, below any day.
fn session_path(home: &Path, id: &str) -> PathBuf {
    let day = home.join("sessions").join("2026").join("01").join("01");
    day.join(format!("rollout-2026-01-01T00-00-00-{id}.jsonl"))
}

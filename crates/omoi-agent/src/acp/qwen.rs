//! How Qwen Code is started.

use std::ffi::OsString;

use omoi_protocol::worker::{AgentTool, AttemptContext};
use serde_json::{Value, json};

use super::start::{AcpManners, AcpStart, StoredSession, system_prompt};
use crate::program::ProgramHost;
use crate::program::session_file::dashed_path;
use crate::program::tool_server::SERVER_NAME;
use crate::runtime::RuntimeError;

/// Where it keeps its settings and sessions, below its home.
const HOME_FOLDER: &str = "qwen";
/// Settings that win over those of users and repositories.
const SETTINGS_FILE: &str = "system.json";
/// Longest that one model call may take: more than the gateway lets it.
const CALL_MS: u32 = 40 * 60 * 1000;
/// Tools that the attempt has no counterpart for, which it offers beside those it is told to.
const TOOLS_OFF: [&str; 23] = [
    "agent",
    "ask_user_question",
    "enter_plan_mode",
    "enter_worktree",
    "exit_plan_mode",
    "exit_worktree",
    "get_goal",
    "list_agents",
    "lsp",
    "monitor",
    "notebook_edit",
    "record_artifact",
    "report_findings",
    "save_memory",
    "send_message",
    "skill",
    "task_stop",
    "todo_write",
    "tool_call",
    "tool_search",
    "update_goal",
    "web_fetch",
    "workflow",
];

/// Plans the start for `context`.
pub(super) fn plan_qwen(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<AcpStart, RuntimeError> {
    let home = host.folder.join(HOME_FOLDER);
    let project = home.join("projects").join(dashed_path(&host.workspace));
    let stored = StoredSession::of_turns(context, project.join("chats"))?;
    let mut files = stored.files;
    let settings = home.join(SETTINGS_FILE);
    let mut told = settings_for(&context.tools);
    // What the work tree says to agents is quoted by the prompt, from the base commit. Without a name of its own it
    // would look for `QWEN.md` and `AGENTS.md`; this one nobody can have written a file of before.
    told["context"] = json!({"fileName": format!("none-{}.md", context.attempt_id)});
    if let Some(window) = context.limits.window_tokens {
        told["model"]["generationConfig"]["contextWindowSize"] = json!(window);
    }
    files.push((settings.clone(), told.to_string()));
    let mut environment = host.program_environment();
    let mut set = |key: &str, value: OsString| environment.push((key.into(), value));
    set("QWEN_HOME", home.into_os_string());
    set("QWEN_CODE_SYSTEM_SETTINGS_PATH", settings.into_os_string());
    set("ANTHROPIC_BASE_URL", host.forwarder.base_url().into());
    set("ANTHROPIC_API_KEY", context.token.clone().into());
    set(
        "QWEN_CODE_MAX_OUTPUT_TOKENS",
        context.max_tokens.to_string().into(),
    );
    for patient in [
        "QWEN_CODE_API_TIMEOUT_MS",
        "QWEN_STREAM_IDLE_TIMEOUT_MS",
        "QWEN_STREAM_MAX_LIFETIME_MS",
    ] {
        set(patient, CALL_MS.to_string().into());
    }
    for switch in [
        "QWEN_CODE_DISABLE_CRON",
        // Else the first request goes out before our tools are known.
        "QWEN_CODE_LEGACY_MCP_BLOCKING",
        "QWEN_CODE_NO_RELAUNCH",
    ] {
        set(switch, "1".into());
    }
    Ok(AcpStart {
        preparing: None,
        command: host.program_command(arguments(context), environment),
        session: stored.start,
        first: stored.first,
        files,
        links: Vec::new(),
        manners: AcpManners {
            stops_at_refusal: true,
            tells_contents: true,
            reads_exit_from_text: false,
            acts_unasked: false,
            result_mark: "\"functionResponse\":{\"id\":\"",
        },
    })
}

fn arguments(context: &AttemptContext) -> Vec<OsString> {
    let words = [
        "--acp",
        "--auth-type",
        "anthropic",
        "--approval-mode",
        "default",
        "--model",
        &context.model,
        "--append-system-prompt",
        &system_prompt(context),
    ];
    words.map(OsString::from).to_vec()
}

/// Every call is asked for; what the attempt does not offer is not even shown to the model.
fn settings_for(offered: &[AgentTool]) -> Value {
    let tools = tools_of(offered);
    let ours = format!("mcp__{SERVER_NAME}");
    let asked: Vec<&str> = tools.iter().copied().chain([ours.as_str()]).collect();
    json!({
        "permissions": {"ask": asked, "deny": TOOLS_OFF},
        // Without the search the tools of servers are offered as they are.
        "tools": {"core": tools, "toolSearch": {"enabled": false}},
        // The gateway makes the retries, and knows what a model thinks with.
        "model": {"generationConfig": {"maxRetries": 0, "reasoning": false}},
        "skills": {"disabledLevels": ["bundled", "extension", "project", "user"]},
        "memory": {"enableManagedAutoMemory": false, "enableManagedAutoDream": false},
        "ui": {"enableFollowupSuggestions": false},
        "general": {"enableAutoUpdate": false},
        "telemetry": {"enabled": false},
        "privacy": {"usageStatisticsEnabled": false},
        "disableAllHooks": true,
    })
}

fn tools_of(offered: &[AgentTool]) -> Vec<&'static str> {
    let names = offered.iter().flat_map(|tool| match tool {
        AgentTool::Read => &["read_file", "list_directory"][..],
        AgentTool::Glob => &["glob"],
        AgentTool::Grep => &["grep_search"],
        AgentTool::Write => &["write_file"],
        AgentTool::Edit => &["edit"],
        AgentTool::Shell => &["run_shell_command"],
        AgentTool::Image | AgentTool::Notes | AgentTool::Plan => &[],
        AgentTool::FindSymbol
        | AgentTool::ApplyPatch
        | AgentTool::ReportDiscovery
        | AgentTool::ReportResult
        | AgentTool::Threads
        | AgentTool::AskPerson
        | AgentTool::SubmitItem
        | AgentTool::SubmitDone => &[],
    });
    names.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_that_is_offered_is_asked_for_and_no_other_is_there() {
        let planner = settings_for(&[AgentTool::Read, AgentTool::Grep, AgentTool::SubmitItem]);
        let core = json!(["read_file", "list_directory", "grep_search"]);
        assert_eq!(planner["tools"]["core"], core);
        let asked = json!(["read_file", "list_directory", "grep_search", "mcp__omoi"]);
        assert_eq!(planner["permissions"]["ask"], asked);
        let implementer = settings_for(&[AgentTool::Edit, AgentTool::Shell]);
        assert_eq!(
            implementer["tools"]["core"],
            json!(["edit", "run_shell_command"])
        );
    }
}

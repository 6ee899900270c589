//! How opencode is started: its settings, its files and the session that it goes on with.

use std::path::{Path, PathBuf};

use omoi_protocol::worker::{AgentTool, AttemptContext};
use serde_json::{Value, json};

use super::opencode_session::{SessionSource, render_session};
use super::start::{AcpManners, AcpStart, PreparingCommand, SessionStart, system_prompt};
use crate::program::ProgramHost;
use crate::program::first_message::first_message;
use crate::runtime::RuntimeError;

/// What it is told of the model's address.
pub(super) const PROVIDER: &str = "omoi";
/// Its agent that does the work.
pub(super) const AGENT: &str = "build";
/// Where its package has the program that it searches with; without one it would load it from the web.
const SEARCH_PROGRAM: &str = "ripgrep/bin/rg";
/// Tools that the attempt has no counterpart for: other agents, the web, skills, plans, questions. It reads with ours.
const TOOLS_OFF: [&str; 12] = [
    "codesearch",
    "lsp",
    "plan_enter",
    "plan_exit",
    "question",
    "read",
    "skill",
    "task",
    "todoread",
    "todowrite",
    "webfetch",
    "websearch",
];
/// What it would do by itself: load lists, updates and servers, share, follow other settings and skills,
/// watch files.
const SWITCHES: [&str; 9] = [
    "OPENCODE_DISABLE_AUTOUPDATE",
    "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS",
    "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_MODELS_FETCH",
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_DISABLE_SHARE",
    "OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER",
];

/// Plans the start for `context`.
pub(super) fn plan_opencode(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<AcpStart, RuntimeError> {
    let session = context.resume.iter().rev().find_map(|turn| {
        let part = turn.session.as_ref()?;
        Some(part.session_id.clone())
    });
    let first = first_message(context, session.is_some())?;
    let search = search_program(host);
    let settings = settings(context, host, search.is_some());
    let mut files = vec![(
        host.folder.join(".config/opencode/opencode.json"),
        settings.to_string(),
    )];
    let mut preparing = None;
    if let Some(id) = &session {
        let path = host.folder.join("session.json");
        let source = SessionSource {
            id,
            workspace: &host.workspace,
            version: &host.installed.version,
        };
        files.push((path.clone(), render_session(context, &source)?.to_string()));
        preparing = Some(PreparingCommand {
            command: host.program_command(vec!["import".into(), path.into()], environment(host)),
            success: "Imported session",
        });
    }
    let link = search.map(|target| (host.folder.join(".cache/opencode/bin/rg"), target));
    Ok(AcpStart {
        preparing,
        command: host.program_command(vec!["acp".into()], environment(host)),
        session: SessionStart {
            resumed: session,
            ..SessionStart::default()
        },
        first,
        files,
        links: link.into_iter().collect(),
        manners: AcpManners::default(),
    })
}

fn environment(host: &ProgramHost) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let mut environment = host.program_environment();
    environment.extend(SWITCHES.map(|name| (name.into(), "1".into())));
    environment
}

/// The program that it searches with, where its package has one.
fn search_program(host: &ProgramHost) -> Option<PathBuf> {
    let program = Path::new(host.installed.command.last()?);
    let path = program.parent()?.parent()?.join(SEARCH_PROGRAM);
    path.is_file().then_some(path)
}

fn settings(context: &AttemptContext, host: &ProgramHost, can_search: bool) -> Value {
    let model = &context.model;
    let provider = json!({
        "npm": "@ai-sdk/openai-compatible",
        "name": PROVIDER,
        // The gateway knows how long a call may take.
        "options": {
            "baseURL": format!("{}/v1", host.forwarder.base_url()), "apiKey": context.token, "timeout": false,
        },
        "models": {model: model_settings(context)},
    });
    json!({
        "provider": {PROVIDER: provider},
        "enabled_providers": [PROVIDER],
        "model": format!("{PROVIDER}/{model}"),
        "small_model": format!("{PROVIDER}/{model}"),
        "agent": {
            AGENT: {"prompt": system_prompt(context)},
            "title": {"disable": true},
        },
        "permission": permissions(&context.tools, write_rules(context, host), can_search),
        // A refused call is told to the model, which goes on.
        "experimental": {"continue_loop_on_deny": true},
        "share": "disabled",
        "autoupdate": false,
        "snapshot": false,
        "lsp": false,
        "formatter": false,
    })
}

/// What it is to know of the model. Without a window it would never sum up its conversation.
fn model_settings(context: &AttemptContext) -> Value {
    let mut settings = json!({"name": context.model, "tool_call": true});
    if let Some(window) = context.limits.window_tokens {
        settings["limit"] = json!({"context": window, "output": context.max_tokens});
    }
    settings
}

/// What it may write, as patterns of paths relative to the work tree, of which the last that fits holds.
///
/// It refuses what a rule denies by itself and alone. A no to a question also refuses all other calls of the answer
/// that wait for theirs, as it asks one question at a time.
fn write_rules(context: &AttemptContext, host: &ProgramHost) -> Value {
    let mut rules = json!({"*": "ask", "../*": "deny"});
    let up = "../".repeat(host.workspace.components().count() - 1);
    for folder in host.observer.scratch_folders() {
        let inside = folder.strip_prefix("/").unwrap_or(folder).display();
        rules[format!("{up}{inside}/*")] = json!("ask");
    }
    let protected = context.commit.iter().flat_map(|plan| &plan.protected);
    for path in protected.map(String::as_str).chain([".git"]) {
        rules[path] = json!("deny");
        rules[format!("{path}/*")] = json!("deny");
    }
    rules
}

/// Every call is asked for that no rule denies; what the attempt does not offer is not even shown to the model.
fn permissions(offered: &[AgentTool], writes: Value, can_search: bool) -> Value {
    let mut permissions = json!({
        "*": "ask",
        // Each call is asked about, or denied, with the path that it names.
        "external_directory": "allow",
        "edit": writes,
    });
    let mut deny = |name: &str| permissions[name] = json!("deny");
    TOOLS_OFF.into_iter().for_each(&mut deny);
    let offers = |tools: &[AgentTool]| tools.iter().any(|tool| offered.contains(tool));
    let reading = [AgentTool::Read, AgentTool::Glob, AgentTool::Grep];
    for (name, is_offered) in [
        ("list", offers(&reading)),
        ("glob", can_search && offers(&reading)),
        ("grep", can_search && offers(&reading)),
        ("edit", offers(&[AgentTool::Write, AgentTool::Edit])),
        ("bash", offers(&[AgentTool::Shell])),
    ] {
        if !is_offered {
            deny(name);
        }
    }
    permissions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_offered_is_not_shown() {
        let writes = || json!({"*": "ask", ".git": "deny"});
        let planner = permissions(&[AgentTool::Read, AgentTool::SubmitItem], writes(), true);
        for (name, want) in [
            ("*", "ask"),
            ("bash", "deny"),
            ("edit", "deny"),
            ("read", "deny"),
            ("task", "deny"),
            ("webfetch", "deny"),
        ] {
            assert_eq!(planner[name], want, "{name}");
        }
        assert!(planner.get("grep").is_none());
        let implementer = permissions(&[AgentTool::Edit, AgentTool::Shell], writes(), false);
        assert!(implementer.get("bash").is_none());
        assert_eq!(implementer["edit"], writes());
        for name in ["grep", "glob"] {
            assert_eq!(implementer[name], "deny", "{name}");
        }
    }
}

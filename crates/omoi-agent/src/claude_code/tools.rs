//! The tools of Claude Code, by what they do.

use omoi_protocol::worker::AgentTool;
use serde_json::Value;

use crate::program::tool_rules::{ToolEffect, glob_root};
use crate::program::tool_server::SERVER_NAME;

/// What the program puts before the names of a server's tools.
const PREFIX: &str = "mcp__";

/// The name that the platform knows a tool by: its own tools lose the name of their server.
pub(super) fn platform_name(name: &str) -> &str {
    own_name(name).unwrap_or(name)
}

fn own_name(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix(SERVER_NAME)?;
    rest.strip_prefix("__")
}

/// What a call of tool `name` does.
pub(super) fn effect_of(name: &str, input: &Value) -> ToolEffect {
    let text = |key: &str| {
        let text = input.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let path = |key: &str| plain_path(&text(key));
    let folder = || match path("path") {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    };
    match name {
        _ if own_name(name).is_some() => ToolEffect::Own,
        "Read" => ToolEffect::Read(vec![path("file_path")]),
        "Glob" => ToolEffect::Read(vec![glob_root(&folder(), &plain_path(&text("pattern")))]),
        "Grep" => ToolEffect::Read(vec![folder()]),
        "Write" | "Edit" => ToolEffect::Write(path("file_path")),
        "Bash" => ToolEffect::Shell(text("command")),
        _ => ToolEffect::Unknown,
    }
}

/// A path as the program takes it: trimmed, and its home, which is none of the attempt's, for `~`.
fn plain_path(text: &str) -> String {
    match text.trim() {
        path if path == "~" || path.starts_with("~/") => "/~".to_owned(),
        path => path.to_owned(),
    }
}

/// The tools of the program that an attempt with `offered` is given.
pub(crate) fn built_in_tools(offered: &[AgentTool]) -> Vec<&'static str> {
    let names = offered.iter().filter_map(|tool| match tool {
        AgentTool::Read => Some("Read"),
        AgentTool::Glob => Some("Glob"),
        AgentTool::Grep => Some("Grep"),
        AgentTool::Write => Some("Write"),
        AgentTool::Edit => Some("Edit"),
        AgentTool::Shell => Some("Bash"),
        // The program has notes, a plan and pictures of its own.
        AgentTool::Image | AgentTool::Notes | AgentTool::Plan => None,
        AgentTool::FindSymbol
        | AgentTool::ApplyPatch
        | AgentTool::ReportDiscovery
        | AgentTool::ReportResult
        | AgentTool::Threads
        | AgentTool::AskPerson
        | AgentTool::SubmitItem
        | AgentTool::SubmitDone => None,
    });
    names.collect()
}

/// Exit code of a command, from the words that the model is told.
pub(crate) fn exit_code(is_error: bool, text: &str) -> Option<i32> {
    if !is_error {
        return Some(0);
    }
    let rest = text.strip_prefix("Exit code ")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tools_are_known_by_what_they_do() {
        let input = json!({"file_path": "/w/a", "command": "ls"});
        for (name, effect) in [
            ("Read", ToolEffect::Read(vec!["/w/a".to_owned()])),
            ("Edit", ToolEffect::Write("/w/a".to_owned())),
            ("Bash", ToolEffect::Shell("ls".to_owned())),
            ("mcp__omoi__submit_item", ToolEffect::Own),
            ("mcp__other__submit_item", ToolEffect::Unknown),
            ("mcp__omoix__submit_item", ToolEffect::Unknown),
            ("WebFetch", ToolEffect::Unknown),
        ] {
            assert_eq!(effect_of(name, &input), effect, "{name}");
        }
        assert_eq!(platform_name("mcp__omoi__submit_done"), "submit_done");
        assert_eq!(platform_name("Bash"), "Bash");
        assert_eq!(
            built_in_tools(&[AgentTool::Read, AgentTool::Shell, AgentTool::SubmitItem]),
            ["Read", "Bash"]
        );
    }

    #[test]
    fn what_is_read_is_named_as_the_program_takes_it() {
        for (name, input, path) in [
            ("Read", json!({"file_path": " /run/x "}), "/run/x"),
            ("Read", json!({"file_path": "~/../x"}), "/~"),
            ("Grep", json!({"pattern": "/a"}), "."),
            ("Grep", json!({"path": "/run"}), "/run"),
            ("Glob", json!({"pattern": "**/*.rs"}), "."),
            ("Glob", json!({"pattern": "/run/*"}), "/run"),
            ("Glob", json!({"pattern": "/*"}), "/"),
            ("Glob", json!({"pattern": "../*", "path": "src"}), "src/.."),
        ] {
            let effect = effect_of(name, &input);
            assert_eq!(
                effect,
                ToolEffect::Read(vec![path.to_owned()]),
                "{name} {input}"
            );
        }
    }

    #[test]
    fn exit_codes_are_read_from_failures() {
        for (is_error, text, code) in [
            (false, "anything", Some(0)),
            (true, "Exit code 127\nnot found", Some(127)),
            (true, "Exit code 1", Some(1)),
            (true, "refused", None),
        ] {
            assert_eq!(exit_code(is_error, text), code, "{text}");
        }
    }
}

//! What a call of a program does, by what the program tells of it.

use std::path::Path;

use agent_client_protocol::v1::schema::{ToolCall, ToolCallContent, ToolKind};
use serde_json::Value;

use crate::program::tool_rules::{ToolEffect, glob_root};
use crate::program::tool_server::SERVER_NAME;

/// Arguments by which programs name a file or a folder.
const PATH_KEYS: [&str; 6] = [
    "filePath",
    "file_path",
    "path",
    "absolute_path",
    "dir_path",
    "notebook_path",
];

/// The name of the tool that is called: where the program tells none, it stands in the first title.
pub(super) fn tool_name(call: &ToolCall) -> String {
    let beside = call.meta.as_ref().and_then(|meta| meta.get("toolName"));
    let beside = beside.and_then(Value::as_str).map(str::to_owned);
    let told = call.name.clone().or(beside);
    told.unwrap_or_else(|| call.title.clone())
}

/// The name that the platform knows a tool by: its own tools lose the name of their server.
pub(super) fn platform_name(name: &str) -> &str {
    own_name(name).unwrap_or(name)
}

/// Whether the tool is one of ours.
pub(super) fn is_own(name: &str) -> bool {
    own_name(name).is_some()
}

fn own_name(name: &str) -> Option<&str> {
    // `omoi_submit_done` here, `mcp__omoi__submit_done` or `omoi.submit_done` there.
    let rest = name.strip_prefix("mcp__").unwrap_or(name);
    let rest = rest.strip_prefix(SERVER_NAME)?;
    let own = rest.trim_start_matches(['_', '-', '.', ':', '/', ' ']);
    (own.len() < rest.len() && !own.is_empty()).then_some(own)
}

/// What a call of the tool `name` does, file by file.
pub(super) fn effects_of(name: &str, call: &ToolCall) -> Vec<ToolEffect> {
    if is_own(name) {
        return vec![ToolEffect::Own];
    }
    match call.kind {
        ToolKind::Read if paths_of(call).is_empty() => vec![ToolEffect::Unknown],
        ToolKind::Read | ToolKind::Search => vec![ToolEffect::Read(read_paths(name, call))],
        ToolKind::Edit | ToolKind::Delete | ToolKind::Move => {
            let paths = paths_of(call);
            match paths.is_empty() {
                true => vec![ToolEffect::Unknown],
                false => paths.into_iter().map(ToolEffect::Write).collect(),
            }
        }
        ToolKind::Execute => vec![match argument(call, "command") {
            Some(command) => ToolEffect::Shell(command.to_owned()),
            None => ToolEffect::Unknown,
        }],
        _ => vec![ToolEffect::Unknown],
    }
}

/// Whether a call of that kind may change files.
pub(super) fn may_change(call: &ToolCall) -> bool {
    !matches!(
        call.kind,
        ToolKind::Read | ToolKind::Search | ToolKind::Think
    )
}

fn argument<'a>(call: &'a ToolCall, key: &str) -> Option<&'a str> {
    call.raw_input.as_ref()?.get(key).and_then(Value::as_str)
}

/// Every file that a call names, in its arguments, its places and its changes.
fn paths_of(call: &ToolCall) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    let mut add = |path: &Path| {
        let path = plain_path(&path.display().to_string());
        if !path.is_empty() && !paths.contains(&path) {
            paths.push(path);
        }
    };
    for path in PATH_KEYS.iter().filter_map(|key| argument(call, key)) {
        add(Path::new(path));
    }
    for place in &call.locations {
        add(&place.path);
    }
    for content in &call.content {
        if let ToolCallContent::Diff(diff) = content {
            add(&diff.path);
        }
    }
    paths
}

/// The files and folders that a call looks at: the work tree, where it names none. A pattern of names may
/// lead out of its folder; one of words is no path, whatever it looks like.
fn read_paths(name: &str, call: &ToolCall) -> Vec<String> {
    let mut paths = paths_of(call);
    if paths.is_empty() {
        paths.push(".".to_owned());
    }
    let patterns = match name.to_lowercase().starts_with("grep") {
        true => &["glob", "include"][..],
        false => &["pattern", "glob", "include"],
    };
    for pattern in patterns.iter().filter_map(|key| argument(call, key)) {
        if pattern.contains('/') {
            paths.push(glob_root(&paths[0], &plain_path(pattern)));
        }
    }
    paths
}

/// A path with the program's home, which is none of the attempt's, for `~`.
fn plain_path(text: &str) -> String {
    match text.trim() {
        path if path == "~" || path.starts_with("~/") => "/~".to_owned(),
        path => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    fn call(kind: &str, more: Value) -> ToolCall {
        let mut call = json!({"toolCallId": "a", "title": "t", "kind": kind});
        call.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(call).unwrap()
    }

    #[test]
    fn a_call_does_what_its_kind_says_where_it_says() {
        let read = |paths: &[&str]| {
            vec![ToolEffect::Read(
                paths.iter().map(|p| (*p).to_owned()).collect(),
            )]
        };
        let write = |paths: &[&str]| -> Vec<ToolEffect> {
            paths
                .iter()
                .map(|p| ToolEffect::Write((*p).to_owned()))
                .collect()
        };
        for (name, call, want) in [
            (
                "read",
                call("read", json!({"rawInput": {"filePath": "/w/a"}})),
                read(&["/w/a"]),
            ),
            (
                "grep",
                call("search", json!({"rawInput": {"pattern": "x"}})),
                read(&["."]),
            ),
            (
                "glob",
                call(
                    "search",
                    json!({"rawInput": {"pattern": "/etc/*", "path": "src"}}),
                ),
                read(&["src", "/etc"]),
            ),
            // A route, not a path.
            (
                "Grep",
                call(
                    "search",
                    json!({"rawInput": {"pattern": "/api/login", "glob": "../*"}}),
                ),
                read(&[".", "./.."]),
            ),
            (
                "read",
                call("read", json!({"rawInput": {"filePath": "~/x"}})),
                read(&["/~"]),
            ),
            (
                "edit",
                call(
                    "edit",
                    json!({"locations": [{"path": "/w/a"}], "rawInput": {"filePath": "/w/a"},
                    "content": [{"type": "diff", "path": "/w/b", "oldText": "", "newText": "x"}]}),
                ),
                write(&["/w/a", "/w/b"]),
            ),
            ("edit", call("edit", json!({})), vec![ToolEffect::Unknown]),
            ("read", call("read", json!({})), vec![ToolEffect::Unknown]),
            (
                "bash",
                call("execute", json!({"rawInput": {"command": "ls"}})),
                vec![ToolEffect::Shell("ls".to_owned())],
            ),
            (
                "bash",
                call("execute", json!({})),
                vec![ToolEffect::Unknown],
            ),
            (
                "webfetch",
                call("fetch", json!({})),
                vec![ToolEffect::Unknown],
            ),
            (
                "todowrite",
                call("other", json!({})),
                vec![ToolEffect::Unknown],
            ),
            (
                "omoi_submit_item",
                call("other", json!({})),
                vec![ToolEffect::Own],
            ),
            (
                "mcp__omoi__submit_done",
                call("other", json!({})),
                vec![ToolEffect::Own],
            ),
            (
                "mcp__other__submit_done",
                call("other", json!({})),
                vec![ToolEffect::Unknown],
            ),
            ("omoi", call("other", json!({})), vec![ToolEffect::Unknown]),
        ] {
            assert_eq!(effects_of(name, &call), want, "{name} {call:?}");
        }
        assert_eq!(platform_name("omoi_submit_done"), "submit_done");
        assert_eq!(platform_name("mcp__omoi__submit_done"), "submit_done");
        assert_eq!(platform_name("omoi: submit_done"), "submit_done");
        assert_eq!(platform_name("bash"), "bash");
        assert_eq!(platform_name("omoisubmit"), "omoisubmit");
        let named = call(
            "edit",
            json!({"title": "WriteFile", "_meta": {"toolName": "write_file"}}),
        );
        assert_eq!(tool_name(&named), "write_file");
    }
}

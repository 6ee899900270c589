#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use super::*;

fn tool(name: &str, fields: &[&str]) -> OfferedTool {
    grouped(None, name, fields)
}

/// A tool with required fields of any type and, with a `?`, others.
fn grouped(group: Option<&str>, name: &str, fields: &[&str]) -> OfferedTool {
    let properties = fields
        .iter()
        .map(|field| (field.trim_end_matches('?').to_owned(), json!({})))
        .collect();
    let required: Vec<_> = fields
        .iter()
        .filter(|field| !field.ends_with('?'))
        .collect();
    OfferedTool {
        name: name.to_owned(),
        group: group.map(str::to_owned),
        form: ToolForm::Arguments,
        schema: json!({
            "type": "object", "properties": Json::Object(properties), "required": required,
            "additionalProperties": false,
        }),
    }
}

fn claude_code() -> Vec<OfferedTool> {
    vec![
        tool(
            "Bash",
            &["command", "timeout?", "description?", "run_in_background?"],
        ),
        tool(
            "Edit",
            &["file_path", "old_string", "new_string", "replace_all?"],
        ),
        tool("Read", &["file_path", "offset?", "limit?"]),
        tool("Write", &["file_path", "content"]),
        tool("mcp__omoi__submit_item", &["section", "key", "value"]),
        tool("mcp__omoi__submit_done", &[]),
    ]
}

fn codex() -> Vec<OfferedTool> {
    vec![
        tool("exec_command", &["cmd", "workdir?", "yield_time_ms?"]),
        tool("view_image", &["path"]),
        grouped(
            Some("mcp__omoi"),
            "submit_item",
            &["phase", "section", "key", "value"],
        ),
    ]
}

fn codex_with_patch(form: ToolForm) -> Vec<OfferedTool> {
    let mut patch = tool("apply_patch", &["input"]);
    patch.form = form;
    vec![tool("shell", &["command", "workdir?"]), patch]
}

fn opencode() -> Vec<OfferedTool> {
    vec![
        tool("bash", &["command", "timeout?", "workdir?"]),
        tool(
            "edit",
            &["filePath", "oldString", "newString", "replaceAll?"],
        ),
        tool("glob", &["pattern", "path?"]),
        tool("grep", &["pattern", "path?", "include?"]),
        tool("read", &["filePath", "offset?", "limit?"]),
        tool("write", &["content", "filePath"]),
        tool("omoi_submit_item", &["phase", "section", "key", "value"]),
    ]
}

fn qwen() -> Vec<OfferedTool> {
    vec![
        tool("write_file", &["file_path", "content"]),
        tool(
            "edit",
            &["file_path", "old_string", "new_string", "replace_all?"],
        ),
        tool("read_file", &["absolute_path", "offset?", "limit?"]),
        tool("grep_search", &["pattern", "path?", "glob?"]),
        tool(
            "run_shell_command",
            &["command", "is_background", "description?"],
        ),
        tool("mcp__omoi__submit_done", &["phase"]),
    ]
}

fn our_own() -> Vec<OfferedTool> {
    vec![
        tool("write", &["path", "content"]),
        tool("shell", &["command", "timeout_s?"]),
        tool("submit_done", &["phase?"]),
    ]
}

fn old_bash() -> Vec<OfferedTool> {
    vec![tool("bash", &["command", "description"])]
}

fn file_server() -> Vec<OfferedTool> {
    vec![
        tool("mcp__fs__write", &["path", "content"]),
        tool("edit_file", &["path", "edits", "dryRun?"]),
        tool("read_text_file", &["path"]),
    ]
}

fn editor_tool() -> Vec<OfferedTool> {
    let fields = ["command", "path", "file_text?", "old_str?", "new_str?"];
    vec![tool("str_replace_based_edit_tool", &fields)]
}

fn freeform() -> Vec<OfferedTool> {
    codex_with_patch(ToolForm::Freeform)
}

fn patch_function() -> Vec<OfferedTool> {
    codex_with_patch(ToolForm::Arguments)
}

/// What is offered, what a scenario says, and the call that comes of it.
type Case = (fn() -> Vec<OfferedTool>, &'static str, Json, &'static str);

#[test]
#[rustfmt::skip] // One case, one line.
fn an_action_is_said_in_the_words_of_the_request() {
    let write = || json!({"path": "a/b.py", "content": "x = 1\n"});
    let edit = || json!({"path": "b.py", "old": "x", "new": "y"});
    let lines = || json!({"path": "b.py", "old": "x\ny\n", "new": "z\n"});
    let item = || json!({"phase": "prd", "section": "s", "key": "k", "value": [1]});
    let cases: &[Case] = &[
        (our_own, "write", write(), r#"write {"path":"a/b.py","content":"x = 1\n"}"#),
        (our_own, "shell", json!({"command": "ls", "timeout_s": 5}), r#"shell {"command":"ls","timeout_s":5}"#),
        (our_own, "submit_done", json!({"phase": "prd"}), r#"submit_done {"phase":"prd"}"#),
        (claude_code, "write", write(), r#"Write {"file_path":"a/b.py","content":"x = 1\n"}"#),
        (claude_code, "edit", edit(), r#"Edit {"file_path":"b.py","old_string":"x","new_string":"y"}"#),
        (claude_code, "read", json!({"path": "b.py", "offset": 3}), r#"Read {"file_path":"b.py","offset":3}"#),
        (claude_code, "shell", json!({"command": "ls", "timeout_s": 5}), r#"Bash {"command":"ls","timeout":5000}"#),
        (claude_code, "glob", json!({"pattern": "**/*.py"}), r#"Bash {"command":"find . -type f -path './*.py'"}"#),
        (claude_code, "grep", json!({"pattern": "def x"}), r#"Bash {"command":"grep -rnE -e 'def x' ."}"#),
        (claude_code, "submit_item", item(), r#"mcp__omoi__submit_item {"section":"s","key":"k","value":[1]}"#),
        (claude_code, "submit_done", json!({"phase": "prd"}), "mcp__omoi__submit_done {}"),
        (codex, "shell", json!({"command": "ls"}), r#"exec_command {"cmd":"ls"}"#),
        (codex, "write", write(), r#"exec_command {"cmd":"mkdir -p a && printf '%s' 'x = 1\n' > a/b.py"}"#),
        (codex, "submit_item", item(), r#"mcp__omoi/submit_item {"phase":"prd","section":"s","key":"k","value":[1]}"#),
        (freeform, "write", write(), "apply_patch *** Begin Patch\n*** Add File: a/b.py\n+x = 1\n*** End Patch\n"),
        (freeform, "edit", lines(), "apply_patch *** Begin Patch\n*** Update File: b.py\n@@\n-x\n-y\n+z\n*** End Patch\n"),
        (freeform, "shell", json!({"command": "ls"}), r#"shell {"command":"ls"}"#),
        (freeform, "write", json!({"path": "b", "content": "no end"}), r#"shell {"command":"printf '%s' 'no end' > b"}"#),
        (patch_function, "write", write(), r#"apply_patch {"input":"*** Begin Patch\n*** Add File: a/b.py\n+x = 1\n*** End Patch\n"}"#),
        (opencode, "write", write(), r#"write {"filePath":"a/b.py","content":"x = 1\n"}"#),
        (opencode, "edit", json!({"path": "b", "old": "x", "new": "y", "replace_all": true}), r#"edit {"filePath":"b","oldString":"x","newString":"y","replaceAll":true}"#),
        (opencode, "grep", json!({"pattern": "x", "glob": "*.py"}), r#"grep {"pattern":"x","include":"*.py"}"#),
        (opencode, "glob", json!({"pattern": "*.py"}), r#"glob {"pattern":"*.py"}"#),
        (opencode, "read", json!({"path": "b.py"}), r#"read {"filePath":"b.py"}"#),
        (opencode, "shell", json!({"command": "ls"}), r#"bash {"command":"ls"}"#),
        (opencode, "submit_item", item(), r#"omoi_submit_item {"phase":"prd","section":"s","key":"k","value":[1]}"#),
        (old_bash, "shell", json!({"command": "ls"}), r#"bash {"command":"ls","description":"Runs a command of the scenario"}"#),
        (qwen, "write", write(), r#"write_file {"file_path":"a/b.py","content":"x = 1\n"}"#),
        (qwen, "edit", edit(), r#"edit {"file_path":"b.py","old_string":"x","new_string":"y"}"#),
        (qwen, "read", json!({"path": "b.py"}), r#"read_file {"absolute_path":"b.py"}"#),
        (qwen, "grep", json!({"pattern": "x", "glob": "*.py"}), r#"grep_search {"pattern":"x","glob":"*.py"}"#),
        (qwen, "shell", json!({"command": "ls"}), r#"run_shell_command {"command":"ls","is_background":false}"#),
        (qwen, "submit_done", json!({"phase": "prd"}), r#"mcp__omoi__submit_done {"phase":"prd"}"#),
        (file_server, "write", write(), r#"mcp__fs__write {"path":"a/b.py","content":"x = 1\n"}"#),
        (file_server, "edit", edit(), r#"edit_file {"path":"b.py","edits":[{"oldText":"x","newText":"y"}]}"#),
        (file_server, "read", json!({"path": "b.py"}), r#"read_text_file {"path":"b.py"}"#),
        (editor_tool, "write", write(), r#"str_replace_based_edit_tool {"path":"a/b.py","file_text":"x = 1\n","command":"create"}"#),
        (editor_tool, "edit", edit(), r#"str_replace_based_edit_tool {"path":"b.py","old_str":"x","new_str":"y","command":"str_replace"}"#),
    ];
    for (offered, action, input, want) in cases {
        let call = word_action(action, input.as_object().unwrap(), &offered()).unwrap();
        let group = call.group.map(|group| group + "/").unwrap_or_default();
        assert_eq!(format!("{group}{} {}", call.tool, call.input.into_text()), *want);
    }
}

#[test]
fn what_nothing_offered_does_is_not_said() {
    let read_only = || vec![tool("Read", &["file_path"]), tool("Write", &["path"])];
    let word = |action, input: Json, offered: Vec<OfferedTool>| {
        word_action(action, input.as_object().unwrap(), &offered).unwrap_err()
    };
    for action in ["write", "edit", "shell", "submit_done", "deploy"] {
        let input = json!({"path": "a", "content": "", "old": "x", "new": "y", "command": "ls"});
        assert_eq!(word(action, input, read_only()), NoWording::NotOffered);
    }
    // A limit that the tool cannot be told would be lost.
    let limited = json!({"path": "a", "old": "x", "new": "y", "replace_all": true});
    assert_eq!(word("edit", limited, editor_tool()), NoWording::NotOffered);
    // The tool of that very name is there, so its schema is the reason.
    let refused = word("write", json!({"path": "a", "mode": 7}), our_own());
    let NoWording::Refused(violations) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(violations.len(), 2, "{violations:?}");
}

#[test]
fn a_client_of_ours_is_offered_what_it_is_told() {
    let input = json!({"command": "ls"});
    let input = input.as_object().unwrap();
    assert!(word_to_the_letter("shell", input, &our_own()).is_ok());
    let called = word_to_the_letter("shell", input, &claude_code());
    assert_eq!(called, Err(NoWording::NotOffered));
}

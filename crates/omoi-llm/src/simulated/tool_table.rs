//! One table: what a scenario wants done, in the words of the tools that a request offers.
//!
//! A scenario names our own tools. A program that brings its own ones gets the call that does the same
//! there: a file tool if one is offered, else a patch, else a command that has the same effect.

use serde_json::{Map, Value as Json, json};

use super::{
    checked_request::{OfferedTool, ToolForm},
    patch_text, shell_line,
};
use crate::schema::{self, SchemaViolation};

/// Arguments of a call.
pub(super) type ToolInput = Map<String, Json>;

/// What our own tools do, as far as other programs have tools for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToolAction {
    Read,
    Glob,
    Grep,
    Write,
    Edit,
    Shell,
}

impl ToolAction {
    fn of_tool(name: &str) -> Option<Self> {
        Some(match name {
            "read" => Self::Read,
            "glob" => Self::Glob,
            "grep" => Self::Grep,
            "write" => Self::Write,
            "edit" => Self::Edit,
            "shell" => Self::Shell,
            _ => return None,
        })
    }
}

/// A way of saying an action: the tool, and its arguments made from ours.
struct ToolWording {
    action: ToolAction,
    tool: &'static str,
    /// None where the tool has no word for one of our arguments.
    input: fn(&ToolInput) -> Option<Json>,
}

const fn wording(
    action: ToolAction,
    tool: &'static str,
    input: fn(&ToolInput) -> Option<Json>,
) -> ToolWording {
    ToolWording {
        action,
        tool,
        input,
    }
}

/// Best first: of two that a request offers, the earlier one is called if its schema takes the input.
#[rustfmt::skip] // One wording, one or two lines.
const WORDINGS: &[ToolWording] = &[
    // Claude Code.
    wording(ToolAction::Write, "Write", |i| renamed(i, &[("path", "file_path"), ("content", "content")])),
    wording(ToolAction::Edit, "Edit", |i| renamed(i, &[
        ("path", "file_path"), ("old", "old_string"), ("new", "new_string"), ("replace_all", "replace_all")])),
    wording(ToolAction::Read, "Read", |i| renamed(i, &[("path", "file_path"), ("offset", "offset"), ("limit", "limit")])),
    wording(ToolAction::Glob, "Glob", |i| renamed(i, &[("pattern", "pattern"), ("path", "path")])),
    wording(ToolAction::Grep, "Grep", |i| renamed(i, &[("pattern", "pattern"), ("path", "path"), ("glob", "glob")])),
    wording(ToolAction::Shell, "Bash", |i| command_under(i, "command", "timeout")),
    // opencode.
    wording(ToolAction::Write, "write", |i| renamed(i, &[("path", "filePath"), ("content", "content")])),
    wording(ToolAction::Edit, "edit", |i| renamed(i, &[
        ("path", "filePath"), ("old", "oldString"), ("new", "newString"), ("replace_all", "replaceAll")])),
    wording(ToolAction::Read, "read", |i| renamed(i, &[("path", "filePath"), ("offset", "offset"), ("limit", "limit")])),
    wording(ToolAction::Grep, "grep", |i| renamed(i, &[("pattern", "pattern"), ("path", "path"), ("glob", "include")])),
    wording(ToolAction::Shell, "bash", |i| command_under(i, "command", "timeout")),
    wording(ToolAction::Shell, "bash", |i| described(command_under(i, "command", "timeout"))),
    // Qwen Code and Gemini CLI.
    wording(ToolAction::Write, "write_file", |i| renamed(i, &[("path", "file_path"), ("content", "content")])),
    wording(ToolAction::Edit, "edit", |i| renamed(i, &[
        ("path", "file_path"), ("old", "old_string"), ("new", "new_string"), ("replace_all", "replace_all")])),
    wording(ToolAction::Edit, "replace", |i| renamed(i, &[
        ("path", "file_path"), ("old", "old_string"), ("new", "new_string"), ("replace_all", "replace_all")])),
    wording(ToolAction::Read, "read_file", |i| renamed(i, &[("path", "file_path"), ("offset", "offset"), ("limit", "limit")])),
    wording(ToolAction::Read, "read_file", |i| renamed(i, &[("path", "absolute_path"), ("offset", "offset"), ("limit", "limit")])),
    wording(ToolAction::Grep, "grep_search", |i| renamed(i, &[("pattern", "pattern"), ("path", "path"), ("glob", "glob")])),
    wording(ToolAction::Grep, "search_file_content", |i| renamed(i, &[("pattern", "pattern"), ("path", "path"), ("glob", "include")])),
    wording(ToolAction::Shell, "run_shell_command", |i| command_under(i, "command", "timeout")),
    wording(ToolAction::Shell, "run_shell_command", |i| foreground(command_under(i, "command", "timeout"))),
    // Codex.
    wording(ToolAction::Shell, "exec_command", |i| command_under(i, "cmd", "yield_time_ms")),
    wording(ToolAction::Shell, "shell_command", |i| command_under(i, "command", "timeout_ms")),
    wording(ToolAction::Shell, "shell", command_words),
    // A vendor's editor, file servers of the MCP project, pi and cline.
    wording(ToolAction::Write, "str_replace_based_edit_tool", |i| editor(i, "create", &[("path", "path"), ("content", "file_text")])),
    wording(ToolAction::Edit, "str_replace_based_edit_tool", |i| editor(i, "str_replace", &[("path", "path"), ("old", "old_str"), ("new", "new_str")])),
    wording(ToolAction::Read, "str_replace_based_edit_tool", |i| editor(i, "view", &[("path", "path")])),
    wording(ToolAction::Write, "write_file", |i| renamed(i, &[("path", "path"), ("content", "content")])),
    wording(ToolAction::Write, "write_to_file", |i| renamed(i, &[("path", "path"), ("content", "content")])),
    wording(ToolAction::Edit, "edit", |i| renamed(i, &[("path", "path"), ("old", "oldText"), ("new", "newText")])),
    wording(ToolAction::Edit, "edit_file", edit_list),
    wording(ToolAction::Read, "read_file", |i| renamed(i, &[("path", "path"), ("offset", "offset"), ("limit", "limit")])),
    wording(ToolAction::Read, "read_text_file", |i| renamed(i, &[("path", "path")])),
    wording(ToolAction::Shell, "execute_command", |i| command_under(i, "command", "timeout")),
];

/// A call in the words of the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WordedCall {
    pub(super) tool: String,
    /// The group that the tool is offered in.
    pub(super) group: Option<String>,
    pub(super) input: WordedInput,
}

/// What a tool is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WordedInput {
    Arguments(Json),
    /// Text without any form.
    Text(String),
}

impl WordedInput {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Arguments(arguments) => arguments.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// Why no call can be made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NoWording {
    /// Nothing that is offered does it.
    NotOffered,
    /// The tool is offered, but its schema refuses the input.
    Refused(Vec<SchemaViolation>),
}

/// The call of the tool of that name and no other.
pub(super) fn word_to_the_letter(
    tool: &str,
    input: &ToolInput,
    offered: &[OfferedTool],
) -> Result<WordedCall, NoWording> {
    let found = offered.iter().find(|offered| offered.name == tool);
    let found = found.ok_or(NoWording::NotOffered)?;
    call_with(found, Json::Object(input.clone())).map_err(NoWording::Refused)
}

/// The call that does what our tool `tool` does with `input`, by what is `offered`.
pub(super) fn word_action(
    tool: &str,
    input: &ToolInput,
    offered: &[OfferedTool],
) -> Result<WordedCall, NoWording> {
    let refused = match word_to_the_letter(tool, input, offered) {
        Ok(call) => return Ok(call),
        Err(refused) => refused,
    };
    let action = ToolAction::of_tool(tool);
    action
        .and_then(|action| worded_by_table(action, input, offered))
        .or_else(|| served_by_mcp(tool, input, offered))
        .or_else(|| action.and_then(|action| worded_as_patch(action, input, offered)))
        .or_else(|| action.and_then(|action| worded_as_command(action, input, offered)))
        .ok_or(refused)
}

fn worded_by_table(
    action: ToolAction,
    input: &ToolInput,
    offered: &[OfferedTool],
) -> Option<WordedCall> {
    let wordings = WORDINGS.iter().filter(|wording| wording.action == action);
    wordings
        .flat_map(|wording| named(offered, wording.tool).map(move |tool| (wording, tool)))
        .find_map(|(wording, tool)| call_with(tool, (wording.input)(input)?).ok())
}

fn named<'a>(offered: &'a [OfferedTool], name: &str) -> impl Iterator<Item = &'a OfferedTool> {
    let name = name.to_owned();
    offered.iter().filter(move |tool| tool.name == name)
}

/// Programs put the name of a server before the name of its tool, each in its own way.
fn served_by_mcp(tool: &str, input: &ToolInput, offered: &[OfferedTool]) -> Option<WordedCall> {
    let served = |separator: &str| {
        let end = format!("{separator}{tool}");
        offered
            .iter()
            .filter(move |offered| offered.name.len() > end.len() && offered.name.ends_with(&end))
    };
    let mut without_phase = input.clone();
    without_phase.shift_remove("phase");
    ["__", "_", "-", "."]
        .into_iter()
        .flat_map(served)
        .find_map(|found| {
            let whole = call_with(found, Json::Object(input.clone()));
            whole
                .or_else(|_| call_with(found, Json::Object(without_phase.clone())))
                .ok()
        })
}

fn worded_as_patch(
    action: ToolAction,
    input: &ToolInput,
    offered: &[OfferedTool],
) -> Option<WordedCall> {
    let tool = named(offered, "apply_patch").next()?;
    let patch = match action {
        ToolAction::Write => {
            patch_text::add_file(text_of(input, "path")?, text_of(input, "content")?)
        }
        ToolAction::Edit if !replaces_all(input) => patch_text::update_file(
            text_of(input, "path")?,
            text_of(input, "old")?,
            text_of(input, "new")?,
        ),
        _ => None,
    }?;
    if tool.form == ToolForm::Freeform {
        return Some(call_of(tool, WordedInput::Text(patch)));
    }
    ["input", "patch", "patchText"]
        .into_iter()
        .find_map(|key| call_with(tool, json!({key: patch})).ok())
}

fn worded_as_command(
    action: ToolAction,
    input: &ToolInput,
    offered: &[OfferedTool],
) -> Option<WordedCall> {
    let text = |key| text_of(input, key);
    let line = match action {
        ToolAction::Shell => return None,
        ToolAction::Write => shell_line::write_file(text("path")?, text("content")?),
        ToolAction::Edit => shell_line::edit_file(&shell_line::FileEdit {
            path: text("path")?,
            old: text("old")?,
            new: text("new")?,
            replace_all: replaces_all(input),
        }),
        ToolAction::Read => shell_line::read_file(text("path")?),
        ToolAction::Glob => shell_line::find_files(text("pattern")?, text("path")),
        ToolAction::Grep => shell_line::search_text(text("pattern")?, text("path"), text("glob")),
    };
    let mut command = ToolInput::new();
    command.insert("command".to_owned(), Json::String(line));
    word_action("shell", &command, offered).ok()
}

/// Two commands as one, for programs that run the calls of one answer side by side: each in a shell of its
/// own, in order. None for calls of anything else, or with arguments beside the command.
pub(super) fn joined_command(tool: &str, first: &Json, second: &Json) -> Option<Json> {
    let key = match tool {
        "exec_command" => "cmd",
        "shell_command" => "command",
        _ => return None,
    };
    let line = |input: &Json| {
        let input = input.as_object().filter(|input| input.len() == 1)?;
        Some(input.get(key)?.as_str()?.to_owned())
    };
    let (first, second) = (line(first)?, line(second)?);
    Some(json!({key: format!("(\n{first}\n)\n(\n{second}\n)")}))
}

/// A call of `tool`, unless its schema refuses the input.
fn call_with(tool: &OfferedTool, input: Json) -> Result<WordedCall, Vec<SchemaViolation>> {
    if tool.form == ToolForm::Freeform {
        let why = SchemaViolation::new("", "must be text without a form", &input);
        return Err(vec![why]);
    }
    schema::check_value(&tool.schema, &input)?;
    Ok(call_of(tool, WordedInput::Arguments(input)))
}

fn call_of(tool: &OfferedTool, input: WordedInput) -> WordedCall {
    WordedCall {
        tool: tool.name.clone(),
        group: tool.group.clone(),
        input,
    }
}

fn text_of<'a>(input: &'a ToolInput, key: &str) -> Option<&'a str> {
    input.get(key).and_then(Json::as_str)
}

fn replaces_all(input: &ToolInput) -> bool {
    input.get("replace_all").and_then(Json::as_bool) == Some(true)
}

/// The arguments under other names; none when one of them has no name there and would be lost.
fn renamed(input: &ToolInput, names: &[(&str, &str)]) -> Option<Json> {
    let mut out = ToolInput::new();
    for (key, value) in input {
        let name = names.iter().find(|(ours, _)| ours == key);
        match name {
            Some((_, theirs)) => out.insert((*theirs).to_owned(), value.clone()),
            // It says what is meant anyway.
            None if value == &Json::Bool(false) => None,
            None => return None,
        };
    }
    Some(Json::Object(out))
}

/// A command line, with its time limit in milliseconds.
fn command_under(input: &ToolInput, command: &str, limit: &str) -> Option<Json> {
    let mut out = json!({command: text_of(input, "command")?});
    if let Some(seconds) = input.get("timeout_s").and_then(Json::as_u64) {
        out[limit] = json!(seconds.saturating_mul(1000));
    }
    Some(out)
}

fn described(input: Option<Json>) -> Option<Json> {
    let mut input = input?;
    input["description"] = json!("Runs a command of the scenario");
    Some(input)
}

fn foreground(input: Option<Json>) -> Option<Json> {
    let mut input = input?;
    input["is_background"] = json!(false);
    Some(input)
}

/// The command as a list of words.
fn command_words(input: &ToolInput) -> Option<Json> {
    Some(json!({"command": ["sh", "-c", text_of(input, "command")?]}))
}

fn editor(input: &ToolInput, command: &str, names: &[(&str, &str)]) -> Option<Json> {
    let mut out = renamed(input, names)?;
    out["command"] = json!(command);
    Some(out)
}

fn edit_list(input: &ToolInput) -> Option<Json> {
    let (old, new) = (text_of(input, "old")?, text_of(input, "new")?);
    let one = !replaces_all(input);
    one.then(|| json!({"path": input["path"], "edits": [{"oldText": old, "newText": new}]}))
}

#[cfg(test)]
mod tests;

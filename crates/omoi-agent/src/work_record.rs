//! What of the turns of an attempt is kept word for word when they become a summary.
//!
//! It follows from the turns alone, and from nothing that the model remembers: messages of people, items
//! handed in, files changed, what the last run of each command said, files looked at, the agent's own words.

use std::fmt::Write as _;

use omoi_llm::wire::anthropic::{ContentBlock, MessageContent, ToolUseBlock};
use omoi_protocol::worker::{AgentTool, MESSAGE_MARK};
use serde_json::Value;

use crate::agent_notes::AgentNotes;
use crate::tools::{cap_text, shorten_text, write_notes, written_paths};
use crate::transcript::AgentReply;

/// Bytes of one message of a person; people write little.
const MESSAGE_BYTES_MAX: usize = 4_000;
/// Bytes of what the last run of a failing command said.
const FAILURE_BYTES_MAX: usize = 1_200;
/// Characters of a command.
const COMMAND_CHARS_MAX: usize = 300;
/// Characters of one statement of the agent.
const STATEMENT_CHARS_MAX: usize = 600;
/// Files looked at, commands and statements that are kept: the last ones.
const KEPT_MAX: usize = 40;
/// Files changed that are kept.
const CHANGED_MAX: usize = 400;

/// The last run of one command.
#[derive(Clone, Debug)]
struct RecordedCommand {
    line: String,
    output: String,
    is_good: bool,
}

/// What is kept of the turns of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkRecord {
    messages: Vec<String>,
    notes: AgentNotes,
    items: Vec<String>,
    changed: Vec<String>,
    commands: Vec<RecordedCommand>,
    opened: Vec<String>,
    statements: Vec<String>,
}

impl WorkRecord {
    /// Takes in one turn: the model's answer and what its tools said.
    pub(crate) fn add_turn(&mut self, reply: &AgentReply, results: &[ContentBlock]) {
        for block in results {
            if let Some(text) = block.as_text()
                && text.starts_with(MESSAGE_MARK)
            {
                self.messages.push(cap_text(text, MESSAGE_BYTES_MAX));
            }
        }
        if let Some(text) = reply.summary_text() {
            let text = shorten_text(text.trim(), STATEMENT_CHARS_MAX);
            push_last(&mut self.statements, text, KEPT_MAX);
        }
        for call in reply.tool_calls() {
            let Some((text, is_error)) = result_of(&call.id, results) else {
                continue;
            };
            self.add_call(call, &text, is_error);
        }
    }

    fn add_call(&mut self, call: &ToolUseBlock, text: &str, is_error: bool) {
        let field = |name: &str| call.input.get(name).and_then(Value::as_str);
        if call.name == AgentTool::Shell.as_str() {
            if let Some(line) = field("command") {
                let line = shorten_text(line, COMMAND_CHARS_MAX);
                self.commands.retain(|run| run.line != line);
                let run = RecordedCommand {
                    line,
                    output: cap_text(text, FAILURE_BYTES_MAX),
                    is_good: !is_error && text.ends_with("[exit code 0]"),
                };
                push_last(&mut self.commands, run, KEPT_MAX);
            }
            return;
        }
        if is_error {
            return;
        }
        write_notes(&mut self.notes, call);
        for path in written_paths(call) {
            push_unique(&mut self.changed, path, CHANGED_MAX);
        }
        if call.name == AgentTool::Read.as_str()
            && let Some(path) = field("path")
        {
            push_unique(&mut self.opened, path.to_owned(), KEPT_MAX);
        }
        if call.name == AgentTool::SubmitItem.as_str() {
            let (section, key) = (field("section").unwrap_or(""), field("key").unwrap_or(""));
            push_unique(
                &mut self.items,
                format!("{section} {key}").trim().to_owned(),
                CHANGED_MAX,
            );
        }
    }

    /// The record within `bytes_max`: what comes first is cut last.
    pub(crate) fn render(&self, bytes_max: usize) -> String {
        let mut text = BoundedText::new(bytes_max);
        // The newest messages win where not all have room.
        let mut messages = text.fitting(self.messages.iter().rev(), bytes_max / 2);
        messages.reverse();
        text.push_section("Messages from people", messages);
        text.push_section("Your notes", self.notes.note_lines());
        text.push_section("Your plan", self.notes.plan_lines());
        text.push_section(
            "Items handed in",
            self.items.iter().map(|item| format!("- {item}")),
        );
        text.push_section(
            "Files changed",
            self.changed.iter().map(|path| format!("- `{path}`")),
        );
        let (good, bad): (Vec<_>, Vec<_>) = self.commands.iter().rev().partition(|run| run.is_good);
        let failing = bad
            .iter()
            .map(|run| format!("- `{}` said:\n{}", run.line, quoted(&run.output)));
        text.push_section("Commands whose last run failed", failing);
        text.push_section(
            "Commands whose last run passed",
            good.iter().map(|run| format!("- `{}`", run.line)),
        );
        text.push_section(
            "Files looked at",
            self.opened.iter().rev().map(|path| format!("- `{path}`")),
        );
        text.push_section(
            "Your own words",
            self.statements.iter().rev().map(|said| format!("- {said}")),
        );
        text.into_text()
    }
}

/// Text that ends with a note where more has no room.
struct BoundedText {
    text: String,
    bytes_max: usize,
    is_full: bool,
}

const FULL: &str = "[… more has no room here]\n";

impl BoundedText {
    const fn new(bytes_max: usize) -> Self {
        Self {
            text: String::new(),
            bytes_max,
            is_full: false,
        }
    }

    /// The first of `lines` that have room in `bytes`.
    fn fitting<'a>(&self, lines: impl Iterator<Item = &'a String>, bytes: usize) -> Vec<String> {
        let mut room = bytes.min(self.bytes_max - self.text.len());
        let fitting = lines.take_while(|line| {
            let fits = line.len() < room;
            room = room.saturating_sub(line.len() + 1);
            fits
        });
        fitting.cloned().collect()
    }

    fn push_section(&mut self, head: &str, lines: impl IntoIterator<Item = String>) {
        let mut is_begun = false;
        for line in lines {
            let head = if is_begun {
                String::new()
            } else {
                format!("## {head}\n")
            };
            if self.text.len() + head.len() + line.len() + FULL.len() + 1 > self.bytes_max {
                self.is_full = true;
                return;
            }
            let _ = writeln!(self.text, "{head}{line}");
            is_begun = true;
        }
    }

    fn into_text(mut self) -> String {
        if self.is_full {
            self.text.push_str(FULL);
        }
        self.text
    }
}

/// The lines of `text` as a quotation: what a tool said is no word of the user's.
fn quoted(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
    lines.join("\n")
}

/// What call `id` was answered, and whether it failed.
fn result_of(id: &str, results: &[ContentBlock]) -> Option<(String, bool)> {
    results.iter().find_map(|block| match block {
        ContentBlock::ToolResult(result) if result.tool_use_id == id => {
            let text = result.content.as_ref().map(MessageContent::joined_text);
            Some((text.unwrap_or_default(), result.is_error == Some(true)))
        }
        _ => None,
    })
}

fn push_unique(list: &mut Vec<String>, item: String, max: usize) {
    list.retain(|known| *known != item);
    push_last(list, item, max);
}

fn push_last<T>(list: &mut Vec<T>, item: T, max: usize) {
    list.push(item);
    let over = list.len().saturating_sub(max);
    list.drain(..over);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(record: &mut WorkRecord, name: &str, input: Value, said: &str, is_error: bool) {
        let reply = AgentReply(vec![
            ContentBlock::text(format!("I call {name}.")),
            ContentBlock::tool_use("t", name, input),
        ]);
        record.add_turn(&reply, &[ContentBlock::tool_result("t", said, is_error)]);
    }

    #[test]
    fn a_record_holds_what_happened_and_the_last_run_of_each_command() {
        let mut record = WorkRecord::default();
        let steps = json!({"steps": [{"step": "mend it", "state": "active"}]});
        let test = json!({"command": "cargo test"});
        let calls = [
            ("read", json!({"path": "a.rs"}), "x", false),
            ("write", json!({"path": "b.rs"}), "wrote", false),
            ("edit", json!({"path": "../c.rs"}), "outside", true),
            ("shell", test.clone(), "ok\n[exit code 0]", false),
            ("shell", test, "boom\n[exit code 101]", false),
            ("shell", json!({"command": "ls"}), "[exit code 0]", false),
            (
                "notes",
                json!({"add": "The lock is held by `fn a`."}),
                "1. …",
                false,
            ),
            ("notes", json!({"add": "refused"}), "no", true),
            ("plan", steps, "[>] mend it", false),
            (
                "submit_item",
                json!({"section": "risks", "key": "R1"}),
                "ok",
                false,
            ),
        ];
        for (name, input, said, is_error) in calls {
            turn(&mut record, name, input, said, is_error);
        }
        let told = [ContentBlock::text(
            "Message from user (user_message):\nUse port 4317.",
        )];
        record.add_turn(&AgentReply(vec![ContentBlock::text("Fine.")]), &told);
        let text = record.render(10_000);
        let expected = "\
## Messages from people
Message from user (user_message):
Use port 4317.
## Your notes
1. The lock is held by `fn a`.
## Your plan
[>] mend it
## Items handed in
- risks R1
## Files changed
- `b.rs`
## Commands whose last run failed
- `cargo test` said:
> boom
> [exit code 101]
## Commands whose last run passed
- `ls`
## Files looked at
- `a.rs`
## Your own words
- Fine.
";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn what_matters_most_has_room_first() {
        let mut record = WorkRecord::default();
        for n in 0..50 {
            let told = [ContentBlock::text(format!(
                "Message from user (user_message):\nfact {n} {}",
                "x".repeat(200)
            ))];
            record.add_turn(
                &AgentReply(vec![ContentBlock::text("y".repeat(500))]),
                &told,
            );
            turn(
                &mut record,
                "write",
                json!({"path": format!("f{n}")}),
                "wrote",
                false,
            );
        }
        let text = record.render(4_000);
        assert!(text.len() <= 4_000, "{}", text.len());
        assert!(
            text.contains("fact 49 ") && !text.contains("fact 0 "),
            "{text}"
        );
        assert!(text.contains("- `f49`") && text.ends_with(FULL), "{text}");
        assert_eq!(WorkRecord::default().render(4_000), "");
    }
}

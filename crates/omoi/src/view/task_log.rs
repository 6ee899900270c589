//! The log of a task in words: what its agents said and did, and what became of it.

use serde_json::Value;

use omoi_domain::event::{CallFailed, ModelFallback, SavedAttempt};
use omoi_protocol::api::LogLine;

use super::text_layout::{
    OutputPage, clean_line, clean_lines, format_duration, short_sha, wrap_text,
};

/// Columns before the words: time of day and attempt.
const FRONT: usize = 14;

/// The lines of one entry; none when others tell the same.
pub(crate) fn render_entry(line: &LogLine, page: OutputPage) -> Vec<String> {
    let entry = log_entry(line);
    let Some(head) = entry.head else {
        return Vec::new();
    };
    let at = line.at.to_string();
    let time = at.get(11..19).unwrap_or(&at);
    let attempt = match line.attempt_no {
        0 => String::new(),
        n => format!("#{n}"),
    };
    let mut lines = Vec::new();
    for (index, text) in wrap_text(&clean_line(&head), page.width - FRONT)
        .into_iter()
        .enumerate()
    {
        let text = if entry.is_bad { page.red(&text) } else { text };
        lines.push(match index {
            0 => format!("{}  {attempt:3} {text}", page.dim(time)),
            _ => format!("{}{text}", " ".repeat(FRONT)),
        });
    }
    let below = entry.below.iter();
    lines.extend(below.map(|text| format!("{}{} {text}", " ".repeat(FRONT), page.dim("|"))));
    lines
}

/// The entry as it came: its type and all that it carries.
pub(crate) fn raw_entry(line: &LogLine) -> String {
    let (at, n) = (line.at, line.attempt_no);
    clean_line(&format!("{at}  #{n}  {}  {}", line.event_type, line.data))
}

/// What one entry says.
#[derive(Default)]
struct EntryText {
    head: Option<String>,
    below: Vec<String>,
    is_bad: bool,
}

impl EntryText {
    fn with_head(head: impl Into<String>) -> Self {
        Self {
            head: Some(head.into()),
            ..Self::default()
        }
    }

    fn mark_bad(mut self, is_bad: bool) -> Self {
        self.is_bad = is_bad;
        self
    }

    fn with_details(mut self, text: &str) -> Self {
        self.below = clean_lines(text);
        self
    }
}

/// The fields of an entry.
#[derive(Clone, Copy)]
struct EntryFields<'a>(&'a Value);

impl<'a> EntryFields<'a> {
    fn str_field(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn int_field(self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(Value::as_i64)
    }

    fn bool_field(self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }
}

fn log_entry(line: &LogLine) -> EntryText {
    let data = EntryFields(&line.data);
    match line.event_type.as_str() {
        "agent.assistant_message" => assistant_entry(data),
        "agent.tool_use" => tool_use_entry(data),
        "agent.tool_result" => tool_result_entry(data),
        "agent.file_edited" => file_edited_entry(data),
        "agent.message_injected" => {
            EntryText::with_head(format!("told by {}:", data.str_field("sender")))
                .with_details(data.str_field("content"))
        }
        "agent.context_compacted" => EntryText::with_head("shortened its conversation:".to_owned())
            .with_details(data.str_field("summary")),
        "agent.program_restarted" => EntryText::with_head(format!(
            "started its program anew: {}",
            data.str_field("reason")
        )),
        "agent.error" => {
            let (class, message) = (
                data.str_field("error_class"),
                data.str_field("error_message"),
            );
            EntryText::with_head(format!("error ({class}): {message}")).mark_bad(true)
        }
        "agent.item_refused" | "agent.policy_violation" | "agent.budget_spent" => {
            EntryText::with_head(format!("refused: {}", data.str_field("message"))).mark_bad(true)
        }
        "command.started" => EntryText::with_head(format!("$ {}", data.str_field("command"))),
        "command.completed" => command_entry(data),
        "model.call_failed" => match serde_json::from_value::<CallFailed>(line.data.clone()) {
            Ok(failed) => EntryText::with_head(failed.one_line()).mark_bad(true),
            Err(_) => moved_entry("model.call_failed", data),
        },
        "model.fell_back" => match serde_json::from_value::<ModelFallback>(line.data.clone()) {
            Ok(fallback) => EntryText::with_head(fallback.one_line()),
            Err(_) => moved_entry("model.fell_back", data),
        },
        "attempt.saved" => match serde_json::from_value::<SavedAttempt>(line.data.clone()) {
            Ok(saved) => EntryText::with_head(saved.one_line()).mark_bad(true),
            Err(_) => moved_entry("attempt.saved", data),
        },
        "receipt.stored" => receipt_entry(data),
        kind => moved_entry(kind, data),
    }
}

fn assistant_entry(data: EntryFields<'_>) -> EntryText {
    match data.str_field("text") {
        "" => EntryText::default(),
        text => EntryText::with_head("says:").with_details(text),
    }
}

/// Commands and changes of files have entries of their own.
fn tool_use_entry(data: EntryFields<'_>) -> EntryText {
    let tool = data.str_field("tool");
    if ["shell", "write", "edit"].contains(&tool) {
        return EntryText::default();
    }
    let input = data.0.get("input").unwrap_or(&Value::Null);
    let words = input.as_object().into_iter().flatten();
    let words: Vec<String> = words
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect();
    let shown: String = words.join(" ").chars().take(300).collect();
    EntryText::with_head(format!("{tool} {shown}"))
}

/// What a command printed, and what any other tool refused.
fn tool_result_entry(data: EntryFields<'_>) -> EntryText {
    let (tool, result) = (data.str_field("tool"), data.str_field("result"));
    let is_error = data.bool_field("is_error");
    if tool == "shell" && !is_error {
        return EntryText::with_head("printed:").with_details(result);
    }
    match is_error {
        true => EntryText::with_head(format!("{tool} failed:"))
            .with_details(result)
            .mark_bad(true),
        false => EntryText::default(),
    }
}

fn file_edited_entry(data: EntryFields<'_>) -> EntryText {
    let diff = match data.str_field("full_diff") {
        "" => data.str_field("diff_preview"),
        full => full,
    };
    let lines = diff.lines().filter(|line| !line.starts_with("---"));
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("+++")).collect();
    EntryText::with_head(format!(
        "{} {}  +{} −{}",
        data.str_field("change_type"),
        data.str_field("file_path"),
        data.int_field("lines_added").unwrap_or(0),
        data.int_field("lines_removed").unwrap_or(0)
    ))
    .with_details(&lines.join("\n"))
}

fn command_entry(data: EntryFields<'_>) -> EntryText {
    let after = format_duration(data.int_field("took_ms").unwrap_or(0));
    match (data.int_field("exit_code"), data.int_field("signal")) {
        (Some(code), _) => {
            EntryText::with_head(format!("exit code {code} after {after}")).mark_bad(code != 0)
        }
        (None, Some(signal)) => {
            EntryText::with_head(format!("ended by signal {signal} after {after}")).mark_bad(true)
        }
        (None, None) => EntryText::with_head(format!("out of time after {after}")).mark_bad(true),
    }
}

fn receipt_entry(data: EntryFields<'_>) -> EntryText {
    let passed = data.bool_field("passed");
    let result = match (passed, data.int_field("exit_code")) {
        (true, _) => "passed".to_owned(),
        (false, Some(code)) => format!("failed (exit {code})"),
        (false, None) => "was stopped".to_owned(),
    };
    let entry = EntryText::with_head(format!(
        "check ({}, {}) {result} at {}: $ {}",
        data.str_field("kind"),
        data.str_field("stage"),
        short_sha(data.str_field("commit")),
        data.str_field("command")
    ));
    match passed {
        true => entry,
        false => entry.with_details(data.str_field("output")).mark_bad(true),
    }
}

/// A row that moved, or an event that this program does not know in words.
fn moved_entry(kind: &str, data: EntryFields<'_>) -> EntryText {
    let (to, state) = (data.str_field("to"), data.str_field("state"));
    let mut says = match kind {
        // Others tell the same, or what follows does.
        "task.created" | "task.claimed" | "task.assigned" | "task.started" | "attempt.starting" => {
            return EntryText::default();
        }
        "agent.started" => format!("the agent starts in {}", data.str_field("rung")),
        "attempt.ended" => format!("the attempt is {to}"),
        "message.queued" => format!("a message waits: {}", data.str_field("content")),
        "discovery.recorded" => format!("found: {}", data.str_field("title")),
        _ if to == "needs_revision" => "the task is sent back".to_owned(),
        _ if !to.is_empty() => format!("the task is {}", to.replace('_', " ")),
        _ if !state.is_empty() => format!("its {} ({state})", kind.replace('.', " is ")),
        _ => kind.to_owned(),
    };
    let why = ["stop_reason", "reason", "error", "refused"];
    for why in why.map(|key| data.str_field(key)) {
        if !why.is_empty() {
            says.push_str(&format!(": {why}"));
        }
    }
    EntryText::with_head(says).mark_bad(["failed", "lost", "needs_revision"].contains(&to))
}

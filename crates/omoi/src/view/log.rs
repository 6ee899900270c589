//! The log of a task in words: what its agents said and did, and what became of it.

use omoi_domain::event::CallFailed;
use omoi_protocol::control::LogLine;
use serde_json::Value;

use super::text::{Page, clean, clean_lines, short, took, wrap};

/// Columns before the words: time of day and attempt.
const FRONT: usize = 14;

/// The lines of one entry; none when others tell the same.
pub(crate) fn render(line: &LogLine, page: Page) -> Vec<String> {
    let entry = entry(line);
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
    for (index, text) in wrap(&clean(&head), page.width - FRONT)
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
pub(crate) fn raw(line: &LogLine) -> String {
    let (at, n) = (line.at, line.attempt_no);
    clean(&format!("{at}  #{n}  {}  {}", line.event_type, line.data))
}

/// What one entry says.
#[derive(Default)]
struct Entry {
    head: Option<String>,
    below: Vec<String>,
    is_bad: bool,
}

impl Entry {
    fn of(head: impl Into<String>) -> Self {
        Self {
            head: Some(head.into()),
            ..Self::default()
        }
    }

    fn bad(mut self, is_bad: bool) -> Self {
        self.is_bad = is_bad;
        self
    }

    fn below(mut self, text: &str) -> Self {
        self.below = clean_lines(text);
        self
    }
}

/// The fields of an entry.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn text(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(Value::as_i64)
    }

    fn is(self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }
}

fn entry(line: &LogLine) -> Entry {
    let data = Fields(&line.data);
    match line.event_type.as_str() {
        "agent.assistant_message" => said(data),
        "agent.tool_use" => tool_use(data),
        "agent.tool_result" => tool_result(data),
        "agent.file_edited" => file_edited(data),
        "agent.message_injected" => {
            Entry::of(format!("told by {}:", data.text("sender"))).below(data.text("content"))
        }
        "agent.error" => {
            let (class, message) = (data.text("error_class"), data.text("error_message"));
            Entry::of(format!("error ({class}): {message}")).bad(true)
        }
        "agent.item_refused" | "agent.policy_violation" | "agent.budget_spent" => {
            Entry::of(format!("refused: {}", data.text("message"))).bad(true)
        }
        "worker.late_report" => Entry::of("a report came after the end, and changed nothing"),
        "command.started" => Entry::of(format!("$ {}", data.text("command"))),
        "command.completed" => command(data),
        "model.call_failed" => match serde_json::from_value::<CallFailed>(line.data.clone()) {
            Ok(failed) => Entry::of(failed.line()).bad(true),
            Err(_) => moved("model.call_failed", data),
        },
        "receipt.stored" => receipt(data),
        kind => moved(kind, data),
    }
}

fn said(data: Fields<'_>) -> Entry {
    match data.text("text") {
        "" => Entry::default(),
        text => Entry::of("says:").below(text),
    }
}

/// Commands and changes of files have entries of their own.
fn tool_use(data: Fields<'_>) -> Entry {
    let tool = data.text("tool");
    if ["shell", "write", "edit"].contains(&tool) {
        return Entry::default();
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
    Entry::of(format!("{tool} {shown}"))
}

/// What a command printed, and what any other tool refused.
fn tool_result(data: Fields<'_>) -> Entry {
    let (tool, result) = (data.text("tool"), data.text("result"));
    let is_error = data.is("is_error");
    if tool == "shell" && !is_error {
        return Entry::of("printed:").below(result);
    }
    match is_error {
        true => Entry::of(format!("{tool} failed:")).below(result).bad(true),
        false => Entry::default(),
    }
}

fn file_edited(data: Fields<'_>) -> Entry {
    let diff = match data.text("full_diff") {
        "" => data.text("diff_preview"),
        full => full,
    };
    let lines = diff.lines().filter(|line| !line.starts_with("---"));
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("+++")).collect();
    Entry::of(format!(
        "{} {}  +{} −{}",
        data.text("change_type"),
        data.text("file_path"),
        data.number("lines_added").unwrap_or(0),
        data.number("lines_removed").unwrap_or(0)
    ))
    .below(&lines.join("\n"))
}

fn command(data: Fields<'_>) -> Entry {
    let after = took(data.number("took_ms").unwrap_or(0));
    match (data.number("exit_code"), data.number("signal")) {
        (Some(code), _) => Entry::of(format!("exit code {code} after {after}")).bad(code != 0),
        (None, Some(signal)) => {
            Entry::of(format!("ended by signal {signal} after {after}")).bad(true)
        }
        (None, None) => Entry::of(format!("out of time after {after}")).bad(true),
    }
}

fn receipt(data: Fields<'_>) -> Entry {
    let passed = data.is("passed");
    let result = match (passed, data.number("exit_code")) {
        (true, _) => "passed".to_owned(),
        (false, Some(code)) => format!("failed (exit {code})"),
        (false, None) => "was stopped".to_owned(),
    };
    let entry = Entry::of(format!(
        "check ({}, {}) {result} at {}: $ {}",
        data.text("kind"),
        data.text("stage"),
        short(data.text("commit")),
        data.text("command")
    ));
    match passed {
        true => entry,
        false => entry.below(data.text("output")).bad(true),
    }
}

/// A row that moved, or an event that this program does not know in words.
fn moved(kind: &str, data: Fields<'_>) -> Entry {
    let (to, state) = (data.text("to"), data.text("state"));
    let mut says = match kind {
        // Others tell the same, or what follows does.
        "TASK_CREATED" | "TASK_CLAIMED" | "TASK_ASSIGNED" | "TASK_STARTED" | "attempt.starting" => {
            return Entry::default();
        }
        "agent.started" => format!("the agent starts in {}", data.text("rung")),
        "attempt.ended" => format!("the attempt is {to}"),
        "SANDBOX_MESSAGE_QUEUED" => format!("a message waits: {}", data.text("content")),
        "discovery.recorded" => format!("found: {}", data.text("title")),
        _ if to == "needs_revision" => "the task is sent back".to_owned(),
        _ if !to.is_empty() => format!("the task is {}", to.replace('_', " ")),
        _ if !state.is_empty() => format!("its {} ({state})", kind.replace('.', " is ")),
        _ => kind.to_owned(),
    };
    let why = ["stop_reason", "reason", "error", "refused"];
    for why in why.map(|key| data.text(key)) {
        if !why.is_empty() {
            says.push_str(&format!(": {why}"));
        }
    }
    Entry::of(says).bad(["failed", "lost", "needs_revision"].contains(&to))
}

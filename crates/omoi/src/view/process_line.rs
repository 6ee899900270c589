//! A line of the process log in words.

use serde_json::{Map, Value};

use super::text_layout::{OutputPage, clean_line};

/// Keys of a line that are told at its front.
const FRONT: [&str; 5] = ["timestamp", "level", "target", "message", "spans"];

/// One line of the process log.
#[derive(Clone, Debug)]
pub(crate) struct ProcessLine {
    /// RFC 3339 with microseconds, in UTC.
    pub(crate) timestamp: String,
    /// Level from `ERROR` to `TRACE`.
    pub(crate) level: String,
    /// The line as it was written.
    pub(crate) object: Value,
}

impl ProcessLine {
    /// A line of the file; one that is no JSON object is a message of no level.
    pub(crate) fn parse(text: &str) -> Self {
        let object = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            _ => Map::from_iter([("message".to_owned(), Value::from(text))]),
        };
        let word = |key| {
            object
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            timestamp: word("timestamp"),
            level: word("level"),
            object: Value::Object(object),
        }
    }

    /// The text of field `name`, of the line or of the spans it was written in.
    pub(crate) fn field_text(&self, name: &str) -> Option<&str> {
        let spans = self.object["spans"].as_array();
        let of_spans = spans.into_iter().flatten().rev();
        let mut all = std::iter::once(&self.object).chain(of_spans);
        all.find_map(|object| object[name].as_str())
    }

    /// Every field but those at the front, the innermost first; a span says nothing that was said further in.
    fn fields(&self) -> Vec<(&str, &Value)> {
        let own = self.object.as_object();
        let own = own.into_iter().flatten();
        let own = own.filter(|(name, _)| !FRONT.contains(&name.as_str()));
        let spans = self.object["spans"].as_array();
        let of_spans = spans.into_iter().flatten().rev();
        let of_spans = of_spans.filter_map(Value::as_object).flatten();
        let of_spans = of_spans.filter(|(name, _)| *name != "name");
        let mut fields: Vec<(&str, &Value)> = Vec::new();
        for (name, value) in own.chain(of_spans) {
            if fields.iter().all(|(known, _)| known != name) {
                fields.push((name, value));
            }
        }
        fields
    }
}

/// Time, level, origin, message and fields, on one line that moves no cursor.
pub(crate) fn render_line(line: &ProcessLine, page: OutputPage) -> String {
    let word = |key: &str| clean_line(line.object[key].as_str().unwrap_or_default());
    let level = format!("{:5}", word("level"));
    let level = match line.level.as_str() {
        "ERROR" => page.red(&level),
        "WARN" => page.bold(&level),
        _ => level,
    };
    let front = page.dim(&word("timestamp"));
    let target = page.dim(&format!("{}:", word("target")));
    let mut text = format!("{front} {level} {target} {}", word("message"));
    for (name, value) in line.fields() {
        let value = match value {
            Value::String(value) => clean_line(value),
            other => clean_line(&other.to_string()),
        };
        let name = page.dim(&format!("{}=", clean_line(name)));
        text.push_str(&format!(" {name}{value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_fields_behind_its_message_and_obeys_nothing() {
        let line = ProcessLine::parse(
            r#"{"timestamp":"T","level":"INFO","task.id":"t-1","message":"Claimed\u001b[2J `t-1`",
                "target":"omoi_execution","spans":[{"reconciler":"dispatcher","name":"pass","pass.id":3},
                {"task.id":"t-0","name":"turn","entity":"TSK-001"}]}"#,
        );
        let shown = render_line(&line, OutputPage::new(80, false));
        assert_eq!(
            shown,
            "T INFO  omoi_execution: Claimed\\u{1b}[2J `t-1` task.id=t-1 entity=TSK-001 \
             reconciler=dispatcher pass.id=3"
        );
        assert_eq!(line.field_text("task.id"), Some("t-1"));
        let evil = ProcessLine::parse(
            r#"{"message":"m","x\u001b[2J":1,"list":["\u009b31m","\u202eback"],"map":{"a\nb\u0007":true}}"#,
        );
        let shown = render_line(&evil, OutputPage::new(80, false));
        assert!(
            !shown.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{shown:?}"
        );
        for told in ["x\\u{1b}[2J=1", "\\u{9b}31m", "\\u{202e}back"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let broken = ProcessLine::parse("no JSON");
        assert!(render_line(&broken, OutputPage::new(80, false)).ends_with("no JSON"));
    }
}

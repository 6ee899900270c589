//! `Key: value` lines at the end of a commit message, tying it to what it was made for.

use std::fmt::Write as _;

/// The task whose work a commit is.
pub const TASK: &str = "OmoiOS-Task";
/// The spec the task belongs to.
pub const SPEC: &str = "OmoiOS-Spec";
/// A requirement the task serves; may stand more than once.
pub const REQUIREMENT: &str = "OmoiOS-Requirement";
/// The attempt that made the commit.
pub const ATTEMPT: &str = "OmoiOS-Attempt";

/// A key and a value in the last paragraph of a commit message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Letters, digits and hyphens.
    pub key: String,
    /// Text without line ends.
    pub value: String,
}

impl Trailer {
    /// A trailer; line ends in `value` become blanks, for it is one line by definition.
    pub fn new(key: &str, value: &str) -> Self {
        let value: Vec<&str> = value.split_whitespace().collect();
        Self {
            key: key.to_owned(),
            value: value.join(" "),
        }
    }
}

/// A whole message: `text`, a blank line, the trailers.
pub fn message_with_trailers(text: &str, trailers: &[Trailer]) -> String {
    let mut out = text.trim_end().to_owned();
    out.push('\n');
    if !trailers.is_empty() {
        out.push('\n');
    }
    for trailer in trailers {
        let _ = writeln!(out, "{}: {}", trailer.key, trailer.value);
    }
    out
}

/// Splits a message into its text and the trailers of its last paragraph.
///
/// The paragraph counts only when each of its lines is a trailer or continues one.
pub fn split_trailers(message: &str) -> (&str, Vec<Trailer>) {
    let message = message.trim_end();
    let start = message.rfind("\n\n").map_or(0, |at| at + 2);
    let mut trailers: Vec<Trailer> = Vec::new();
    for line in message[start..].lines() {
        if let (true, Some(last)) = (line.starts_with([' ', '\t']), trailers.last_mut()) {
            last.value.push(' ');
            last.value.push_str(line.trim());
            continue;
        }
        match line.split_once(": ") {
            Some((key, value)) if is_key(key) => trailers.push(Trailer::new(key, value)),
            _ => return (message, Vec::new()),
        }
    }
    (message[..start].trim_end(), trailers)
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let trailers = vec![
            Trailer::new(TASK, "TSK-4"),
            Trailer::new(REQUIREMENT, "REQ-1\nx: y"),
        ];
        assert_eq!(trailers[1].value, "REQ-1 x: y");
        let text = message_with_trailers("Add tags\n\nBecause.\n\n", &trailers);
        assert_eq!(
            text,
            "Add tags\n\nBecause.\n\nOmoiOS-Task: TSK-4\nOmoiOS-Requirement: REQ-1 x: y\n"
        );
        assert_eq!(split_trailers(&text), ("Add tags\n\nBecause.", trailers));

        let plain = [
            "Subject only",
            "Subject\n\nA sentence: but this line is prose.\nand this",
            "Subject\n\nTwo words: value",
        ];
        for text in plain {
            assert_eq!(split_trailers(text), (text, vec![]), "{text}");
        }
        let folded = split_trailers("S\n\nKey: one\n  two");
        assert_eq!(folded, ("S", vec![Trailer::new("Key", "one two")]));
    }
}

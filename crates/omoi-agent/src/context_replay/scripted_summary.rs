//! The summary of a model that writes down what it is asked for, and nothing that it is not asked for.

use super::texts_of;

/// Headers of a summary, and the mark of a line of the conversation that belongs there.
const SECTIONS: [(&str, &str); 2] = [
    ("## Constraints", "Constraint: "),
    ("## Decisions", "Decision: "),
];

/// What `messages` say under each header that the last of them, the question for a summary, has.
pub(super) fn write_summary(messages: &serde_json::Value) -> String {
    let (texts, question) = match messages.as_array().map(Vec::as_slice) {
        Some([.., last]) => (texts_of(messages), texts_of(last)),
        Some([]) | None => return String::new(),
    };
    let mut summary = String::new();
    for (header, mark) in SECTIONS {
        if !question.lines().any(|line| line == header) {
            continue;
        }
        summary.push_str(header);
        summary.push('\n');
        let mut written: Vec<&str> = Vec::new();
        for line in texts.lines().filter(|line| line.starts_with(mark)) {
            if !written.contains(&line) {
                written.push(line);
                summary.push_str(line);
                summary.push('\n');
            }
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compaction::COMPACTION_QUESTION;

    fn summary_of(question: &str) -> String {
        write_summary(&json!([
            {"role": "user", "content": "Do it."},
            {"role": "assistant", "content": [{"type": "text", "text": "Hm.\nDecision: tabs"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": "Constraint: at most 4\nDecision: tabs"},
                {"type": "text", "text": question}]},
        ]))
    }

    #[test]
    fn what_is_not_asked_for_is_not_written_down() {
        let expected = "## Constraints\nConstraint: at most 4\n## Decisions\nDecision: tabs\n";
        assert_eq!(summary_of(COMPACTION_QUESTION), expected);
        let without = COMPACTION_QUESTION.replace("## Decisions\n", "");
        assert!(!summary_of(&without).contains("tabs"));
        assert_eq!(summary_of("Sum it up."), "");
    }
}

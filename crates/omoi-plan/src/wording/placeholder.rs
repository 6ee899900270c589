//! Stand-ins for content that was never written.

use super::words::split_words;

/// What stands alone where content was never written.
const STAND_INS: &[&str] = &[
    "coming soon",
    "fill me in",
    "fixme",
    "insert text here",
    "placeholder",
    "tba",
    "tbc",
    "tbd",
    "to be decided",
    "to be defined",
    "to be determined",
    "to be done",
    "xxx",
    "your text here",
];

/// Whether `text` is a stand-in for content that was never written.
///
/// Lower-case `todo` is a fine name for a thing, so only the marker forms count: alone in capitals,
/// or followed by a colon, a dash, or an instruction to write something.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    is_marked(text) || is_one_char(text) || is_stand_in(text)
}

/// Alone `tbd`, `coming soon` and their like, and `lorem` anywhere.
fn is_stand_in(text: &str) -> bool {
    const LENGTH_MAX: usize = 40;
    let lower = text.to_lowercase();
    if lower.contains("lorem") && split_words(&lower).iter().any(|w| w == "lorem") {
        return true;
    }
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    text.len() <= LENGTH_MAX && STAND_INS.contains(&bare)
}

fn is_marked(text: &str) -> bool {
    let verbs = [
        "add", "complete", "decide", "define", "describe", "document", "fill", "finish", "later",
        "specify", "write",
    ];
    ["TODO", "TBD", "FIXME", "XXX"].iter().any(|marker| {
        let Some(rest) = text.strip_prefix(marker) else {
            return false;
        };
        let next = split_words(rest).into_iter().next().unwrap_or_default();
        rest.trim().is_empty()
            || rest.starts_with([':', '-', '.', '(', '!'])
            || rest.starts_with(char::is_whitespace) && verbs.contains(&next.as_str())
    })
}

/// Three or more times the same character and nothing else.
fn is_one_char(text: &str) -> bool {
    let mut chars = text.chars().filter(|c| !c.is_whitespace());
    let Some(first) = chars.next() else {
        return false;
    };
    let mut more = 0;
    chars.all(|c| {
        more += 1;
        c == first
    }) && more >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_content() {
        for text in [
            "TBD",
            "tbd.",
            "TODO",
            "TODO: write this",
            "TODO - later",
            "TODO describe the design",
            "TBD: ask",
            "FIXME",
            "(placeholder)",
            "Lorem ipsum dolor sit amet",
            "xxx",
            "aaaa",
            "......",
            "-----",
            "a a a a",
            "To be determined.",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "todo",
            "Todo",
            "TODO items carry tags",
            "Todos",
            "a",
            "id",
            "Exports todos as CSV",
            "/",
            ".",
            "The TBD team owns it",
            "XXXL sizes",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}

//! When a text counts: it says something, is no placeholder and does not repeat another.

use std::collections::BTreeSet;

/// Fewest distinct words of prose.
const PROSE_WORDS_MIN: usize = 3;
/// From this many words on, prose must not consist of few words repeated.
const REPETITION_WORDS_MIN: usize = 8;
/// Distinct words after which prose is varied enough however long it is.
const VARIED_WORDS: usize = 30;

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
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    is_marked(text) || is_one_char(text) || is_stand_in(text)
}

/// Whether a short text such as a name counts: two letters or digits, no placeholder.
pub(super) fn label(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphanumeric()).count() >= 2 && !is_placeholder(text)
}

/// Whether a few words count: two distinct ones, no placeholder.
pub(super) fn phrase(text: &str) -> bool {
    label(text) && words(text).into_iter().collect::<BTreeSet<_>>().len() >= 2
}

/// Whether a sentence or more counts: three distinct words, not the same ones over and over.
pub(super) fn prose(text: &str) -> bool {
    if !label(text) {
        return false;
    }
    let words = words(text);
    let n_words = words.len();
    let n_distinct = words.into_iter().collect::<BTreeSet<_>>().len();
    let varied = n_words < REPETITION_WORDS_MIN
        || n_distinct >= VARIED_WORDS
        || n_distinct as f64 >= 0.3 * n_words as f64;
    n_distinct >= PROSE_WORDS_MIN && varied
}

/// How many of `texts` count by `rule`, repetitions once.
pub(super) fn distinct<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    rule: fn(&str) -> bool,
) -> usize {
    let counted = texts.into_iter().filter(|t| rule(t)).map(fold);
    counted.collect::<BTreeSet<_>>().len()
}

/// `text` for comparing: lower case, blanks collapsed, closing punctuation dropped.
pub(super) fn fold(text: &str) -> String {
    let lower = text.to_lowercase();
    let joined = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    joined
        .trim_end_matches(|c: char| c.is_ascii_punctuation())
        .trim_end()
        .to_owned()
}

/// Number of characters, surrounding blanks aside.
pub(super) fn length(text: &str) -> usize {
    text.trim().chars().count()
}

/// The words of `text` in lower case. Scripts that are written without blanks give one word per
/// character.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        let solid = is_unspaced(c);
        if (solid || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if solid {
            words.push(c.to_string());
        } else if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Thai, Lao, Khmer, kana and Han.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}')
}

/// Alone `tbd`, `coming soon` and their like, and `lorem` anywhere.
fn is_stand_in(text: &str) -> bool {
    const LENGTH_MAX: usize = 40;
    let lower = text.to_lowercase();
    if lower.contains("lorem") && words(&lower).iter().any(|w| w == "lorem") {
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
        let next = words(rest).into_iter().next().unwrap_or_default();
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

    #[test]
    fn prose_needs_distinct_words() {
        for text in [
            "",
            "  ",
            "yes",
            "very good",
            "good good good",
            "ab ab ab ab ab ab ab ab ab",
            "good code is good code is good code is good code is",
        ] {
            assert!(!prose(text), "{text}");
        }
        for text in [
            "Exit code is 0",
            "Parses CSV rows.",
            "Стоит проверить каждый файл",
            "標籤儲存於資料庫",
            "the tag is stored and the due date is stored and the title is kept as it was",
        ] {
            assert!(prose(text), "{text}");
        }
        assert!(phrase("Entry point") && !phrase("Entry entry"));
        assert!(label("id") && !label("x") && !label("?!") && !label("TBD"));
        assert_eq!(distinct(["A b c.", "a  B c", "d e f", "TODO"], prose), 2);
    }
}

//! When a text counts: it says something, is no placeholder and does not repeat another.

pub(crate) mod blank_texts;
mod placeholder;
mod words;

use std::collections::BTreeSet;

use crate::wording::placeholder::is_placeholder;
pub(crate) use words::split_words;

/// Fewest distinct words of prose.
const PROSE_WORDS_MIN: usize = 3;
/// From this many words on, prose must not consist of few words repeated.
const REPETITION_WORDS_MIN: usize = 8;
/// Distinct words after which prose is varied enough however long it is.
const VARIED_WORDS: usize = 30;

/// Whether a short text such as a name counts: two letters or digits, no placeholder.
pub(crate) fn is_label(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphanumeric()).count() >= 2 && !is_placeholder(text)
}

/// Whether a few words count: two distinct ones, no placeholder.
pub(crate) fn is_phrase(text: &str) -> bool {
    is_label(text) && split_words(text).into_iter().collect::<BTreeSet<_>>().len() >= 2
}

/// Whether a sentence or more counts: three distinct words, not the same ones over and over.
pub(crate) fn is_prose(text: &str) -> bool {
    if !is_label(text) {
        return false;
    }
    let words = split_words(text);
    let n_words = words.len();
    let n_distinct = words.into_iter().collect::<BTreeSet<_>>().len();
    let varied = n_words < REPETITION_WORDS_MIN
        || n_distinct >= VARIED_WORDS
        || n_distinct as f64 >= 0.3 * n_words as f64;
    n_distinct >= PROSE_WORDS_MIN && varied
}

/// How many of `texts` count by `rule`, repetitions once.
pub(crate) fn count_distinct<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    rule: fn(&str) -> bool,
) -> usize {
    let counted = texts.into_iter().filter(|t| rule(t)).map(fold_text);
    counted.collect::<BTreeSet<_>>().len()
}

/// `text` for comparing: lower case, blanks collapsed, closing punctuation dropped.
pub(crate) fn fold_text(text: &str) -> String {
    let lower = text.to_lowercase();
    let joined = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    joined
        .trim_end_matches(|c: char| c.is_ascii_punctuation())
        .trim_end()
        .to_owned()
}

/// Number of characters, surrounding blanks aside.
pub(crate) fn char_count(text: &str) -> usize {
    text.trim().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(!is_prose(text), "{text}");
        }
        for text in [
            "Exit code is 0",
            "Parses CSV rows.",
            "Стоит проверить каждый файл",
            "標籤儲存於資料庫",
            "the tag is stored and the due date is stored and the title is kept as it was",
        ] {
            assert!(is_prose(text), "{text}");
        }
        assert!(is_phrase("Entry point") && !is_phrase("Entry entry"));
        assert!(is_label("id") && !is_label("x") && !is_label("?!") && !is_label("TBD"));
        assert_eq!(
            count_distinct(["A b c.", "a  B c", "d e f", "TODO"], is_prose),
            2
        );
    }
}

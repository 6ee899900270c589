//! Words that texts are found by, and what a query asks of them.
//!
//! Both databases are given words that were cut here and compare them as they are, so that they find the same rows: none
//! of their own rules about words takes part.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use crate::id::HumanRef;

/// Words kept of one text, at most: what comes after is not found.
pub const WORDS_MAX: usize = 5_000;
/// Characters of a word, at most: what is longer is a hash or an encoded file.
const WORD_CHARS_MAX: usize = 64;
/// Parts that are also found joined: `OAuth2` of `OAuth2TokenRefresher`.
const JOINED_PARTS_MAX: usize = 3;
/// Characters of an excerpt, at most.
const EXCERPT_CHARS_MAX: usize = 240;
/// Characters of it in front of what is asked for, at most.
const EXCERPT_CHARS_BEFORE: usize = 80;
/// Words of a query, at most.
const QUERY_WORDS_MAX: usize = 16;
/// Ends the word of a reference, so that the beginning `tkt1ref` is not one of `tkt12ref`.
const REFERENCE_END: &str = "ref";

/// Words that `text` is found by, in the order of the alphabet with a blank between them: each word in lower case
/// without the signs inside it, its parts between signs and capitals, and neighbouring parts joined. A reference such as
/// `TKT-12` is one word more, however many zeros it is written with.
pub fn index_words(text: &str) -> String {
    let mut words = BTreeSet::new();
    let normal: String = text.nfkc().collect();
    for token in tokens_of(&normal) {
        if words.len() >= WORDS_MAX {
            break;
        }
        add_words(token, &mut words);
    }
    let words: Vec<String> = words.into_iter().take(WORDS_MAX).collect();
    words.join(" ")
}

/// What a text must have all of to be found: beginnings of words, and references whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery(Vec<String>);

impl SearchQuery {
    /// The query in `text`; none where it holds no word.
    pub fn parse(text: &str) -> Option<Self> {
        let normal: String = text.nfkc().collect();
        let words = tokens_of(&normal);
        let words = words.map(|token| reference_word(token).unwrap_or_else(|| joined_word(token)));
        let mut words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        words.truncate(QUERY_WORDS_MAX);
        words.dedup();
        (!words.is_empty()).then_some(Self(words))
    }

    /// The beginnings of words: letters and digits alone, in lower case.
    pub fn word_beginnings(&self) -> &[String] {
        &self.0
    }

    /// A piece of `text` around the first word that is asked for, in one line; its beginning where none is.
    pub fn cut_excerpt(&self, text: &str) -> String {
        let is_asked = |token: &&str| {
            let mut words = BTreeSet::new();
            add_words(token, &mut words);
            let mut words = words.iter();
            words.any(|word| {
                self.0
                    .iter()
                    .any(|beginning| word.starts_with(beginning.as_str()))
            })
        };
        let hit = tokens_of(text).find(is_asked);
        // A token is a piece of the text: its place is the distance of their beginnings.
        let place = hit.map_or(0, |token| token.as_ptr() as usize - text.as_ptr() as usize);
        let before = text.get(..place).unwrap_or_default();
        let start = before
            .char_indices()
            .rev()
            .nth(EXCERPT_CHARS_BEFORE - 1)
            .map_or(0, |(at, _)| at);
        let rest = text.get(start..).unwrap_or_default();
        let cut: String = rest.chars().take(EXCERPT_CHARS_MAX).collect();
        let mut excerpt = cut.split_whitespace().collect::<Vec<_>>().join(" ");
        if start > 0 {
            excerpt.insert(0, '…');
        }
        if cut.len() < rest.len() {
            excerpt.push('…');
        }
        excerpt
    }

    /// Whether `text` has all of it.
    pub fn is_found_in(&self, text: &str) -> bool {
        let words = index_words(text);
        let has = |beginning: &String| {
            words
                .split(' ')
                .any(|word| word.starts_with(beginning.as_str()))
        };
        self.0.iter().all(has)
    }
}

/// The pieces of a text between blanks and signs, which may hold `_`, `-`, `/` and `.` inside.
fn tokens_of(text: &str) -> impl Iterator<Item = &str> {
    let is_inner = |c: char| matches!(c, '_' | '-' | '/' | '.');
    let tokens = text.split(move |c: char| !c.is_alphanumeric() && !is_inner(c));
    tokens.filter(|token| token.chars().any(char::is_alphanumeric))
}

/// A piece of text as one word.
fn joined_word(token: &str) -> String {
    let letters = token.chars().filter(|c| c.is_alphanumeric());
    let lower = letters
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric());
    lower.take(WORD_CHARS_MAX).collect()
}

/// The word of a reference such as `TKT-12`.
fn reference_word(token: &str) -> Option<String> {
    let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
    let HumanRef { kind, number } = bare.parse().ok()?;
    let prefix = kind.ref_prefix().to_lowercase();
    Some(format!("{prefix}{number}{REFERENCE_END}"))
}

fn add_words(token: &str, words: &mut BTreeSet<String>) {
    words.insert(joined_word(token));
    words.extend(reference_word(token));
    let parts = parts_of(token);
    for start in 0..parts.len() {
        for n_joined in 1..=JOINED_PARTS_MAX {
            let Some(run) = parts.get(start..start + n_joined) else {
                break;
            };
            words.insert(joined_word(&run.concat()));
        }
    }
}

/// The parts of a piece of text: between signs, and where capitals begin words.
fn parts_of(token: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for piece in token.split(|c: char| !c.is_alphanumeric()) {
        let chars: Vec<(usize, char)> = piece.char_indices().collect();
        let mut start = 0;
        for (n, (at, c)) in chars.iter().enumerate().skip(1) {
            let before = chars
                .get(n - 1)
                .is_some_and(|(_, before)| before.is_uppercase());
            let next_is_lower = chars
                .get(n + 1)
                .is_some_and(|(_, next)| next.is_lowercase());
            let begins = c.is_uppercase() && (!before || next_is_lower);
            if begins {
                parts.extend(piece.get(start..*at));
                start = *at;
            }
        }
        parts.extend(piece.get(start..).filter(|rest| !rest.is_empty()));
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        index_words(text)
            .split(' ')
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn a_reference_finds_its_own_number_alone() {
        let is_found =
            |query: &str, text: &str| SearchQuery::parse(query).unwrap().is_found_in(text);
        for query in ["TKT-12", "tkt-012", "TKT-12."] {
            assert!(is_found(query, "TKT-012 Add tags"), "{query}");
            assert!(is_found(query, "fixes tkt-12, then more"), "{query}");
        }
        for query in ["TKT-1", "TKT-120", "TSK-12", "SPEC-12"] {
            assert!(!is_found(query, "TKT-012 Add tags"), "{query}");
        }
    }

    #[test]
    fn names_of_code_are_found_by_their_parts() {
        for (text, found) in [
            (
                "OAuth2TokenRefresher",
                &["oauth2", "token", "refresher", "oauth2tokenrefresher"][..],
            ),
            ("HTTPServer", &["http", "server", "httpserver"]),
            (
                "src/api/rate_limit.rs",
                &[
                    "src",
                    "api",
                    "rate",
                    "limit",
                    "rs",
                    "ratelimit",
                    "ratelimitrs",
                ],
            ),
            ("Größe der Liste", &["größe", "der", "liste"]),
            ("ﬁle №5", &["file", "no5"]),
            ("todo-list", &["todo", "list", "todolist"]),
        ] {
            let words = words(text);
            for word in found {
                assert!(
                    words.iter().any(|known| known == word),
                    "{word} of {text}: {words:?}"
                );
            }
        }
        assert_eq!(index_words(" -- .. \n"), "");
        assert_eq!(words("Tag tag TAG"), ["tag"]);
    }

    #[test]
    fn a_query_asks_for_beginnings_of_all_its_words() {
        for (query, text, is_found) in [
            ("token refresh", "The OAuth2TokenRefresher", true),
            ("oauth2", "The OAuth2TokenRefresher", true),
            ("oauth2 nonsense", "The OAuth2TokenRefresher", false),
            ("rate_limit", "crates/api/rate_limit.rs", true),
            ("RATE", "rateLimit", true),
            ("imit", "rate limit", false),
            ("\"rate\" OR (x* NEAR y)", "rate limit", false),
        ] {
            let parsed = SearchQuery::parse(query).unwrap();
            assert_eq!(parsed.is_found_in(text), is_found, "{query} in {text}");
        }
        for nothing in ["", "  ", "\"*()", "--"] {
            assert_eq!(SearchQuery::parse(nothing), None);
        }
    }

    #[test]
    fn an_excerpt_shows_what_was_asked_for() {
        let query = SearchQuery::parse("tag").unwrap();
        assert_eq!(query.cut_excerpt("Todos have\n tags."), "Todos have tags.");
        let long = format!(
            "{} the todoTags are shown {}",
            "früher ".repeat(40),
            "later ".repeat(80)
        );
        let excerpt = query.cut_excerpt(&long);
        assert!(
            excerpt.starts_with('…') && excerpt.ends_with('…'),
            "{excerpt}"
        );
        assert!(
            excerpt.contains("todoTags") && excerpt.chars().count() <= EXCERPT_CHARS_MAX + 2,
            "{excerpt}"
        );
        assert_eq!(query.cut_excerpt("nothing of it"), "nothing of it");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_cut_between_characters(text in "\\PC{0,400}", asked in "[a-z]{1,3}") {
            let excerpt = SearchQuery::parse(&asked).unwrap().cut_excerpt(&text);
            prop_assert!(excerpt.chars().count() <= EXCERPT_CHARS_MAX + 2);
        }

        #[test]
        fn words_hold_no_sign_of_a_query_language(text in "\\PC{0,200}") {
            for word in index_words(&text).split(' ').filter(|word| !word.is_empty()) {
                prop_assert!(word.chars().all(char::is_alphanumeric), "{word}");
                prop_assert!(word.chars().count() <= WORD_CHARS_MAX);
            }
            if let Some(query) = SearchQuery::parse(&text) {
                prop_assert!(query.word_beginnings().iter().all(|word| word.chars().all(char::is_alphanumeric)));
            }
        }

        #[test]
        fn a_text_is_found_by_its_own_words(text in "[A-Za-z0-9_ .-]{1,60}") {
            if let Some(query) = SearchQuery::parse(&text) {
                prop_assert!(query.is_found_in(&text));
            }
        }
    }
}

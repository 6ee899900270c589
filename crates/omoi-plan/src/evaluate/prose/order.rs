//! Whether words stand in an order that a sentence could have.
//!
//! Nothing is parsed: a few neighbours are impossible in English, such as an article before a
//! preposition or at the end of a sentence. Honest prose has one such pair in some 500 function
//! words; shuffled prose has one in four.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Share of function words from which a text counts as English.
const ENGLISH_MIN: f64 = 0.25;
/// Share of function words below which a text of some length is no sentence.
const SENTENCE_MIN: f64 = 0.13;
/// The same where words are said again and again.
const REPEATING_SENTENCE_MIN: f64 = 0.24;
/// Words said again from which, where they are this share of the content, a text repeats itself.
const REPEATS_MIN: usize = 2;
const REPEATS_SHARE_MIN: f64 = 0.15;
/// Fewest words that are judged as a sentence.
const SENTENCE_WORDS_MIN: usize = 10;

const ARTICLES: &[&str] = &[
    "the", "a", "an", "its", "their", "his", "her", "my", "our", "your",
];
const QUANTIFIERS: &[&str] = &[
    "every", "each", "no", "this", "that", "these", "those", "any", "all", "some", "both",
];
/// Prepositions that an article may not precede.
const PREPOSITIONS: &[&str] = &[
    "of", "in", "on", "at", "by", "for", "with", "from", "to", "into", "as", "than", "between",
    "within", "without", "through", "over", "under", "after", "before", "per", "about", "against",
    "until", "during", "upon",
];
/// Of the prepositions those that may follow an article after all: `the over 100 files`.
const AFTER_ARTICLE: &[&str] = &[
    "between", "within", "without", "through", "over", "under", "per", "about",
];
const CONJUNCTIONS: &[&str] = &["and", "or", "but", "nor"];
const BE: &[&str] = &["is", "are", "was", "were", "be", "been", "being"];
const HAVE: &[&str] = &["has", "have", "had"];
const DO: &[&str] = &["does", "do", "did"];
const MODALS: &[&str] = &[
    "can", "may", "must", "should", "shall", "will", "would", "could", "might", "cannot",
];
const PRONOUNS: &[&str] = &["it", "they", "he", "she", "we", "you", "them", "us", "him"];
const SUBORDINATORS: &[&str] = &[
    "that", "which", "when", "if", "while", "because", "so", "who", "what", "where", "how",
    "whether", "unless",
];
const ADVERBS: &[&str] = &["not", "only", "also", "there", "then"];

static FUNCTION: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let classes = [
        ARTICLES,
        QUANTIFIERS,
        PREPOSITIONS,
        CONJUNCTIONS,
        BE,
        HAVE,
        DO,
        MODALS,
        PRONOUNS,
        SUBORDINATORS,
        ADVERBS,
    ];
    classes.into_iter().flatten().copied().collect()
});

omoi_domain::constant_patterns! {
    /// Words, code in back ticks or quotation marks, and punctuation.
    static TOKEN = r#"`[^`]*`|"[^"]*"|[\p{L}\p{N}_][\p{L}\p{N}_'’/.#*=:+-]*[\p{L}\p{N}_*]|[\p{L}\p{N}_]|[.;:!?,]"#;
}

/// How the words of some texts stand.
#[derive(Clone, Debug, Default)]
pub(in crate::evaluate) struct WordOrder {
    /// Words, quoted code as one.
    pub(in crate::evaluate) n_words: usize,
    /// Function words among them.
    pub(in crate::evaluate) n_function: usize,
    /// Neighbours that no sentence has.
    pub(in crate::evaluate) odd: Vec<String>,
    /// Longer texts with hardly a function word.
    pub(in crate::evaluate) n_heaps: usize,
}

impl WordOrder {
    /// Adds `text`.
    pub(in crate::evaluate) fn add_text(&mut self, text: &str) {
        let tokens = tokenise_prose(text);
        let is_word =
            |t: &&FoldedToken<'_>| matches!(t.token, ProseToken::Word(_) | ProseToken::Code);
        let n_words = tokens.iter().filter(is_word).count();
        let n_function = tokens.iter().filter(|t| t.is_function).count();
        for pair in tokens.windows(2) {
            let [first, second] = pair else {
                continue;
            };
            if is_odd(first, second) {
                self.odd.push(format!(
                    "{} {}",
                    first.token.as_str(),
                    second.token.as_str()
                ));
            }
        }
        self.odd.extend(broken_marks(text));
        self.odd.extend(stray_stops(&tokens, text));
        self.n_words += n_words;
        self.n_function += n_function;
        let share = n_function as f64 / n_words.max(1) as f64;
        let least = if repeats_itself(&tokens) {
            REPEATING_SENTENCE_MIN
        } else {
            SENTENCE_MIN
        };
        let is_heap = n_words >= SENTENCE_WORDS_MIN && share < least;
        self.n_heaps += usize::from(is_heap);
    }

    /// Share of odd neighbours among the function words.
    pub(in crate::evaluate) fn odd_share(&self) -> f64 {
        self.odd.len() as f64 / self.n_function.max(1) as f64
    }
}

/// Whether `text` is in English, as far as its function words tell.
pub(in crate::evaluate) fn is_english(text: &str) -> bool {
    let mut order = WordOrder::default();
    order.add_text(text);
    order.n_words >= 5 && order.n_function as f64 >= ENGLISH_MIN * order.n_words as f64
}

/// Whether `text` is in another language. Of a few words nobody can tell.
pub(in crate::evaluate) fn is_not_english(text: &str) -> bool {
    let mut order = WordOrder::default();
    order.add_text(text);
    order.n_words >= 5 && !is_english(text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProseToken<'a> {
    Word(&'a str),
    /// Something quoted, whatever it is.
    Code,
    Comma,
    /// A colon or semicolon.
    Pause,
    /// The end of a sentence, and the start of the first.
    End,
}

impl<'a> ProseToken<'a> {
    const fn as_str(self) -> &'a str {
        match self {
            Self::Word(word) => word,
            Self::Code => "`…`",
            Self::Comma => ",",
            Self::Pause => ";",
            Self::End => ".",
        }
    }
}

/// A token with its lower-case text and word class, computed once.
#[derive(Debug)]
struct FoldedToken<'a> {
    token: ProseToken<'a>,
    /// In lower case; empty for all but words.
    text: String,
    is_function: bool,
}

impl<'a> FoldedToken<'a> {
    fn new(token: ProseToken<'a>) -> Self {
        let text = match token {
            ProseToken::Word(word) => word.to_lowercase(),
            _ => String::new(),
        };
        let is_function = FUNCTION.contains(text.as_str());
        Self {
            token,
            text,
            is_function,
        }
    }
}

/// Quotations and brackets that close before they open, as words out of order leave them.
fn broken_marks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut n_open, mut in_code, mut before) = (0_usize, false, ' ');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        match c {
            '`' if !in_code && before.is_alphanumeric() && next == ' ' => {
                found.push(format!("{before}` ..."));
                return found;
            }
            '`' => in_code = !in_code,
            '(' if !in_code => n_open += 1,
            // `a)` numbers an item.
            ')' if !in_code && n_open == 0 && before.is_alphabetic() => {
                let start = text.split(')').next().unwrap_or_default();
                let last = start.split_whitespace().last().unwrap_or_default();
                if last.chars().count() > 2 {
                    found.push(format!("{last}) ..."));
                    return found;
                }
            }
            ')' if !in_code => n_open = n_open.saturating_sub(1),
            _ => {}
        }
        before = c;
    }
    found
}

/// Stops that end no sentence: words out of order carry theirs along.
fn stray_stops(tokens: &[FoldedToken<'_>], text: &str) -> Vec<String> {
    const SHORT: &[&str] = &[
        "approx", "cf", "etc", "incl", "max", "min", "no", "resp", "vs",
    ];
    let mut found = Vec::new();
    let starts_small = |t: &FoldedToken<'_>| matches!(t.token, ProseToken::Word(w) if w.starts_with(char::is_lowercase));
    let begins_sentences = tokens.iter().any(|t| t.is_function && !starts_small(t));
    let (mut n_inner, last) = (0, tokens.len().saturating_sub(1));
    for three in tokens[..last].windows(3) {
        let [one, stop, next] = three else {
            continue;
        };
        let ends = stop.token == ProseToken::End && one.text.chars().count() > 1;
        let is_short = SHORT.contains(&one.text.as_str()) || one.text.contains('.');
        if ends && !is_short && starts_small(next) {
            n_inner += 1;
            if begins_sentences && next.is_function {
                found.push(format!("{}. {}", one.text, next.text));
            }
        }
    }
    let starts = tokens.get(1).is_some_and(starts_small);
    let text = text.trim_end();
    if n_inner > 0 && starts && text.ends_with(char::is_alphanumeric) {
        found.push("no end".to_owned());
    }
    if text.ends_with([',', ';', '+', '&']) && tokens.len() > 6 {
        found.push("ends in a comma".to_owned());
    }
    found
}

fn is_one_of(class: &[&str], word: &str) -> bool {
    class.contains(&word)
}

/// Whether the words that carry content are said again and again.
fn repeats_itself(tokens: &[FoldedToken<'_>]) -> bool {
    let content: Vec<&str> = tokens
        .iter()
        .filter(|token| !token.is_function && token.text.chars().count() > 2)
        .map(|token| token.text.as_str())
        .collect();
    let distinct: BTreeSet<&str> = content.iter().copied().collect();
    let n_again = content.len() - distinct.len();
    n_again >= REPEATS_MIN && n_again as f64 >= REPEATS_SHARE_MIN * content.len() as f64
}

fn tokenise_prose(text: &str) -> Vec<FoldedToken<'_>> {
    let mut tokens = vec![ProseToken::End];
    // The dot of `.tsv` ends nothing.
    let is_stop = |end: usize| !text[end..].starts_with(char::is_alphanumeric);
    let found = TOKEN.find_iter(text);
    let found = found.filter(|found| found.as_str() != "." || is_stop(found.end()));
    tokens.extend(found.map(|found| match found.as_str() {
        "," => ProseToken::Comma,
        ";" | ":" => ProseToken::Pause,
        "." | "!" | "?" => ProseToken::End,
        quoted if quoted.starts_with(['`', '"']) => ProseToken::Code,
        // What is called is code, `of()` is no preposition; `a)` numbers an item.
        _ if text[found.end()..].starts_with('(') => ProseToken::Code,
        letter if letter.len() == 1 && text[found.end()..].starts_with(')') => ProseToken::Code,
        word => ProseToken::Word(word),
    }));
    tokens.push(ProseToken::End);
    tokens.into_iter().map(FoldedToken::new).collect()
}

/// Whether no sentence has `second` right after `first`.
fn is_odd(one: &FoldedToken<'_>, other: &FoldedToken<'_>) -> bool {
    let (first, second) = (one.token, other.token);
    let (a, b) = (one.text.as_str(), other.text.as_str());
    let is_content = matches!(first, ProseToken::Word(_)) && !one.is_function;
    if is_content {
        return is_doubled(a, b) || is_misplaced_start(first, other);
    }
    let ends = second == ProseToken::End;
    let breaks = ends || matches!(second, ProseToken::Comma);
    let by_class = if is_one_of(ARTICLES, a) {
        after_article(first, b) || breaks && !is_letter(first)
    } else if is_one_of(CONJUNCTIONS, a) {
        is_one_of(CONJUNCTIONS, b) || ends || second == ProseToken::Pause
    } else if is_one_of(&["of", "into", "than"], a) {
        is_one_of(CONJUNCTIONS, b)
            || breaks
            || is_verb_form(b) && a != "than"
            || is_one_of(&["of", "than", "into"], b)
            || a != "than" && is_one_of(&["with", "at", "to"], b)
    } else if is_one_of(&["from", "at", "with", "by", "for", "to", "in", "on"], a) {
        is_one_of(&["of", "than"], b)
            || is_one_of(&["are", "was", "has", "have", "does", "can", "must"], b)
    } else if is_verb_form(a) && is_verb_form(b) {
        !is_verb_chain(a, b)
    } else if is_one_of(MODALS, a) {
        is_one_of(&["and", "nor", "of", "than", "that", "which"], b)
    } else if is_one_of(&["they", "he", "she", "we"], a) {
        is_one_of(&["a", "an", "the", "of"], b)
    } else {
        false
    };
    by_class
        || is_odd_small_pair(a, b, first, second)
        || is_doubled(a, b)
        || is_misplaced_start(first, other)
}

/// Pairs of single words, beside those of whole classes.
fn is_odd_small_pair(a: &str, b: &str, first: ProseToken<'_>, second: ProseToken<'_>) -> bool {
    let ends = second == ProseToken::End;
    match a {
        "every" | "no" => {
            is_verb_form(b)
                || is_one_of(CONJUNCTIONS, b)
                || is_one_of(PREPOSITIONS, b)
                || ends && a == "every"
        }
        "by" | "from" | "has" if ends => true,
        "between" => {
            is_one_of(CONJUNCTIONS, b) || is_one_of(&["of", "into", "from", "with", "to"], b)
        }
        "which" | "whether" => is_one_of(&["and", "nor"], b) || ends && a == "whether",
        "not" => is_one_of(&["of", "and", "is", "are", "has"], b),
        "is" | "are" | "was" | "were" => b == "than",
        "has" | "have" | "had" | "does" => is_one_of(&["of", "and"], b),
        "if" | "when" | "while" => is_one_of(&["of", "than", "is", "are", "has", "was"], b),
        // The start of a text.
        "" => {
            first == ProseToken::End && is_one_of(&["of", "than", "been", "nor"], second.as_str())
        }
        _ => false,
    }
}

fn after_article(article: ProseToken<'_>, next: &str) -> bool {
    // `A` may be a letter: plan A is …
    if is_letter(article) {
        return is_one_of(ARTICLES, next);
    }
    is_one_of(ARTICLES, next)
        || is_one_of(PREPOSITIONS, next) && !is_one_of(AFTER_ARTICLE, next)
        || is_one_of(CONJUNCTIONS, next)
        || is_verb_form(next) && next != "being" && next != "will" && next != "do"
        || is_one_of(PRONOUNS, next)
        || is_one_of(
            &["that", "which", "because", "so", "whether", "unless"],
            next,
        )
}

fn is_letter(token: ProseToken<'_>) -> bool {
    token == ProseToken::Word("A")
}

fn is_verb_form(word: &str) -> bool {
    is_one_of(BE, word)
        || is_one_of(HAVE, word)
        || is_one_of(DO, word)
        || is_one_of(MODALS, word) && word != "may"
}

/// `has been`, `must be`, `is being` and their like.
fn is_verb_chain(a: &str, b: &str) -> bool {
    (is_one_of(HAVE, a) && is_one_of(&["been", "had", "to"], b))
        || (is_one_of(MODALS, a) && is_one_of(&["be", "have", "do"], b))
        || (is_one_of(BE, a) && b == "being")
        || (is_one_of(DO, a) && (is_one_of(HAVE, b) || is_one_of(DO, b) || is_one_of(BE, b)))
}

fn is_doubled(a: &str, b: &str) -> bool {
    a == b && a.len() > 1 && a.chars().all(char::is_alphabetic) && !is_one_of(&["that", "had"], a)
}

/// A function word with a capital, as sentences begin, after a word that does not end one.
fn is_misplaced_start(first: ProseToken<'_>, second: &FoldedToken<'_>) -> bool {
    let ProseToken::Word(word) = second.token else {
        return false;
    };
    let lower_before = matches!(first, ProseToken::Word(w) if w.chars().all(char::is_lowercase));
    let mut letters = word.chars();
    let starts = letters.next().is_some_and(char::is_uppercase);
    let is_capitalised = starts && word.len() > 1 && letters.all(char::is_lowercase);
    let is_name = is_one_of(&["may", "will", "can", "us"], &second.text);
    lower_before && is_capitalised && !is_name && second.is_function
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(text: &str) -> Vec<String> {
        let mut order = WordOrder::default();
        order.add_text(text);
        order.odd
    }

    #[test]
    fn neighbours_that_no_sentence_has_are_found() {
        for text in [
            "key differs the of line",
            "prints the and object one",
            "end It the stands",
            "what is shown by the.",
            "settings be can saved",
            "more of than others",
            "of the file that is read",
            "every is written when of",
            "opens in in the file",
            "a amount the is",
            "flow between and state",
            "Time` `Expires a gains link",
            "list) (where the row is",
            "expiry. of Get the boundary returns The",
            "redirect when Hit saves flag and calls after dirty,",
        ] {
            assert!(!odd(text).is_empty(), "{text}");
        }
        for text in [
            "The exit code is 1 and the file has its old content.",
            "What it asks for is the name of the file that the test reads.",
            "It has been moved in and out of the (unused) folder.",
            "WHEN a copy is taken, THE SYSTEM SHALL write it, and, where it can be read, keep it.",
            "Either both must be there or none of them may.",
            "a .tsv gives the same rows as its .csv twin",
            "of() with 0, 1, n rows, where to() is left out",
            "Reads the feed. parse_feed turns it into rows, e.g. a file. fetch gets it",
            "Either a) it is kept, or b) it is dropped (if it is old). 1) first, 2) second",
            "`Expires *time.Time` and `now func() time.Time`, read from under `src`",
            "Plan A is slower than plan B. It does have a name, which `the` is.",
            "Die Datei enthält den Namen des Benutzers und seine Adresse.",
            "標籤儲存於資料庫",
        ] {
            assert_eq!(odd(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn heaps_of_words_are_no_sentences() {
        let mut order = WordOrder::default();
        order.add_text(
            "arguments walk presentation returns second data change collects format prints checks",
        );
        order.add_text("`fold`, `search`, `escapeHtml` and `renderRecipe` take values and return values to callers");
        assert_eq!(order.n_heaps, 1);
        assert!(is_english(
            "Let me choose the servings on each recipe and see the amounts change."
        ));
        assert!(!is_not_english("Add tags."));
        assert!(is_not_english(
            "Zeige die Schlagworte an und filtere danach, zusammen mit der Suche."
        ));
    }
}

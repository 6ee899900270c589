//! The words of names and of prose, compared by their stems.

const WORD_BYTES_MIN: usize = 3;
const WORD_BYTES_MAX: usize = 32;

/// Words that say nothing about where something is.
const STOP_WORDS: &[&str] = &[
    "a", "about", "add", "added", "adds", "after", "all", "allow", "also", "and", "any", "are",
    "be", "been", "before", "bug", "but", "by", "can", "change", "changed", "do", "does", "fix",
    "fixed", "fixes", "for", "from", "has", "have", "if", "in", "into", "is", "issue", "it", "its",
    "more", "new", "no", "not", "now", "of", "on", "only", "or", "remove", "should", "so", "some",
    "support", "that", "the", "their", "them", "there", "this", "to", "update", "updated", "use",
    "using", "was", "when", "which", "with",
];

/// Calls `take` with the stem of each word of a comment.
pub(crate) fn comment_words(text: &str, mut take: impl FnMut(&str)) {
    each_word(text, &mut |word| {
        if word.len() >= WORD_BYTES_MIN && STOP_WORDS.binary_search(&word).is_err() {
            take(stem_word(word));
        }
    });
}

/// The stems of a name or path: `HTTPServer_errors` is `http`, `server` and `error`.
pub(crate) fn name_stems(name: &str, mut take: impl FnMut(&str)) {
    each_word(name, &mut |word| {
        if word.len() >= WORD_BYTES_MIN {
            take(stem_word(word));
        }
    });
}

/// Calls `take` with each word in lower case; a change from small to large letters begins one.
fn each_word(text: &str, take: &mut dyn FnMut(&str)) {
    let mut word = String::new();
    let mut before = [' ', ' '];
    let mut finish = |word: &mut String| {
        if word.len() <= WORD_BYTES_MAX && !word.is_empty() {
            take(word);
        }
        word.clear();
    };
    for letter in text.chars() {
        let [two_before, one_before] = before;
        before = [one_before, letter];
        if !letter.is_alphanumeric() {
            finish(&mut word);
            continue;
        }
        if letter.is_uppercase() && one_before.is_lowercase() {
            finish(&mut word);
        } else if letter.is_lowercase() && one_before.is_uppercase() && two_before.is_uppercase() {
            // The last capital of `HTTPServer` begins `Server`.
            let last = word.pop();
            finish(&mut word);
            word.extend(last);
        }
        word.extend(letter.to_lowercase());
    }
    finish(&mut word);
}

/// What a word has in common with its other forms; crude, and the same on both sides.
pub(crate) fn stem_word(word: &str) -> &str {
    const ENDINGS: [&str; 13] = [
        "ations", "ation", "ising", "izing", "ings", "ing", "ized", "ers", "ies", "es", "ed", "er",
        "s",
    ];
    for ending in ENDINGS {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.len() >= 4
        {
            return stem.strip_suffix('e').unwrap_or(stem);
        }
    }
    match word.strip_suffix('e') {
        Some(stem) if stem.len() >= 4 => stem,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_stems() {
        let cases = [
            ("HTTPServer_errors", "http serv error"),
            ("parseHeaderValue", "pars head valu"),
            ("src/tag_cache.rs", "src tag cach"),
            ("", ""),
            ("--x--", ""),
            ("ÜberGroße", "über groß"),
        ];
        for (name, want) in cases {
            let mut stems = Vec::new();
            name_stems(name, |stem| stems.push(stem.to_owned()));
            assert_eq!(stems.join(" "), want, "{name}");
        }
    }

    #[test]
    fn comments_lose_what_says_nothing() {
        let mut stems = Vec::new();
        comment_words("// Fixes the parsing of empty headers, and more", |stem| {
            stems.push(stem.to_owned());
        });
        assert_eq!(stems, ["pars", "empty", "head"]);
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in [
            ["parse", "parsing", "parsed"],
            ["header", "headers", "headers"],
            ["cache", "caches", "caching"],
            ["token", "tokens", "tokenizing"],
        ] {
            let [first, rest @ ..] = forms.map(stem_word);
            assert!(rest.iter().all(|stem| *stem == first), "{forms:?}");
        }
    }
}

//! Doc comments: how many say next to nothing, and how many `pub` items have one that says something.

use super::{Place, Source};

/// What is counted about doc comments.
#[derive(Default)]
pub(super) struct Docs {
    n_blocks: usize,
    pub(super) short: Vec<Place>,
    n_items: usize,
    pub(super) undocumented: Vec<Place>,
}

/// A doc of as many words or fewer is short.
const SHORT_WORDS: usize = 3;
/// Words that add nothing to a name.
const FILLERS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "is", "it", "its",
    "of", "on", "one", "or", "that", "the", "this", "to", "what", "which", "with",
];

impl Docs {
    pub(super) fn read(sources: &[Source<'_>]) -> Self {
        let mut docs = Self::default();
        for source in sources {
            docs.read_one(source);
        }
        docs
    }

    fn read_one(&mut self, source: &Source<'_>) {
        let mut doc = Vec::new();
        let mut in_attribute = false;
        for (number, line) in (1..).zip(source.text.lines()) {
            let line = line.trim();
            if let Some(says) = doc_line(line) {
                doc.extend(says.split_whitespace());
            } else if in_attribute || line.starts_with("#[") {
                in_attribute = !line.ends_with(']');
            } else {
                self.count_doc(source, number, &doc);
                if let Some(name) = public_item(line) {
                    self.n_items += 1;
                    if !says_more(&doc, name) {
                        self.undocumented.push(Place::new(source, number, name));
                    }
                }
                doc.clear();
            }
        }
    }

    fn count_doc(&mut self, source: &Source<'_>, number: usize, doc: &[&str]) {
        if doc.is_empty() {
            return;
        }
        self.n_blocks += 1;
        if doc.len() <= SHORT_WORDS {
            self.short.push(Place::new(source, number, doc.join(" ")));
        }
    }

    pub(super) fn short_share(&self) -> f64 {
        self.short.len() as f64 / self.n_blocks.max(1) as f64
    }

    pub(super) fn documented_share(&self) -> f64 {
        1.0 - self.undocumented.len() as f64 / self.n_items.max(1) as f64
    }
}

fn doc_line(line: &str) -> Option<&str> {
    let says = line.strip_prefix("///")?;
    (!says.starts_with('/')).then_some(says)
}

/// The name of an item that is plainly `pub`: function, type, trait, constant. Fields, modules and
/// re-exports are left out.
fn public_item(line: &str) -> Option<&str> {
    let mut words = line.strip_prefix("pub ")?.split_whitespace().peekable();
    loop {
        let word = words.next()?;
        let is_front = match word {
            "async" | "unsafe" => true,
            "const" => words.peek() == Some(&"fn"),
            _ => false,
        };
        if is_front {
            continue;
        }
        let items = ["fn", "struct", "enum", "trait", "type", "const", "static"];
        let name = items.contains(&word).then(|| words.next())??;
        let end = name.find(|c: char| !(c == '_' || c.is_alphanumeric()));
        return Some(&name[..end.unwrap_or(name.len())]);
    }
}

/// Whether a doc has a word that is neither a filler nor a form of a word of the name.
fn says_more(doc: &[&str], name: &str) -> bool {
    let of_name = name_stems(name);
    let letters = |c: char| !c.is_alphanumeric();
    doc.iter()
        .flat_map(|word| word.split(letters))
        .map(str::to_lowercase)
        .filter(|word| !word.is_empty() && !FILLERS.contains(&word.as_str()))
        .any(|word| !of_name.contains(&stem(&word)))
}

fn name_stems(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && c != '_'
        {
            word.extend(c.to_lowercase());
        }
    }
    words.iter().map(|word| stem(word)).collect()
}

/// A word without the endings of its forms: `claims`, `claimed` and `claiming` are `claim`.
fn stem(word: &str) -> String {
    let endings = ["ing", "ed", "es", "s", "e"];
    let stemmed = endings.iter().find_map(|ending| word.strip_suffix(ending));
    stemmed
        .filter(|stem| stem.len() > 2)
        .unwrap_or(word)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_doc_says_more_when_it_has_a_word_of_its_own() {
        for (doc, name, more) in [
            ("Its id.", "id", false),
            ("Claims the task.", "claim_task", false),
            ("The claimed task.", "ClaimedTask", false),
            ("Claims a task for an agent.", "claim_task", true),
            ("", "claim_task", false),
        ] {
            let words: Vec<&str> = doc.split_whitespace().collect();
            assert_eq!(says_more(&words, name), more, "{doc}");
        }
    }

    #[test]
    fn items_are_told_from_fields() {
        for (line, name) in [
            ("pub const fn one(", Some("one")),
            ("pub const TWO: u8 = 2;", Some("TWO")),
            ("pub async fn three<T>()", Some("three")),
            ("pub struct Four;", Some("Four")),
            ("pub five: u8,", None),
            ("pub mod six;", None),
            ("pub use seven;", None),
            ("pub(crate) fn eight() {}", None),
        ] {
            assert_eq!(public_item(line), name, "{line}");
        }
    }

    #[test]
    fn attributes_stand_between_a_doc_and_its_item() {
        let text = "/// Reads everything at once.\n#[derive(\n    Clone,\n)]\n#[must_use]\npub struct Table;\n\
                    pub fn bare() {}\n/// Short.\nfn private() {}\n//// no doc\n";
        let source = Source {
            file: Path::new("a.rs"),
            text,
        };
        let docs = Docs::read(&[source]);
        let lines = |places: &[Place]| places.iter().map(|place| place.line).collect::<Vec<_>>();
        assert_eq!((docs.n_blocks, lines(&docs.short)), (2, vec![9]));
        assert_eq!((docs.n_items, lines(&docs.undocumented)), (2, vec![7]));
    }
}

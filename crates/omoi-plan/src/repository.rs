//! What is known of the repository at a spec's base commit, to hold claims of a plan against.
//!
//! A value, gathered outside: the rules that read it open no file. What was not gathered is unknown,
//! and nothing is called false because it is unknown.

mod paths;

use std::collections::{BTreeMap, BTreeSet};

pub use paths::{PathLocation, RepoPaths, clean_path};

/// Longest name that is kept, in bytes; what is longer is data.
const NAME_BYTES_MAX: usize = 80;
/// Shortest name that a longer one holds on purpose, in bytes.
const LONGER_BYTES_MIN: usize = 6;

/// The repository at the base commit.
#[derive(Clone, Debug, Default)]
pub struct RepositoryFacts {
    /// The tracked files.
    pub paths: RepoPaths,
    /// The names that occur in them.
    pub names: NameIndex,
    /// Lower-case names of languages and tools that the survey found; none when it found nothing.
    pub tech: Option<BTreeSet<String>>,
    /// Commands that run the project's tests, as the survey found them.
    pub test_commands: Vec<String>,
}

impl RepositoryFacts {
    /// Facts that hold only which files there are.
    pub fn of_paths(files: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            paths: RepoPaths::new(files),
            ..Self::default()
        }
    }

    /// Whether `word` is the name of a language or tool of the project, or occurs in a file of it.
    pub fn knows_word(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let surveyed = self.tech.as_ref().is_some_and(|tech| tech.contains(&word));
        surveyed || self.names.contains_folded(&word)
    }
}

/// The names in the text files of a commit: every run of letters, digits and underscores.
///
/// Languages are not told apart, so a name in a comment counts as well. That is enough to tell what
/// was made up from what was read.
#[derive(Clone, Debug, Default)]
pub struct NameIndex {
    numbers: BTreeMap<Box<str>, u32>,
    folded: BTreeSet<Box<str>>,
    by_file: BTreeMap<String, Vec<u32>>,
    is_complete: bool,
}

impl NameIndex {
    /// The index of `files`, each a path with its text; `is_complete` says that no text file was
    /// left out.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, is_complete: bool) -> Self {
        let mut index = Self {
            is_complete,
            ..Self::default()
        };
        for (path, text) in files {
            let mut found = BTreeSet::new();
            for name in names_in(text).filter(|name| name.len() <= NAME_BYTES_MAX) {
                let next = u32::try_from(index.numbers.len()).unwrap_or(u32::MAX);
                let number = match index.numbers.get(name) {
                    Some(known) => *known,
                    None => {
                        index.numbers.insert(name.into(), next);
                        index.folded.insert(name.to_lowercase().into());
                        next
                    }
                };
                found.insert(number);
            }
            index
                .by_file
                .insert(path.to_owned(), found.into_iter().collect());
        }
        index
    }

    /// Whether every text file was read, so that a name that is not here is nowhere.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether the text of `path` was read.
    pub fn has_read(&self, path: &str) -> bool {
        self.by_file.contains_key(path)
    }

    /// Whether `name` occurs in any file.
    pub fn contains(&self, name: &str) -> bool {
        self.numbers.contains_key(name)
    }

    /// Whether a name that is `folded` in lower case occurs in any file.
    pub fn contains_folded(&self, folded: &str) -> bool {
        self.folded.contains(folded)
    }

    /// Whether any name begins with `prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        let from: Box<str> = prefix.into();
        let next = self.numbers.range(from..).next();
        next.is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// Whether a longer name holds `name`, as `NewServeMux` does `ServeMux`. Short names are in many
    /// by chance.
    pub fn has_longer(&self, name: &str) -> bool {
        name.len() >= LONGER_BYTES_MIN && self.numbers.keys().any(|known| known.contains(name))
    }

    /// Whether no name was found.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether `name` occurs in the file `path`.
    pub fn is_in(&self, path: &str, name: &str) -> bool {
        let number = self.numbers.get(name);
        let names = self.by_file.get(path);
        number
            .zip(names)
            .is_some_and(|(number, names)| names.binary_search(number).is_ok())
    }
}

/// Every run of letters, digits and underscores in `text`.
pub fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_their_file_and_nowhere_else() {
        let index = NameIndex::new(
            [
                ("a.py", "def run_add(book): return Store.add(book)"),
                ("b.py", "from a import run_add  # größe"),
            ],
            true,
        );
        assert!(index.is_complete() && index.has_read("a.py") && !index.has_read("c.py"));
        for (path, name, expected) in [
            ("a.py", "run_add", true),
            ("b.py", "run_add", true),
            ("b.py", "Store", false),
            ("b.py", "größe", true),
            ("c.py", "run_add", false),
            ("a.py", "run", false),
        ] {
            assert_eq!(index.is_in(path, name), expected, "{path} {name}");
        }
        assert!(index.contains("Store") && !index.contains("store"));
        assert!(index.contains_folded("store") && !index.contains_folded("Store"));
        assert!(index.has_prefix("run_") && !index.has_prefix("walk_"));
        assert!(!NameIndex::default().is_complete() && NameIndex::default().is_empty());
    }
}

//! Names and paths that a text speaks of, and whether the repository has them.
//!
//! Only what was gathered is judged: without a complete index of names nothing is called made up.

use std::collections::BTreeSet;

use crate::evaluate::facts::EvaluationFacts;
use crate::repository::{PathLocation, RepositoryFacts, names_in};

/// Endings of files that texts name.
const FILE_ENDINGS: &[&str] = &[
    "bash", "c", "cc", "cfg", "cjs", "cpp", "cs", "css", "ex", "exs", "go", "gradle", "h", "hpp",
    "html", "ini", "java", "js", "json", "jsx", "kt", "lock", "lua", "md", "mjs", "mod", "php",
    "pl", "py", "rb", "rs", "scala", "sh", "sql", "swift", "toml", "ts", "tsx", "txt", "vue",
    "xml", "yaml", "yml", "zig",
];

/// Names of ways to write names.
const STYLES: &[&str] = &[
    "camelcase",
    "lowercamelcase",
    "uppercamelcase",
    "pascalcase",
    "snakecase",
    "snake_case",
    "screaming_snake_case",
    "upper_snake_case",
    "mixedcaps",
    "kebabcase",
];

/// What a text speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeMentions {
    /// Names of code.
    pub(super) names: BTreeSet<String>,
    /// Paths of files with an ending.
    pub(super) paths: BTreeSet<String>,
}

impl CodeMentions {
    /// What `texts` speak of.
    pub(super) fn in_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for text in texts {
            for (n, part) in text.split('`').enumerate() {
                found.read(part, n % 2 == 1);
            }
        }
        found
    }

    /// `part` stands between back ticks when `is_code`.
    fn read(&mut self, part: &str, is_code: bool) {
        let whole_is_name = is_code && is_dotted_name(part.trim());
        for word in part.split_whitespace() {
            let word = word.trim_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
            if is_file(word) {
                self.paths.insert(word.trim_start_matches("./").to_owned());
                continue;
            }
            // Whoever writes out a path or an address names no code.
            if word.contains('/') {
                continue;
            }
            let called = word.split('(').next().unwrap_or_default();
            for name in names_in(called) {
                let begins_as_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
                if begins_as_name && name.len() > 1 && (whole_is_name || is_code_name(name)) {
                    self.names.insert(name.to_owned());
                }
            }
        }
    }
}

/// `name`, `module.name`, `Type::name(…)`.
fn is_dotted_name(text: &str) -> bool {
    let called = text.split('(').next().unwrap_or_default();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '!');
    !called.is_empty() && called.chars().all(is_part)
}

/// Whether `name` is written as only code is: with an underscore or a capital inside.
fn is_code_name(name: &str) -> bool {
    let style = STYLES.contains(&name.to_lowercase().as_str());
    let inner = name.trim_matches('_');
    let joined = inner.contains('_');
    let mut before = ' ';
    let humps = inner
        .chars()
        .filter(|c| {
            let is_hump = c.is_uppercase() && before.is_lowercase();
            before = *c;
            is_hump
        })
        .count();
    let is_lower_first = inner.starts_with(char::is_lowercase);
    !style && (joined || humps >= 2 || humps == 1 && (is_lower_first || name.len() > 6))
}

/// Whether `word` is the path of a file by its looks. `Node.js` is none.
pub(super) fn is_file(word: &str) -> bool {
    let Some((stem, ending)) = word.rsplit_once('.') else {
        return false;
    };
    let name = stem.rsplit('/').next().unwrap_or_default();
    let is_product = !word.contains('/') && ending == "js" && name.starts_with(char::is_uppercase);
    let is_plain = word
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@'));
    is_plain && name.len() > 1 && FILE_ENDINGS.contains(&ending) && !is_product
}

/// How the mentions of an output stand against the repository.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckedClaims {
    /// Found.
    pub(super) n_true: usize,
    /// Neither in the repository nor known from elsewhere.
    pub(super) made_up: Vec<String>,
}

/// Checks `mentions` against the repository and against `known`, names that are known from
/// elsewhere; nothing is made up where the repository was not read as a whole.
pub(super) fn check_claims(
    mentions: &CodeMentions,
    known: &KnownNames,
    facts: &EvaluationFacts,
) -> CheckedClaims {
    let mut found = CheckedClaims::default();
    let can_deny = facts.repo.names.is_complete();
    for name in &mentions.names {
        if has_name(&facts.repo, name) {
            found.n_true += 1;
        } else if can_deny && !known.has(name) && !facts.repo.names.has_longer(name) {
            found.made_up.push(name.clone());
        }
    }
    for path in &mentions.paths {
        if has_file(&facts.repo, path) {
            found.n_true += 1;
        } else if can_deny && !known.has_path(path) && !may_be_made_at_run_time(path) {
            found.made_up.push(path.clone());
        }
    }
    found
}

/// Whether `path` is a bare name such as `links.json`, as programs give to what they write.
fn may_be_made_at_run_time(path: &str) -> bool {
    const CODE: &[&str] = &[
        "c", "cc", "cpp", "cs", "ex", "go", "h", "hpp", "java", "js", "jsx", "kt", "mjs", "php",
        "py", "rb", "rs", "scala", "swift", "ts", "tsx", "vue", "zig",
    ];
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    !path.contains('/') && !CODE.contains(&ending)
}

/// Whether the repository has `name`, a bare prefix such as `run_` included.
pub(super) fn has_name(repo: &RepositoryFacts, name: &str) -> bool {
    let is_prefix = name.ends_with('_') && repo.names.has_prefix(name);
    let in_path = || {
        repo.paths
            .files()
            .any(|path| names_in(path).any(|part| part == name))
    };
    repo.names.contains(name) || repo.knows_word(name) || is_prefix || in_path()
}

/// Whether a file of the repository is `path` or ends in it.
pub(super) fn has_file(repo: &RepositoryFacts, path: &str) -> bool {
    let ending = format!("/{path}");
    repo.paths.locate(path) == PathLocation::File
        || repo.paths.files().any(|file| file.ends_with(&ending))
}

/// Names that an output may speak of although the repository does not have them.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownNames {
    names: BTreeSet<String>,
    texts: Vec<String>,
}

impl KnownNames {
    /// Takes in every name of `text`.
    pub(super) fn add_text(&mut self, text: &str) {
        self.names.extend(names_in(text).map(str::to_lowercase));
        self.texts.push(text.to_owned());
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(&name.to_lowercase())
    }

    fn has_path(&self, path: &str) -> bool {
        self.texts.iter().any(|text| text.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::repository::{NameIndex, RepoPaths};

    #[test]
    fn names_and_files_are_told_from_words() {
        let found = CodeMentions::in_texts([
            "`Store::open` reads lines and calls `parse`; see src/store.rs and `tests/store.rs`.",
            "Node.js in camelCase with a JSON file, snake_case, e.g. `python3 -m unittest`, a/b",
            "checkFile and run_add, but not Entry or GitHub",
        ]);
        let names: Vec<&str> = found.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["Store", "checkFile", "open", "parse", "run_add"]);
        let paths: Vec<&str> = found.paths.iter().map(String::as_str).collect();
        assert_eq!(paths, ["src/store.rs", "tests/store.rs"]);
    }

    #[test]
    fn only_what_is_nowhere_is_made_up() {
        let repo = RepositoryFacts {
            paths: RepoPaths::new(["src/store.rs"]),
            names: NameIndex::new(
                [("src/store.rs", "fn run_add() {} struct Store; NewServeMux")],
                true,
            ),
            ..RepositoryFacts::default()
        };
        let mut facts = EvaluationFacts {
            repo: Arc::new(repo),
            ..EvaluationFacts::default()
        };
        let mentions = CodeMentions::in_texts([
            "`Store`, `run_`, `store.rs`, `flush_index`, src/wal.rs, new_name, `add_run`",
            "`ServeMux` answers from links.json",
        ]);
        let mut known = KnownNames::default();
        known.add_text("new_name is asked for");
        let found = check_claims(&mentions, &known, &facts);
        assert_eq!(found.n_true, 3);
        assert_eq!(found.made_up, ["add_run", "flush_index", "src/wal.rs"]);
        facts.repo = Arc::new(RepositoryFacts::of_paths(["src/store.rs"]));
        assert!(check_claims(&mentions, &known, &facts).made_up.is_empty());
    }
}

//! Every configuration key is read, and by the crate that declares it.

use std::path::Path;

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// Begins the declaration of a section.
const SECTION: &str = "config_keys! {";
/// Declares the macro, and says what it is for.
const MACRO: &str = "crates/omoi-domain/src/config/key.rs";

/// Reads the file of a repository, which sets keys of several crates.
const REPOSITORY_READER: &str = "crates/omoi-planning/src/options.rs";

/// A name that a line borrows.
struct Reading<'a> {
    file: &'a Path,
    line: usize,
    name: &'a str,
}

/// Checks the keys against every source file.
pub(super) fn check(files: &Texts<'_>) -> Vec<Finding> {
    let sources: Vec<_> = files
        .iter()
        .filter(|(file, _)| file.extension().is_some_and(|kind| kind == "rs"))
        .filter(|(file, _)| file.starts_with("crates") && !is_test(file))
        .collect();
    let read: Vec<_> = sources
        .iter()
        .flat_map(|(file, text)| readings(file, text))
        .collect();
    let declared: Vec<_> = sources
        .iter()
        .filter(|(file, _)| **file != Path::new(MACRO))
        .flat_map(|(file, text)| declared(text).map(move |(line, key)| (*file, line, key)))
        .collect();
    if declared.is_empty() {
        return vec![Finding::new(
            Path::new(MACRO),
            1,
            "no section of the configuration is declared",
            "tell this rule how configuration keys are declared",
        )];
    }
    let mut found = Vec::new();
    for (file, line, key) in declared {
        if !read.iter().any(|reading| reading.name == key) {
            let remedy = "do with it what it says, or remove it: a setting without effect misleads";
            found.push(Finding::new(
                file,
                line,
                format!("nobody reads `{key}`"),
                remedy,
            ));
        }
        let foreign = read.iter().filter(|reading| reading.name == key);
        let foreign = foreign.filter(|reading| crate_of(reading.file) != crate_of(file));
        for reading in foreign.filter(|reading| reading.file != Path::new(REPOSITORY_READER)) {
            let what = format!("`{key}` is a key of another crate");
            let remedy = "take it from the typed options of the crate that declares it";
            found.push(Finding::new(reading.file, reading.line, what, remedy));
        }
    }
    found
}

/// `omoi-store` of `crates/omoi-store/src/lib.rs`.
fn crate_of(file: &Path) -> Option<&std::ffi::OsStr> {
    file.iter().nth(1)
}

fn readings<'a>(file: &'a Path, text: &'a str) -> impl Iterator<Item = Reading<'a>> {
    lines_without_tests(text)
        .filter(|(_, line)| !line.trim_start().starts_with("use "))
        .flat_map(move |(line, text)| {
            read_names(text).map(move |name| Reading { file, line, name })
        })
}

/// Lines such as `    LLM_MODEL: Option<String> = ConfigKey::new(…` of a section.
fn declared(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_section = false;
    lines_without_tests(text).filter_map(move |(number, line)| {
        match line {
            SECTION => in_section = true,
            "}" => in_section = false,
            _ => {}
        }
        let (key, rest) = line.strip_prefix("    ")?.split_once(':')?;
        let is_key = in_section && !key.is_empty() && name(key) == key && rest.contains(" =");
        is_key.then_some((number, key))
    })
}

/// The names that a line borrows: `&LLM_MODEL` and `&options::LLM_MODEL`.
fn read_names(line: &str) -> impl Iterator<Item = &str> {
    line.split('&').skip(1).map(|borrowed| {
        let of_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = borrowed.find(|c| !of_path(c)).unwrap_or(borrowed.len());
        let path = &borrowed[..end];
        name(path.rsplit("::").next().unwrap_or(path))
    })
}

/// The constant's name at the start of `text`.
fn name(text: &str) -> &str {
    let of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !of_name(c)).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_reads_is_found() {
        let section = "config_keys! {\n    /// Doc.\n    A_KEYS of A = \"a\", \"A_\";\n\n    A_KEY: u32 = ConfigKey::new(\n    B: bool =\n        ConfigKey::new(&A, \"b\")\n    C: bool = ConfigKey::choice(\n    D: u8 = ConfigKey::new(\n    E: u8 = ConfigKey::new(\n}\nfn f() {\n    X: u8 = 1\n}\n";
        let files = Texts::from([
            (Path::new("crates/a/src/options.rs"), section),
            (
                Path::new("crates/a/src/lib.rs"),
                "use a::{&C};\nf(&a::options::A_KEY, config.get(&E).x);",
            ),
            (Path::new("crates/b/src/tests.rs"), "get(&B)"),
            (Path::new("crates/a/tests/it.rs"), "get(&C)"),
            (
                Path::new("crates/a/src/d.rs"),
                "x\n#[cfg(test)]\nmod tests {\nget(&D)\n}\n",
            ),
        ]);
        let found: Vec<_> = check(&files)
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect();
        assert_eq!(
            found,
            [
                (6, "nobody reads `B`".to_owned()),
                (8, "nobody reads `C`".to_owned()),
                (9, "nobody reads `D`".to_owned())
            ]
        );
    }

    #[test]
    fn only_its_own_crate_reads_a_key() {
        let section = "config_keys! {\n    A_KEY: u32 = ConfigKey::new(\n}\nget(&A_KEY)\n";
        let files = Texts::from([
            (Path::new("crates/a/src/options.rs"), section),
            (Path::new("crates/b/src/lib.rs"), "f();\nget(&A_KEY)"),
            (Path::new(REPOSITORY_READER), "get(&A_KEY)"),
        ]);
        let found: Vec<_> = check(&files)
            .into_iter()
            .map(|it| (it.line, it.what))
            .collect();
        assert_eq!(found, [(2, "`A_KEY` is a key of another crate".to_owned())]);
    }

    #[test]
    fn a_renamed_macro_does_not_silence_the_rule() {
        let files = Texts::from([(Path::new("crates/a/src/lib.rs"), "other_keys! {\n}\n")]);
        assert_eq!(check(&files).len(), 1);
    }
}

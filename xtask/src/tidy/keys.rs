//! Every configuration key is read by somebody.

use std::path::Path;

use super::files::{is_test, lines_without_tests};
use super::{Finding, Texts};

/// Where keys are declared.
const DECLARED: &str = "crates/omoi-runtime/src/config/keys.rs";
/// Reading a key here does not make anything of it.
const CONFIG: &str = "crates/omoi-runtime/src/config";

/// Checks the keys against every source file.
pub(super) fn check(files: &Texts<'_>) -> Vec<Finding> {
    let Some(table) = files.get(Path::new(DECLARED)) else {
        return vec![Finding::new(
            Path::new(DECLARED),
            1,
            "no such file",
            "tell this rule where configuration keys are declared",
        )];
    };
    let read: Vec<&str> = files
        .iter()
        .filter(|(file, _)| file.extension().is_some_and(|kind| kind == "rs"))
        .filter(|(file, _)| !file.starts_with(CONFIG) && !is_test(file))
        .flat_map(|(_, text)| lines_without_tests(text).map(|(_, line)| line))
        .flat_map(|line| line.split("keys::").skip(1))
        .map(name)
        .collect();
    declared(table)
        .filter(|(_, key)| !read.contains(key))
        .map(|(line, key)| {
            Finding::new(
                Path::new(DECLARED),
                line,
                format!("nobody reads `{key}`"),
                "do with it what it says, or remove it: a setting without effect misleads",
            )
        })
        .collect()
}

/// Lines such as `    LLM_MODEL: Option<String> = ConfigKey::new(…`.
fn declared(table: &str) -> impl Iterator<Item = (usize, &str)> {
    lines_without_tests(table).filter_map(|(number, line)| {
        let (front, rest) = line.split_once(':')?;
        let key = front.trim_start();
        let is_key = !key.is_empty() && name(key) == key && rest.contains("= ConfigKey::");
        is_key.then_some((number, key))
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
    fn a_key_that_only_the_configuration_knows_is_found() {
        let table = "keys! {\n    /// Doc.\n    A_KEY: u32 = ConfigKey::new(\n    B: bool = ConfigKey::new(\n    C: bool = ConfigKey::choice(\n    D: u8 = ConfigKey::new(\n}\n";
        let files = Texts::from([
            (Path::new(DECLARED), table),
            (
                Path::new("crates/a/src/lib.rs"),
                "f(&keys::A_KEY, keys::AB);",
            ),
            (
                Path::new("crates/omoi-runtime/src/config/tests.rs"),
                "keys::B",
            ),
            (Path::new("crates/a/tests/it.rs"), "keys::C"),
            (
                Path::new("crates/a/src/d.rs"),
                "x\n#[cfg(test)]\nmod tests {\nkeys::D\n}\n",
            ),
        ]);
        let found: Vec<_> = check(&files)
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect();
        assert_eq!(
            found,
            [
                (4, "nobody reads `B`".to_owned()),
                (5, "nobody reads `C`".to_owned()),
                (6, "nobody reads `D`".to_owned())
            ]
        );
    }
}

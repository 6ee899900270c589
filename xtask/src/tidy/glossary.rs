//! The glossary names what exists, and docs and help texts use its words.
//!
//! A row of the table is `| term | meaning | where in the code | not |`. The third column holds paths such as
//! `omoi_domain::attempt::SubjectKind`; the fourth the words that the term replaces.

use std::path::{Path, PathBuf};

use super::files::prose;
use super::{Finding, Texts};

/// The table of terms.
const GLOSSARY: &str = "docs/glossary.md";
/// Where help texts are written: doc comments that the argument parser prints.
const HELP: &str = "crates/omoi/src/cli";

/// One row of the table.
struct Term<'a> {
    line: usize,
    name: &'a str,
    paths: Vec<&'a str>,
    not: Vec<&'a str>,
}

/// Checks the glossary against the code, and the prose against the glossary.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let glossary = Path::new(GLOSSARY);
    let terms = texts
        .get(glossary)
        .map_or_else(Vec::new, |text| terms(text));
    if terms.is_empty() {
        let remedy = "tell this rule where terms are explained";
        return vec![Finding::new(
            glossary,
            1,
            "no term is explained here",
            remedy,
        )];
    }
    let mut findings = Vec::new();
    for term in &terms {
        for path in term.paths.iter().filter(|path| !exists(path, texts)) {
            let what = format!("`{path}`, which stands for {}, does not exist", term.name);
            findings.push(Finding::new(
                glossary,
                term.line,
                what,
                "name the module or type that does",
            ));
        }
    }
    let in_docs = prose(texts).filter(|(file, _)| *file != glossary);
    for (file, text) in in_docs.chain(help_files(texts)) {
        let is_help =
            file.starts_with("crates") && file.extension().is_some_and(|ending| ending == "rs");
        let lines = (1..).zip(text.lines());
        for (number, line) in
            lines.filter(|(_, line)| !is_help || line.trim_start().starts_with("///"))
        {
            for term in &terms {
                for word in term.not.iter().filter(|word| says(line, word)) {
                    let what = format!("`{word}` is not a word of the glossary");
                    findings.push(Finding::new(
                        file,
                        number,
                        what,
                        format!("say `{}`", term.name),
                    ));
                }
            }
        }
    }
    findings
}

fn help_files<'a, 'b>(texts: &'b Texts<'a>) -> impl Iterator<Item = (&'a Path, &'a str)> + 'b {
    let files = texts.iter().map(|(file, text)| (*file, *text));
    files.filter(|(file, _)| file.starts_with(HELP) || *file == Path::new("crates/omoi/src/cli.rs"))
}

fn terms(glossary: &str) -> Vec<Term<'_>> {
    let rows = (1..).zip(glossary.lines()).filter_map(|(line, row)| {
        let cells: Vec<&str> = row
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split('|')
            .collect();
        let [name, _, paths, not] = cells[..] else {
            return None;
        };
        let is_term = !name.trim().is_empty() && !name.contains("---") && name.trim() != "Term";
        is_term.then_some(Term {
            line,
            name: name.trim().trim_matches('*'),
            paths: paths.split('`').skip(1).step_by(2).collect(),
            not: not
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .collect(),
        })
    });
    rows.collect()
}

/// Whether `omoi_crate::module::Type` is a file of that crate that defines that type.
fn exists(path: &str, texts: &Texts<'_>) -> bool {
    let (modules, last) = match path.rsplit_once("::") {
        Some((modules, last)) if last.starts_with(|c: char| c.is_uppercase()) => {
            (modules, Some(last))
        }
        _ => (path, None),
    };
    let mut parts = modules.split("::");
    let krate = parts.next().unwrap_or_default().replace('_', "-");
    let source = Path::new("crates").join(krate).join("src");
    let inner: PathBuf = parts.collect();
    let file = match inner.as_os_str().is_empty() {
        true => source.join("lib.rs"),
        false => source.join(inner).with_extension("rs"),
    };
    let text = texts.get(file.as_path());
    text.is_some_and(|text| last.is_none_or(|name| text.lines().any(|line| defines(line, name))))
}

/// Whether a line begins the definition of a type, written out or by a macro of tables.
fn defines(line: &str, name: &str) -> bool {
    let mut words = line.split(|c: char| !(c == '_' || c.is_alphanumeric()));
    let keywords = ["struct", "enum", "trait", "type"];
    let by_macro = line.trim_start().strip_prefix(name);
    by_macro.is_some_and(|rest| {
        rest.starts_with(" {") || rest.starts_with(" in \"") || rest.starts_with(" (\"")
    }) || (words.any(|word| keywords.contains(&word)) && words.next() == Some(name))
}

/// Whether a line has `word` by itself, in any case.
fn says(line: &str, word: &str) -> bool {
    let line = line.to_lowercase();
    let ends = |c: Option<char>| c.is_none_or(|c| !(c == '_' || c == '-' || c.is_alphanumeric()));
    line.match_indices(word).any(|(at, _)| {
        ends(line[..at].chars().next_back()) && ends(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "| Term | Meaning | In the code | Not |\n| --- | --- | --- | --- |\n";

    fn findings(row: &str, files: &[(&str, &str)]) -> Vec<String> {
        let glossary = format!("{HEAD}{row}\n");
        let mut texts: Texts<'_> = [(Path::new(GLOSSARY), glossary.as_str())].into();
        texts.extend(files.iter().map(|(file, text)| (Path::new(*file), *text)));
        let found = check(&texts);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_named_exists() {
        let code = [
            ("crates/omoi-domain/src/lib.rs", ""),
            (
                "crates/omoi-domain/src/a/b.rs",
                "pub struct Plain<T>;\nclosed_set! {\n    Listed {\n    }\n}\nrow! {\n    Mirrored in \"table\"\n",
            ),
        ];
        for (path, count) in [
            ("omoi_domain", 0),
            ("omoi_domain::a::b", 0),
            ("omoi_domain::a::b::Plain", 0),
            ("omoi_domain::a::b::Listed", 0),
            ("omoi_domain::a::b::Mirrored", 0),
            ("omoi_domain::a::b::Other", 1),
            ("omoi_domain::a::c", 1),
            ("omoi_nowhere", 1),
        ] {
            let row = format!("| *task* | work | `{path}` | |");
            assert_eq!(findings(&row, &code).len(), count, "{path}");
        }
    }

    #[test]
    fn replaced_words_are_refused_in_docs_and_help() {
        let row = "| cancel | stop | | call off, called off |";
        for (file, text, count) in [
            ("README.md", "It was Called off.", 1),
            ("README.md", "a recalled offer, called_off", 0),
            ("docs/decisions/old.md", "called off", 0),
            (
                "crates/omoi/src/cli/steer.rs",
                "    /// Called off\n    let s = \"called off\";\n",
                1,
            ),
            ("crates/omoi/src/view.rs", "/// called off", 0),
        ] {
            assert_eq!(
                findings(row, &[(file, text)]).len(),
                count,
                "{file}: {text}"
            );
        }
        assert_eq!(findings("", &[]).len(), 1);
    }
}

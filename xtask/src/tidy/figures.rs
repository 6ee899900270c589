//! `cargo xtask tidy --figures`: what is counted about this code base, with the wanted value beside it.
//!
//! Counted are the Rust files below `crates/`, without tests, benchmarks and test data. The rules of each
//! figure stand in `docs/testing.md`.

pub(super) mod docs;
pub(super) mod lines;
pub(super) mod names;

use std::path::Path;

use anyhow::Result;

use super::Texts;
use crate::Outcome;

/// A file that is counted, cut where its tests begin.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

/// A place in a source file: what `--list` prints.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) text: String,
}

impl Place {
    fn new(source: &Source<'_>, line: usize, text: impl Into<String>) -> Self {
        Self {
            file: source.file.display().to_string(),
            line,
            text: text.into(),
        }
    }
}

/// Which side of the wanted value is right.
#[derive(Clone, Copy)]
enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

/// One counted value.
struct Figure {
    /// How `--list` names it.
    key: &'static str,
    label: &'static str,
    unit: &'static str,
    decimals: usize,
    value: f64,
    wanted: Wanted,
    /// What would have to change for a better value.
    offenders: Vec<Place>,
}

impl Figure {
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::AtMost(limit) => self.value <= limit,
            Wanted::AtLeast(limit) => self.value >= limit,
        }
    }

    fn row(&self) -> String {
        let (sign, limit) = match self.wanted {
            Wanted::AtMost(limit) => ("≤", limit),
            Wanted::AtLeast(limit) => ("≥", limit),
        };
        let value = format!("{:.*}{}", self.decimals, self.value, self.unit);
        let wanted = format!("{sign} {limit}{}", self.unit);
        let state = if self.is_met() { "met" } else { "missed" };
        format!(
            "{:<24} {:<44} {value:>8} {wanted:>9}  {state}",
            self.key, self.label
        )
    }
}

/// Prints every figure.
pub(super) fn print_all(texts: &Texts<'_>) -> Outcome {
    println!(
        "{:<24} {:<44} {:>8} {:>9}",
        "figure", "what", "today", "wanted"
    );
    for figure in figures(texts) {
        println!("{}", figure.row());
    }
    Outcome::Done
}

/// Prints what stands behind one figure.
pub(super) fn print_offenders(texts: &Texts<'_>, key: &str) -> Result<Outcome> {
    let figures = figures(texts);
    let Some(figure) = figures.iter().find(|figure| figure.key == key) else {
        let keys: Vec<_> = figures.iter().map(|figure| figure.key).collect();
        anyhow::bail!(
            "there is no figure `{key}`\nhint: one of {}",
            keys.join(", ")
        );
    };
    for place in &figure.offenders {
        println!("{}:{}: {}", place.file, place.line, place.text);
    }
    println!("{}", figure.row());
    Ok(Outcome::Done)
}

/// The files that are counted, cut where their tests begin.
pub(super) fn sources<'a>(texts: &Texts<'a>) -> Vec<Source<'a>> {
    let counted = texts.iter().filter(|(file, _)| is_counted(file));
    counted
        .map(|(&file, &text)| Source {
            file,
            text: without_tests(text),
        })
        .collect()
}

fn is_counted(file: &Path) -> bool {
    let Some(inner) = file.to_str().and_then(|file| file.strip_prefix("crates/")) else {
        return false;
    };
    let is_test = inner.contains("/tests/")
        || inner.ends_with("tests.rs")
        || inner.contains("benches")
        || inner.contains("test_data");
    file.extension().is_some_and(|ending| ending == "rs") && !is_test
}

fn without_tests(text: &str) -> &str {
    let end = text.find("\n#[cfg(test)]\nmod ");
    &text[..end.unwrap_or(text.len())]
}

fn figures(texts: &Texts<'_>) -> Vec<Figure> {
    let sources = sources(texts);
    let mut figures = name_figures(&sources);
    figures.extend(text_figures(&sources));
    figures.extend(size_figures(&sources));
    figures.push(locked_packages(texts));
    figures
}

fn name_figures(sources: &[Source<'_>]) -> Vec<Figure> {
    let names = names::Names::read(sources);
    let percent = |key, label, share, limit, offenders| Figure {
        key,
        label,
        unit: " %",
        decimals: 1,
        value: 100.0 * share,
        wanted: Wanted::AtMost(limit),
        offenders,
    };
    vec![
        percent(
            "one-word-types",
            "type names of one word",
            names.one_word_types(),
            20.0,
            names.list_one_word_types(),
        ),
        percent(
            "one-word-functions",
            "function names of one word",
            names.one_word_functions(),
            40.0,
            names.list_one_word_functions(),
        ),
        percent(
            "duplicate-types",
            "type names defined in more than one file",
            names.duplicate_types(),
            4.0,
            names.list_duplicate_types(),
        ),
        Figure {
            key: "tuple-parameters",
            label: "tuple parameters per 1000 functions",
            unit: "",
            decimals: 1,
            value: names.tuple_parameters_per_1000(),
            wanted: Wanted::AtMost(1.0),
            offenders: names.list_tuple_parameters(),
        },
    ]
}

fn text_figures(sources: &[Source<'_>]) -> Vec<Figure> {
    let docs = docs::Docs::read(sources);
    let logs = lines::LogLines::read(sources);
    let (short, documented) = (docs.short_share(), docs.documented_share());
    vec![
        Figure {
            key: "short-docs",
            label: "docs of three words or fewer",
            unit: " %",
            decimals: 1,
            value: 100.0 * short,
            wanted: Wanted::AtMost(8.0),
            offenders: docs.short,
        },
        Figure {
            key: "log-lines",
            label: "log lines per 1000 lines of code",
            unit: "",
            decimals: 1,
            value: logs.per_1000(),
            wanted: Wanted::AtLeast(3.0),
            offenders: logs.files_without,
        },
        Figure {
            key: "documented",
            label: "pub items whose doc says more than the name",
            unit: " %",
            decimals: 1,
            value: 100.0 * documented,
            wanted: Wanted::AtLeast(85.0),
            offenders: docs.undocumented,
        },
    ]
}

fn size_figures(sources: &[Source<'_>]) -> Vec<Figure> {
    let files = lines::Sizes::of_files(sources);
    let functions = lines::Sizes::of_functions(sources);
    let size = |key, label, value, limit, offenders| Figure {
        key,
        label,
        unit: "",
        decimals: 0,
        value,
        wanted: Wanted::AtMost(limit),
        offenders,
    };
    vec![
        size(
            "file-p95",
            "lines of a file, 95 of 100",
            files.percentile_95(),
            370.0,
            files.longer_than(370),
        ),
        size(
            "function-p95",
            "lines of a function, 95 of 100",
            functions.percentile_95(),
            40.0,
            functions.longer_than(40),
        ),
        size(
            "function-max",
            "lines of the longest function",
            functions.max(),
            70.0,
            functions.longer_than(70),
        ),
    ]
}

/// Offenders are the packages that are locked in more than one version.
fn locked_packages(texts: &Texts<'_>) -> Figure {
    let file = Path::new("Cargo.lock");
    let text = texts.get(file).copied().unwrap_or_default();
    let names: Vec<(usize, &str)> = (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| Some((line, text.strip_prefix("name = ")?.trim_matches('"'))))
        .collect();
    let twice = |name: &str| names.iter().filter(|(_, other)| *other == name).count() > 1;
    let offenders = names.iter().filter(|(_, name)| twice(name));
    let source = Source { file, text };
    Figure {
        key: "locked-packages",
        label: "packages of the lock file",
        unit: "",
        decimals: 0,
        value: names.len() as f64,
        wanted: Wanted::AtMost(480.0),
        offenders: offenders
            .map(|(line, name)| Place::new(&source, *line, *name))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(files: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
        let texts: Texts<'_> = files
            .iter()
            .map(|(file, text)| (Path::new(*file), *text))
            .collect();
        let figures = figures(&texts);
        let round = |figure: &Figure| format!("{:.1}", figure.value);
        figures
            .iter()
            .map(|figure| (figure.key, round(figure)))
            .collect()
    }

    /// Worked out by hand; `names.py` prints the same first four for these files.
    #[test]
    fn a_small_tree_is_counted_by_hand() {
        let figures = measured(&[
            (
                "crates/a/src/lib.rs",
                "/// Opens.\npub struct Door;\npub(crate) enum HTTPKind {}\nstruct RedDoor;\n\
                 /// Opens a door that was locked.\npub fn open((a, b): (u8, u8)) {\n    info!(\"x\");\n}\n\
                 fn close_all() {}\n",
            ),
            (
                "crates/b/src/door.rs",
                "pub trait Door {\n    fn knock(&self);\n}\n    struct Inner;\n\n\
                 #[cfg(test)]\nmod tests {\n    fn ignored() {}\n}\n",
            ),
            ("crates/b/src/door/tests.rs", "struct Unseen;\n"),
            ("crates/b/tests/it/main.rs", "struct Unseen;\n"),
            ("xtask/src/main.rs", "struct Unseen;\n"),
            (
                "Cargo.lock",
                "[[package]]\nname = \"x\"\n[[package]]\nname = \"y\"\n",
            ),
        ]);
        let expected = [
            ("one-word-types", "50.0"),
            ("one-word-functions", "66.7"),
            ("duplicate-types", "33.3"),
            ("tuple-parameters", "333.3"),
            ("short-docs", "50.0"),
            ("log-lines", "90.9"),
            ("documented", "66.7"),
            ("file-p95", "9.0"),
            ("function-p95", "3.0"),
            ("function-max", "3.0"),
            ("locked-packages", "2.0"),
        ];
        let expected = expected.map(|(key, value)| (key, value.to_owned()));
        assert_eq!(figures, expected);
    }

    #[test]
    fn a_limit_is_met_at_its_value() {
        let at = |wanted| Figure {
            key: "key",
            label: "label",
            unit: "",
            decimals: 0,
            value: 5.0,
            wanted,
            offenders: Vec::new(),
        };
        for (wanted, met) in [
            (Wanted::AtMost(5.0), true),
            (Wanted::AtMost(4.0), false),
            (Wanted::AtLeast(5.0), true),
            (Wanted::AtLeast(6.0), false),
        ] {
            assert_eq!(at(wanted).is_met(), met);
        }
    }
}

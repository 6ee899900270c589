//! Test files that a check brings along: they ask something, of the project, and do not bring the
//! work along or step aside.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluate::facts::EvaluationFacts;
use crate::repository::{PathLocation, clean_path, names_in};

/// Endings of code that is no shell script.
const CODE_ENDINGS: &[&str] = &[
    "c", "cc", "cjs", "cpp", "cs", "ex", "exs", "go", "java", "js", "jsx", "kt", "lua", "mjs",
    "php", "pl", "py", "rb", "rs", "scala", "swift", "ts", "tsx", "zig",
];

/// Parts of a name that make a file a test.
const TEST_NAMES: &[&str] = &[
    "accept", "bench", "e2e", "example", "fixture", "mock", "proof", "sample", "spec", "test",
    "verif",
];

omoi_domain::constant_patterns! {
    static ASSERTS = r"(?ix) (\b|_|XCT)assert | \brefute | \braises\b | \bexpect\w*\s*\( | \.should\b | \bshould\. | \.(to|must)_?(be|eq)\w*
            | \bt\.(error|fatal|fail)\w* | \brequire\.\w+\( | \bfail\w*!?\( | \bpanic!?\( | \bexit\s*\(
            | \braise\b | \bthrow\b | \bverify\w*\( | \bok\( | \bis\( | \breturn\s+[1-9] | \babort\(
            | \bexitcode\b | \bCHECK\w*\( | \bdie\b | \bmatches!";

    /// Compares constants, or asks only whether something is there at all.
    static VACUOUS = r"(?ix) expect\(\s*(true|1)\s*\) | assert\w*!?[\s(]+(true|1)\s*([),;:\#]|$|==\s*1\b)
            | assert(\.\w+)?\(\s*true\s*[),] | \.to(be)?(defined|truthy)\b | \bcallable\( | \bhasattr\(
            | typeof\s[^=]*===?\s*.function | assert_eq!\(\s*(1|true)\s*,\s*(1|true)\s*\)";

    /// A program in C says by what `main` returns whether it passed.
    static RETURNS = r"\breturn\s+[^0\s;][^;]*;";

    static SKIPS = r"(?x) \b(test|it|describe|suite|context|t|ctx|this|unittest|pytest|mark|self)\.skip\w*
            | \bskip(If|Unless|Test)\w* | \bskip\s*:\s | \bimportorskip\b | \#\[ignore | \bx(it|describe|test)\(
            | \.Skip(Now|f)?\( | @Disabled\b | @Ignore\b | \b(test|it)\.todo\b";

    /// Looks whether something is there, without using it.
    static PROBES = r"(?i)exists?\w*\s*\(|\.exists\b|\bis_?(file|dir)\b|\baccess(sync)?\(|\b(l?stat)(sync)?\(|os\.stat|readdir|listdir|scandir";

    /// Reads a file as text.
    static READS = r"(?i)read_?file|read_to_string|\bopen\(|read_text|file\.read|slurp|getsource|include_str|file_get_contents";

    /// Asks a running program over the network.
    static REQUESTS = r#"(?i)\b(fetch|goto|visit|get|post|put|patch|delete|request)\(\s*["'`](/|https?://(localhost|127\.))"#;

    /// Takes code in, or names what is taken in.
    static IMPORTS = r"(?x) ^\s*(import|from|use|using|require|include|\#include|load|mod|extern|package|alias)\b
            | \brequire(_relative)?\s*\(? | \bimport\s*\( | \bimport_module\b";

    /// `NAME::` of a crate or module, and the binary or crate under test.
    static CRATES = r"\b([a-z_][a-z0-9_]*)::|CARGO_(BIN_EXE|PKG|CRATE)_";
}

/// Modules of Rust's own library and types with functions of their own.
const RUST_MODULES: &[&str] = &[
    "alloc",
    "any",
    "array",
    "borrow",
    "bool",
    "cell",
    "char",
    "cmp",
    "collections",
    "convert",
    "core",
    "default",
    "env",
    "error",
    "f32",
    "f64",
    "ffi",
    "fmt",
    "fs",
    "hash",
    "i32",
    "i64",
    "io",
    "iter",
    "mem",
    "net",
    "num",
    "ops",
    "option",
    "os",
    "path",
    "process",
    "ptr",
    "rc",
    "result",
    "self",
    "slice",
    "std",
    "str",
    "string",
    "sync",
    "thread",
    "time",
    "u32",
    "u64",
    "u8",
    "usize",
    "vec",
];

/// What is wrong with the files of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TestFileFault {
    /// No line could fail by what it finds.
    AssertsNothing,
    /// Nothing of the project is used.
    TouchesNothing,
    /// It may step aside.
    Skips(String),
    /// It brings program code along.
    BringsWork(String),
}

/// What the plan and the repository call the project's own code.
#[derive(Clone, Debug, Default)]
pub(super) struct ProjectNames {
    /// Files of code, there or planned, that are no tests.
    files: BTreeSet<String>,
    /// Their names without folder and ending, and the folders they are in.
    modules: BTreeSet<String>,
}

impl ProjectNames {
    /// The names of what is there, and of the files `planned`.
    pub(super) fn new<'a>(
        facts: &EvaluationFacts,
        planned: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut found = Self::default();
        let there = facts.repo.paths.files().map(str::to_owned);
        let planned = planned.into_iter().filter_map(clean_path);
        for file in there
            .chain(planned)
            .filter(|file| is_code(file) && !is_test(file))
        {
            let mut parts: Vec<&str> = file.split('/').collect();
            let name = parts.pop().unwrap_or_default();
            let stem = name.split('.').next().unwrap_or_default();
            let named = parts.iter().chain([&stem]).map(|part| (*part).to_owned());
            found.modules.extend(named.filter(|part| part.len() > 1));
            found.files.insert(file);
        }
        found
    }

    /// Whether a line of `text`, laid at `path`, uses something of the project that is not laid too.
    fn are_used_in(&self, path: &str, text: &str, laid: &BTreeSet<String>) -> bool {
        let lines = text.lines().filter(|line| !PROBES.is_match(line));
        let own: BTreeSet<&str> = laid.iter().map(|path| stem_of(path)).collect();
        lines.into_iter().any(|line| {
            let named = |file: &&String| {
                let name = file.rsplit('/').next().unwrap_or(file);
                line.contains(name) && !laid.contains(*file)
            };
            let is_source_read = READS.is_match(line) && self.files.iter().any(|f| named(&f));
            !is_source_read
                && (self.files.iter().any(|f| named(&f))
                    || self.is_imported_in(line, &own)
                    || self.is_quoted_in(line, &own)
                    || REQUESTS.is_match(line)
                    || finds_by_name(path) && self.is_class_in(line, &own)
                    || file_ending(path) == "rs" && uses_crate(line, &own))
        })
    }

    fn is_imported_in(&self, line: &str, own: &BTreeSet<&str>) -> bool {
        IMPORTS.is_match(line) && self.has_module_in(line, own)
    }

    fn has_module_in(&self, text: &str, own: &BTreeSet<&str>) -> bool {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        words.any(|word| self.modules.contains(word) && !own.contains(word))
    }

    /// `Cart` where `cart.rb` or `shopping/cart.ex` defines it.
    fn is_class_in(&self, line: &str, own: &BTreeSet<&str>) -> bool {
        let mut names = names_in(line).filter(|name| name.starts_with(char::is_uppercase));
        names.any(|name| {
            let folded = name.to_lowercase();
            let mut modules = self.modules.iter();
            modules.any(|module| {
                !own.contains(module.as_str()) && module.to_lowercase().replace('_', "") == folded
            })
        })
    }

    /// `"ledger"`, `"./tool"`, `"bin/tool"`: what is started or loaded by its name.
    fn is_quoted_in(&self, line: &str, own: &BTreeSet<&str>) -> bool {
        line.split(['"', '\'', '`'])
            .skip(1)
            .step_by(2)
            .any(|quoted| {
                let starts = quoted
                    .strip_prefix("./")
                    .is_some_and(|rest| !rest.is_empty());
                let whole = !quoted.contains(' ') && self.has_module_in(quoted, own);
                starts && !quoted.contains(' ') && !own.contains(stem_of(quoted)) || whole
            })
    }
}

/// Whether the language finds a class by its name, without taking its file in.
fn finds_by_name(path: &str) -> bool {
    matches!(
        file_ending(path),
        "cs" | "ex" | "exs" | "php" | "rb" | "swift"
    )
}

fn uses_crate(line: &str, own: &BTreeSet<&str>) -> bool {
    CRATES.captures_iter(line).any(|found| {
        let name = found.get(1).map_or("", |name| name.as_str());
        !RUST_MODULES.contains(&name) && !own.contains(name)
    })
}

fn stem_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

fn file_ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

pub(super) fn is_code(path: &str) -> bool {
    CODE_ENDINGS.contains(&file_ending(path))
        || matches!(file_ending(path), "sh" | "bash" | "h" | "hpp")
}

fn is_test(path: &str) -> bool {
    let path = path.to_lowercase();
    TEST_NAMES.iter().any(|name| path.contains(name))
}

/// What is wrong with `laid`, the files of a check by path, and with code written into its command.
pub(super) fn test_file_fault(
    laid: &BTreeMap<&str, &str>,
    inline: &[String],
    names: &ProjectNames,
    facts: &EvaluationFacts,
) -> Option<TestFileFault> {
    let paths: BTreeSet<String> = laid.keys().filter_map(|path| clean_path(path)).collect();
    if let Some(path) = paths
        .iter()
        .find(|path| brings_work(path, laid, names, facts))
    {
        return Some(TestFileFault::BringsWork(path.clone()));
    }
    let is_test_code = |path: &str| CODE_ENDINGS.contains(&file_ending(path));
    let code: Vec<(&str, String)> = laid
        .iter()
        .filter(|(path, _)| is_test_code(path))
        .map(|(path, text)| (*path, without_comments(path, text)))
        .chain(inline.iter().map(|text| ("", text.clone())))
        .collect();
    if code.is_empty() {
        return None;
    }
    let skip = code.iter().find_map(|(_, text)| {
        let found = SKIPS.find(text)?;
        Some(found.as_str().trim().to_owned())
    });
    if let Some(skip) = skip {
        return Some(TestFileFault::Skips(skip));
    }
    let asserts = |(path, text): &(&str, String)| {
        let mut lines = text.lines();
        lines.any(|line| {
            let ends_red =
                matches!(file_ending(path), "c" | "cc" | "cpp") && RETURNS.is_match(line);
            let asserts = ASSERTS.is_match(line) && !VACUOUS.is_match(line);
            (asserts || ends_red) && !is_plain_import(line)
        })
    };
    if !code.iter().any(asserts) {
        return Some(TestFileFault::AssertsNothing);
    }
    let touches = |(path, text): &(&str, String)| {
        is_beside_code(path, facts) || names.are_used_in(path, text, &paths)
    };
    (!code.iter().any(touches)).then_some(TestFileFault::TouchesNothing)
}

/// A line that takes something in and does nothing else.
fn is_plain_import(line: &str) -> bool {
    let line = line.trim().trim_end_matches(';');
    let starts = ["import ", "from ", "use ", "#include", "using "];
    let loads = [
        "require('assert",
        "require(\"assert",
        "require('node:assert",
        "require(\"node:assert",
    ];
    let imports = starts.iter().any(|start| line.starts_with(start));
    (imports || loads.iter().any(|load| line.contains(load))) && !line.contains(';')
}

/// A test of a package in the package's own folder, which takes nothing in to use it.
fn is_beside_code(path: &str, facts: &EvaluationFacts) -> bool {
    let of_folder = matches!(file_ending(path), "go" | "java" | "kt" | "scala" | "swift");
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let beside = |file: &str| {
        file.rsplit_once('/').map_or("", |(folder, _)| folder) == folder
            && file_ending(file) == file_ending(path)
    };
    of_folder && (file_ending(path) != "go" || facts.repo.paths.files().any(beside))
}

/// Whether `path` is a file of the program and not of a test: it is there or planned, or it lies
/// among the program's files and another file that is laid takes it in.
fn brings_work(
    path: &str,
    laid: &BTreeMap<&str, &str>,
    names: &ProjectNames,
    facts: &EvaluationFacts,
) -> bool {
    if !is_code(path) || is_test(path) {
        return false;
    }
    if facts.repo.paths.locate(path) == PathLocation::File || names.files.contains(path) {
        return true;
    }
    let Some((folder, _)) = path.rsplit_once('/') else {
        return false;
    };
    let beside = |file: &String| {
        let other = file.rsplit_once('/').map(|(folder, _)| folder);
        other == Some(folder)
    };
    let is_taken_in = laid.iter().any(|(other, text)| {
        clean_path(other).as_deref() != Some(path) && text.contains(stem_of(path))
    });
    is_taken_in && names.files.iter().any(beside)
}

fn without_comments(path: &str, text: &str) -> String {
    let mark = match file_ending(path) {
        "py" | "rb" | "pl" | "ex" | "exs" => "#",
        "lua" => "--",
        _ => "//",
    };
    let plain = text.lines().map(|line| {
        let trimmed = line.trim_start();
        if trimmed.starts_with(mark) || mark == "//" && trimmed.starts_with('*') {
            return "";
        }
        line.split_once(&format!(" {mark}"))
            .map_or(line, |(code, _)| code)
    });
    plain.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;

//! Which files are tests.

use super::TestPaths;
use super::listing::Listing;

/// One naming habit.
enum Rule {
    /// Everything below a folder of this name at the root.
    Top(&'static str),
    /// Everything below a folder of this name anywhere.
    Folder(&'static str),
    /// A file whose name has this beginning and this end before one of these extensions.
    Name(&'static str, &'static str, &'static [&'static str]),
}

const SCRIPTS: &[&str] = &["js", "jsx", "mjs", "cjs", "ts", "tsx", "mts"];
const NATIVE: &[&str] = &["c", "cc", "cpp", "cxx"];
const CLASSES: &[&str] = &["java", "kt", "scala", "cs"];

const RULES: &[Rule] = &[
    Rule::Top("tests"),
    Rule::Top("test"),
    Rule::Top("spec"),
    Rule::Folder("tests"),
    Rule::Folder("test"),
    Rule::Folder("__tests__"),
    Rule::Name("test_", "", &["py", "rb"]),
    Rule::Name("test_", "", NATIVE),
    Rule::Name("", "_test", &["py", "rs", "go", "rb", "exs"]),
    Rule::Name("", "_test", NATIVE),
    Rule::Name("conftest", "", &["py"]),
    Rule::Name("tests", "", &["py", "rs"]),
    Rule::Name("", ".test", SCRIPTS),
    Rule::Name("", ".spec", SCRIPTS),
    Rule::Name("", "_spec", &["rb"]),
    Rule::Name("", "Test", CLASSES),
    Rule::Name("", "Tests", CLASSES),
    Rule::Name("", "IT", &["java"]),
    Rule::Name("", "Test", &["php"]),
    Rule::Name("", "Tests", &["swift"]),
];

/// A path taken apart once for all rules.
struct Parts<'a> {
    folders: &'a str,
    stem: &'a str,
    extension: &'a str,
}

impl Rule {
    fn matches(&self, parts: &Parts<'_>) -> bool {
        match self {
            Rule::Top(name) => parts.folders.split('/').next() == Some(name),
            Rule::Folder(name) => parts.folders.split('/').any(|part| part == *name),
            Rule::Name(start, end, extensions) => {
                // A bare name such as `conftest` must be the whole of it.
                let whole = end.is_empty() && !start.ends_with('_');
                parts.stem.starts_with(start)
                    && parts.stem.ends_with(end)
                    && (!whole || parts.stem == *start)
                    && extensions.contains(&parts.extension)
            }
        }
    }

    fn pattern(&self) -> String {
        match self {
            Rule::Top(name) => format!("{name}/**"),
            Rule::Folder(name) => format!("**/{name}/**"),
            Rule::Name(start, end, extensions) => {
                let star = if end.is_empty() && !start.ends_with('_') {
                    ""
                } else {
                    "*"
                };
                match extensions {
                    [one] => format!("**/{start}{star}{end}.{one}"),
                    many => format!("**/{start}{star}{end}.{{{}}}", many.join(",")),
                }
            }
        }
    }
}

/// Whether a file is a test or belongs to one, by the naming habits of the languages we know.
pub fn is_test_path(path: &str) -> bool {
    first_rule(path).is_some()
}

/// The first rule a path follows, as its place in the table.
pub(super) fn first_rule(path: &str) -> Option<usize> {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let parts = Parts {
        folders,
        stem,
        extension,
    };
    RULES.iter().position(|rule| rule.matches(&parts))
}

/// The patterns that match here, most files first.
///
/// A file counts for the first rule only: `tests/x` is not also `**/tests/x`.
pub(super) fn patterns(listing: &Listing) -> Vec<TestPaths> {
    let mut counts = vec![0_u64; RULES.len()];
    for file in listing.files.iter().filter(|f| !f.vendored) {
        if let Some(first) = file.test_rule {
            counts[first] += 1;
        }
    }
    let mut found: Vec<TestPaths> = RULES
        .iter()
        .zip(counts)
        .filter(|(_, files)| *files > 0)
        .map(|(rule, files)| TestPaths {
            pattern: rule.pattern(),
            files,
        })
        .collect();
    found.sort_by(|a, b| {
        b.files
            .cmp(&a.files)
            .then_with(|| a.pattern.cmp(&b.pattern))
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_are_tests() {
        for yes in [
            "tests/a.py",
            "test/deep/er/x.js",
            "pkg/test_a.py",
            "conftest.py",
            "a_test.go",
            "src/x.spec.tsx",
            "src/test/java/A.java",
            "core/src/main/FooTest.java",
            "crates/x/tests/it.rs",
            "src/tests.rs",
            "spec/a_spec.rb",
            "src/__tests__/a.js",
        ] {
            assert!(is_test_path(yes), "{yes}");
        }
        for no in [
            "src/main.rs",
            "contest.py",
            "conftest_x.py",
            "latest/a.py",
            "attest.go",
            "testing.md",
            "src/tester.py",
            "tests",
            "a.test",
        ] {
            assert!(!is_test_path(no), "{no}");
        }
        let patterns: Vec<String> = RULES.iter().map(Rule::pattern).collect();
        assert!(patterns.contains(&"**/test_*.{py,rb}".to_owned()));
        assert!(patterns.contains(&"**/conftest.py".to_owned()));
        assert!(patterns.contains(&"**/*Test.php".to_owned()));
    }
}

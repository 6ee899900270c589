//! Which files are tests, told by the naming conventions of each language.

use super::TestPaths;
use super::listing::FileListing;

/// One naming convention of test files.
enum TestPathRule {
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

const RULES: &[TestPathRule] = &[
    TestPathRule::Top("tests"),
    TestPathRule::Top("test"),
    TestPathRule::Top("spec"),
    TestPathRule::Folder("tests"),
    TestPathRule::Folder("test"),
    TestPathRule::Folder("__tests__"),
    TestPathRule::Name("test_", "", &["py", "rb"]),
    TestPathRule::Name("test_", "", NATIVE),
    TestPathRule::Name("", "_test", &["py", "rs", "go", "rb", "exs"]),
    TestPathRule::Name("", "_test", NATIVE),
    TestPathRule::Name("conftest", "", &["py"]),
    TestPathRule::Name("tests", "", &["py", "rs"]),
    TestPathRule::Name("", ".test", SCRIPTS),
    TestPathRule::Name("", ".spec", SCRIPTS),
    TestPathRule::Name("", "_spec", &["rb"]),
    TestPathRule::Name("", "Test", CLASSES),
    TestPathRule::Name("", "Tests", CLASSES),
    TestPathRule::Name("", "IT", &["java"]),
    TestPathRule::Name("", "Test", &["php"]),
    TestPathRule::Name("", "Tests", &["swift"]),
];

/// A path taken apart once for all rules.
struct PathParts<'a> {
    folders: &'a str,
    stem: &'a str,
    extension: &'a str,
}

impl TestPathRule {
    fn matches_path(&self, parts: &PathParts<'_>) -> bool {
        match self {
            TestPathRule::Top(name) => parts.folders.split('/').next() == Some(name),
            TestPathRule::Folder(name) => parts.folders.split('/').any(|part| part == *name),
            TestPathRule::Name(start, end, extensions) => {
                // A bare name such as `conftest` must be the whole of it.
                let whole = end.is_empty() && !start.ends_with('_');
                parts.stem.starts_with(start)
                    && parts.stem.ends_with(end)
                    && (!whole || parts.stem == *start)
                    && extensions.contains(&parts.extension)
            }
        }
    }

    fn glob_pattern(&self) -> String {
        match self {
            TestPathRule::Top(name) => format!("{name}/**"),
            TestPathRule::Folder(name) => format!("**/{name}/**"),
            TestPathRule::Name(start, end, extensions) => {
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
    let parts = PathParts {
        folders,
        stem,
        extension,
    };
    RULES.iter().position(|rule| rule.matches_path(&parts))
}

/// The patterns that match here, most files first.
///
/// A file counts for the first rule only: `tests/x` is not also `**/tests/x`.
pub(super) fn test_patterns(listing: &FileListing) -> Vec<TestPaths> {
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
            pattern: rule.glob_pattern(),
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
        let patterns: Vec<String> = RULES.iter().map(TestPathRule::glob_pattern).collect();
        assert!(patterns.contains(&"**/test_*.{py,rb}".to_owned()));
        assert!(patterns.contains(&"**/conftest.py".to_owned()));
        assert!(patterns.contains(&"**/*Test.php".to_owned()));
    }
}

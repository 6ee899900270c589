//! Sizes: lines of a file, packages of the lock file.

use std::path::Path;

use super::Finding;
use super::files::lines_without_tests;

const LINES_MAX: usize = 600;
const PACKAGES_MAX: usize = 700;

/// Files that may be longer, each with its reason: tables and generated code.
const LONG_FILES: &[(&str, &str)] = &[];

/// Checks the size of one file.
pub(crate) fn check(file: &Path, text: &str) -> Option<Finding> {
    if file == Path::new("Cargo.lock") {
        return packages(file, text);
    }
    let is_exempt = LONG_FILES
        .iter()
        .any(|(exempt, _)| file == Path::new(exempt));
    if is_exempt || file.extension().is_none_or(|extension| extension != "rs") {
        return None;
    }
    let lines = lines_without_tests(text).count();
    (lines > LINES_MAX).then(|| {
        Finding::new(
            file,
            LINES_MAX,
            format!("{lines} lines without tests"),
            format!("split it by what it is about, at most {LINES_MAX}"),
        )
    })
}

fn packages(file: &Path, text: &str) -> Option<Finding> {
    let packages = text.lines().filter(|line| *line == "[[package]]").count();
    (packages > PACKAGES_MAX).then(|| {
        Finding::new(
            file,
            1,
            format!("{packages} locked packages"),
            format!("drop a dependency or its features, at most {PACKAGES_MAX} (`cargo tree --edges normal`)"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_before_the_tests_and_locked_packages() {
        let check = |file: &str, text: String, expected: bool| {
            assert_eq!(check(Path::new(file), &text).is_some(), expected, "{file}");
        };
        let long = "line\n".repeat(LINES_MAX);
        check("a.rs", long.clone(), false);
        check("a.rs", long.clone() + "line\n", true);
        check(
            "a.rs",
            long.clone() + "#[cfg(test)]\nmod tests {\nline\n}\n",
            false,
        );
        check("a.md", long + "line\n", false);
        check("Cargo.lock", "[[package]]\n".repeat(PACKAGES_MAX), false);
        check("Cargo.lock", "[[package]]\n".repeat(PACKAGES_MAX + 1), true);
    }
}

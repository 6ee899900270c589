//! All that a process has is known to the place that builds it, and to nothing that it builds.

use std::path::Path;

use super::Finding;
use super::files::{is_test, lines_without_tests};

/// The list of everything.
const LIST: &str = "DeploymentParts";
/// The one way to take something from it.
const TAKING: &str = "fn from_parts(parts: &DeploymentParts) -> Self {";

/// Files and folders that fill the list in, each with its reason.
const BUILDERS: &[(&str, &str)] = &[
    ("crates/omoi-execution/src/deployment.rs", "defines it"),
    ("crates/omoi/src/composition", "builds a process"),
    (
        "crates/omoi-testkit/src/deployment",
        "builds that of a test",
    ),
];

/// Checks one file.
pub(super) fn check(file: &Path, text: &str) -> Vec<Finding> {
    let name = file.to_string_lossy();
    let is_builder = BUILDERS.iter().any(|(place, _)| name.starts_with(place));
    if is_builder || is_test(file) || !name.starts_with("crates/") || !name.contains("/src/") {
        return Vec::new();
    }
    let code = lines_without_tests(text).filter(|(_, line)| !line.trim_start().starts_with("//"));
    let named = code.filter(|(_, line)| is_taken(line));
    let finding = |(number, _)| {
        let what = format!("`{LIST}` is within reach");
        let remedy = "take the value that holds what is needed, and build it in its `from_parts`";
        Finding::new(file, number, what, remedy)
    };
    named.map(finding).collect()
}

/// Whether a line names the list as a type or fills it in; to import it is not enough.
fn is_taken(line: &str) -> bool {
    if line.trim() == TAKING {
        return false;
    }
    let mut places = line.match_indices(LIST);
    places.any(|(at, _)| {
        let before = line[..at].trim_end();
        let after = line[at + LIST.len()..].trim_start();
        let is_type = [":", "&", "->", "mut", "<", "("]
            .iter()
            .any(|sign| before.ends_with(sign) && !before.ends_with("::"));
        is_type || after.starts_with('{') && !line.trim_start().starts_with("use ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_that_is_built_sees_everything() {
        let file = Path::new("crates/omoi-planning/src/planner.rs");
        for (line, n_findings) in [
            ("    fn from_parts(parts: &DeploymentParts) -> Self {", 0),
            ("use omoi_execution::{DeploymentParts, FromParts};", 0),
            ("use omoi_execution::DeploymentParts;", 0),
            ("// DeploymentParts holds all.", 0),
            ("    parts: DeploymentParts,", 1),
            ("async fn tick(parts: &DeploymentParts) {", 1),
            ("    all: Arc<DeploymentParts>,", 1),
            ("fn all() -> DeploymentParts {", 1),
            ("    let all = DeploymentParts {", 1),
        ] {
            assert_eq!(check(file, line).len(), n_findings, "{line}");
            let root = Path::new("crates/omoi/src/composition.rs");
            assert_eq!(check(root, line).len(), 0, "{line}");
        }
    }
}

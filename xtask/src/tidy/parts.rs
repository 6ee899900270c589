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

/// Whether a line names the list otherwise than to import it under its own name.
fn is_taken(line: &str) -> bool {
    let line = line.trim();
    if line == TAKING || !line.contains(LIST) {
        return false;
    }
    let renames = line.contains(" as ");
    // An import over several lines holds paths, braces and commas alone.
    let is_import = line.starts_with("use ") || line.starts_with("pub use ");
    let paths = line.replace("::", "");
    let is_list = paths.ends_with(',') && !paths.contains([':', '&', '<', '(', '=']);
    renames || !is_import && !is_list
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
            (
                "    AttemptJob, deployment::{DeploymentParts, FromParts},",
                0,
            ),
            ("    parts: omoi_execution::DeploymentParts,", 1),
            ("use omoi_execution::DeploymentParts as Everything;", 1),
            ("type Everything = DeploymentParts;", 1),
            ("fn all(parts: &omoi_execution::DeploymentParts) {", 1),
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

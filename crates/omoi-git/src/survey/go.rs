//! Go modules.

use super::text::{hint, tool_version};
use super::view::{View, join};
use super::{Finding, ToolchainKind};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let dirs = view.projects(&["go.mod"]);
    let mut finding = Finding::new(ToolchainKind::Go);
    for dir in &dirs {
        let manifest = join(dir, "go.mod");
        let text = view.text(&manifest).unwrap_or("");
        let word = |name: &str| {
            let mut lines = text.lines().map(str::trim);
            lines.find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))
        };
        let asked = word("toolchain")
            .or_else(|| word("go"))
            .and_then(|v| hint(v, &manifest));
        let version = asked.or_else(|| tool_version(view, dir, "golang"));
        finding.toolchain(Some(&manifest), version, &[]);
        let at = (*dir, manifest.as_str());
        finding.build(at, "go build ./...", "a Go module");
        if view
            .below(dir)
            .any(|f| f.path.ends_with("_test.go") && !f.vendored)
        {
            finding.test(at, "go test ./...", "a Go module with tests");
        }
    }
    (!dirs.is_empty()).then_some(finding)
}

//! Go modules.

use super::ToolchainKind;
use super::finding::{HintSource, ToolchainFinding};
use super::text::{tool_version, version_hint};
use super::view::{SurveyView, join_path};

pub(super) fn detect_go(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let dirs = view.project_dirs(&["go.mod"]);
    let mut finding = ToolchainFinding::new(ToolchainKind::Go);
    for dir in &dirs {
        let manifest = join_path(dir, "go.mod");
        let text = view.file_text(&manifest).unwrap_or("");
        let word = |name: &str| {
            let mut lines = text.lines().map(str::trim);
            lines.find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))
        };
        let asked = word("toolchain")
            .or_else(|| word("go"))
            .and_then(|v| version_hint(v, &manifest));
        let version = asked.or_else(|| tool_version(view, dir, "golang"));
        finding.add_toolchain(Some(&manifest), version, &[]);
        let source = HintSource::new(dir, &manifest);
        finding.add_build(source, "go build ./...", "a Go module");
        if view
            .files_below(dir)
            .any(|f| f.path.ends_with("_test.go") && !f.vendored)
        {
            finding.add_test(source, "go test ./...", "a Go module with tests");
        }
    }
    (!dirs.is_empty()).then_some(finding)
}

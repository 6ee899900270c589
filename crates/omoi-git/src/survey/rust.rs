//! Rust: cargo.

use super::finding::{HintSource, ToolchainFinding};
use super::text::{has_section, read_setting, tool_version, version_file, version_hint};
use super::view::{SurveyView, join_path};
use super::{ToolchainKind, VersionHint};

pub(super) fn detect_rust(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let dirs = view.project_dirs(&["Cargo.toml"]);
    let mut finding = ToolchainFinding::new(ToolchainKind::Rust);
    for dir in &dirs {
        let manifest = join_path(dir, "Cargo.toml");
        let text = view.file_text(&manifest).unwrap_or("");
        finding.add_toolchain(Some(&manifest), rust_version(view, dir, text), &[]);
        let (whole, because) = if has_section(text, "workspace") {
            (" --workspace", "a cargo workspace")
        } else {
            ("", "a cargo package")
        };
        finding.add_build(
            HintSource::new(dir, &manifest),
            &format!("cargo build{whole}"),
            because,
        );
        finding.add_test(
            HintSource::new(dir, &manifest),
            &format!("cargo test{whole}"),
            because,
        );
    }
    (!dirs.is_empty()).then_some(finding)
}

fn rust_version(view: &SurveyView<'_>, dir: &str, manifest: &str) -> Option<VersionHint> {
    let pinned = join_path(dir, "rust-toolchain.toml");
    let from_pin = || {
        version_hint(
            read_setting(view.file_text(&pinned)?, "toolchain", "channel")?,
            &pinned,
        )
    };
    // The manifest names the oldest compiler that will do, not the one to use.
    let from_manifest = || {
        let value = read_setting(manifest, "package", "rust-version")
            .or_else(|| read_setting(manifest, "workspace.package", "rust-version"))?;
        version_hint(&format!(">={value}"), &join_path(dir, "Cargo.toml"))
    };
    from_pin()
        .or_else(|| version_file(view, dir, "rust-toolchain"))
        .or_else(|| tool_version(view, dir, "rust"))
        .or_else(from_manifest)
}

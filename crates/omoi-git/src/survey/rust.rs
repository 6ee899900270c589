//! Rust: cargo.

use super::text::{has_section, hint, setting, tool_version, version_file};
use super::view::{View, join};
use super::{Finding, ToolchainKind, VersionHint};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let dirs = view.projects(&["Cargo.toml"]);
    let mut finding = Finding::new(ToolchainKind::Rust);
    for dir in &dirs {
        let manifest = join(dir, "Cargo.toml");
        let text = view.text(&manifest).unwrap_or("");
        finding.toolchain(Some(&manifest), version(view, dir, text), &[]);
        let (whole, because) = if has_section(text, "workspace") {
            (" --workspace", "a cargo workspace")
        } else {
            ("", "a cargo package")
        };
        finding.build((dir, &manifest), &format!("cargo build{whole}"), because);
        finding.test((dir, &manifest), &format!("cargo test{whole}"), because);
    }
    (!dirs.is_empty()).then_some(finding)
}

fn version(view: &View<'_>, dir: &str, manifest: &str) -> Option<VersionHint> {
    let pinned = join(dir, "rust-toolchain.toml");
    let from_pin = || {
        hint(
            setting(view.text(&pinned)?, "toolchain", "channel")?,
            &pinned,
        )
    };
    // The manifest names the oldest compiler that will do, not the one to use.
    let from_manifest = || {
        let value = setting(manifest, "package", "rust-version")
            .or_else(|| setting(manifest, "workspace.package", "rust-version"))?;
        hint(&format!(">={value}"), &join(dir, "Cargo.toml"))
    };
    from_pin()
        .or_else(|| version_file(view, dir, "rust-toolchain"))
        .or_else(|| tool_version(view, dir, "rust"))
        .or_else(from_manifest)
}

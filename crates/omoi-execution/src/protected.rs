//! Paths of a repository that agents read but do not change.

use std::path::Path;

use omoi_domain::agent_settings::{AGENT_SETTINGS, is_within};
use omoi_sandbox::ProtectedPath;

/// What the platform keeps in a repository.
pub(crate) const PLATFORM_FOLDER: &str = ".omoi_os";

/// Files that are not held where they are missing: the mount would be a folder, of which opencode ends.
const NO_FOLDERS: [&str; 2] = ["opencode.json", "opencode.jsonc"];

/// All of them: the platform's own, and the settings of agent programs.
pub(crate) fn protected_paths() -> impl Iterator<Item = &'static str> {
    [PLATFORM_FOLDER].into_iter().chain(AGENT_SETTINGS)
}

/// Whether a file of the repository is at or below one of them.
pub(crate) fn holds(path: &Path) -> bool {
    let path = path.to_string_lossy();
    protected_paths().any(|protected| is_within(&path, protected))
}

/// What a sandbox keeps the agent from changing in `checkout`.
///
/// Settings that are a link in the repository stay what they are: a mount would have to remove the
/// link. What an agent makes of it, or of a file that cannot be held, is put back before its work is committed.
pub(crate) fn in_sandbox(checkout: &Path) -> Vec<ProtectedPath> {
    let is_link = |path: &&str| checkout.join(path).is_symlink();
    let is_free = |path: &&str| NO_FOLDERS.contains(path) && !checkout.join(path).exists();
    let settings = protected_paths().filter(|path| !is_link(path) && !is_free(path));
    let mut all: Vec<_> = settings.map(ProtectedPath::read_only).collect();
    all.push(ProtectedPath::read_only(".git/config"));
    all.push(ProtectedPath::masked(".git/hooks"));
    all
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn holds_what_is_at_or_below_a_protected_path() {
        for path in [
            ".omoi_os/a.md",
            ".Omoi_OS/a.md",
            ".claude/settings.json",
            ".mcp.json",
            ".codex/config.toml",
            ".opencode/plugin/a.ts",
            "opencode.jsonc",
            ".qwen/settings.json",
            ".gemini/settings.json",
            ".cursor/mcp.json",
            ".vscode/tasks.json",
        ] {
            assert!(holds(Path::new(path)), "{path}");
        }
        for path in [
            "src/.claude/a",
            ".claude.md",
            ".mcp.json.bak",
            "CLAUDE.md",
            "AGENTS.md",
            "opencode.json5",
        ] {
            assert!(!holds(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_sandbox_protects_all_but_links() {
        let checkout = tempfile::tempdir().unwrap();
        let all_but = |left_out: &[&str]| -> Vec<ProtectedPath> {
            let paths = protected_paths().filter(|path| !left_out.contains(path));
            let mut all: Vec<_> = paths
                .chain([".git/config"])
                .map(ProtectedPath::read_only)
                .collect();
            all.push(ProtectedPath::masked(".git/hooks"));
            all
        };
        let [json, jsonc] = NO_FOLDERS;
        assert_eq!(in_sandbox(checkout.path()), all_but(&[json, jsonc]));
        symlink("elsewhere", checkout.path().join(".claude")).unwrap();
        std::fs::write(checkout.path().join(json), "{}").unwrap();
        assert_eq!(in_sandbox(checkout.path()), all_but(&[".claude", jsonc]));
    }
}

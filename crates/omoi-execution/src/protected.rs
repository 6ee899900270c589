//! Paths of a repository that agents read but do not change.

use std::path::Path;

use omoi_sandbox::ProtectedPath;

/// What the platform keeps there, and the settings of agent programs: whoever starts such a program
/// in the repository runs what they say.
pub(crate) const PATHS: [&str; 3] = [".omoi_os", ".claude", ".mcp.json"];

/// Whether a file of the repository is at or below one of them.
pub(crate) fn holds(path: &Path) -> bool {
    PATHS.iter().any(|protected| path.starts_with(protected))
}

/// What a sandbox keeps the agent from changing in `checkout`.
///
/// Settings that are a link in the repository stay what they are: a mount would have to remove the
/// link. What an agent makes of it is put back before its work is committed.
pub(crate) fn in_sandbox(checkout: &Path) -> Vec<ProtectedPath> {
    let is_link = |path: &&str| checkout.join(path).is_symlink();
    let settings = PATHS.iter().filter(|path| !is_link(path));
    let mut all: Vec<_> = settings
        .map(|path| ProtectedPath::read_only(*path))
        .collect();
    all.push(ProtectedPath::read_only(".git/config"));
    all.push(ProtectedPath::masked(".git/hooks"));
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn holds_what_is_at_or_below_a_protected_path() {
        for path in [".omoi_os/a.md", ".claude/settings.json", ".mcp.json"] {
            assert!(holds(Path::new(path)), "{path}");
        }
        for path in ["src/.claude/a", ".claude.md", ".mcp.json.bak", "CLAUDE.md"] {
            assert!(!holds(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_sandbox_protects_all_but_links() {
        let checkout = tempfile::tempdir().unwrap();
        let read_only = |paths: &[&str]| -> Vec<ProtectedPath> {
            let paths = paths.iter().chain(&[".git/config"]);
            let mut all: Vec<_> = paths.map(|path| ProtectedPath::read_only(*path)).collect();
            all.push(ProtectedPath::masked(".git/hooks"));
            all
        };
        assert_eq!(in_sandbox(checkout.path()), read_only(&PATHS));
        symlink("elsewhere", checkout.path().join(".claude")).unwrap();
        let rest = [".omoi_os", ".mcp.json"];
        assert_eq!(in_sandbox(checkout.path()), read_only(&rest));
    }
}

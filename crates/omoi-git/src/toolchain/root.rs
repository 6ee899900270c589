//! Which folders may be shown to a sandbox.

use std::path::Path;

/// Folders every sandbox has.
const SYSTEM: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// Below a home: folders that keep credentials, or that toolchains share with such.
const PRIVATE: [&str; 19] = [
    ".aws",
    ".azure",
    ".bash_history",
    ".cargo",
    ".claude",
    ".codex",
    ".config",
    ".docker",
    ".gem",
    ".gnupg",
    ".kube",
    ".local/share/keyrings",
    ".m2",
    ".mozilla",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pki",
    ".ssh",
];

/// Whether every sandbox sees `path` anyway.
pub(super) fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|dir| path.starts_with(dir))
}

/// Why `root`, which has no symbolic links in it, may not be shown; none when it may.
pub(super) fn root_refusal(root: &Path, home: Option<&Path>) -> Option<&'static str> {
    let parts = root.components().count();
    let under = |dir: &str| root.parent() == Some(Path::new(dir));
    if parts < 3 {
        return Some("it is too broad");
    }
    if under("/home") || under("/Users") {
        return Some("it is a home folder");
    }
    if ["/proc", "/sys", "/dev", "/run"]
        .iter()
        .any(|dir| root.starts_with(dir))
    {
        return Some("it belongs to the kernel or to running services");
    }
    let home = home?;
    let real = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    if real.starts_with(root) {
        return Some("it holds the home folder");
    }
    let private = |name: &str| {
        let dir = real.join(name);
        root.starts_with(&dir) || dir.starts_with(root)
    };
    PRIVATE
        .iter()
        .any(|name| private(name))
        .then_some("credentials may lie there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_shown() {
        let home = Some(Path::new("/srv/people/ann"));
        for yes in [
            "/opt/go",
            "/opt/node-v20/bin",
            "/srv/people/ann/.rustup/toolchains/1.95",
            "/srv/people/ann/.pyenv/versions/3.12.1",
            "/srv/people/ann/.nvm/versions/node/v20",
            "/srv/people/ann/.local/share/uv/python/cpython-3.12",
        ] {
            assert_eq!(root_refusal(Path::new(yes), home), None, "{yes}");
        }
        for no in [
            "/",
            "/opt",
            "/root",
            "/srv/people",
            "/srv/people/ann",
            "/home/bob",
            "/srv/people/ann/.local",
            "/srv/people/ann/.local/share",
            "/srv/people/ann/.cargo",
            "/srv/people/ann/.cargo/bin",
            "/srv/people/ann/.ssh",
            "/srv/people/ann/.config/x",
            "/proc/self",
            "/run/user/1000",
        ] {
            assert!(root_refusal(Path::new(no), home).is_some(), "{no}");
        }
        assert!(is_system(Path::new("/usr/local/bin/x")) && !is_system(Path::new("/usrx")));
    }
}

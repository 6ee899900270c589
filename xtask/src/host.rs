//! This machine: its variables, its user, its programs and where the project may keep tools.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The user that runs servers when the tests run as root, which PostgreSQL refuses.
pub const NOBODY: u32 = 65_534;

/// Reads an environment variable; unset and empty are the same.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where automation reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Finds `program` on the search path, then among the project's own tools.
pub fn find_program(program: &str) -> Option<PathBuf> {
    search_path()
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

/// Finds `program` where the user who runs servers can start it: root's own programs may lie in a closed folder.
pub fn find_open_program(program: &str) -> Option<PathBuf> {
    search_path()
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|file| is_program(file) && (!is_root() || is_open_to_all(file)))
}

/// The folders programs are looked up in: `PATH`, then the project's own tools.
pub fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = variable("PATH")
        .iter()
        .flat_map(|path| std::env::split_paths(path).collect::<Vec<_>>())
        .collect();
    folders.extend(tools_folder().map(|tools| tools.join("bin")));
    folders
}

/// The folder outside the clone where tools are installed once per machine.
///
/// It is `omoios/tools` in the user's cache folder. Servers that root starts run as [`NOBODY`], who
/// cannot enter root's home, so root's tools move to `/var/cache` when its cache folder is closed.
///
/// # Errors
/// Fails when neither `XDG_CACHE_HOME` nor `HOME` says where the cache is.
pub fn tools_folder() -> Result<PathBuf> {
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")));
    let cache = match cache {
        Some(cache) if !is_root() || is_open_to_all(&cache) => cache,
        _ if is_root() => PathBuf::from("/var/cache"),
        cache => cache.context("could not find the cache folder: set HOME or XDG_CACHE_HOME")?,
    };
    Ok(cache.join("omoios/tools"))
}

/// The folder for temporary files, one that the user who runs the servers can enter.
pub fn temporary_folder() -> PathBuf {
    let folder = std::env::temp_dir();
    if !is_root() || is_open_to_all(&folder) {
        folder
    } else {
        PathBuf::from("/tmp")
    }
}

/// Whether every existing folder on the way to `path` may be entered by any user.
fn is_open_to_all(path: &Path) -> bool {
    path.ancestors()
        .filter_map(|folder| fs::metadata(folder).ok())
        .all(|folder| folder.permissions().mode() & 0o001 != 0)
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    #[test]
    fn a_closed_folder_anywhere_on_the_way_closes_the_path() {
        let top = temporary_folder().join(format!("omoios-host-{}", std::process::id()));
        let inner = top.join("inner");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
        let open = is_open_to_all(&inner);
        fs::set_permissions(&top, fs::Permissions::from_mode(0o700)).unwrap();
        let closed = is_open_to_all(&inner);
        fs::remove_dir_all(&top).unwrap();
        assert_eq!((open, closed), (true, false));
    }

    #[test]
    fn programs_are_executable_files() {
        assert!(find_program("sh").is_some());
        assert!(!is_program(Path::new("/usr")) && !is_program(Path::new("/etc/passwd")));
    }
}

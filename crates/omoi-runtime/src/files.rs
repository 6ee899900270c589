//! Files that are either the old or the new version, whatever happens.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use omoi_domain::crash::{self, CrashPoint, CrashSide};

/// A file could not be replaced; the old version is untouched unless `step` is the last.
#[derive(Debug, thiserror::Error)]
#[error("could not {step} `{}`", path.display())]
pub struct ReplaceError {
    /// Step that failed: `write`, `replace` or `sync the folder`.
    pub step: &'static str,
    /// The file or folder it failed on.
    pub path: PathBuf,
    /// Why the system refused that step.
    #[source]
    pub source: io::Error,
}

/// Puts `bytes` at `path` with permission bits `mode`, durably and in one step for readers.
///
/// Blocks on the disk. Passes `point` before anything is written and after the folder is synced.
///
/// # Errors
/// Returns [`ReplaceError`] naming the step that failed.
pub fn replace_file(
    point: CrashPoint,
    path: &Path,
    bytes: &[u8],
    mode: u32,
) -> Result<(), ReplaceError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let failed = |step, path: &Path| {
        let path = path.to_owned();
        move |source| ReplaceError { step, path, source }
    };

    crash::pass_point(point, CrashSide::Before);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(
        ".{}.{}.tmp",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    ));
    let temporary = folder.join(name);

    let replaced = write_synced(&temporary, bytes, mode)
        .map_err(failed("write", &temporary))
        .and_then(|()| fs::rename(&temporary, path).map_err(failed("replace", path)));
    if replaced.is_err() {
        // It may never have been created.
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync the folder", folder))?;
    crash::pass_point(point, CrashSide::After);
    Ok(())
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A leftover of a killed process with this process's id may be in the way.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    // The umask narrowed the mode above; this one is exact.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn replaces_with_the_exact_mode_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (text, mode) in [("first", 0o600), ("second", 0o666), ("", 0o400)] {
            replace_file(CrashPoint::FileReplaced, &path, text.as_bytes(), mode).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                mode
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_step_and_cleans_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = replace_file(CrashPoint::FileReplaced, &path, b"x", 0o600).unwrap_err();
        assert_eq!(error.step, "replace");
        assert!(error.to_string().ends_with("/taken`"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        let missing = folder.path().join("no/such/folder/file");
        let error = replace_file(CrashPoint::FileReplaced, &missing, b"x", 0o600).unwrap_err();
        assert_eq!(error.step, "write");
    }
}

//! Files of a check, laid over a checkout.

use std::io;
use std::path::{Component, Path, PathBuf};

/// A file of a check could not be laid over a checkout.
#[derive(Debug, thiserror::Error)]
pub enum CheckFileError {
    /// Its path leaves the checkout.
    #[error("check file `{path}` does not stay inside the checkout")]
    Escapes {
        /// The path as given.
        path: String,
    },
    /// The file system refused.
    #[error("could not prepare `{path}`")]
    Io {
        /// Where.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
}

/// Whether a path from a checkout's root names something in it that is not git's own.
pub(crate) fn stays_inside(path: &str) -> bool {
    let plain = |c: Component<'_>| matches!(c, Component::Normal(part) if part != ".git");
    !path.is_empty() && !path.contains('\0') && Path::new(path).components().all(plain)
}

/// Writes a check's own file into the checkout. The tree is an agent's work: no link is followed.
pub(crate) fn lay_over(dir: &Path, path: &str, text: &str) -> Result<(), CheckFileError> {
    let relative = Path::new(path);
    if !stays_inside(path) {
        return Err(CheckFileError::Escapes {
            path: path.to_owned(),
        });
    }
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CheckFileError::Io { path, source }
    };
    let mut at = dir.to_path_buf();
    let parents = relative
        .parent()
        .map(Path::components)
        .into_iter()
        .flatten();
    for part in parents {
        at.push(part);
        match std::fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                std::fs::remove_file(&at).map_err(io(&at))?;
                std::fs::create_dir(&at).map_err(io(&at))?;
            }
            Err(_) => std::fs::create_dir(&at).map_err(io(&at))?,
        }
    }
    let file = dir.join(relative);
    match std::fs::symlink_metadata(&file) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&file).map_err(io(&file))?,
        Ok(_) => std::fs::remove_file(&file).map_err(io(&file))?,
        Err(_) => {}
    }
    let mut out = std::fs::File::create_new(&file).map_err(io(&file))?;
    io::Write::write_all(&mut out, text.as_bytes()).map_err(io(&file))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use super::*;

    #[test]
    fn check_files_replace_links_and_never_leave() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("tests")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("x"), dir.path().join("link")).unwrap();
        lay_over(dir.path(), "tests/deep/a.py", "a").unwrap();
        lay_over(dir.path(), "link", "b").unwrap();
        assert_eq!(
            std::fs::read_to_string(dir.path().join("tests/deep/a.py")).unwrap(),
            "a"
        );
        assert_eq!(
            std::fs::read_to_string(dir.path().join("link")).unwrap(),
            "b"
        );
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        for bad in ["", "../x", "/etc/x", "a/../../x", ".git/config", "./x/../y"] {
            let refused = lay_over(dir.path(), bad, "x");
            assert!(
                matches!(refused, Err(CheckFileError::Escapes { .. })),
                "{bad}"
            );
        }
    }
}

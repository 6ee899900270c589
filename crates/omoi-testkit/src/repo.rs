//! Temporary git repositories for tests.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use xtask::process::{self, command};

/// A repository on branch `main` that goes away with this value.
///
/// Author, committer, dates and configuration are fixed, so equal contents give equal commits on
/// every machine.
#[derive(Debug)]
pub struct TestRepo {
    folder: TempDir,
}

impl TestRepo {
    /// A repository without commits.
    ///
    /// # Panics
    /// When git or the temporary folder cannot be used.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn empty() -> Self {
        let repo = Self {
            folder: tempfile::tempdir().expect("could not create a temporary folder"),
        };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    /// A repository with one commit that holds `files`.
    ///
    /// # Panics
    /// As [`TestRepo::empty`] and [`TestRepo::commit`].
    pub fn with_files(files: &[(&str, &str)]) -> Self {
        let repo = Self::empty();
        for (file, contents) in files {
            repo.write(file, contents);
        }
        repo.commit("Start");
        repo
    }

    /// The top folder of the working tree.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `file` into the working tree, with the folders above it.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    #[expect(clippy::disallowed_methods, reason = "a file that is thrown away")]
    pub fn write(&self, file: &str, contents: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("could not create a folder");
        }
        fs::write(path, contents).expect("could not write a file");
        self
    }

    /// Commits the whole working tree, changed or not, and returns the new commit.
    ///
    /// # Panics
    /// When git refuses.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// The commit of `HEAD`.
    ///
    /// # Panics
    /// When there is no commit yet.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the working tree and returns what it printed, without the last line break.
    ///
    /// # Panics
    /// When git fails, with what it said.
    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = command("git");
        git.args(arguments).current_dir(self.path());
        // Set when the tests run inside a git hook; they would lead to another repository.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        git.envs([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("TZ", "UTC"),
        ]);
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Test Author");
            git.env(format!("GIT_{role}_EMAIL"), "author@example.com");
            git.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
        }
        match process::output(&mut git) {
            Ok(output) => String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned(),
            Err(error) => panic!("{error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_give_equal_commits() {
        let repos = [(); 2].map(|()| TestRepo::with_files(&[("src/a.txt", "a\n")]));
        assert_eq!(repos[0].head(), repos[1].head());
        assert_eq!(
            repos[0].git(&["log", "-1", "--format=%an %ad %s %D", "--date=iso"]),
            "Test Author 2026-01-01 00:00:00 +0000 Start HEAD -> main"
        );
        assert_ne!(
            repos[0].write("src/a.txt", "b\n").commit("Change"),
            repos[1].head()
        );
    }
}

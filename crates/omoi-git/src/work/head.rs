//! The commits that a work tree stands on, read from its files where they are plain.

use std::path::Path;

use super::WorkDir;
use crate::object::ObjectId;
use crate::plain_file::read_plain_file;
use crate::process::GitError;

/// Longest file that can name a commit or a branch.
const NAME_BYTES_MAX: u64 = 4_096;

impl WorkDir {
    /// The commit that is checked out; none on a branch without commits.
    pub(super) async fn head_commit(&self) -> Result<Option<ObjectId>, GitError> {
        match plain_head(&self.dir.join(".git")) {
            Some(head) => Ok(Some(head)),
            None => self.commit_named("HEAD").await,
        }
    }

    /// The commit whose merge was begun, if one was.
    pub(super) async fn merge_head(&self) -> Result<Option<ObjectId>, GitError> {
        let file = self.dir.join(".git/MERGE_HEAD");
        // Whatever stores the branches, git keeps this name in a file.
        match std::fs::symlink_metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => self.commit_named("MERGE_HEAD").await,
        }
    }
}

/// Where `HEAD` of `git_dir` points, if that takes no more than two short files of the usual form. Whether it is
/// a commit is for git to find out when it is used.
fn plain_head(git_dir: &Path) -> Option<ObjectId> {
    let head = short_text(git_dir, Path::new("HEAD"))?;
    let Some(branch) = head.strip_prefix("ref: refs/heads/") else {
        return ObjectId::parse(&head).ok();
    };
    let is_plain = |name: &str| !matches!(name, "" | "." | "..");
    if !branch.split('/').all(is_plain) {
        return None;
    }
    let branch = Path::new("refs/heads").join(branch);
    ObjectId::parse(&short_text(git_dir, &branch)?).ok()
}

/// The one line of a short plain file below `git_dir`, which programs may change meanwhile.
fn short_text(git_dir: &Path, path: &Path) -> Option<String> {
    let file = read_plain_file(git_dir, path, NAME_BYTES_MAX).ok()?;
    let text = String::from_utf8(file.content).ok()?;
    Some(text.strip_suffix('\n')?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands, and its files need not be durable"
    )]
    use super::*;

    const ID: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    #[test]
    fn only_plain_files_are_read_without_git() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::create_dir_all(dir.join("refs/heads/task")).unwrap();
        std::fs::write(dir.join("refs/heads/task/a"), format!("{ID}\n")).unwrap();
        std::fs::write(dir.join("refs/heads/link"), "ref: refs/heads/task/a\n").unwrap();
        std::fs::write(dir.join("outside"), format!("{ID}\n")).unwrap();
        let of_head = |text: &str| {
            std::fs::write(dir.join("HEAD"), text).unwrap();
            plain_head(dir)
        };
        let id = ObjectId::parse(ID).unwrap();
        for (text, expected) in [
            ("ref: refs/heads/task/a\n".to_owned(), Some(&id)),
            (format!("{ID}\n"), Some(&id)),
            ("ref: refs/heads/task/packed\n".to_owned(), None),
            ("ref: refs/heads/link\n".to_owned(), None),
            ("ref: refs/heads/../../outside\n".to_owned(), None),
            ("ref: refs/heads//task/a\n".to_owned(), None),
            (ID.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(of_head(&text).as_ref(), expected, "{text}");
        }
        std::fs::remove_file(dir.join("HEAD")).unwrap();
        std::os::unix::fs::symlink("refs/heads/task/a", dir.join("HEAD")).unwrap();
        assert_eq!(plain_head(dir), None, "a link");
    }
}

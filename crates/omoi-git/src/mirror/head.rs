//! The commit that `HEAD` of a person's repository names, read where it lies.

use super::read::{FileEntry, list_tree, read_blob};
use crate::object::RepoPath;
use crate::process::{Git, GitCall, GitError};
use crate::repo::{RepoInfo, UserRepo};

impl RepoInfo {
    /// Every file of the commit that `HEAD` named, in order of path. Nothing is copied.
    ///
    /// # Errors
    /// When git cannot read it.
    pub async fn list_head(&self, git: &Git) -> Result<Vec<FileEntry>, GitError> {
        list_tree(self.call_inside(git, "ls-tree")?, &self.head).await
    }

    /// The content of `path` there; none when there is no such file.
    ///
    /// # Errors
    /// When git cannot read it, or it is longer than `bytes_max`.
    pub async fn read_head_file(
        &self,
        git: &Git,
        path: &RepoPath,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, GitError> {
        let cat_file = self.call_inside(git, "cat-file")?;
        read_blob(cat_file, &self.head, path, bytes_max).await
    }

    fn call_inside<'a>(
        &'a self,
        git: &'a Git,
        command: &'static str,
    ) -> Result<GitCall<'a>, GitError> {
        let user = UserRepo::open(git, &self.toplevel);
        let user = user.map_err(|source| GitError::Start { command, source })?;
        Ok(user.call(command))
    }
}

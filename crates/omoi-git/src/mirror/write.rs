//! New objects made by the platform itself. Nothing is visible until a ref points at it.

use tracing::debug;

use omoi_domain::time::Timestamp;

use super::{Mirror, MirrorError};
use crate::object::{ObjectId, RepoPath};
use crate::process::{GitCall, GitError, write_private};
use crate::trailers::{self, Trailer};

/// Who a commit is by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// An identity; what would break a commit's header is dropped, and nothing becomes `unknown`.
    pub fn new(name: &str, email: &str) -> Self {
        let clean = |text: &str| {
            let kept: String = text
                .chars()
                .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
                .take(200)
                .collect();
            let kept = kept.trim();
            if kept.is_empty() { "unknown" } else { kept }.to_owned()
        };
        Self {
            name: clean(name),
            email: clean(email),
        }
    }

    /// The identity of commits that the platform itself makes.
    pub fn platform() -> Self {
        Self::new("OmoiOS", "omoios@localhost")
    }

    /// Name of the person or program, never empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Mail address, never empty.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Sets author and committer of `call`, at `time`.
    pub(crate) fn sign_call<'a>(&self, call: GitCall<'a>, time: Timestamp) -> GitCall<'a> {
        let date = format!("@{} +0000", time.as_micros().div_euclid(1_000_000));
        call.env("GIT_AUTHOR_NAME", &self.name)
            .env("GIT_AUTHOR_EMAIL", &self.email)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", &self.name)
            .env("GIT_COMMITTER_EMAIL", &self.email)
            .env("GIT_COMMITTER_DATE", &date)
    }
}

/// What a commit says besides its content; equal input gives an equal commit.
#[derive(Clone, Debug)]
pub struct CommitMeta {
    /// Subject and body of the message, without trailers.
    pub message: String,
    /// The lines that tie it to its task.
    pub trailers: Vec<Trailer>,
    /// Author and committer of the commit alike.
    pub author: Identity,
    /// When; whole seconds are kept.
    pub time: Timestamp,
}

impl CommitMeta {
    /// The whole message, without control characters: what an agent writes about its work reaches
    /// the terminals of everybody who reads the history.
    pub(crate) fn full_message(&self) -> String {
        let is_kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
        let message: String = self.message.chars().filter(is_kept).collect();
        trailers::message_with_trailers(&message, &self.trailers)
    }
}

/// One file to put into a commit, or to take out of it.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// Path relative to the repository root.
    pub path: RepoPath,
    /// The new content; none removes the file.
    pub content: Option<Vec<u8>>,
}

impl Mirror {
    /// Makes a commit of `tree` with `parents`.
    pub async fn commit_tree(
        &self,
        tree: &ObjectId,
        parents: &[ObjectId],
        meta: &CommitMeta,
    ) -> Result<ObjectId, GitError> {
        let text = meta.full_message();
        let call = self
            .call("commit-tree")
            .args(["-F", "-"])
            .stdin_bytes(text.as_bytes());
        let call = parents.iter().fold(call, |call, p| call.arg("-p").arg(p));
        let out = meta
            .author
            .sign_call(call.arg(tree), meta.time)
            .run()
            .await?;
        ObjectId::parse(&out.stdout_text()).map_err(|_| out.unexpected_output("not an object name"))
    }

    /// Stores `content` as a blob and returns its object name.
    pub async fn write_blob(&self, content: &[u8]) -> Result<ObjectId, GitError> {
        let out = self
            .call("hash-object")
            .args(["-w", "-t", "blob", "--no-filters", "--stdin"])
            .stdin_bytes(content)
            .run()
            .await?;
        ObjectId::parse(&out.stdout_text()).map_err(|_| out.unexpected_output("not an object name"))
    }

    /// Makes a commit on `base` that differs from it by `files` only.
    pub async fn commit_files(
        &self,
        base: &ObjectId,
        files: &[FileChange],
        meta: &CommitMeta,
    ) -> Result<ObjectId, MirrorError> {
        let io = |source| MirrorError::Io {
            dir: self.dir.clone(),
            source,
        };
        let scratch = self.scratch_folder().map_err(io)?;
        let mut listed = Vec::new();
        for (n, content) in files.iter().filter_map(|f| f.content.as_ref()).enumerate() {
            let path = scratch.path().join(n.to_string());
            write_private(&path, content).map_err(io)?;
            listed.extend_from_slice(path.as_os_str().as_encoded_bytes());
            listed.push(b'\n');
        }
        let written = self
            .call("hash-object")
            .args(["-w", "-t", "blob", "--no-filters", "--stdin-paths"])
            .stdin_bytes(&listed)
            .run()
            .await?;
        let blobs = written.stdout_text();
        let mut blobs = blobs.lines();
        let mut changes = Vec::new();
        for file in files {
            let line = match &file.content {
                Some(_) => {
                    let missing = || written.unexpected_output("fewer names than files");
                    format!("100644 {}\t", blobs.next().ok_or_else(missing)?)
                }
                None => format!("0 {}\t", "0".repeat(40)),
            };
            changes.extend_from_slice(line.as_bytes());
            changes.extend_from_slice(file.path.as_bytes());
            changes.push(0);
        }
        let tree = self.changed_tree(base, &changes).await?;
        let parents = std::slice::from_ref(base);
        let commit = self.commit_tree(&tree, parents, meta).await?;
        debug!(%commit, %base, n_files = files.len(), "Committed {} files as {commit}", files.len());
        Ok(commit)
    }

    /// The tree of `base`, a commit or a tree, with `changes`, which are lines of `update-index --index-info`.
    pub(super) async fn changed_tree(
        &self,
        base: &ObjectId,
        changes: &[u8],
    ) -> Result<ObjectId, MirrorError> {
        let io = |source| MirrorError::Io {
            dir: self.dir.clone(),
            source,
        };
        let scratch = self.scratch_folder().map_err(io)?;
        let index = scratch.path().join("index");
        let indexed = |command| self.call(command).env("GIT_INDEX_FILE", &index);
        indexed("read-tree").arg(base).run().await?;
        indexed("update-index")
            .args(["-z", "--add", "--remove", "--replace", "--index-info"])
            .stdin_bytes(changes)
            .run()
            .await?;
        let out = indexed("write-tree").run().await?;
        let tree = ObjectId::parse(&out.stdout_text());
        Ok(tree.map_err(|_| out.unexpected_output("not an object name"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_no_control_characters() {
        let meta = CommitMeta {
            message: "feat: Red\u{1b}[31m\n\n\tSaid\r\0 so.\u{7}".to_owned(),
            trailers: Vec::new(),
            author: Identity::platform(),
            time: Timestamp::from_micros(0),
        };
        assert_eq!(
            meta.full_message().trim_end(),
            "feat: Red[31m\n\n\tSaid so."
        );
    }
}

//! Saving the state of a work tree as a commit, and putting a fresh clone where it was taken.

use omoi_domain::time::Timestamp;

use super::{ADD_SECONDS_MAX, WorkDir, WorkError};
use crate::mirror::Identity;
use crate::object::ObjectId;
use crate::process::GitError;

/// State of a work tree: its files, and the commit that they lie on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkState {
    /// Tree of the files; ignored ones are not part of it.
    pub tree: ObjectId,
    /// Commit that is checked out; none on a branch without commits.
    pub head: Option<ObjectId>,
}

/// State that a work tree was last saved in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedState {
    /// Nothing was saved: the base is what others have.
    Nothing,
    /// Something was, of unknown content.
    Unknown,
    /// This state was.
    State(WorkState),
}

/// The state of a work tree as a commit that is on no branch.
#[derive(Clone, Debug)]
pub struct WorkSnapshot {
    /// The commit: parent is `HEAD`, second parent the commit being merged, if any.
    pub commit: ObjectId,
    /// State that it saves.
    pub state: WorkState,
    /// The objects the mirror lacks.
    pub bundle: Vec<u8>,
    /// Message of git about files it left out, such as unreadable ones; empty when none was.
    pub left_out: String,
}

impl WorkDir {
    /// Saves everything that differs from `base`, committed or not, leaving branch, index and files
    /// alone; none when that is `saved` already. Ignored files are not part of it.
    pub async fn take_snapshot(
        &self,
        base: &ObjectId,
        saved: &SavedState,
        time: Timestamp,
    ) -> Result<Option<WorkSnapshot>, WorkError> {
        let ((tree, left_out), base_tree) = match saved {
            SavedState::Nothing => {
                let (files, base_tree) = tokio::join!(self.tree_of_files(), self.tree_of(base));
                (files?, Some(base_tree?))
            }
            SavedState::Unknown | SavedState::State(_) => (self.tree_of_files().await?, None),
        };
        let head = self.head_commit().await?;
        let merging = self.merge_head().await?;
        let state = WorkState { tree, head };
        let is_saved = match saved {
            SavedState::Nothing => {
                merging.is_none()
                    && base_tree.as_ref() == Some(&state.tree)
                    && state.head.as_ref().is_none_or(|head| head == base)
            }
            SavedState::Unknown => false,
            SavedState::State(before) => *before == state,
        };
        if is_saved {
            return Ok(None);
        }
        let commit = self
            .commit_state(&state, base, merging.as_ref(), time)
            .await?;
        let mut known = vec![base.clone()];
        known.extend(merging);
        let bundle = self.make_bundle(&commit, &known).await?.unwrap_or_default();
        Ok(Some(WorkSnapshot {
            commit,
            state,
            bundle,
            left_out,
        }))
    }

    async fn commit_state(
        &self,
        state: &WorkState,
        base: &ObjectId,
        merging: Option<&ObjectId>,
        time: Timestamp,
    ) -> Result<ObjectId, GitError> {
        let head = state.head.as_ref().unwrap_or(base);
        let call = self
            .call("commit-tree")
            .args(["-p", head.as_str(), "-F", "-"])
            .stdin_bytes(b"Snapshot of unfinished work\n");
        let call = merging.iter().fold(call, |call, p| call.arg("-p").arg(p));
        let out = Identity::platform()
            .sign_call(call.arg(&state.tree), time)
            .run()
            .await?;
        ObjectId::parse(&out.stdout_text()).map_err(|_| out.unexpected_output("not an object name"))
    }

    /// Puts a fresh clone where the snapshot was taken: its commits on the branch, the rest as
    /// uncommitted changes, a begun merge begun again.
    pub async fn restore_snapshot(&self, snapshot: &ObjectId) -> Result<(), WorkError> {
        let out = self
            .call("rev-list")
            .args(["--parents", "--max-count=1", "--end-of-options"])
            .arg(snapshot)
            .run()
            .await?;
        let text = out.stdout_text();
        let parents: Result<Vec<_>, _> = text.split(' ').skip(1).map(ObjectId::parse).collect();
        let parents = parents.map_err(|_| out.unexpected_output("not an object name"))?;
        let head = parents.first();
        let head = head.ok_or_else(|| out.unexpected_output("a snapshot without parent"))?;
        for (mode, commit) in [("--hard", snapshot), ("--mixed", head)] {
            self.call("reset")
                .args(["--quiet", mode, commit.as_str(), "--"])
                .deadline_seconds(ADD_SECONDS_MAX)
                .run()
                .await?;
        }
        if let Some(theirs) = parents.get(1) {
            self.write_git_file("MERGE_HEAD", &format!("{theirs}\n"))?;
            self.write_git_file("MERGE_MODE", "")?;
            self.write_git_file("MERGE_MSG", &format!("Merge {theirs}\n"))?;
        }
        Ok(())
    }
}

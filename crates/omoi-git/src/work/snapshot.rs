//! Saving the state of a work tree as a commit, and putting a fresh clone where it was taken.

use omoi_domain::time::Timestamp;

use super::{ADD_SECONDS_MAX, WorkDir, WorkError};
use crate::mirror::Identity;
use crate::object::ObjectId;

/// The state of a work tree as a commit that is on no branch.
#[derive(Clone, Debug)]
pub struct WorkSnapshot {
    /// The commit: parent is `HEAD`, second parent the commit being merged, if any.
    pub commit: ObjectId,
    /// Tree of that commit.
    pub tree: ObjectId,
    /// The objects the mirror lacks.
    pub bundle: Vec<u8>,
    /// Message of git about files it left out, such as unreadable ones; empty when none was.
    pub left_out: String,
}

impl WorkDir {
    /// Saves everything that differs from `base`, committed or not, leaving branch, index and files
    /// alone; none when nothing differs. Ignored files are not part of it.
    pub async fn take_snapshot(
        &self,
        base: &ObjectId,
        time: Timestamp,
    ) -> Result<Option<WorkSnapshot>, WorkError> {
        let head = self.commit_named("HEAD").await?;
        let merging = self.commit_named("MERGE_HEAD").await?;
        let snapshot = self.snapshot_always(base, time).await?;
        let clean = head.is_none_or(|head| head == *base) && merging.is_none();
        let clean = clean && snapshot.tree == self.tree_of(base).await?;
        Ok((!clean).then_some(snapshot))
    }

    /// As [`take_snapshot`](Self::take_snapshot), but also when nothing differs: the state after work was undone.
    pub async fn snapshot_always(
        &self,
        base: &ObjectId,
        time: Timestamp,
    ) -> Result<WorkSnapshot, WorkError> {
        let (tree, left_out) = self.tree_of_files().await?;
        let head = self.commit_named("HEAD").await?;
        let merging = self.commit_named("MERGE_HEAD").await?;
        let head = head.unwrap_or_else(|| base.clone());
        let call = self
            .call("commit-tree")
            .args(["-p", head.as_str(), "-F", "-"])
            .stdin_bytes(b"Snapshot of unfinished work\n");
        let call = merging.iter().fold(call, |call, p| call.arg("-p").arg(p));
        let out = Identity::platform()
            .sign_call(call.arg(&tree), time)
            .run()
            .await?;
        let commit = ObjectId::parse(&out.stdout_text())
            .map_err(|_| out.unexpected_output("not an object name"))?;
        let mut known = vec![base.clone()];
        known.extend(merging);
        let bundle = self.make_bundle(&commit, &known).await?.unwrap_or_default();
        Ok(WorkSnapshot {
            commit,
            tree,
            bundle,
            left_out,
        })
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

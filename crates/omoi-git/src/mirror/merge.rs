//! Merging without a work tree: forecast and result are the same computation.

use serde::Serialize;
use tracing::debug;

use omoi_domain::time::Timestamp;

use super::read::FileEntry;
use super::{CommitMeta, Identity, Mirror, MirrorError};
use crate::object::{ObjectId, RepoPath};
use crate::process::{GitError, GitOutput};

/// The forecast score that stands for "could not be computed".
pub const SCORE_ERROR: u32 = 999;

/// The outcome of merging two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeTree {
    /// The merged tree; conflicted paths hold the text with markers.
    pub tree: ObjectId,
    /// The paths in conflict, each once, in order; empty for a clean merge.
    pub conflicts: Vec<ConflictedPath>,
}

/// One path that could not be merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConflictedPath {
    /// Path relative to the repository root.
    pub path: RepoPath,
    /// Git's words about it, one per kind of conflict; empty when it said nothing of its own.
    pub messages: Vec<String>,
}

/// The number of paths in conflict, or [`SCORE_ERROR`].
pub fn conflict_score(forecast: &Result<MergeTree, GitError>) -> u32 {
    forecast.as_ref().map_or(SCORE_ERROR, |merge| {
        u32::try_from(merge.conflicts.len()).map_or(SCORE_ERROR - 1, |n| n.min(SCORE_ERROR - 1))
    })
}

impl Mirror {
    /// Merges `theirs` into `ours` as objects only; no ref and no file moves.
    pub async fn merge_tree(
        &self,
        ours: &ObjectId,
        theirs: &ObjectId,
    ) -> Result<MergeTree, GitError> {
        let out = self
            .call("merge-tree")
            .args([
                "--write-tree",
                "-z",
                "--name-only",
                "--messages",
                "--end-of-options",
            ])
            .args([ours, theirs])
            .accept_codes(&[0, 1])
            .run()
            .await?;
        let merge = parse_merge(&out).ok_or_else(|| out.unexpected_output("a malformed merge"))?;
        let n_conflicts = merge.conflicts.len();
        debug!(tree = %merge.tree, n_conflicts, "Merged trees with {n_conflicts} conflicted paths");
        Ok(merge)
    }

    /// Merges the trees of `ours` and `theirs` as if both were made from that of `base`, whatever
    /// their histories say. With a commit as `base` and its parent as `theirs`, that commit is taken
    /// back from `ours`.
    pub async fn merge_trees(
        &self,
        base: &ObjectId,
        ours: &ObjectId,
        theirs: &ObjectId,
    ) -> Result<MergeTree, GitError> {
        // Git takes the base of a merge from history, so the three trees get one of their own. The
        // option that names a base is newer than the oldest git we work with.
        let meta = CommitMeta {
            message: "Side of a merge of trees".to_owned(),
            trailers: Vec::new(),
            author: Identity::platform(),
            time: Timestamp::from_micros(0),
        };
        let base = self.tree_of(base).await?;
        let base = [self.commit_tree(&base, &[], &meta).await?];
        let mut sides = Vec::new();
        for side in [ours, theirs] {
            let tree = self.tree_of(side).await?;
            sides.push(self.commit_tree(&tree, &base, &meta).await?);
        }
        self.merge_tree(&sides[0], &sides[1]).await
    }

    /// The tree of a merge in which each path in conflict is as the commit `taken` has it, or gone where that does not have
    /// it. `other` is the other side.
    pub async fn take_side(
        &self,
        merged: &MergeTree,
        taken: &ObjectId,
        other: &ObjectId,
    ) -> Result<ObjectId, MirrorError> {
        let side = self.list_tree(taken).await?;
        let others = self.list_tree(other).await?;
        let is_known = |path: &[u8]| {
            let mut all = side.iter().chain(&others);
            all.any(|entry| entry.path.as_bytes() == path)
        };
        let mut places: Vec<&[u8]> = Vec::new();
        for conflict in &merged.conflicts {
            let path = conflict.path.as_bytes();
            places.push(path);
            // Where a file meets a folder of its name, git puts it beside, with a suffix that neither side has.
            let suffix = path.iter().rposition(|byte| *byte == b'~');
            places.extend(suffix.filter(|_| !is_known(path)).map(|at| &path[..at]));
        }
        let is_in_conflict = |entry: &&FileEntry| {
            let path = entry.path.as_bytes();
            places.iter().any(|place| {
                let rest = path.strip_prefix(*place);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        let mut changes = Vec::new();
        let unmerged = self.list_tree(&merged.tree).await?;
        for entry in unmerged.iter().filter(is_in_conflict) {
            push_entry(&mut changes, format!("0 {}", "0".repeat(40)), entry);
        }
        for entry in side.iter().filter(is_in_conflict) {
            let line = format!("{} {}", entry.kind.tree_mode(), entry.id);
            push_entry(&mut changes, line, entry);
        }
        self.changed_tree(&merged.tree, &changes).await
    }

    /// The commits of `tip` after `start`, along first parents, oldest first.
    pub async fn first_parents(
        &self,
        start: &ObjectId,
        tip: &ObjectId,
    ) -> Result<Vec<ObjectId>, GitError> {
        let out = self
            .call("rev-list")
            .args(["--first-parent", "--reverse", "--end-of-options"])
            .args([tip.as_str().to_owned(), format!("^{start}")])
            .run()
            .await?;
        let text = out.stdout_text();
        let commits: Result<Vec<_>, _> = text.lines().map(ObjectId::parse).collect();
        commits.map_err(|_| out.unexpected_output("not an object name"))
    }
}

/// Adds a line of `update-index --index-info`.
fn push_entry(changes: &mut Vec<u8>, line: String, entry: &FileEntry) {
    changes.extend_from_slice(line.as_bytes());
    changes.push(b'\t');
    changes.extend_from_slice(entry.path.as_bytes());
    changes.push(0);
}

/// `tree NUL (path NUL)* NUL (count NUL path{count} NUL type NUL message NUL)*`.
fn parse_merge(out: &GitOutput) -> Option<MergeTree> {
    let mut fields = out.stdout.split(|b| *b == 0);
    let tree = ObjectId::from_bytes(fields.next()?)?;
    let mut conflicts: Vec<ConflictedPath> = Vec::new();
    for path in fields.by_ref().take_while(|f| !f.is_empty()) {
        conflicts.push(ConflictedPath {
            path: RepoPath::from_git(path),
            messages: Vec::new(),
        });
    }
    if out.code == 1 && conflicts.is_empty() {
        return None;
    }
    conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    conflicts.dedup_by(|a, b| a.path == b.path);
    while let Some(count) = fields.next().filter(|f| !f.is_empty()) {
        let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
        let paths: Vec<&[u8]> = fields.by_ref().take(count).collect();
        let (kind, message) = (fields.next()?, fields.next()?);
        if kind == b"Auto-merging" {
            continue;
        }
        let message = String::from_utf8_lossy(message).trim().to_owned();
        for conflict in &mut conflicts {
            if paths.contains(&conflict.path.as_bytes()) {
                conflict.messages.push(message.clone());
            }
        }
    }
    Some(MergeTree { tree, conflicts })
}

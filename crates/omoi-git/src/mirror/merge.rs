//! Merging without a work tree: forecast and result are the same computation.

use std::collections::BTreeMap;

use serde::Serialize;
use tracing::debug;

use omoi_domain::time::Timestamp;

use super::{CommitMeta, Identity, Mirror};
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
    /// The file of our side that belongs there, whatever its name is on that side.
    #[serde(skip)]
    pub(super) ours: Option<StagedFile>,
    /// That of their side.
    #[serde(skip)]
    pub(super) theirs: Option<StagedFile>,
}

/// A file of one side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StagedFile {
    pub(super) mode: String,
    pub(super) id: ObjectId,
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
            .args(["--write-tree", "-z", "--messages", "--end-of-options"])
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

/// `tree NUL (mode SP object SP stage TAB path NUL)* NUL (count NUL path{count} NUL type NUL message NUL)*`.
fn parse_merge(out: &GitOutput) -> Option<MergeTree> {
    let mut fields = out.stdout.split(|b| *b == 0);
    let tree = ObjectId::from_bytes(fields.next()?)?;
    let mut conflicts: BTreeMap<RepoPath, ConflictedPath> = BTreeMap::new();
    for line in fields.by_ref().take_while(|f| !f.is_empty()) {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let path = RepoPath::from_git(&line[tab + 1..]);
        let mut staged = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
        let (mode, id, stage) = (staged.next()?, staged.next()?, staged.next()?);
        let file = StagedFile {
            mode: mode.to_owned(),
            id: ObjectId::parse(id).ok()?,
        };
        let conflict = conflicts
            .entry(path.clone())
            .or_insert_with(|| ConflictedPath {
                path,
                messages: Vec::new(),
                ours: None,
                theirs: None,
            });
        match stage {
            "1" => {}
            "2" => conflict.ours = Some(file),
            "3" => conflict.theirs = Some(file),
            _ => return None,
        }
    }
    let mut conflicts: Vec<ConflictedPath> = conflicts.into_values().collect();
    if out.code == 1 && conflicts.is_empty() {
        return None;
    }
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

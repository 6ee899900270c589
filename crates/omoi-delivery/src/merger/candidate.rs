//! What a merge would make of the branch, found out without moving anything.

use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::merge::TakenSides;
use omoi_domain::merge::{ConflictSide, MergeState};
use omoi_git::mirror::{CommitMeta, Identity, MergeTree, MergedCommits, Mirror, conflict_score};
use omoi_git::object::ObjectId;
use omoi_git::trailers::Trailer;
use omoi_runtime::BoxError;
use omoi_store::StoreError;
use omoi_store::merges::{self, Merge};
use omoi_store::tasks;

use super::land::MergeTurn;

/// What the merge would be.
#[derive(Debug)]
pub(super) enum MergeCandidate {
    /// The target holds it already.
    Landed(ObjectId),
    /// The target is where the task was cut from.
    FastForward(ObjectId),
    /// A new commit with both parents.
    Merged(ObjectId),
    /// These paths conflict.
    Conflict(Vec<String>),
}

/// A mirror and the head of its integration branch.
#[derive(Clone, Copy)]
pub(super) struct TargetHead<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) head: &'a ObjectId,
}

/// Makes the merge of `merge` into `target`, as objects alone.
pub(super) async fn make_candidate(
    turn: MergeTurn<'_>,
    merge: &Merge,
    target: TargetHead<'_>,
) -> Result<MergeCandidate, BoxError> {
    let TargetHead { mirror, head } = target;
    let incoming = ObjectId::parse(&merge.incoming_sha)?;
    if mirror.is_ancestor(&incoming, head).await? {
        return Ok(MergeCandidate::Landed(head.clone()));
    }
    if mirror.is_ancestor(head, &incoming).await? {
        return Ok(MergeCandidate::FastForward(incoming));
    }
    let merged = mirror.merge_tree(head, &incoming).await?;
    let task_ref = HumanRef::task(turn.task.number).to_string();
    let mut message = format!("Merge {task_ref} {}", turn.task.title);
    let tree = if merged.conflicts.is_empty() {
        merged.tree
    } else {
        let paths = conflicted_paths(&merged);
        let commits = MergedCommits {
            ours: head,
            theirs: &incoming,
        };
        // What conflicts by now may be more than what the person was asked about.
        let tree = match turn.sides.and_then(|sides| sides_of(sides, &paths)) {
            Some(taken) => {
                message.push_str(&sides_text(&paths, &taken));
                mirror.take_sides(&merged, commits, &taken).await?
            }
            None => None,
        };
        let Some(tree) = tree else {
            return Ok(MergeCandidate::Conflict(paths));
        };
        tree
    };
    let meta = CommitMeta {
        message,
        trailers: vec![
            Trailer::new("OmoiOS-Task", &task_ref),
            Trailer::new("OmoiOS-Spec", &HumanRef::spec(turn.spec.number).to_string()),
        ],
        author: Identity::platform(),
        // Equal merges are equal commits, so that a repetition makes nothing twice.
        time: merge.created_at,
    };
    let parents = [head.clone(), incoming];
    let commit = mirror.commit_tree(&tree, &parents, &meta).await?;
    Ok(MergeCandidate::Merged(commit))
}

fn conflicted_paths(merged: &MergeTree) -> Vec<String> {
    let paths = merged.conflicts.iter().map(|c| c.path.to_string());
    paths.collect()
}

/// The side of each of `paths`; none where one has no side.
fn sides_of(sides: &TakenSides, paths: &[String]) -> Option<Vec<ConflictSide>> {
    paths.iter().map(|path| sides.side_of(path)).collect()
}

/// What the message of a merge says of the sides that were taken.
fn sides_text(paths: &[String], taken: &[ConflictSide]) -> String {
    let sides = ConflictSide::ALL.iter().filter_map(|side| {
        let of_side = paths.iter().zip(taken).filter(|(_, taken)| *taken == side);
        let paths: Vec<&str> = of_side.map(|(path, _)| path.as_str()).collect();
        (!paths.is_empty()).then(|| format!("{side} in {}", paths.join(", ")))
    });
    let sides: Vec<String> = sides.collect();
    format!(
        "\n\nA person took sides where files conflicted: {}.",
        sides.join("; ")
    )
}

/// How many paths each queued branch would conflict in with the target as it is.
pub(super) async fn forecast_scores(
    turn: MergeTurn<'_>,
    target: TargetHead<'_>,
) -> Result<Vec<(i64, u32)>, BoxError> {
    let store = &turn.prover.store;
    let queued = store.read(async |tx| {
        let mut queued = Vec::new();
        for merge in merges::of_spec(tx, turn.spec.id).await? {
            if matches!(merge.state, MergeState::Pending | MergeState::InProgress) {
                let task = tasks::get(tx, merge.task_id).await?;
                queued.push((task.number, merge.incoming_sha));
            }
        }
        Ok::<_, StoreError>(queued)
    });
    let mut scores = Vec::new();
    for (number, incoming) in queued.await? {
        let incoming = ObjectId::parse(&incoming)?;
        let merged = target.mirror.merge_tree(target.head, &incoming).await;
        scores.push((number, conflict_score(&merged)));
    }
    Ok(scores)
}

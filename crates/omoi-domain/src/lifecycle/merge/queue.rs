//! Whose turn it is in the merge queue of a spec.

use super::MergeAction;
use crate::graph::Edge;
use crate::id::{MergeId, TaskId};
use crate::merge::MergeState;

/// A merge of the spec, as far as the queue needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedMerge {
    /// The merge.
    pub id: MergeId,
    /// The task whose commits it lands.
    pub task_id: TaskId,
    /// Where it stands.
    pub state: MergeState,
}

/// The merges of a spec and what each waits for.
#[derive(Clone, Copy, Debug)]
pub struct MergeQueue<'a> {
    /// Every merge, by level and ordinal.
    pub merges: &'a [QueuedMerge],
    /// Every edge of the plan.
    pub edges: &'a [Edge<TaskId>],
    /// Tasks whose commits are in the branch.
    pub landed: &'a [TaskId],
}

/// The first pending merge whose task's prerequisites have all landed; none while another has its
/// turn. One that is not queued yet is not waited for unless something depends on it.
pub fn next_merge(queue: MergeQueue<'_>) -> Option<MergeId> {
    if queue.merges.iter().any(|merge| merge.state.has_turn()) {
        return None;
    }
    let may_land = |merge: &&QueuedMerge| {
        let mut edges = queue.edges.iter();
        edges.all(|edge| edge.after != merge.task_id || queue.landed.contains(&edge.before))
    };
    let mut pending = queue
        .merges
        .iter()
        .filter(|merge| merge.state == MergeState::Pending);
    pending.find(may_land).map(|merge| merge.id)
}

/// Gives a pending merge its turn.
pub fn begin_merge() -> Vec<MergeAction> {
    vec![MergeAction::move_to(MergeState::InProgress)]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_first_whose_prerequisites_landed_has_its_turn() {
        use MergeState::{Completed, InProgress, Manual, Pending, Resolving, Verifying};
        let task = |n| TaskId::from_uuid(Uuid::from_u128(n));
        let merge = |n| MergeId::from_uuid(Uuid::from_u128(100 + n));
        // 2 waits for 1; 3 waits for nothing.
        let edges = [Edge::new(task(1), task(2))];
        for (states, landed, expected) in [
            ([Pending, Pending, Pending], vec![], Some(1)),
            ([Completed, Pending, Pending], vec![1], Some(2)),
            // What it waits for is not there, and nobody else waits for that.
            ([Resolving, Pending, Pending], vec![], Some(3)),
            ([Manual, Pending, Completed], vec![3], None),
            ([InProgress, Pending, Pending], vec![], None),
            ([Completed, Pending, Verifying], vec![1], None),
            ([Completed, Completed, Completed], vec![1, 2, 3], None),
        ] {
            let merges: Vec<_> = (1..)
                .zip(states)
                .map(|(n, state)| QueuedMerge {
                    id: merge(n),
                    task_id: task(n),
                    state,
                })
                .collect();
            let landed: Vec<_> = landed.into_iter().map(task).collect();
            let queue = MergeQueue {
                merges: &merges,
                edges: &edges,
                landed: &landed,
            };
            assert_eq!(next_merge(queue), expected.map(merge), "{states:?}");
        }
        assert_eq!(
            super::super::walk_moves(Pending, &begin_merge()),
            InProgress
        );
    }
}

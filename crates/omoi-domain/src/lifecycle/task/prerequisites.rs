//! What the loss of a task stops, and what keeps a stopped one from going on.

use crate::block::TaskBlock;
use crate::graph::Edge;
use crate::id::TaskId;
use crate::merge::IntegrationState;
use crate::task::TaskStatus;

/// A task as far as others wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskNode {
    /// The task.
    pub id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<TaskBlock>,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
}

impl TaskNode {
    /// Whether nothing that waits for it can go on without a person.
    fn is_lost(&self) -> bool {
        matches!(self.status, TaskStatus::Failed | TaskStatus::Cancelled)
            || self.blocked_by.is_some_and(TaskBlock::is_outside)
            || self.integration_state == IntegrationState::Manual
    }
}

/// A blocked task, when something it waited for goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptTask {
    /// The task.
    pub id: TaskId,
    /// The lost task that it still waits for, if there is one.
    pub by: Option<TaskId>,
}

/// The tasks of a spec and which waits for which: an edge's `after` waits for its `before`.
#[derive(Clone, Copy, Debug)]
pub struct TaskGraph<'a> {
    /// Every task.
    pub nodes: &'a [TaskNode],
    /// Every edge of the plan.
    pub edges: &'a [Edge<TaskId>],
    /// Conflicted work, each after the task that resolves it: it lands with that one.
    pub resolutions: &'a [Edge<TaskId>],
}

impl TaskGraph<'_> {
    /// Tasks of the queue that wait, directly or not, for one of `lost`, nearest first.
    pub fn stopped_by(&self, lost: &[TaskId]) -> Vec<TaskId> {
        let next = |id| {
            let edges = self.edges.iter().filter(move |edge| edge.before == id);
            edges.map(|edge| edge.after).collect()
        };
        let is_queued = |id: &TaskId| {
            self.node(*id)
                .is_some_and(|node| node.status == TaskStatus::Pending)
        };
        let mut stopped = reached_from(lost, next);
        stopped.retain(is_queued);
        stopped
    }

    /// The nearest task that `task` waits for, directly or not, and that cannot land; none when all
    /// it waits for still can.
    pub fn lost_prerequisite(&self, task: TaskId) -> Option<TaskId> {
        let next = |id| {
            let edges = self.edges.iter().chain(self.resolutions);
            let edges = edges.filter(move |edge| edge.after == id);
            edges.map(|edge| edge.before).collect()
        };
        let is_lost = |id: &TaskId| self.node(*id).is_some_and(TaskNode::is_lost);
        reached_from(&[task], next).into_iter().find(is_lost)
    }

    /// For each of `blocked`, the lost task that still keeps it; none for one that may go on.
    pub fn kept_by(&self, blocked: &[TaskId]) -> Vec<KeptTask> {
        let kept = blocked.iter().map(|&id| KeptTask {
            id,
            by: self.lost_prerequisite(id),
        });
        kept.collect()
    }

    fn node(&self, id: TaskId) -> Option<&TaskNode> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

/// Everything that `next` leads to from `from`, directly or not, nearest first; not `from` itself.
fn reached_from(from: &[TaskId], next: impl Fn(TaskId) -> Vec<TaskId>) -> Vec<TaskId> {
    let mut reached = from.to_vec();
    let mut at = 0;
    while let Some(id) = reached.get(at).copied() {
        at += 1;
        for to in next(id) {
            if !reached.contains(&to) {
                reached.push(to);
            }
        }
    }
    reached.split_off(from.len())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> TaskId {
        TaskId::from_uuid(Uuid::from_u128(n))
    }

    fn node(n: u128, status: TaskStatus) -> TaskNode {
        TaskNode {
            id: id(n),
            status,
            blocked_by: None,
            integration_state: IntegrationState::None,
        }
    }

    fn blocked(n: u128, block: TaskBlock) -> TaskNode {
        TaskNode {
            blocked_by: Some(block),
            ..node(n, TaskStatus::Blocked)
        }
    }

    fn waits(after: u128, before: u128) -> Edge<TaskId> {
        Edge::new(id(before), id(after))
    }

    #[test]
    fn a_lost_task_stops_what_waits_in_the_queue() {
        use TaskStatus::{Completed, Failed, Pending, Running};
        // 1 ← 2 ← 3 ← 5, and 4 waits for nothing.
        let edges = [waits(2, 1), waits(3, 2), waits(5, 3)];
        for (statuses, lost, expected) in [
            (
                [Failed, Pending, Pending, Pending, Pending],
                1,
                vec![2, 3, 5],
            ),
            // Who is at work goes on; what waits for it as well is stopped all the same.
            ([Failed, Running, Pending, Pending, Pending], 1, vec![3, 5]),
            ([Completed, Failed, Pending, Pending, Completed], 2, vec![3]),
            ([Pending, Pending, Pending, Failed, Pending], 4, vec![]),
        ] {
            let nodes: Vec<_> = (1..).zip(statuses).map(|(n, s)| node(n, s)).collect();
            let graph = TaskGraph {
                nodes: &nodes,
                edges: &edges,
                resolutions: &[],
            };
            let expected: Vec<_> = expected.into_iter().map(id).collect();
            assert_eq!(graph.stopped_by(&[id(lost)]), expected, "{statuses:?}");
        }
    }

    #[test]
    fn the_nearest_task_that_cannot_land_is_found() {
        use TaskStatus::{Cancelled, Completed, Failed, Pending};
        let manual = TaskNode {
            integration_state: IntegrationState::Manual,
            ..node(2, Completed)
        };
        let prerequisite = TaskBlock::Prerequisite { task_id: id(1) };
        for (first, second, expected) in [
            (node(1, Failed), node(2, Pending), Some(1)),
            (node(1, Failed), node(2, Cancelled), Some(2)),
            (node(1, Completed), manual, Some(2)),
            (node(1, Completed), blocked(2, TaskBlock::Provider), Some(2)),
            (node(1, Completed), blocked(2, TaskBlock::NoCheck), None),
            // What is blocked itself says less than what blocks it.
            (node(1, Failed), blocked(2, prerequisite), Some(1)),
            (node(1, Completed), node(2, Pending), None),
            (node(1, Pending), blocked(2, prerequisite), None),
        ] {
            let nodes = [first, second, node(3, Pending)];
            let graph = TaskGraph {
                nodes: &nodes,
                edges: &[waits(2, 1), waits(3, 2)],
                resolutions: &[],
            };
            assert_eq!(
                graph.lost_prerequisite(id(3)),
                expected.map(id),
                "{nodes:?}"
            );
            let kept = KeptTask {
                id: id(3),
                by: expected.map(id),
            };
            assert_eq!(graph.kept_by(&[id(3)]), [kept]);
        }
    }

    #[test]
    fn conflicted_work_lands_with_its_resolution() {
        let nodes = [
            node(1, TaskStatus::Completed),
            node(2, TaskStatus::Pending),
            node(9, TaskStatus::Failed),
        ];
        let graph = TaskGraph {
            nodes: &nodes,
            edges: &[waits(2, 1)],
            resolutions: &[waits(1, 9)],
        };
        assert_eq!(graph.lost_prerequisite(id(2)), Some(id(9)));
        assert_eq!(graph.stopped_by(&[id(9)]), []);
    }
}

//! What the loss of a task stops, and what keeps a stopped one from going on.

use crate::block::TaskBlock;
use crate::graph::Edge;
use crate::id::{HumanRef, TaskId};
use crate::merge::IntegrationState;
use crate::task::TaskStatus;

/// A task as far as others wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskNode {
    /// The task.
    pub id: TaskId,
    /// `n` of its `TSK-n`.
    pub number: i64,
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

    /// What a task waits for that waits for this one, and the same in words.
    fn as_block(&self) -> (TaskBlock, String) {
        let block = TaskBlock::Prerequisite { task_id: self.id };
        let reason = format!("{}:{}", block.kind(), HumanRef::task(self.number));
        (block, reason)
    }
}

/// What becomes of a task that waits for another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DependentChange {
    /// It is taken out of the queue, to wait for a lost task.
    Block {
        /// What it waits for.
        block: TaskBlock,
        /// The same in words.
        reason: String,
    },
    /// It goes back into the queue.
    Free,
    /// It stays out of the queue: another lost task keeps it.
    WaitFor {
        /// What it waits for.
        block: TaskBlock,
        /// The same in words.
        reason: String,
    },
}

/// A task that waits for another one, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependentTask {
    /// The task.
    pub id: TaskId,
    /// What becomes of it.
    pub change: DependentChange,
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
    /// Blocks every task of the queue that waits, directly or not, for one of `lost`; each is told that
    /// it waits for `cause`.
    pub fn block_dependents(&self, cause: TaskId, lost: &[TaskId]) -> Vec<DependentTask> {
        let Some((block, reason)) = self.node(cause).map(TaskNode::as_block) else {
            return Vec::new();
        };
        let blocked = self.stopped_by(lost).into_iter().map(|id| DependentTask {
            id,
            change: DependentChange::Block {
                block,
                reason: reason.clone(),
            },
        });
        blocked.collect()
    }

    /// Has each of `blocked`, when something it waited for goes on, go back into the queue, or wait for
    /// the lost task that still keeps it.
    pub fn free_dependents(&self, blocked: &[TaskId]) -> Vec<DependentTask> {
        let freed = blocked.iter().map(|&id| {
            let keeper = self.lost_prerequisite(id).and_then(|lost| self.node(lost));
            let change = match keeper.map(TaskNode::as_block) {
                None => DependentChange::Free,
                Some((block, reason)) => DependentChange::WaitFor { block, reason },
            };
            DependentTask { id, change }
        });
        freed.collect()
    }

    /// What becomes of `changed`, whose prerequisites are others now, and of every task that waits for it, directly or
    /// not.
    pub fn follow_prerequisites(&self, changed: TaskId) -> Vec<DependentTask> {
        let waiting = reached_from(&[changed], |id| self.waiting_for(id));
        let all = std::iter::once(changed).chain(waiting);
        let moved = all.filter_map(|id| {
            let node = self.node(id)?;
            let keeper = self.lost_prerequisite(id).and_then(|lost| self.node(lost));
            let kept_by = node.blocked_by.and_then(TaskBlock::prerequisite_task);
            let change = match (node.status, keeper) {
                (TaskStatus::Pending, Some(lost)) => {
                    let (block, reason) = lost.as_block();
                    DependentChange::Block { block, reason }
                }
                (TaskStatus::Blocked, None) if kept_by.is_some() => DependentChange::Free,
                (TaskStatus::Blocked, Some(lost)) if kept_by.is_some_and(|id| id != lost.id) => {
                    let (block, reason) = lost.as_block();
                    DependentChange::WaitFor { block, reason }
                }
                _ => return None,
            };
            Some(DependentTask { id, change })
        });
        moved.collect()
    }

    /// The tasks that wait for `id` itself.
    fn waiting_for(&self, id: TaskId) -> Vec<TaskId> {
        let edges = self.edges.iter().filter(|edge| edge.before == id);
        edges.map(|edge| edge.after).collect()
    }

    /// The lost task without which a blocked one cannot go on, whoever asks; none for any other task.
    pub fn keeper_of(&self, task: TaskId) -> Option<TaskId> {
        let is_blocked = self.node(task)?.status == TaskStatus::Blocked;
        is_blocked.then(|| self.lost_prerequisite(task)).flatten()
    }

    /// Tasks of the queue that wait, directly or not, for one of `lost`, nearest first.
    fn stopped_by(&self, lost: &[TaskId]) -> Vec<TaskId> {
        let is_queued = |id: &TaskId| {
            self.node(*id)
                .is_some_and(|node| node.status == TaskStatus::Pending)
        };
        let mut stopped = reached_from(lost, |id| self.waiting_for(id));
        stopped.retain(is_queued);
        stopped
    }

    /// The nearest task that `task` waits for, directly or not, and that cannot land; none when all
    /// it waits for still can.
    fn lost_prerequisite(&self, task: TaskId) -> Option<TaskId> {
        let next = |id| {
            let edges = self.edges.iter().chain(self.resolutions);
            let edges = edges.filter(move |edge| edge.after == id);
            edges.map(|edge| edge.before).collect()
        };
        let is_lost = |id: &TaskId| self.node(*id).is_some_and(TaskNode::is_lost);
        reached_from(&[task], next).into_iter().find(is_lost)
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
            number: i64::try_from(n).unwrap_or_default(),
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
            let expected = expected.into_iter().map(|n| DependentTask {
                id: id(n),
                change: DependentChange::Block {
                    block: TaskBlock::Prerequisite { task_id: id(lost) },
                    reason: format!("dependency_failed:TSK-{lost:03}"),
                },
            });
            let expected: Vec<_> = expected.collect();
            let blocked = graph.block_dependents(id(lost), &[id(lost)]);
            assert_eq!(blocked, expected, "{statuses:?}");
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
            let change = match expected {
                None => DependentChange::Free,
                Some(n) => DependentChange::WaitFor {
                    block: TaskBlock::Prerequisite { task_id: id(n) },
                    reason: format!("dependency_failed:TSK-{n:03}"),
                },
            };
            let freed = DependentTask { id: id(3), change };
            assert_eq!(graph.free_dependents(&[id(3)]), [freed]);
        }
    }

    #[test]
    fn other_prerequisites_stop_free_and_keep_what_follows_them() {
        use TaskStatus::{Failed, Pending, Running};
        let by = |n| TaskBlock::Prerequisite { task_id: id(n) };
        let told = |n: u128| (by(n), format!("dependency_failed:TSK-{n:03}"));
        let block = |n| {
            let (block, reason) = told(n);
            DependentChange::Block { block, reason }
        };
        let wait_for = |n| {
            let (block, reason) = told(n);
            DependentChange::WaitFor { block, reason }
        };
        // 2 has other prerequisites, and 3 waits for it.
        for (first, second, third, edges, expected) in [
            (
                node(1, Failed),
                node(2, Pending),
                node(3, Pending),
                vec![waits(2, 1)],
                vec![(2, block(1)), (3, block(1))],
            ),
            (
                node(1, Failed),
                node(2, Pending),
                node(3, Running),
                vec![waits(2, 1)],
                vec![(2, block(1))],
            ),
            (
                node(1, Failed),
                blocked(2, by(1)),
                blocked(3, by(1)),
                vec![waits(2, 1)],
                vec![],
            ),
            (
                node(1, Failed),
                blocked(2, by(1)),
                blocked(3, by(1)),
                vec![],
                vec![(2, DependentChange::Free), (3, DependentChange::Free)],
            ),
            (
                node(1, Failed),
                blocked(2, by(9)),
                blocked(3, by(1)),
                vec![waits(2, 1)],
                vec![(2, wait_for(1))],
            ),
            (
                node(1, Pending),
                blocked(2, TaskBlock::Budget),
                node(3, Pending),
                vec![waits(2, 1)],
                vec![(3, block(2))],
            ),
        ] {
            let nodes = [first, second, third];
            let edges: Vec<_> = edges.into_iter().chain([waits(3, 2)]).collect();
            let graph = TaskGraph {
                nodes: &nodes,
                edges: &edges,
                resolutions: &[],
            };
            let expected = expected.into_iter();
            let expected: Vec<_> = expected
                .map(|(n, change)| DependentTask { id: id(n), change })
                .collect();
            assert_eq!(graph.follow_prerequisites(id(2)), expected, "{nodes:?}");
        }
    }

    #[test]
    fn only_a_blocked_task_is_kept_by_another() {
        let prerequisite = TaskBlock::Prerequisite { task_id: id(1) };
        for (first, second, expected) in [
            (TaskStatus::Failed, blocked(2, prerequisite), Some(id(1))),
            (TaskStatus::Completed, blocked(2, prerequisite), None),
            (TaskStatus::Failed, node(2, TaskStatus::Failed), None),
        ] {
            let nodes = [node(1, first), second];
            let graph = TaskGraph {
                nodes: &nodes,
                edges: &[waits(2, 1)],
                resolutions: &[],
            };
            assert_eq!(graph.keeper_of(id(2)), expected, "{nodes:?}");
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

//! Tasks that nothing but a person has go on.

use crate::id::TaskId;
use crate::merge::IntegrationState;
use crate::task::TaskStatus;

/// A task of a spec that a person has go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckTask {
    /// The task.
    pub id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// Where its commits stand.
    pub integration_state: IntegrationState,
    /// Whether it waits for the machine, the provider or a budget.
    pub waits_for_outside: bool,
    /// Whether it resolves the conflict of another one.
    pub is_resolution: bool,
}

impl StuckTask {
    fn is_stuck(&self) -> bool {
        self.status == TaskStatus::Failed
            || self.integration_state == IntegrationState::Manual
            || self.waits_for_outside
    }
}

/// The next of `tasks`, in plan order, to be tried again; `tried` are those that were since the person
/// asked. Resolutions come first: one that is tried again takes the work it resolves along, which is
/// done already.
pub fn next_stuck(tasks: &[StuckTask], tried: &[TaskId]) -> Option<TaskId> {
    let stuck = tasks.iter().filter(|task| task.is_stuck());
    let open = stuck.filter(|task| !tried.contains(&task.id));
    let next = open.min_by_key(|task| !task.is_resolution);
    next.map(|task| task.id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> TaskId {
        TaskId::from_uuid(Uuid::from_u128(n))
    }

    fn task(n: u128, status: TaskStatus) -> StuckTask {
        StuckTask {
            id: id(n),
            status,
            integration_state: IntegrationState::None,
            waits_for_outside: false,
            is_resolution: false,
        }
    }

    #[test]
    fn resolutions_come_before_the_work_they_may_take_along() {
        use TaskStatus::{Blocked, Cancelled, Completed, Failed, Pending};
        let manual = |task| StuckTask {
            integration_state: IntegrationState::Manual,
            ..task
        };
        let outside = |task| StuckTask {
            waits_for_outside: true,
            ..task
        };
        let resolution = |task| StuckTask {
            is_resolution: true,
            ..task
        };
        for (tasks, tried, expected) in [
            (vec![], vec![], None),
            (
                vec![task(1, Pending), task(2, Cancelled), task(3, Blocked)],
                vec![],
                None,
            ),
            (vec![task(1, Failed), task(2, Failed)], vec![], Some(1)),
            (vec![task(1, Failed), task(2, Failed)], vec![1], Some(2)),
            (vec![task(1, Failed), task(2, Failed)], vec![1, 2], None),
            (
                vec![task(1, Completed), manual(task(2, Completed))],
                vec![],
                Some(2),
            ),
            (
                vec![task(1, Blocked), outside(task(2, Blocked))],
                vec![],
                Some(2),
            ),
            (
                vec![manual(task(1, Completed)), resolution(task(2, Failed))],
                vec![],
                Some(2),
            ),
            // The resolution took its work along.
            (
                vec![task(1, Completed), resolution(task(2, Cancelled))],
                vec![2],
                None,
            ),
        ] {
            let tried: Vec<TaskId> = tried.into_iter().map(id).collect();
            assert_eq!(next_stuck(&tasks, &tried), expected.map(id), "{tasks:?}");
        }
    }
}

//! A task whose agent is up.

use super::TaskAction;
use crate::task::TaskStatus;

/// Has a task in `status` run; nothing changes where it runs already.
pub fn run_task(status: TaskStatus) -> Vec<TaskAction> {
    if status == TaskStatus::Running {
        return Vec::new();
    }
    vec![TaskAction::move_to(TaskStatus::Running)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_task_runs_once_its_agent_is_up() {
        let runs = [TaskAction::move_to(TaskStatus::Running)];
        assert_eq!(run_task(TaskStatus::Assigned), runs);
        assert!(transition(TaskStatus::Assigned, TaskStatus::Running).is_ok());
        // A start that is told twice.
        assert_eq!(run_task(TaskStatus::Running), []);
        // Its machine refuses what no sandbox was bound for.
        assert_eq!(run_task(TaskStatus::Claiming), runs);
        assert!(transition(TaskStatus::Claiming, TaskStatus::Running).is_err());
    }
}

//! A task whose attempt a full disk interrupted.

use super::{TaskAction, requeue_task, wait_for_person};
use crate::attempt::AttemptStopReason;
use crate::block::TaskBlock;
use crate::disk_stop::{DiskStopStep, disk_stop_step};
use crate::task::TaskStatus;
use crate::time::Timestamp;

/// What is known when a full disk interrupted an attempt at a task.
#[derive(Clone, Copy, Debug)]
pub struct DiskStoppedTask<'a> {
    /// Where the task stands.
    pub status: TaskStatus,
    /// When a full disk interrupted an attempt at it, this time included.
    pub stopped_at: &'a [Timestamp],
    /// When a person last had the work go on.
    pub resumed_at: Option<Timestamp>,
    /// What the watcher saw.
    pub description: &'a str,
}

/// Puts the task back into the queue, or has it wait for a person when that keeps happening.
pub fn disk_stopped_task(task: DiskStoppedTask<'_>) -> Vec<TaskAction> {
    match disk_stop_step(task.stopped_at, task.resumed_at) {
        DiskStopStep::TryAgain => {
            requeue_task(format!("interrupted: {}", AttemptStopReason::DiskLow))
        }
        DiskStopStep::Stop { n_stops } => {
            let reason = format!(
                "{}: a full disk interrupted it {n_stops} times ({}); free some space, or have \
                 fewer agents at work at once (`limits.max_concurrent_agents`)",
                TaskBlock::Environment.kind(),
                task.description
            );
            wait_for_person(task.status, TaskBlock::Environment, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_stop_in_a_row_is_a_persons_to_mend() {
        let at = Timestamp::from_micros;
        for (stopped_at, resumed_at, n_stops) in [
            (vec![1], None, None),
            (vec![1, 2], None, None),
            (vec![1, 2, 3], None, Some(3)),
            (vec![1, 2, 3, 4], Some(1), Some(4)),
            // A person had it go on in between.
            (vec![1, 2, 3], Some(2), None),
        ] {
            let stopped_at: Vec<Timestamp> = stopped_at.into_iter().map(at).collect();
            let actions = disk_stopped_task(DiskStoppedTask {
                status: TaskStatus::Running,
                stopped_at: &stopped_at,
                resumed_at: resumed_at.map(at),
                description: "2 MB free",
            });
            let expected = match n_stops {
                None => requeue_task("interrupted: disk_low".to_owned()),
                Some(n) => {
                    let reason = format!(
                        "environment_fault: a full disk interrupted it {n} times (2 MB free); free \
                         some space, or have fewer agents at work at once \
                         (`limits.max_concurrent_agents`)"
                    );
                    wait_for_person(TaskStatus::Running, TaskBlock::Environment, reason)
                }
            };
            assert_eq!(actions, expected, "{stopped_at:?}");
        }
    }
}

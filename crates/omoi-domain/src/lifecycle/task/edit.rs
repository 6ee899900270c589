//! A task that a person changes.

use crate::task::TaskStatus;

/// Why a task is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEditRefusal {
    /// An agent or the platform works on it as it is.
    AtWork,
    /// It is completed.
    IsOver,
}

/// Whether what an agent is told of a task, or what the task waits for, may change: while nobody works on it. One that
/// failed or was cancelled may be tried again.
///
/// # Errors
/// [`TaskEditRefusal`].
pub const fn expect_idle_task(status: TaskStatus) -> Result<(), TaskEditRefusal> {
    match status {
        TaskStatus::Pending | TaskStatus::Blocked | TaskStatus::Failed | TaskStatus::Cancelled => {
            Ok(())
        }
        TaskStatus::Completed => Err(TaskEditRefusal::IsOver),
        TaskStatus::Claiming
        | TaskStatus::Assigned
        | TaskStatus::Running
        | TaskStatus::PendingValidation
        | TaskStatus::Validating
        | TaskStatus::NeedsRevision => Err(TaskEditRefusal::AtWork),
    }
}

/// Whether the place of a task in the queue, or its time, may change: until it is completed.
///
/// # Errors
/// [`TaskEditRefusal::IsOver`].
pub const fn expect_open_task(status: TaskStatus) -> Result<(), TaskEditRefusal> {
    match status {
        TaskStatus::Completed => Err(TaskEditRefusal::IsOver),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_while_nobody_works_and_places_until_the_end() {
        use TaskEditRefusal::{AtWork, IsOver};
        for status in TaskStatus::ALL.iter().copied() {
            let idle = match status.as_str() {
                "pending" | "blocked" | "failed" | "cancelled" => Ok(()),
                "completed" => Err(IsOver),
                _ => Err(AtWork),
            };
            assert_eq!(expect_idle_task(status), idle, "{status}");
            let open = if status == TaskStatus::Completed {
                Err(IsOver)
            } else {
                Ok(())
            };
            assert_eq!(expect_open_task(status), open, "{status}");
        }
    }
}

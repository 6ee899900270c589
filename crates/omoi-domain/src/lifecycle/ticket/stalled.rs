//! A ticket of which nothing goes on.

use std::time::Duration;

use crate::block::TaskBlock;
use crate::task::TaskStatus;
use crate::ticket::{TicketBlockReason, TicketStatus};

/// Time without any sign of work after which a ticket is stalled.
pub const STALL_TIME: Duration = Duration::from_mins(30);

/// A task of a ticket, as far as it says why nothing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallTask {
    /// Where it stands.
    pub status: TaskStatus,
    /// What it waits for, when it is blocked.
    pub block: Option<TaskBlock>,
    /// Whether a task that it waits for is not completed.
    pub is_waiting: bool,
    /// Whether it was sent back by its checks.
    pub is_sent_back: bool,
}

/// What is known of a ticket that may be stalled.
#[derive(Clone, Copy, Debug)]
pub struct StallFacts<'a> {
    /// Where it stands.
    pub status: TicketStatus,
    /// Whether something holds it up already.
    pub is_blocked: bool,
    /// For how long neither it nor a task of it changed.
    pub idle_for: Duration,
    /// Whether an attempt at one of its tasks lives.
    pub has_live_attempt: bool,
    /// Whether people are asked about it.
    pub is_asked_about: bool,
    /// Its tasks.
    pub tasks: &'a [StallTask],
}

/// Tells what holds a ticket up of which nothing goes on; none where something does, where what it waits for does, and
/// where people alone move it.
pub fn judge_stall(facts: StallFacts<'_>) -> Option<TicketBlockReason> {
    let is_at_work = match facts.status {
        TicketStatus::Backlog | TicketStatus::Done => false,
        TicketStatus::Analyzing
        | TicketStatus::Building
        | TicketStatus::BuildingDone
        | TicketStatus::Testing
        | TicketStatus::Deploying => true,
    };
    if !is_at_work || facts.is_blocked || facts.has_live_attempt || facts.idle_for < STALL_TIME {
        return None;
    }
    if facts.is_asked_about {
        return Some(TicketBlockReason::WaitingOnClarification);
    }
    let open = facts.tasks.iter().filter(|task| !task.status.is_final());
    let open: Vec<&StallTask> = open.collect();
    if open.is_empty() {
        let has_failed = facts
            .tasks
            .iter()
            .any(|task| task.status == TaskStatus::Failed);
        return has_failed.then_some(TicketBlockReason::FailingChecks);
    }
    let free = open.iter().filter(|task| task.block.is_none());
    let free: Vec<&&StallTask> = free.collect();
    if free.iter().any(|task| !task.is_waiting) {
        let is_sent_back = free.iter().any(|task| task.is_sent_back);
        return Some(match is_sent_back {
            true => TicketBlockReason::FailingChecks,
            // It could start and does not.
            false => TicketBlockReason::Environment,
        });
    }
    // What the others wait for goes on, or is blocked itself.
    let reasons = open.iter().filter_map(|task| task.block.map(reason_of));
    let reasons: Vec<TicketBlockReason> = reasons.collect();
    let own = |reason: &&TicketBlockReason| **reason != TicketBlockReason::Dependency;
    let found = reasons.iter().find(own).or(reasons.first());
    found.copied()
}

const fn reason_of(block: TaskBlock) -> TicketBlockReason {
    match block {
        TaskBlock::Prerequisite { .. } => TicketBlockReason::Dependency,
        TaskBlock::Question => TicketBlockReason::WaitingOnClarification,
        TaskBlock::NoCheck => TicketBlockReason::FailingChecks,
        TaskBlock::Environment | TaskBlock::Provider | TaskBlock::Budget => {
            TicketBlockReason::Environment
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::TaskId;

    const PENDING: StallTask = StallTask {
        status: TaskStatus::Pending,
        block: None,
        is_waiting: false,
        is_sent_back: false,
    };

    fn facts(tasks: &[StallTask]) -> StallFacts<'_> {
        StallFacts {
            status: TicketStatus::Building,
            is_blocked: false,
            idle_for: STALL_TIME,
            has_live_attempt: false,
            is_asked_about: false,
            tasks,
        }
    }

    #[test]
    fn what_goes_on_and_what_people_move_is_not_stalled() {
        let tasks = [PENDING];
        let quiet = facts(&tasks);
        assert!(judge_stall(quiet).is_some());
        for going in [
            StallFacts {
                is_blocked: true,
                ..quiet
            },
            StallFacts {
                has_live_attempt: true,
                ..quiet
            },
            StallFacts {
                idle_for: STALL_TIME.saturating_sub(Duration::from_secs(1)),
                ..quiet
            },
            StallFacts {
                status: TicketStatus::Backlog,
                ..quiet
            },
            StallFacts {
                status: TicketStatus::Done,
                ..quiet
            },
            StallFacts {
                tasks: &[],
                ..quiet
            },
        ] {
            assert_eq!(judge_stall(going), None, "{going:?}");
        }
        let waiting = [StallTask {
            is_waiting: true,
            ..PENDING
        }];
        assert_eq!(
            judge_stall(facts(&waiting)),
            None,
            "what it waits for goes on"
        );
    }

    #[test]
    fn its_tasks_say_what_holds_a_ticket_up() {
        use TicketBlockReason::{Dependency, Environment, FailingChecks, WaitingOnClarification};
        let blocked = |block| StallTask {
            status: TaskStatus::Blocked,
            block: Some(block),
            is_waiting: false,
            is_sent_back: false,
        };
        let task_id = TaskId::from_uuid(Uuid::from_u128(1));
        let lost = TaskBlock::Prerequisite { task_id };
        let waiting = StallTask {
            is_waiting: true,
            ..PENDING
        };
        let sent_back = StallTask {
            is_sent_back: true,
            ..PENDING
        };
        let failed = StallTask {
            status: TaskStatus::Failed,
            ..PENDING
        };
        let done = StallTask {
            status: TaskStatus::Completed,
            ..PENDING
        };
        for (tasks, expected) in [
            (vec![PENDING], Some(Environment)),
            (vec![sent_back], Some(FailingChecks)),
            (vec![blocked(lost), waiting], Some(Dependency)),
            (
                vec![blocked(lost), blocked(TaskBlock::Budget)],
                Some(Environment),
            ),
            (vec![blocked(TaskBlock::NoCheck)], Some(FailingChecks)),
            (vec![done, failed], Some(FailingChecks)),
            (vec![done], None),
        ] {
            assert_eq!(judge_stall(facts(&tasks)), expected, "{tasks:?}");
        }
        let asked = StallFacts {
            is_asked_about: true,
            ..facts(&[])
        };
        assert_eq!(judge_stall(asked), Some(WaitingOnClarification));
    }
}

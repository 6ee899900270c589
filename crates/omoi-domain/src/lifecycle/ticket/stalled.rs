//! A ticket of which nothing goes on.

use std::time::Duration;

use crate::block::TaskBlock;
use crate::lifecycle::task::{AddedTask, DiscoveryProof, TaskAction};
use crate::spec::SpecStatus;
use crate::task::TaskStatus;
use crate::ticket::{TicketBlockReason, TicketStatus};

/// Time without any sign of work after which a ticket is stalled.
pub const STALL_TIME: Duration = Duration::from_mins(30);

/// Begins the name within its spec of a task that looks for what holds a ticket up.
pub const REMEDY_PREFIX: &str = "FIX-";

/// A task of a ticket, as far as it says why nothing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallTask {
    /// Where it stands.
    pub status: TaskStatus,
    /// What it waits for, when it is blocked.
    pub block: Option<TaskBlock>,
    /// Whether a task that it waits for is not completed, or the time of its next try has not come.
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
    /// Whether people had the work of its project stop.
    pub is_paused: bool,
    /// Whether tasks are at work elsewhere: what could start has its turn after them.
    pub is_queue_moving: bool,
    /// Its tasks, but for the one that looks for what held it up.
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
    if !is_at_work || facts.is_blocked || facts.has_live_attempt || facts.is_paused {
        return None;
    }
    if facts.idle_for < STALL_TIME {
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
    let startable = || free.iter().filter(|task| !task.is_waiting);
    if startable().next().is_some() {
        if facts.is_queue_moving && startable().all(|task| task.status == TaskStatus::Pending) {
            return None;
        }
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

/// What happened to a ticket since it was held up because nothing went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallNews {
    /// Whether one of its tasks changed.
    pub has_task_changed: bool,
    /// Whether the task that looks for the cause is completed.
    pub is_remedied: bool,
}

/// Whether what held a stalled ticket up is gone; `facts` are those of now.
pub fn is_stall_over(facts: StallFacts<'_>, news: StallNews) -> bool {
    let again = StallFacts {
        is_blocked: false,
        idle_for: STALL_TIME,
        ..facts
    };
    news.has_task_changed || news.is_remedied || judge_stall(again).is_none()
}

/// What says whether a stalled ticket gets a task that looks for the cause.
#[derive(Clone, Copy, Debug)]
pub struct RemedyFacts {
    /// What holds the ticket up.
    pub reason: TicketBlockReason,
    /// Where its spec stands, where it has one.
    pub spec: Option<SpecStatus>,
    /// Whether it had such a task before.
    pub had_remedy: bool,
    /// Such tasks of its spec.
    pub n_remedies: usize,
    /// The last place in the order of the spec's tasks.
    pub last_ordinal: i64,
    /// Whether the project has a suite.
    pub has_suite: bool,
}

/// The task that looks for what holds a ticket up: one for each ticket, as whatever it could not mend is for people. Where people
/// have to answer, and where nobody works on the spec, there is none.
pub fn plan_remedy(facts: RemedyFacts) -> Option<AddedTask> {
    let is_for_people = facts.reason == TicketBlockReason::WaitingOnClarification;
    if is_for_people || facts.had_remedy || facts.spec != Some(SpecStatus::Working) {
        return None;
    }
    let (proof, actions) = match facts.has_suite {
        true => (DiscoveryProof::Suite, Vec::new()),
        false => {
            let block = TaskBlock::NoCheck;
            let reason = block.kind().to_string();
            let blocked = vec![TaskAction::Block { block, reason }];
            (DiscoveryProof::Missing, blocked)
        }
    };
    Some(AddedTask {
        local_id: format!("{REMEDY_PREFIX}{:03}", facts.n_remedies + 1),
        ordinal: facts.last_ordinal + 1,
        proof,
        actions,
    })
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
            is_paused: false,
            is_queue_moving: false,
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
                is_paused: true,
                ..quiet
            },
            StallFacts {
                is_queue_moving: true,
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

    #[test]
    fn a_full_queue_explains_only_what_waits_in_it() {
        let left = [StallTask {
            status: TaskStatus::Validating,
            ..PENDING
        }];
        let failed = [StallTask {
            status: TaskStatus::Failed,
            ..PENDING
        }];
        for tasks in [&left, &failed] {
            let moving = StallFacts {
                is_queue_moving: true,
                ..facts(tasks)
            };
            assert!(judge_stall(moving).is_some(), "{tasks:?}");
        }
    }

    #[test]
    fn a_stall_is_over_once_something_moves_or_its_cause_is_gone() {
        let still = StallNews {
            has_task_changed: false,
            is_remedied: false,
        };
        let tasks = [PENDING];
        let held = StallFacts {
            is_blocked: true,
            idle_for: Duration::ZERO,
            ..facts(&tasks)
        };
        assert!(!is_stall_over(held, still));
        for news in [
            StallNews {
                has_task_changed: true,
                ..still
            },
            StallNews {
                is_remedied: true,
                ..still
            },
        ] {
            assert!(is_stall_over(held, news), "{news:?}");
        }
        for gone in [
            StallFacts {
                is_queue_moving: true,
                ..held
            },
            StallFacts {
                has_live_attempt: true,
                ..held
            },
            StallFacts {
                status: TicketStatus::Done,
                ..held
            },
        ] {
            assert!(is_stall_over(gone, still), "{gone:?}");
        }
    }

    #[test]
    fn a_ticket_has_one_remedy_where_an_agent_can_do_something() {
        let facts = RemedyFacts {
            reason: TicketBlockReason::Environment,
            spec: Some(SpecStatus::Working),
            had_remedy: false,
            n_remedies: 1,
            last_ordinal: 7,
            has_suite: true,
        };
        let planned = plan_remedy(facts).map(|task| (task.local_id, task.ordinal, task.proof));
        let expected = ("FIX-002".to_owned(), 8, DiscoveryProof::Suite);
        assert_eq!(planned, Some(expected));
        let unproven = RemedyFacts {
            has_suite: false,
            ..facts
        };
        let waits = plan_remedy(unproven).map(|task| task.actions.len());
        assert_eq!(waits, Some(1), "nothing could prove it");
        for nobody in [
            RemedyFacts {
                reason: TicketBlockReason::WaitingOnClarification,
                ..facts
            },
            RemedyFacts {
                spec: Some(SpecStatus::Failed),
                ..facts
            },
            RemedyFacts {
                spec: None,
                ..facts
            },
            RemedyFacts {
                had_remedy: true,
                ..facts
            },
        ] {
            assert_eq!(plan_remedy(nobody), None, "{nobody:?}");
        }
    }
}

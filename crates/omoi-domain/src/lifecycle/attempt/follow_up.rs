//! What the end of an attempt means for its task.

use super::AttemptLoss;
use crate::attempt::{AttemptOutcome, AttemptStopReason};
use crate::lifecycle::task::UnmetResult;
use crate::postponed_start::is_postponed_end;
use crate::retry::ErrorClass;
use crate::task::{TaskStatus, UnmetCode};

/// What a task does when an attempt at it is over. Each is a transition of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskFollowUp {
    /// Its result goes to its checks.
    Validate,
    /// Its result is not accepted.
    SendBack(UnmetResult),
    /// The attempt failed.
    Fail {
        /// The kind of error.
        class: ErrorClass,
        /// What happened.
        message: String,
    },
    /// Its provider turned its agent away, whose attempt is saved.
    WaitForProvider {
        /// How the provider failed it.
        class: ErrorClass,
        /// What happened.
        message: String,
    },
    /// Its agent asked a person something, whose attempt is saved.
    WaitForAnswer {
        /// What it asked.
        question: String,
    },
    /// A person stopped its agent.
    Cancel,
    /// A full disk stopped its agent, seen so.
    DiskStopped {
        /// What the watcher saw.
        description: String,
    },
    /// Its attempt could not start since something outside did not answer.
    Postpone {
        /// The kind of error.
        class: ErrorClass,
        /// What did not answer.
        message: String,
    },
    /// It goes back into the queue, and nothing is counted against it.
    Requeue {
        /// Why.
        reason: String,
    },
}

/// How a worker says that an attempt at a task ended, and what the platform found of its result.
#[derive(Clone, Debug)]
pub struct ReportedEnd {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why it ended.
    pub stop_reason: AttemptStopReason,
    /// The kind of error, where one ended it.
    pub error_class: Option<ErrorClass>,
    /// What happened, where it failed or was stopped.
    pub error_message: Option<String>,
    /// Why its result may not go to its checks, if it may not.
    pub unmet: Option<UnmetResult>,
    /// Whether a person's message interrupted it.
    pub is_by_person: bool,
    /// What its agent asked a person, where that ended it.
    pub question: Option<String>,
}

/// Decides what a task does when the worker of its attempt told how it ended.
pub fn after_report(end: ReportedEnd) -> TaskFollowUp {
    match end.outcome {
        AttemptOutcome::Succeeded => match end.unmet {
            Some(unmet) => TaskFollowUp::SendBack(unmet),
            None => TaskFollowUp::Validate,
        },
        AttemptOutcome::Incomplete => {
            TaskFollowUp::SendBack(incomplete_result(end.stop_reason, end.unmet))
        }
        AttemptOutcome::Failed => TaskFollowUp::Fail {
            class: end.error_class.unwrap_or(ErrorClass::Unknown),
            message: end
                .error_message
                .unwrap_or_else(|| "the agent gave no reason".to_owned()),
        },
        AttemptOutcome::Interrupted if end.is_by_person => TaskFollowUp::Cancel,
        AttemptOutcome::Interrupted if end.stop_reason == AttemptStopReason::DiskLow => {
            TaskFollowUp::DiskStopped {
                description: end.error_message.unwrap_or_default(),
            }
        }
        AttemptOutcome::Interrupted => match end.question {
            Some(question) => TaskFollowUp::WaitForAnswer { question },
            None => TaskFollowUp::Requeue {
                reason: format!("interrupted: {}", end.stop_reason),
            },
        },
    }
}

/// Turns, time or money ran out first: what the next round is told.
fn incomplete_result(stop_reason: AttemptStopReason, unmet: Option<UnmetResult>) -> UnmetResult {
    let mut feedback = format!("the attempt ended before it was done ({stop_reason})");
    let mut recommendations =
        vec!["Go on from what stands on the branch and finish it.".to_owned()];
    if let Some(unmet) = unmet {
        feedback = format!(
            "{feedback}\nwhat it handed in was not taken: {}",
            unmet.feedback
        );
        recommendations.extend(unmet.recommendations);
    }
    UnmetResult {
        code: UnmetCode::Incomplete,
        feedback,
        recommendations,
    }
}

/// Decides what a task in `status` does when the platform ended its attempt; none when the attempt has it
/// no longer.
pub fn after_loss(status: TaskStatus, loss: &AttemptLoss) -> Option<TaskFollowUp> {
    if !status.is_worked_on() {
        return None;
    }
    Some(if loss.stop_reason == AttemptStopReason::DiskLow {
        TaskFollowUp::DiskStopped {
            description: loss.message.clone(),
        }
    } else if loss.stop_reason == AttemptStopReason::ProviderWait {
        TaskFollowUp::WaitForProvider {
            class: loss.class,
            message: loss.message.clone(),
        }
    } else if loss.counts {
        TaskFollowUp::Fail {
            class: loss.class,
            message: loss.message.clone(),
        }
    } else if is_postponed_end(loss.state, Some(loss.stop_reason)) {
        TaskFollowUp::Postpone {
            class: loss.class,
            message: loss.message.clone(),
        }
    } else {
        TaskFollowUp::Requeue {
            reason: loss.stop_reason.to_string(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptState;

    fn unmet() -> UnmetResult {
        UnmetResult {
            code: UnmetCode::Incomplete,
            feedback: "no commits".to_owned(),
            recommendations: vec!["commit it".to_owned()],
        }
    }

    fn end(outcome: AttemptOutcome, stop_reason: AttemptStopReason) -> ReportedEnd {
        ReportedEnd {
            outcome,
            stop_reason,
            error_class: None,
            error_message: None,
            unmet: None,
            is_by_person: false,
            question: None,
        }
    }

    #[test]
    fn the_outcome_and_what_was_found_decide() {
        use AttemptStopReason::{
            CompletionSignal, DiskLow, Error, Interrupt, QuestionAsked, ShutdownSignal,
        };
        let done = end(AttemptOutcome::Succeeded, CompletionSignal);
        let refused = ReportedEnd {
            unmet: Some(unmet()),
            ..done.clone()
        };
        let failed = ReportedEnd {
            error_class: Some(ErrorClass::AuthFailed),
            error_message: Some("401".to_owned()),
            ..end(AttemptOutcome::Failed, Error)
        };
        let by_person = ReportedEnd {
            is_by_person: true,
            ..end(AttemptOutcome::Interrupted, Interrupt)
        };
        let full_disk = ReportedEnd {
            error_message: Some("stopped: 1 byte free".to_owned()),
            ..end(AttemptOutcome::Interrupted, DiskLow)
        };
        for (end, expected) in [
            (done, TaskFollowUp::Validate),
            (refused, TaskFollowUp::SendBack(unmet())),
            (
                failed,
                TaskFollowUp::Fail {
                    class: ErrorClass::AuthFailed,
                    message: "401".to_owned(),
                },
            ),
            (
                end(AttemptOutcome::Failed, Error),
                TaskFollowUp::Fail {
                    class: ErrorClass::Unknown,
                    message: "the agent gave no reason".to_owned(),
                },
            ),
            (by_person, TaskFollowUp::Cancel),
            (
                full_disk,
                TaskFollowUp::DiskStopped {
                    description: "stopped: 1 byte free".to_owned(),
                },
            ),
            (
                ReportedEnd {
                    question: Some("Which port?".to_owned()),
                    ..end(AttemptOutcome::Interrupted, QuestionAsked)
                },
                TaskFollowUp::WaitForAnswer {
                    question: "Which port?".to_owned(),
                },
            ),
            (
                end(AttemptOutcome::Interrupted, ShutdownSignal),
                TaskFollowUp::Requeue {
                    reason: "interrupted: shutdown_signal".to_owned(),
                },
            ),
        ] {
            let told = format!("{end:?}");
            assert_eq!(after_report(end), expected, "{told}");
        }
    }

    #[test]
    fn an_attempt_cut_short_goes_back_with_what_was_not_taken() {
        let cut = ReportedEnd {
            unmet: Some(unmet()),
            ..end(
                AttemptOutcome::Incomplete,
                AttemptStopReason::MaxTurnsReached,
            )
        };
        let TaskFollowUp::SendBack(result) = after_report(cut) else {
            unreachable!("it is sent back")
        };
        assert_eq!(result.code, UnmetCode::Incomplete);
        assert!(result.feedback.contains("(max_turns_reached)"));
        assert!(result.feedback.ends_with("was not taken: no commits"));
        assert_eq!(result.recommendations[1], "commit it");
    }

    #[test]
    fn a_loss_counts_only_where_it_is_a_fault() {
        use TaskStatus::{Cancelled, Claiming, Pending, Running};
        let loss = |stop_reason, counts| AttemptLoss {
            state: AttemptState::Failed,
            stop_reason,
            class: ErrorClass::Heartbeat,
            message: "silent".to_owned(),
            counts,
        };
        let fail = TaskFollowUp::Fail {
            class: ErrorClass::Heartbeat,
            message: "silent".to_owned(),
        };
        let requeue = TaskFollowUp::Requeue {
            reason: "platform_restarted".to_owned(),
        };
        let full_disk = TaskFollowUp::DiskStopped {
            description: "silent".to_owned(),
        };
        let silent = loss(AttemptStopReason::HeartbeatTimeout, true);
        let restarted = loss(AttemptStopReason::PlatformRestarted, false);
        let postponed = AttemptLoss {
            state: AttemptState::Interrupted,
            ..loss(AttemptStopReason::ProvisionFailed, false)
        };
        let put_off = TaskFollowUp::Postpone {
            class: ErrorClass::Heartbeat,
            message: "silent".to_owned(),
        };
        let disk_low = loss(AttemptStopReason::DiskLow, false);
        let saved = loss(AttemptStopReason::ProviderWait, false);
        let waits = TaskFollowUp::WaitForProvider {
            class: ErrorClass::Heartbeat,
            message: "silent".to_owned(),
        };
        for (status, loss, expected) in [
            (Running, &silent, Some(fail)),
            (Claiming, &restarted, Some(requeue)),
            (Claiming, &postponed, Some(put_off)),
            (Running, &disk_low, Some(full_disk)),
            (Running, &saved, Some(waits)),
            // It was cancelled, or is back in the queue.
            (Cancelled, &silent, None),
            (Pending, &restarted, None),
        ] {
            assert_eq!(after_loss(status, loss), expected, "{status}");
        }
    }
}

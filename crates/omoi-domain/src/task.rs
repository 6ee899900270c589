//! Tasks: the unit one agent works on.

use serde::{Deserialize, Serialize};

crate::machine! {
    /// Where a task stands.
    TaskStatus ("task") {
        /// Waiting for its prerequisites, a slot or its time.
        Pending = "pending",
        /// A dispatcher holds it and prepares an attempt.
        Claiming = "claiming",
        /// A sandbox is bound, its worker has not reported yet.
        Assigned = "assigned",
        /// An agent works.
        Running = "running",
        /// The agent says done; the platform has not looked yet.
        PendingValidation = "pending_validation",
        /// The platform runs the task's checks.
        Validating = "validating",
        /// The checks failed; moves on in the same transaction.
        NeedsRevision = "needs_revision",
        /// Something outside the task must change first.
        Blocked = "blocked",
        /// Its checks passed on its head commit.
        Completed = "completed",
        /// It failed and will not be tried again by itself.
        Failed = "failed",
        /// A person or a rule called it off.
        Cancelled = "cancelled",
    }
    Pending => Claiming: TaskClaimed, Blocked: TaskBlocked, Failed: TaskFailed,
        Cancelled: TaskCancelled;
    Claiming => Assigned: TaskAssigned, Pending: TaskStatusChanged, Failed: TaskFailed,
        Cancelled: TaskCancelled;
    Assigned => Running: TaskStarted, Pending: TaskStatusChanged, Failed: TaskFailed,
        Cancelled: TaskCancelled;
    Running => PendingValidation: TaskValidationRequested, Completed: TaskCompleted,
        NeedsRevision: TaskStatusChanged, Failed: TaskFailed, Pending: TaskStatusChanged,
        Blocked: TaskBlocked, Cancelled: TaskCancelled;
    PendingValidation => Validating: TaskValidationStarted, Cancelled: TaskCancelled;
    Validating => Completed: TaskCompleted, NeedsRevision: TaskValidationFailed,
        PendingValidation: TaskStatusChanged, Blocked: TaskBlocked, Failed: TaskFailed, Cancelled: TaskCancelled;
    NeedsRevision => Pending: TaskStatusChanged, Failed: TaskPermanentlyFailed,
        Cancelled: TaskCancelled;
    Blocked => Pending: TaskUnblocked, PendingValidation: TaskValidationRequested, Cancelled: TaskCancelled;
    Completed => Pending: TaskStatusChanged;
    Failed => Pending: TaskRetryScheduled, Cancelled: TaskCancelled;
    Cancelled => Pending: TaskRetryScheduled;
}

impl TaskStatus {
    /// Whether the status counts against the slot limits.
    pub const fn holds_slot(self) -> bool {
        matches!(
            self,
            Self::Claiming | Self::Assigned | Self::Running | Self::Validating
        )
    }

    /// Whether nothing more happens to the task by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How much a task matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// 0.25 in the score.
    Low,
    /// 0.5
    Medium,
    /// 0.75
    High,
    /// 1.0
    Critical,
}

impl Priority {
    /// Every priority, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    /// Reads a priority in any case; unknown words are refused.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str().eq_ignore_ascii_case(text))
    }

    /// The next higher priority; the highest stays.
    pub const fn raised(self) -> Self {
        match self {
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }
}

/// Task types that the platform itself gives meaning to.
pub mod kind {
    /// Ordinary work on code.
    pub const IMPLEMENT_FEATURE: &str = "implement_feature";
    /// Work whose result is tests.
    pub const WRITE_TESTS: &str = "write_tests";
    /// Repair of a fault found on the way.
    pub const FIX_BUG: &str = "fix_bug";
    /// A merge begun and left to an agent.
    pub const RESOLVE_CONFLICT: &str = "resolve_conflict";
}

/// Why the platform sends a task back, kept apart from its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Which round failed, from 1.
    pub iteration: u32,
    /// What failed, in the words of the check's own output.
    pub feedback: String,
    /// One line per unmet check.
    pub recommendations: Vec<String>,
}

/// Rounds a task may be sent back before it fails.
pub const ROUNDS_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, transition};

    /// Every allowed move, written down a second time: a slip in either list shows.
    const ALLOWED: [(TaskStatus, &[TaskStatus]); 11] = {
        use TaskStatus::*;
        [
            // Waits; is claimed, held up or called off, or has no round left after a refused merge.
            (Pending, &[Claiming, Blocked, Failed, Cancelled]),
            (Claiming, &[Assigned, Pending, Failed, Cancelled]),
            (Assigned, &[Running, Pending, Failed, Cancelled]),
            (
                Running,
                &[
                    PendingValidation,
                    Completed,
                    NeedsRevision,
                    Failed,
                    Pending,
                    Blocked,
                    Cancelled,
                ],
            ),
            (PendingValidation, &[Validating, Cancelled]),
            (
                Validating,
                &[
                    Completed,
                    NeedsRevision,
                    PendingValidation,
                    Blocked,
                    Failed,
                    Cancelled,
                ],
            ),
            (NeedsRevision, &[Pending, Failed, Cancelled]),
            (Blocked, &[Pending, PendingValidation, Cancelled]),
            // Ended, but for a restart or a merge that refused it.
            (Completed, &[Pending]),
            (Failed, &[Pending, Cancelled]),
            // Called off, until a person wants it after all.
            (Cancelled, &[Pending]),
        ]
    };

    #[test]
    fn all_121_pairs_are_decided_as_listed() {
        let mut decided = 0;
        for from in TaskStatus::ALL {
            let rows: Vec<_> = ALLOWED
                .iter()
                .filter(|(status, _)| status == from)
                .collect();
            assert_eq!(rows.len(), 1, "{from}");
            for to in TaskStatus::ALL {
                let allowed = rows[0].1.contains(to);
                assert_eq!(transition(*from, *to).is_ok(), allowed, "{from} -> {to}");
                decided += 1;
            }
        }
        assert_eq!(decided, 121);
    }
}

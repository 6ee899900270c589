//! Tasks: the unit one agent works on.

use schemars::JsonSchema;
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
        /// An agent works on it.
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

    /// Whether its attempt has it: claimed, and not submitted yet.
    pub const fn is_worked_on(self) -> bool {
        matches!(self, Self::Claiming | Self::Assigned | Self::Running)
    }

    /// Whether nothing more happens to the task by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

crate::closed_set! {
    /// How much a requirement, ticket or task matters, lowest first.
    #[derive(JsonSchema)]
    Priority {
        /// The feature is useful without it.
        Low = "LOW",
        /// Expected, could follow later.
        Medium = "MEDIUM",
        /// The feature is incomplete without it.
        High = "HIGH",
        /// Nothing works without it.
        Critical = "CRITICAL",
    }
}

impl Priority {
    /// Whether gaps in coverage stop the plan: CRITICAL and HIGH.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Critical | Self::High)
    }

    /// The next higher priority; the highest stays.
    pub const fn one_higher(self) -> Self {
        match self {
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }
}

crate::closed_set! {
    /// The kind of work a task is, as far as the platform treats kinds differently.
    TaskType {
        /// Ordinary work on code.
        ImplementFeature = "implement_feature",
        /// Work whose result is tests.
        WriteTests = "write_tests",
        /// Repair of a fault found on the way.
        FixBug = "fix_bug",
        /// A merge begun and left to an agent.
        ResolveConflict = "resolve_conflict",
    }
}

crate::closed_set! {
    /// The part of its ticket's life a task belongs to.
    TicketPhase {
        /// Writing down what is wanted.
        Requirements = "PHASE_REQUIREMENTS",
        /// How it is built.
        Design = "PHASE_DESIGN",
        /// Building what was designed.
        Implementation = "PHASE_IMPLEMENTATION",
        /// Showing that it works.
        Testing = "PHASE_TESTING",
        /// Bringing it to its users.
        Deployment = "PHASE_DEPLOYMENT",
    }
}

crate::closed_set! {
    /// Why the platform does not accept a task's result.
    UnmetCode {
        /// A check is red on the task's head.
        ChecksFailed = "checks_failed",
        /// A check is red on the merged tree.
        MergeRed = "merge_red",
        /// A check is red on the integration branch.
        HeadRed = "head_red",
        /// The attempt ended before its agent said done.
        Incomplete = "incomplete",
        /// It made no commits, or none that changes a file.
        NoChange = "no_change",
        /// Its work could not be committed.
        WorkUnsaved = "work_unsaved",
        /// What it submitted is no bundle the platform takes.
        BundleRefused = "bundle_refused",
        /// Its commits do not descend from where it started.
        HistoryRewritten = "history_rewritten",
        /// It changed what no agent may change.
        ProtectedPath = "protected_path",
        /// It wrote outside its workspace.
        OutsideWorkspace = "outside_workspace",
        /// It changed what decides which tests run, and the plan did not name that.
        TestWeakened = "test_weakened",
        /// Marks of an unresolved conflict are left in a file.
        ConflictMarkers = "conflict_markers",
        /// A resolution left out what one side of the merge brought.
        SideDropped = "side_dropped",
    }
}

/// Why the platform sends a task back, kept apart from its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRevision {
    /// What kind of fault it is.
    pub code: UnmetCode,
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
    use crate::machine::transition;

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

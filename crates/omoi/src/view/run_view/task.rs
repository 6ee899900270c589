//! One task in the picture of a run.

use omoi_domain::check::CheckStage;
use omoi_domain::event::{AgentActivity, Event, MergeChange, ReceiptDone, TaskChange};
use omoi_domain::id::HumanRef;
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::{TaskStatus, TaskType};
use omoi_domain::time::Timestamp;

/// A task as far as its events tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskLine {
    /// The number `n` of its reference `TSK-n`.
    pub(crate) number: i64,
    pub(crate) title: String,
    /// Who works on it.
    pub(crate) role: &'static str,
    /// Last status that an event told.
    pub(crate) status: Option<TaskStatus>,
    /// Where its commits stand.
    pub(crate) integration: Option<IntegrationState>,
    /// When what goes on now began.
    pub(crate) since: Option<Timestamp>,
    /// What goes on now.
    pub(crate) doing: String,
    /// What its agent changed in this attempt.
    pub(crate) changes: LineChanges,
    /// Checks of this validation.
    pub(crate) checks: CheckTally,
    /// The task whose agent found it.
    pub(crate) found_by: Option<i64>,
    /// The task whose conflict it resolves.
    pub(crate) resolves: Option<i64>,
}

/// Lines that an attempt added and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineChanges {
    pub(crate) added: u32,
    pub(crate) removed: u32,
}

/// How many checks passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckTally {
    /// Checks that exited 0.
    pub(crate) passed: u32,
    /// Checks with any other result.
    pub(crate) failed: u32,
}

impl CheckTally {
    /// Counts one receipt, unless it judges the check itself.
    pub(crate) fn count_receipt(&mut self, receipt: &ReceiptDone) {
        // These say something of the check, not of the work.
        if matches!(receipt.stage, CheckStage::Base | CheckStage::Ablation) {
            return;
        }
        if receipt.passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

impl TaskLine {
    /// Whether a row shows it at work.
    pub(crate) fn is_at_work(&self) -> bool {
        let merging = matches!(
            self.integration,
            Some(IntegrationState::Merging | IntegrationState::Queued)
        );
        match self.status {
            Some(
                TaskStatus::Claiming
                | TaskStatus::Assigned
                | TaskStatus::Running
                | TaskStatus::PendingValidation
                | TaskStatus::Validating,
            ) => true,
            Some(TaskStatus::Completed) => merging,
            _ => false,
        }
    }

    /// Whether nothing is left to do for it.
    pub(crate) fn is_through(&self) -> bool {
        self.status == Some(TaskStatus::Completed)
            && self
                .integration
                .is_some_and(IntegrationState::satisfies_dependents)
    }

    /// Whether it was called off.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.status == Some(TaskStatus::Cancelled)
    }

    /// Takes in a move; gives the note it is worth.
    pub(super) fn apply_change(&mut self, change: &TaskChange, at: Timestamp) -> Option<String> {
        self.title = crate::view::text_layout::clean_line(&change.title);
        self.role = match change.task_type {
            TaskType::ResolveConflict => "resolver",
            _ => "implementer",
        };
        self.status = Some(change.to);
        let own = HumanRef::task(change.number);
        let why = change
            .reason
            .as_deref()
            .map(plain_reason)
            .unwrap_or_default();
        match change.to {
            TaskStatus::Claiming => self.begin_step(at, "making its sandbox"),
            TaskStatus::Assigned => "waiting for its agent".clone_into(&mut self.doing),
            TaskStatus::Running => {
                self.begin_step(at, "reading its task");
                self.changes = LineChanges::default();
            }
            TaskStatus::PendingValidation => self.begin_step(at, "waiting for its checks"),
            TaskStatus::Validating => {
                self.begin_step(at, "running its checks");
                self.checks = CheckTally::default();
            }
            TaskStatus::NeedsRevision => {
                let refusal = Some(why).filter(|why| !why.is_empty());
                let refusal = refusal.unwrap_or_else(|| "its result was refused".to_owned());
                return Some(format!("{own} sent back: {refusal}, trying again"));
            }
            TaskStatus::Failed => return Some(format!("{own} failed: {why}")),
            TaskStatus::Blocked => return Some(format!("{own} blocked: {why}")),
            TaskStatus::Cancelled => return Some(format!("{own} cancelled: {why}")),
            TaskStatus::Pending if change.from == Some(TaskStatus::Failed) => {
                return Some(format!("{own} is tried again: {why}"));
            }
            TaskStatus::Pending | TaskStatus::Completed => {}
        }
        None
    }

    /// Takes in what its agent does.
    pub(super) fn apply_activity(&mut self, activity: &AgentActivity) {
        self.doing = crate::view::text_layout::clean_line(&activity.summary);
        self.changes.added += activity.lines_added;
        self.changes.removed += activity.lines_removed;
    }

    /// Takes in a move of its merge.
    pub(super) fn apply_merge(&mut self, event: &Event, at: Timestamp) {
        let Some(change) = merge_change(event) else {
            return;
        };
        self.integration = Some(change.state);
        match event {
            Event::MergeQueued(_) => self.begin_step(at, "waiting to be merged"),
            Event::MergeStarted(_) => self.begin_step(at, "merging"),
            Event::MergeVerifying(_) => {
                self.begin_step(at, "running its checks on the merged tree");
                self.checks = CheckTally::default();
            }
            Event::MergeRestarted(_) => self.begin_step(at, "waiting to be merged again"),
            _ => {}
        }
    }

    fn begin_step(&mut self, at: Timestamp, doing: &str) {
        self.since = Some(at);
        doing.clone_into(&mut self.doing);
    }
}

/// The payload of a merge's event.
pub(super) fn merge_change(event: &Event) -> Option<&MergeChange> {
    match event {
        Event::MergeQueued(change)
        | Event::MergeStarted(change)
        | Event::MergeVerifying(change)
        | Event::MergeConflict(change)
        | Event::MergeCompleted(change)
        | Event::MergeRefused(change)
        | Event::MergeRestarted(change)
        | Event::MergeManual(change)
        | Event::MergeCancelled(change) => Some(change),
        _ => None,
    }
}

/// A reason without the code in front of it and the colon behind it.
pub(crate) fn plain_reason(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default().trim();
    let line = match line.strip_prefix("no round left after ") {
        Some(rest) => rest.split_once(": ").map_or(line, |(_, rest)| rest),
        None => line,
    };
    let is_code =
        |code: &str| code.contains('_') && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let line = match line.split_once(": ") {
        Some((code, rest)) if is_code(code) => rest,
        _ => line,
    };
    line.trim_end_matches(':').to_owned()
}

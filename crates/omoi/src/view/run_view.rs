//! The picture of a run: a fold of its events, equal for equal events.

mod notes;
mod task;

use std::collections::{BTreeMap, HashMap};

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::event::{
    AttemptChange, Event, MergeChange, PhaseChange, SpecChange, StoredEvent, SyncDone, TaskChange,
};
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::time::Timestamp;
use omoi_protocol::api::PlanEstimate;

pub(crate) use self::task::{CheckTally, LineChanges, TaskLine, plain_reason};

/// Begins the note about a model call whose price is an estimate.
pub(crate) const UNRECORDED: &str = "a model call ended with its process";

/// A run as far as its events tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunView {
    /// The number `n` of its reference `SPEC-n`.
    pub(crate) number: Option<i64>,
    /// Where the spec stands.
    pub(crate) status: Option<SpecStatus>,
    /// Why it failed or is blocked.
    pub(crate) reason: Option<String>,
    /// When it was written down.
    pub(crate) started_at: Option<Timestamp>,
    /// When it stopped; none while it goes on.
    pub(crate) ended_at: Option<Timestamp>,
    /// Phases begun, in order.
    pub(crate) phases: Vec<PhaseLine>,
    /// How long planning took, once it ended.
    pub(crate) planned_in_ms: Option<i64>,
    /// Number of rows that sync wrote.
    pub(crate) plan: Option<SyncDone>,
    /// What the plan will take; known to the server, not to the events.
    pub(crate) estimate: Option<PlanEstimate>,
    /// Tasks by the number of their reference.
    pub(crate) tasks: BTreeMap<i64, TaskLine>,
    /// Things worth remembering, oldest first.
    pub(crate) notes: Vec<RunNote>,
    /// Checks run at the head.
    pub(crate) head_checks: CheckTally,
    /// Branch and commit handed over.
    pub(crate) handed_over: Option<(String, String)>,
    pub(crate) cost_nanousd: NanoUsd,
    pub(crate) tokens: i64,
    pub(super) numbers: HashMap<TaskId, i64>,
}

/// One planning phase as far as its events tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhaseLine {
    pub(crate) name: String,
    pub(crate) attempts: u32,
    /// The evaluator's score of each judged attempt.
    pub(crate) scores: Vec<f64>,
    /// Items accepted in this attempt.
    pub(crate) items: u32,
    /// Last state that an event told.
    pub(crate) state: Option<PhaseState>,
    /// What its agent does.
    pub(crate) doing: String,
    /// When this attempt began.
    pub(crate) since: Option<Timestamp>,
}

/// Something that stays on the screen after its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunNote {
    /// What it is about; a later note on the same replaces it.
    about: Option<(&'static str, i64)>,
    pub(crate) text: String,
}

impl RunView {
    /// Takes in one event.
    pub(crate) fn apply(&mut self, stored: &StoredEvent) {
        let at = stored.occurred_at;
        match &stored.event {
            Event::SpecCreated(change)
            | Event::SpecExecutionStarted(change)
            | Event::SpecExecutionCompleted(change)
            | Event::SpecExecutionFailed(change)
            | Event::SpecWorkStarted(change)
            | Event::SpecDelivered(change)
            | Event::SpecBlocked(change)
            | Event::SpecWorkFailed(change)
            | Event::SpecCancelled(change)
            | Event::SpecResumed(change) => self.apply_spec(change, at),
            Event::SpecPhaseStarted(change)
            | Event::SpecEvalResult(change)
            | Event::SpecPhaseRetry(change)
            | Event::SpecPhaseCompleted(change)
            | Event::SpecPhaseFailed(change)
            | Event::SpecPhaseStale(change) => self.apply_phase(&stored.event, change, at),
            Event::SpecItemAccepted(item) => self.phase_line(item.phase).items += 1,
            Event::SpecSyncCompleted(done) => self.plan = Some(done.clone()),
            Event::TaskCreated(change)
            | Event::TaskClaimed(change)
            | Event::TaskAssigned(change)
            | Event::TaskStarted(change)
            | Event::TaskValidationRequested(change)
            | Event::TaskValidationStarted(change)
            | Event::TaskValidationFailed(change)
            | Event::TaskCompleted(change)
            | Event::TaskStatusChanged(change)
            | Event::TaskFailed(change)
            | Event::TaskRetryScheduled(change)
            | Event::TaskPermanentlyFailed(change)
            | Event::TaskBlocked(change)
            | Event::TaskUnblocked(change)
            | Event::TaskCancelled(change) => self.apply_task(change, at),
            Event::AgentActivity(activity) => self.apply_activity(activity),
            Event::ReceiptStored(receipt) => self.apply_receipt(receipt),
            Event::MergeQueued(_)
            | Event::MergeStarted(_)
            | Event::MergeVerifying(_)
            | Event::MergeConflict(_)
            | Event::MergeCompleted(_)
            | Event::MergeRefused(_)
            | Event::MergeRestarted(_)
            | Event::MergeManual(_)
            | Event::MergeCancelled(_) => self.apply_merge(&stored.event, at),
            Event::DiscoveryRecorded(found) => self.note_discovery(found),
            Event::HandOverCompleted(done) => self.apply_hand_over(done),
            Event::SpecPlanJudged(judged) => self.note_opinion(judged),
            Event::RequirementAblated(done) => self.note_ablation(done),
            Event::ModelCallFailed(failed) => self.note_failed_call(failed),
            Event::AttemptSaved(saved) => self.note_saved_attempt(saved),
            Event::ModelFellBack(fallback) => self.note_model_fallback(fallback),
            Event::CostRecorded(cost) => self.apply_cost(cost),
            Event::AttemptStarting(change) => self.start_agent(change, "starting its sandbox"),
            Event::AgentStarted(change) => self.start_agent(change, "reading its task"),
            Event::MessageQueued(message) => self.note_message(message),
            // A line in the log of a run; the picture tells of what follows from them.
            Event::AgentCompleted(_)
            | Event::SpecToolchainFound(_)
            | Event::TicketCreated(_)
            | Event::ApprovalRequested(_)
            | Event::SandboxEgressDenied(_)
            | Event::TaskDependenciesChanged(_) => {}
            people_event!() => {}
            // For reconcilers only.
            Event::TicketStatusChanged(_)
            | Event::AttemptEnded(_)
            | Event::SandboxStateChanged(_)
            | Event::SandboxTerminated(_) => {}
        }
    }

    /// Milliseconds from the start to `now`, or to the end.
    pub(crate) fn elapsed_ms(&self, now: Timestamp) -> i64 {
        let Some(start) = self.started_at else {
            return 0;
        };
        let end = self.ended_at.unwrap_or(now);
        (end.as_micros() - start.as_micros()).max(0) / 1000
    }

    /// Tasks that are through, and all that count.
    pub(crate) fn task_progress(&self) -> (usize, usize) {
        let counted = self.tasks.values().filter(|task| !task.is_cancelled());
        let done = counted.clone().filter(|task| task.is_through()).count();
        (done, counted.count())
    }

    /// The number of a task that was seen.
    pub(crate) fn task_number(&self, id: TaskId) -> Option<i64> {
        self.numbers.get(&id).copied()
    }

    fn apply_spec(&mut self, change: &SpecChange, at: Timestamp) {
        self.number = Some(change.number);
        self.started_at.get_or_insert(at);
        if self.status == Some(SpecStatus::Executing) && change.to == SpecStatus::Completed {
            self.planned_in_ms = Some(self.elapsed_ms(at));
        }
        self.status = Some(change.to);
        self.reason.clone_from(&change.reason);
        let goes_on = matches!(
            change.to,
            SpecStatus::Draft | SpecStatus::Executing | SpecStatus::Working
        );
        self.ended_at = (!goes_on).then_some(at);
    }

    fn apply_phase(&mut self, event: &Event, change: &PhaseChange, at: Timestamp) {
        if change.phase == Phase::Complete {
            return;
        }
        let line = self.phase_line(change.phase);
        match event {
            Event::SpecPhaseStarted(_) => {
                line.state = Some(PhaseState::Running);
                line.attempts = change.attempt;
                line.items = 0;
                line.since = Some(at);
                line.doing.clear();
            }
            Event::SpecEvalResult(_) => line.scores.extend(change.score),
            Event::SpecPhaseRetry(_) => line.state = Some(PhaseState::Backoff),
            Event::SpecPhaseCompleted(_) => {
                line.state = Some(PhaseState::Passed);
                line.attempts = line.attempts.max(change.attempt);
            }
            Event::SpecPhaseFailed(_) => line.state = Some(PhaseState::Failed),
            Event::SpecPhaseStale(_) => {
                line.state = Some(PhaseState::Pending);
                line.scores.clear();
            }
            _ => {}
        }
    }

    fn apply_task(&mut self, change: &TaskChange, at: Timestamp) {
        self.numbers.insert(change.task_id, change.number);
        let note = self.task_line(change.number).apply_change(change, at);
        if let Some(note) = note {
            self.add_note(Some(("round", change.number)), note);
        }
    }

    /// Takes in how far the start of an agent is.
    fn start_agent(&mut self, change: &AttemptChange, doing: &str) {
        match change.subject {
            AttemptSubject::Task { task_id } => {
                if let Some(task) = self.known_task(task_id) {
                    doing.clone_into(&mut task.doing);
                }
            }
            AttemptSubject::SpecPhase { .. } => {
                if let Some(phase) = self.running_phase() {
                    doing.clone_into(&mut phase.doing);
                }
            }
            AttemptSubject::TaskChecks { .. }
            | AttemptSubject::BaseSuite
            | AttemptSubject::PlanProofs
            | AttemptSubject::PlanOpinion
            | AttemptSubject::HeadChecks
            | AttemptSubject::Merge { .. } => {}
        }
    }

    fn apply_merge(&mut self, event: &Event, at: Timestamp) {
        let Some(change) = task::merge_change(event) else {
            return;
        };
        self.numbers.insert(change.task_id, change.number);
        if let Some(number) = change.resolve_task.and_then(|id| self.task_number(id)) {
            self.task_line(number).resolves = Some(change.number);
        }
        self.task_line(change.number).apply_merge(event, at);
        let about = Some(("conflict", change.number));
        let known = self.notes.iter().any(|note| note.about == about);
        let own = HumanRef::task(change.number);
        let paths = change.conflicts.join(", ");
        match event {
            Event::MergeConflict(_) => self.add_note(about, conflict_text(change)),
            Event::MergeCompleted(_) if known => {
                let resolver = self
                    .tasks
                    .values()
                    .find(|t| t.resolves == Some(change.number));
                let again = resolver.map_or(String::new(), |task| {
                    let CheckTally { passed, failed, .. } = task.checks;
                    format!(", checks re-run, {passed} of {} pass", passed + failed)
                });
                self.add_note(
                    about,
                    format!("{own} and what landed before it both changed {paths}: conflict resolved by an agent{again}"),
                );
            }
            Event::MergeRefused(_) => {
                let why = change.reason.as_deref().unwrap_or("the merged tree is red");
                let text = format!(
                    "{own} sent back by its merge: {}, trying again",
                    task::plain_reason(why)
                );
                self.add_note(Some(("round", change.number)), text);
            }
            Event::MergeManual(_) => {
                let why = change
                    .reason
                    .as_deref()
                    .unwrap_or("its merge needs a person");
                self.add_note(about, format!("{own} waits for a person: {why}"));
            }
            _ => {}
        }
    }

    fn add_note(&mut self, about: Option<(&'static str, i64)>, text: String) {
        let text = super::text_layout::clean_line(&text);
        // A conflict's end replaces its beginning; a second round is news.
        let is_same = |note: &RunNote| {
            note.about == about && about.is_some_and(|(kind, _)| kind == "conflict")
        };
        if let Some(note) = self.notes.iter_mut().find(|note| is_same(note)) {
            note.text = text;
        } else if self.notes.last().is_none_or(|last| last.text != text) {
            self.notes.push(RunNote { about, text });
        }
    }

    fn task_line(&mut self, number: i64) -> &mut TaskLine {
        let task = self.tasks.entry(number).or_default();
        task.number = number;
        task
    }

    fn known_task(&mut self, id: TaskId) -> Option<&mut TaskLine> {
        let number = self.task_number(id)?;
        self.tasks.get_mut(&number)
    }

    fn running_phase(&mut self) -> Option<&mut PhaseLine> {
        let mut phases = self.phases.iter_mut();
        phases.find(|phase| phase.state == Some(PhaseState::Running))
    }

    fn phase_line(&mut self, phase: Phase) -> &mut PhaseLine {
        let name = phase.as_str();
        let at = match self.phases.iter().position(|line| line.name == name) {
            Some(at) => at,
            None => {
                self.phases.push(PhaseLine {
                    name: name.to_owned(),
                    ..PhaseLine::default()
                });
                self.phases.len() - 1
            }
        };
        &mut self.phases[at]
    }
}

/// What people read of a merge that conflicts, with the paths.
pub(super) fn conflict_text(change: &MergeChange) -> String {
    let task = HumanRef::task(change.number);
    let paths = change.conflicts.join(", ");
    format!("{task} and what landed before it both changed {paths}: an agent resolves the conflict")
}

//! The picture of a run: a fold of its events, equal for equal events.

mod task;

use std::collections::{BTreeMap, HashMap};

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckStage;
use omoi_domain::event::{
    AblationDone, Activity, AttemptChange, CostDone, DiscoveryDone, Event, HandOverDone,
    MessageChange, PhaseChange, ReceiptDone, SpecChange, StoredEvent, SyncDone, TaskChange,
};
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::time::Timestamp;
use omoi_protocol::control::Estimate;

use super::text::usd;
use super::{opinion, plain};

pub(crate) use self::task::{Changes, Checks, TaskLine, said};

/// Begins the note about a model call whose price is an estimate.
pub(crate) const UNRECORDED: &str = "a model call ended with its process";

/// A run as far as its events tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunView {
    /// `n` of `SPEC-n`.
    pub(crate) number: Option<i64>,
    /// Where the spec stands.
    pub(crate) status: Option<SpecStatus>,
    /// Why it stopped.
    pub(crate) reason: Option<String>,
    /// When it was written down.
    pub(crate) started_at: Option<Timestamp>,
    /// When it stopped; none while it goes on.
    pub(crate) ended_at: Option<Timestamp>,
    /// Phases begun, in order.
    pub(crate) phases: Vec<PhaseLine>,
    /// How long planning took, once it ended.
    pub(crate) planned_in_ms: Option<i64>,
    /// What sync wrote.
    pub(crate) plan: Option<SyncDone>,
    /// What the plan will take; known to the server, not to the events.
    pub(crate) estimate: Option<Estimate>,
    /// Tasks by number.
    pub(crate) tasks: BTreeMap<i64, TaskLine>,
    /// Things worth remembering, oldest first.
    pub(crate) notes: Vec<Note>,
    /// Checks run at the head.
    pub(crate) head_checks: Checks,
    /// Branch and commit handed over.
    pub(crate) handed_over: Option<(String, String)>,
    /// Spent so far.
    pub(crate) cost_nanousd: NanoUsd,
    /// Used so far.
    pub(crate) tokens: i64,
    pub(super) numbers: HashMap<TaskId, i64>,
}

/// One phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhaseLine {
    /// Its name.
    pub(crate) name: String,
    /// Attempts begun.
    pub(crate) attempts: u32,
    /// The evaluator's score of each judged attempt.
    pub(crate) scores: Vec<f64>,
    /// Items accepted in this attempt.
    pub(crate) items: u32,
    /// Where it stands.
    pub(crate) state: Option<PhaseState>,
    /// What its agent does.
    pub(crate) doing: String,
    /// When this attempt began.
    pub(crate) since: Option<Timestamp>,
}

/// Something worth remembering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// What it is about; a later note on the same replaces it.
    about: Option<(&'static str, i64)>,
    /// Its text.
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
            | Event::SpecResumed(change) => self.spec(change, at),

            Event::SpecPhaseStarted(change)
            | Event::SpecEvalResult(change)
            | Event::SpecPhaseRetry(change)
            | Event::SpecPhaseCompleted(change)
            | Event::SpecPhaseFailed(change)
            | Event::SpecPhaseStale(change) => self.phase(&stored.event, change, at),
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
            | Event::TaskCancelled(change) => self.task(change, at),

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
            | Event::MergeCancelled(_) => self.merge(&stored.event, at),

            Event::DiscoveryRecorded(found) => self.apply_discovery(found),
            Event::HandOverCompleted(done) => self.apply_hand_over(done),
            Event::SpecPlanJudged(judged) => self.note(None, opinion::headline(&judged.into())),
            Event::RequirementAblated(done) => self.ablation(done),
            Event::ModelCallFailed(failed) => {
                let text = plain::call_failed(self, failed);
                self.note(None, text);
            }
            Event::CostRecorded(cost) => self.apply_cost(cost),
            Event::AttemptStarting(change) => self.agent(change, "starting its sandbox"),
            Event::AgentStarted(change) => self.agent(change, "reading its task"),
            Event::MessageQueued(message) => self.apply_message(message),
            // A line in the log of a run; the picture tells of what follows from them.
            Event::AgentCompleted(_) | Event::TicketCreated(_) => {}
            // For reconcilers only.
            Event::TicketStatusChanged(_)
            | Event::AttemptEnded(_)
            | Event::SandboxStateChanged(_)
            | Event::SandboxTerminated(_) => {}
        }
    }

    /// Shows what an agent did last, where its task or phase is shown.
    fn apply_activity(&mut self, activity: &Activity) {
        match activity.subject {
            AttemptSubject::Task { task_id } => {
                if let Some(task) = self.task_with(task_id) {
                    task.act(activity);
                }
            }
            AttemptSubject::SpecPhase { .. } => {
                if activity.kind == AgentEventKind::ItemRefused {
                    self.note(None, activity.summary.clone());
                }
                if let Some(phase) = self.running_phase() {
                    phase.doing.clone_from(&activity.summary);
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

    /// Counts a receipt for the head, or for the task that it is about.
    fn apply_receipt(&mut self, receipt: &ReceiptDone) {
        if receipt.stage == CheckStage::Head {
            self.head_checks.count(receipt);
        } else if let Some(task) = receipt.task_id.and_then(|id| self.task_with(id)) {
            task.checks.count(receipt);
        }
    }

    fn apply_discovery(&mut self, found: &DiscoveryDone) {
        let source = HumanRef::task(found.source_number);
        if let Some(number) = found.number {
            self.line(number).found_by = Some(found.source_number);
            let task = HumanRef::task(number);
            self.note(
                None,
                format!("{source} found: {}, taken up as {task}", found.title),
            );
        } else {
            let why = found.refused.as_deref().unwrap_or("refused");
            self.note(
                None,
                format!("{source} found: {}, not taken up: {why}", found.title),
            );
        }
    }

    fn apply_hand_over(&mut self, done: &HandOverDone) {
        self.handed_over = Some((done.branch.clone(), done.head.clone()));
        if let Some(note) = &done.note {
            self.note(None, note.clone());
        }
    }

    fn apply_cost(&mut self, cost: &CostDone) {
        self.cost_nanousd = self.cost_nanousd.saturating_add(cost.cost_nanousd);
        self.tokens = self.tokens.saturating_add(cost.tokens);
        if cost.estimated && cost.cost_nanousd > NanoUsd::ZERO {
            let may_cost = usd(cost.cost_nanousd);
            self.note(
                None,
                format!("{UNRECORDED}; it counts with the {may_cost} it may have cost"),
            );
        }
    }

    fn apply_message(&mut self, message: &MessageChange) {
        if let Some(number) = self.number_of(message.task_id) {
            let task = HumanRef::task(number);
            self.note(None, format!("{task} has a message: {}", message.content));
        }
    }

    /// Remembers what does not need the work done for it.
    fn ablation(&mut self, done: &AblationDone) {
        let weak = done
            .verdicts
            .iter()
            .filter(|(_, verdict)| *verdict == AblationVerdict::Weak);
        let weak: Vec<&str> = weak.map(|(name, _)| name.as_str()).collect();
        if !weak.is_empty() {
            let why = done
                .reason
                .as_deref()
                .unwrap_or("its proofs pass without it");
            let text = format!("{} proven, but not by this work: {why}", weak.join(", "));
            self.note(None, text);
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
    pub(crate) fn progress(&self) -> (usize, usize) {
        let counted = self.tasks.values().filter(|task| !task.is_cancelled());
        let done = counted.clone().filter(|task| task.is_through()).count();
        (done, counted.count())
    }

    /// The number of a task that was seen.
    pub(crate) fn number_of(&self, id: TaskId) -> Option<i64> {
        self.numbers.get(&id).copied()
    }

    fn spec(&mut self, change: &SpecChange, at: Timestamp) {
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

    fn phase(&mut self, event: &Event, change: &PhaseChange, at: Timestamp) {
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

    fn task(&mut self, change: &TaskChange, at: Timestamp) {
        self.numbers.insert(change.task_id, change.number);
        let note = self.line(change.number).change(change, at);
        if let Some(note) = note {
            self.note(Some(("round", change.number)), note);
        }
    }

    /// Takes in how far the start of an agent is.
    fn agent(&mut self, change: &AttemptChange, doing: &str) {
        match change.subject {
            AttemptSubject::Task { task_id } => {
                if let Some(task) = self.task_with(task_id) {
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

    fn merge(&mut self, event: &Event, at: Timestamp) {
        let Some(change) = task::merge_of(event) else {
            return;
        };
        self.numbers.insert(change.task_id, change.number);
        if let Some(number) = change.resolve_task.and_then(|id| self.number_of(id)) {
            self.line(number).resolves = Some(change.number);
        }
        self.line(change.number).merging(event, at);
        let about = Some(("conflict", change.number));
        let known = self.notes.iter().any(|note| note.about == about);
        let own = HumanRef::task(change.number);
        let paths = change.conflicts.join(", ");
        match event {
            Event::MergeConflict(_) => self.note(
                about,
                format!("{own} and what landed before it both changed {paths}: an agent resolves the conflict"),
            ),
            Event::MergeCompleted(_) if known => {
                let resolver = self.tasks.values().find(|t| t.resolves == Some(change.number));
                let again = resolver.map_or(String::new(), |task| {
                    let Checks { passed, failed, .. } = task.checks;
                    format!(", checks re-run, {passed} of {} pass", passed + failed)
                });
                self.note(
                    about,
                    format!("{own} and what landed before it both changed {paths}: conflict resolved by an agent{again}"),
                );
            }
            Event::MergeRefused(_) => {
                let why = change.reason.as_deref().unwrap_or("the merged tree is red");
                let text = format!("{own} sent back by its merge: {}, trying again", task::said(why));
                self.note(Some(("round", change.number)), text);
            }
            Event::MergeManual(_) => {
                let why = change.reason.as_deref().unwrap_or("its merge needs a person");
                self.note(about, format!("{own} waits for a person: {why}"));
            }
            _ => {}
        }
    }

    fn note(&mut self, about: Option<(&'static str, i64)>, text: String) {
        let text = super::text::clean(&text);
        // A conflict's end replaces its beginning; a second round is news.
        let is_same =
            |note: &Note| note.about == about && about.is_some_and(|(kind, _)| kind == "conflict");
        if let Some(note) = self.notes.iter_mut().find(|note| is_same(note)) {
            note.text = text;
        } else if self.notes.last().is_none_or(|last| last.text != text) {
            self.notes.push(Note { about, text });
        }
    }

    fn line(&mut self, number: i64) -> &mut TaskLine {
        let task = self.tasks.entry(number).or_default();
        task.number = number;
        task
    }

    fn task_with(&mut self, id: TaskId) -> Option<&mut TaskLine> {
        let number = self.number_of(id)?;
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

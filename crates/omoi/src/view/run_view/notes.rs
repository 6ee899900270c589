//! What a run's state keeps of events beside statuses: activity, receipts, cost, and notes for people.

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckStage;
use omoi_domain::event::{
    AblationDone, AgentActivity, CallFailed, CostDone, DiscoveryDone, HandOverDone, MessageChange,
    ModelFallback, PlanJudged, ReceiptDone, SavedAttempt,
};
use omoi_domain::id::HumanRef;
use omoi_domain::money::NanoUsd;

use super::{RunView, UNRECORDED};
use crate::view::text_layout::format_usd;
use crate::view::{log_line, plan_opinion};

impl RunView {
    /// Shows what an agent does at its task or phase.
    pub(super) fn apply_activity(&mut self, activity: &AgentActivity) {
        match activity.subject {
            AttemptSubject::Task { task_id } => {
                if let Some(task) = self.known_task(task_id) {
                    task.apply_activity(activity);
                }
            }
            AttemptSubject::SpecPhase { .. } => {
                if activity.kind == AgentEventKind::ItemRefused {
                    self.add_note(None, activity.summary.clone());
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

    /// Counts a check of the head, or of the task it was run for.
    pub(super) fn apply_receipt(&mut self, receipt: &ReceiptDone) {
        if receipt.stage == CheckStage::Head {
            self.head_checks.count_receipt(receipt);
        } else if let Some(task) = receipt.task_id.and_then(|id| self.known_task(id)) {
            task.checks.count_receipt(receipt);
        }
    }

    /// Remembers what an agent found, and the task that carries it.
    pub(super) fn note_discovery(&mut self, found: &DiscoveryDone) {
        let source = HumanRef::task(found.source_number);
        let outcome = match found.number {
            Some(number) => {
                self.task_line(number).found_by = Some(found.source_number);
                format!("taken up as {}", HumanRef::task(number))
            }
            None => {
                let why = found.refused.as_deref().unwrap_or("refused");
                format!("not taken up: {why}")
            }
        };
        self.add_note(None, format!("{source} found: {}, {outcome}", found.title));
    }

    pub(super) fn apply_hand_over(&mut self, done: &HandOverDone) {
        self.handed_over = Some((done.branch.clone(), done.head.clone()));
        if let Some(note) = &done.note {
            self.add_note(None, note.clone());
        }
    }

    pub(super) fn note_opinion(&mut self, judged: &PlanJudged) {
        self.add_note(None, plan_opinion::opinion_headline(&judged.into()));
    }

    pub(super) fn note_failed_call(&mut self, failed: &CallFailed) {
        let text = log_line::call_failed_text(self, failed);
        self.add_note(None, text);
    }

    pub(super) fn note_saved_attempt(&mut self, saved: &SavedAttempt) {
        let text = log_line::attempt_saved_text(self, saved);
        self.add_note(None, text);
    }

    pub(super) fn note_model_fallback(&mut self, fallback: &ModelFallback) {
        let text = log_line::model_fallback_text(self, fallback);
        self.add_note(None, text);
    }

    /// Adds the cost of a model call; of one that nobody recorded people are told.
    pub(super) fn apply_cost(&mut self, cost: &CostDone) {
        self.cost_nanousd = self.cost_nanousd.saturating_add(cost.cost_nanousd);
        self.tokens = self.tokens.saturating_add(cost.tokens);
        if cost.unrecorded && cost.cost_nanousd > NanoUsd::ZERO {
            let may_cost = format_usd(cost.cost_nanousd);
            self.add_note(
                None,
                format!("{UNRECORDED}; it counts with the {may_cost} it may have cost"),
            );
        }
    }

    pub(super) fn note_message(&mut self, message: &MessageChange) {
        if let Some(number) = self.task_number(message.task_id) {
            let task = HumanRef::task(number);
            self.add_note(None, format!("{task} has a message: {}", message.content));
        }
    }

    /// Remembers what does not need the work done for it.
    pub(super) fn note_ablation(&mut self, done: &AblationDone) {
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
            self.add_note(None, text);
        }
    }
}

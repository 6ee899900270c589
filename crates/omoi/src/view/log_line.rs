//! One line per event, for a pipe or a log.

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::approval::ApprovalKind;
use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::check::CheckStage;
use omoi_domain::event::{
    AblationDone, AgentActivity, ApprovalChange, CallFailed, DependencyChange, EgressDenied, Event,
    HandOverDone, MergeChange, MessageChange, ModelFallback, PhaseChange, PlanningEnded,
    ReceiptDone, SavedAttempt, SpecChange, StoredEvent, TaskChange, TicketChange,
};
use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::phase::phase_asked_about;
use omoi_domain::retry::PhaseFailure;
use omoi_domain::task::TaskStatus;

use super::plan_opinion;
use super::progress::plan_sizes;
use super::run_view::{RunView, UNRECORDED, conflict_text};
use super::text_layout::{clean_line, format_clock, format_duration, short_sha};

/// The line for `stored`, which `view` has taken in; none when it is not worth one.
pub(crate) fn event_line(view: &RunView, stored: &StoredEvent) -> Option<String> {
    let told = event_text(view, &stored.event)?;
    let at = format_clock(view.elapsed_ms(stored.occurred_at));
    Some(format!("{at:>7}  {}", clean_line(&told)))
}

fn event_text(view: &RunView, event: &Event) -> Option<String> {
    Some(match event {
        Event::SpecEvalResult(change) if change.passed == Some(false) => refused_text(change),
        Event::SpecPhaseStarted(change)
        | Event::SpecPhaseRetry(change)
        | Event::SpecPhaseCompleted(change)
        | Event::SpecPhaseFailed(change)
        | Event::SpecPhaseStale(change) => phase_text(event, change)?,
        Event::SpecExecutionCompleted(_) => format!("planned {}", plan_sizes(view)?.join("  ")),
        Event::SpecWorkStarted(_) => "work begins".to_owned(),
        Event::SpecResumed(_) => "goes on".to_owned(),
        Event::SpecToolchainFound(change) => change.reason.clone()?,
        Event::SpecExecutionFailed(change)
        | Event::SpecWorkFailed(change)
        | Event::SpecBlocked(change)
        | Event::SpecCancelled(change) => stop_text(change),
        Event::SpecDelivered(_) => "delivered".to_owned(),
        Event::TaskStarted(change) => started_text(view, change),
        Event::TaskValidationStarted(change) => format!("{} runs its checks", task_ref(change)),
        Event::TaskCompleted(change) => format!("{} passed its checks", task_ref(change)),
        Event::TaskUnblocked(change) => format!("{} can go on", task_ref(change)),
        // What the picture remembers of these is the line.
        Event::TaskValidationFailed(change)
        | Event::TaskFailed(change)
        | Event::TaskPermanentlyFailed(change)
        | Event::TaskRetryScheduled(change)
        | Event::TaskBlocked(change)
        | Event::TaskCancelled(change) => newest_note(view, &task_ref(change))?,
        Event::TaskStatusChanged(change) => sent_back_text(view, change)?,
        Event::MergeVerifying(change)
        | Event::MergeConflict(change)
        | Event::MergeCompleted(change)
        | Event::MergeRefused(change)
        | Event::MergeRestarted(change)
        | Event::MergeManual(change)
        | Event::MergeCancelled(change) => merge_text(view, event, change)?,
        Event::AgentActivity(activity) => activity_line(view, activity)?,
        Event::ModelCallFailed(failed) => call_failed_text(view, failed),
        Event::SandboxEgressDenied(denied) => egress_text(denied),
        Event::TaskDependenciesChanged(change) => dependencies_text(change),
        Event::AttemptSaved(saved) => attempt_saved_text(view, saved),
        Event::ModelFellBack(fallback) => model_fallback_text(view, fallback),
        Event::ReceiptStored(receipt) => receipt_text(view, receipt),
        Event::SpecPlanJudged(judged) => plan_opinion::opinion_headline(&judged.into()),
        Event::RequirementAblated(done) => ablation_text(done),
        Event::DiscoveryRecorded(found) => newest_note(view, &number_ref(found.source_number))?,
        Event::HandOverCompleted(done) => hand_over_text(done),
        Event::AgentCompleted(ended) => planning_ended(ended),
        Event::TicketCreated(ticket) => ticket_text(ticket),
        Event::MessageQueued(message) => message_text(view, message)?,
        Event::CostRecorded(cost) if cost.unrecorded => newest_note(view, UNRECORDED)?,
        Event::CostRecorded(_) => return None,
        Event::ApprovalRequested(asked) => approval_text(asked)?,
        people_event!() => return None,
        Event::SpecCreated(_)
        | Event::SpecExecutionStarted(_)
        | Event::SpecEvalResult(_)
        | Event::SpecSyncCompleted(_)
        | Event::SpecItemAccepted(_)
        | Event::TicketStatusChanged(_)
        | Event::TaskCreated(_)
        | Event::TaskClaimed(_)
        | Event::TaskAssigned(_)
        | Event::TaskValidationRequested(_)
        | Event::AttemptStarting(_)
        | Event::AgentStarted(_)
        | Event::AttemptEnded(_)
        | Event::SandboxStateChanged(_)
        | Event::SandboxTerminated(_)
        | Event::MergeQueued(_)
        | Event::MergeStarted(_) => return None,
    })
}

/// Why a task that was sent back was; nothing of other moves.
fn sent_back_text(view: &RunView, change: &TaskChange) -> Option<String> {
    let is_sent_back = change.to == TaskStatus::NeedsRevision;
    is_sent_back.then(|| newest_note(view, &task_ref(change)))?
}

/// What people are asked about what a phase made.
fn approval_text(asked: &ApprovalChange) -> Option<String> {
    let waiting = match (asked.approval_kind, asked.task_id) {
        (ApprovalKind::PhaseGate, _) => {
            "a ticket waits at a gate for the yes of a person".to_owned()
        }
        (ApprovalKind::MergeConflict, _) => {
            "a conflict that no agent resolved waits for a person".to_owned()
        }
        (ApprovalKind::Question, Some(_)) => "an agent waits for the answer of a person".to_owned(),
        (ApprovalKind::Question, None) => "planning asks a person what it left open".to_owned(),
        (kind, _) => {
            let phase = phase_asked_about(kind)?;
            format!("{phase} waits for the yes of a person")
        }
    };
    Some(format!("{waiting}: omoi approvals"))
}

/// What a sandbox did not get, and what would let it through.
fn egress_text(denied: &EgressDenied) -> String {
    let (subject, reason) = (&denied.subject, &denied.refusal);
    match &denied.remedy {
        Some(remedy) => format!(
            "refused {subject} to an agent: {reason}; to allow it: {remedy}, and start omoi again"
        ),
        None => format!("refused {subject} to an agent: {reason}"),
    }
}

/// What a task changed in lock files.
fn dependencies_text(change: &DependencyChange) -> String {
    let task = number_ref(change.number);
    format!("{task} changed dependencies: {}", change.one_line())
}

/// How a phase begins, is refused, passes or fails.
fn phase_text(event: &Event, change: &PhaseChange) -> Option<String> {
    Some(match event {
        Event::SpecPhaseStarted(_) if change.attempt > 1 => {
            format!("{} begins, attempt {}", change.phase, change.attempt)
        }
        Event::SpecPhaseStarted(_) => format!("{} begins", change.phase),
        Event::SpecPhaseRetry(_) => retry_text(change),
        Event::SpecPhaseCompleted(_) => passed_text(change),
        Event::SpecPhaseFailed(_) => {
            let why = change.reason.as_deref().unwrap_or("no attempt left");
            format!("{} failed: {why}", change.phase)
        }
        Event::SpecPhaseStale(_) => format!("{} must run again", change.phase),
        _ => return None,
    })
}

/// How a spec stopped, and why.
fn stop_text(change: &SpecChange) -> String {
    let why = change.reason.as_deref().unwrap_or("no reason was given");
    format!("{}: {why}", change.to)
}

fn hand_over_text(done: &HandOverDone) -> String {
    format!("handed over {} at {}", done.branch, short_sha(&done.head))
}

fn message_text(view: &RunView, message: &MessageChange) -> Option<String> {
    let number = view.task_number(message.task_id)?;
    newest_note(view, &number_ref(number))
}

fn ticket_text(ticket: &TicketChange) -> String {
    let reference = HumanRef::ticket(ticket.number);
    format!("{reference} planned: {}", ticket.title)
}

/// How the merge of a task goes.
fn merge_text(view: &RunView, event: &Event, change: &MergeChange) -> Option<String> {
    let task = number_ref(change.number);
    let why = change.reason.as_deref().unwrap_or("no reason was given");
    Some(match event {
        Event::MergeConflict(_) => conflict_text(change),
        Event::MergeRefused(_) | Event::MergeManual(_) => newest_note(view, &task)?,
        Event::MergeVerifying(_) => format!("{task} is checked on the merged tree"),
        Event::MergeRestarted(_) => format!("{task} is merged again: {why}"),
        Event::MergeCancelled(_) => format!("{task} merge cancelled: {why}"),
        Event::MergeCompleted(_) => {
            let sha = change.result_sha.as_deref().map(short_sha);
            let sha = sha.unwrap_or_default();
            format!("{task} merged {sha}{}", forecast_text(change))
        }
        _ => return None,
    })
}

/// The tasks behind it in the queue whose merges are expected to conflict.
fn forecast_text(change: &MergeChange) -> String {
    let others = change
        .forecast
        .iter()
        .filter(|(number, paths)| *number != change.number && *paths > 0)
        .map(|(number, paths)| {
            let paths = super::text_layout::count_noun(u64::from(*paths), "file");
            format!("{} in {paths}", HumanRef::task(*number))
        });
    let others: Vec<String> = others.collect();
    match others.as_slice() {
        [] => String::new(),
        others => format!(", conflicts expected: {}", others.join(", ")),
    }
}

fn planning_ended(ended: &PlanningEnded) -> String {
    let passed = super::text_layout::count_noun(ended.phases_completed.len() as u64, "phase");
    match &ended.failed_phase {
        None => format!("planning ended, {passed} passed"),
        Some(failed) => format!("planning ended at {failed}, {passed} passed before"),
    }
}

fn task_ref(change: &TaskChange) -> String {
    number_ref(change.number)
}

fn number_ref(number: i64) -> String {
    HumanRef::task(number).to_string()
}

fn started_text(view: &RunView, change: &TaskChange) -> String {
    let task = view.tasks.get(&change.number);
    let role = task.map_or("", |task| task.role);
    let again = match change.round {
        0 => String::new(),
        round => format!(", round {}", round + 1),
    };
    let found = match task.and_then(|task| task.found_by) {
        Some(by) => format!(", found by {}", HumanRef::task(by)),
        None => String::new(),
    };
    format!(
        "{} begins: {} ({role}{again}{found})",
        task_ref(change),
        change.title
    )
}

fn refused_text(change: &PhaseChange) -> String {
    let score = change
        .score
        .map_or(String::new(), |score| format!(" {score:.2}"));
    let why = match change.blockers.as_slice() {
        [] => "below the threshold".to_owned(),
        blockers => blockers
            .iter()
            .enumerate()
            .filter(|(at, code)| !blockers[..*at].contains(code))
            .map(|(_, code)| code.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    };
    format!("{} refused{score}: {why}", change.phase)
}

fn retry_text(change: &PhaseChange) -> String {
    let reason = change.reason.as_deref().unwrap_or_default();
    match reason.starts_with(PhaseFailure::ProviderUnavailable.as_str()) {
        true => format!("{} waits: {reason}", change.phase),
        false => format!("{} is tried again", change.phase),
    }
}

/// A model call that failed, with whose it is.
pub(super) fn call_failed_text(view: &RunView, failed: &CallFailed) -> String {
    let who = asker_name(view, failed.subject, failed.role);
    format!("{who}: {}", failed.one_line())
}

pub(super) fn attempt_saved_text(view: &RunView, saved: &SavedAttempt) -> String {
    let who = asker_name(view, saved.subject, saved.role);
    format!("{who}: {}", saved.one_line())
}

pub(super) fn model_fallback_text(view: &RunView, fallback: &ModelFallback) -> String {
    let who = asker_name(view, fallback.subject, fallback.role);
    format!("{who}: {}", fallback.one_line())
}

/// Whose attempt asks a model: the phase, the task, or else the role.
fn asker_name(view: &RunView, subject: AttemptSubject, role: AgentRole) -> String {
    let number = subject.task_id().and_then(|id| view.task_number(id));
    match (subject.phase(), number) {
        (Some(phase), _) => phase.to_string(),
        (None, Some(number)) => HumanRef::task(number).to_string(),
        (None, None) => role.to_string(),
    }
}

fn passed_text(change: &PhaseChange) -> String {
    let score = change
        .score
        .map_or(String::new(), |score| format!(" {score:.2}"));
    let took = change
        .took_ms
        .map_or(String::new(), |ms| format!("  {}", format_duration(ms)));
    format!("{} passed{score}{took}", change.phase)
}

/// The newest note about a task.
fn newest_note(view: &RunView, about: &str) -> Option<String> {
    let mut notes = view.notes.iter().rev();
    let note = notes.find(|note| note.text.starts_with(about))?;
    Some(note.text.clone())
}

fn activity_line(view: &RunView, activity: &AgentActivity) -> Option<String> {
    let who = match activity.subject {
        AttemptSubject::Task { task_id } => HumanRef::task(view.task_number(task_id)?).to_string(),
        AttemptSubject::SpecPhase { phase } => phase.to_string(),
        AttemptSubject::TaskChecks { .. }
        | AttemptSubject::BaseSuite
        | AttemptSubject::PlanProofs
        | AttemptSubject::PlanOpinion
        | AttemptSubject::HeadChecks
        | AttemptSubject::Merge { .. } => return None,
    };
    let changes = match (activity.lines_added, activity.lines_removed) {
        (0, 0) => String::new(),
        (added, removed) => format!("  +{added} −{removed}"),
    };
    Some(format!("{who} {}{changes}", activity.summary))
}

/// What became of a requirement without the work for it.
fn ablation_text(done: &AblationDone) -> String {
    let told = |verdict| {
        let those = done.verdicts.iter().filter(|(_, found)| *found == verdict);
        let names: Vec<&str> = those.map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let why = done.reason.as_deref().unwrap_or("no reason was given");
    if let Some(weak) = told(AblationVerdict::Weak) {
        return format!("{weak} proven, but not by this work: {why}");
    }
    let open = told(AblationVerdict::Unknown).or_else(|| told(AblationVerdict::NotTried));
    match open {
        Some(open) => format!("{open} could not be tried without the work: {why}"),
        None => format!("{} needs {}", done.requirement, done.without.join(", ")),
    }
}

fn receipt_text(view: &RunView, receipt: &ReceiptDone) -> String {
    let number = receipt.task_id.and_then(|id| view.task_number(id));
    let whose = match (receipt.stage, number) {
        (CheckStage::Ablation, _) => "check without its work".to_owned(),
        (CheckStage::Head, _) | (_, None) => format!("{} check", receipt.stage),
        (CheckStage::Merge, Some(number)) => {
            format!("{} check on the merged tree", HumanRef::task(number))
        }
        (_, Some(number)) => format!("{} check", HumanRef::task(number)),
    };
    let result = match (receipt.passed, receipt.exit_code) {
        (true, _) => "passed".to_owned(),
        (false, Some(code)) => format!("failed (exit {code})"),
        (false, None) => "was stopped".to_owned(),
    };
    format!(
        "{whose} {result}  {}  {}",
        format_duration(receipt.took_ms),
        receipt.command
    )
}

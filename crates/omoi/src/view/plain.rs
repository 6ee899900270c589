//! One line per event, for a pipe or a log.

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckStage;
use omoi_domain::event::{
    AblationDone, Activity, CallFailed, Event, MergeChange, PhaseChange, PlanningEnded,
    ReceiptDone, StoredEvent, TaskChange,
};
use omoi_domain::id::HumanRef;
use omoi_domain::retry::PhaseFailure;

use super::block::sizes;
use super::opinion;
use super::state::{RunView, UNRECORDED};
use super::text::{clean, clock, short, took};

/// The line for `stored`, which `view` has taken in; none when it is not worth one.
pub(crate) fn line(view: &RunView, stored: &StoredEvent) -> Option<String> {
    let told = told(view, &stored.event)?;
    let at = clock(view.elapsed_ms(stored.occurred_at));
    Some(format!("{at:>7}  {}", clean(&told)))
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: an arm for each event and none for the rest"
)]
fn told(view: &RunView, event: &Event) -> Option<String> {
    Some(match event {
        Event::SpecPhaseStarted(change) if change.attempt > 1 => {
            format!("{} begins, attempt {}", change.phase, change.attempt)
        }
        Event::SpecPhaseStarted(change) => format!("{} begins", change.phase),
        Event::SpecEvalResult(change) if change.passed == Some(false) => refused(change),
        Event::SpecPhaseRetry(change) => tried_again(change),
        Event::SpecPhaseCompleted(change) => passed(change),
        Event::SpecPhaseFailed(change) => {
            let why = change.reason.as_deref().unwrap_or("no attempt left");
            format!("{} failed: {why}", change.phase)
        }
        Event::SpecPhaseStale(change) => format!("{} must run again", change.phase),
        Event::SpecExecutionCompleted(_) => format!("planned {}", sizes(view)?.join("  ")),
        Event::SpecWorkStarted(_) => "work begins".to_owned(),
        Event::SpecResumed(_) => "goes on".to_owned(),
        Event::SpecExecutionFailed(change)
        | Event::SpecWorkFailed(change)
        | Event::SpecBlocked(change)
        | Event::SpecCancelled(change) => {
            let why = change.reason.as_deref().unwrap_or("no reason was given");
            format!("{}: {why}", change.to)
        }
        Event::SpecDelivered(_) => "delivered".to_owned(),

        Event::TaskStarted(change) => started(view, change),
        Event::TaskValidationStarted(change) => format!("{} runs its checks", own(change)),
        Event::TaskCompleted(change) => format!("{} passed its checks", own(change)),
        Event::TaskUnblocked(change) => format!("{} can go on", own(change)),
        // What the picture remembers of these is the line.
        Event::TaskValidationFailed(change)
        | Event::TaskFailed(change)
        | Event::TaskPermanentlyFailed(change)
        | Event::TaskRetryScheduled(change)
        | Event::TaskBlocked(change)
        | Event::TaskCancelled(change) => noted(view, &own(change))?,
        Event::TaskStatusChanged(change) if change.to.to_string() == "needs_revision" => {
            noted(view, &own(change))?
        }
        Event::MergeConflict(change) | Event::MergeRefused(change) | Event::MergeManual(change) => {
            noted(view, &HumanRef::task(change.number).to_string())?
        }
        Event::MergeVerifying(change) => {
            format!(
                "{} is checked on the merged tree",
                HumanRef::task(change.number)
            )
        }
        Event::MergeRestarted(change) | Event::MergeCancelled(change) => {
            let what = match event {
                Event::MergeCancelled(_) => "merge cancelled",
                _ => "is merged again",
            };
            let why = change.reason.as_deref().unwrap_or("no reason was given");
            format!("{} {what}: {why}", HumanRef::task(change.number))
        }
        Event::MergeCompleted(change) => {
            let sha = change.result_sha.as_deref().map(short).unwrap_or_default();
            let ahead = forecast(change);
            format!("{} merged {sha}{ahead}", HumanRef::task(change.number))
        }

        Event::AgentActivity(activity) => activity_line(view, activity)?,
        Event::ModelCallFailed(failed) => call_failed(view, failed),
        Event::ReceiptStored(receipt) => check(view, receipt),
        Event::SpecPlanJudged(judged) => opinion::headline(&judged.into()),
        Event::RequirementAblated(done) => ablated(done),
        Event::DiscoveryRecorded(found) => {
            noted(view, &HumanRef::task(found.source_number).to_string())?
        }
        Event::HandOverCompleted(done) => {
            format!("handed over {} at {}", done.branch, short(&done.head))
        }

        Event::AgentCompleted(ended) => planning_ended(ended),
        Event::TicketCreated(ticket) => {
            format!(
                "{} planned: {}",
                HumanRef::ticket(ticket.number),
                ticket.title
            )
        }
        Event::MessageQueued(message) => {
            let number = view.number_of(message.task_id)?;
            noted(view, &HumanRef::task(number).to_string())?
        }
        Event::CostRecorded(cost) if cost.estimated => noted(view, UNRECORDED)?,
        Event::CostRecorded(_) => return None,

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
        | Event::TaskStatusChanged(_)
        | Event::AttemptStarting(_)
        | Event::AgentStarted(_)
        | Event::AttemptEnded(_)
        | Event::SandboxStateChanged(_)
        | Event::SandboxTerminated(_)
        | Event::MergeQueued(_)
        | Event::MergeStarted(_) => return None,
    })
}

/// The tasks behind it in the queue whose merges are expected to conflict.
fn forecast(change: &MergeChange) -> String {
    let others = change
        .forecast
        .iter()
        .filter(|(number, paths)| *number != change.number && *paths > 0)
        .map(|(number, paths)| {
            let paths = super::text::count(u64::from(*paths), "file");
            format!("{} in {paths}", HumanRef::task(*number))
        });
    let others: Vec<String> = others.collect();
    match others.as_slice() {
        [] => String::new(),
        others => format!(", conflicts expected: {}", others.join(", ")),
    }
}

fn planning_ended(ended: &PlanningEnded) -> String {
    let passed = super::text::count(ended.phases_completed.len() as u64, "phase");
    match &ended.failed_phase {
        None => format!("planning ended, {passed} passed"),
        Some(failed) => format!("planning ended at {failed}, {passed} passed before"),
    }
}

fn own(change: &TaskChange) -> String {
    HumanRef::task(change.number).to_string()
}

fn started(view: &RunView, change: &TaskChange) -> String {
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
        own(change),
        change.title
    )
}

fn refused(change: &PhaseChange) -> String {
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

fn tried_again(change: &PhaseChange) -> String {
    let reason = change.reason.as_deref().unwrap_or_default();
    match reason.starts_with(PhaseFailure::ProviderUnavailable.as_str()) {
        true => format!("{} waits: {reason}", change.phase),
        false => format!("{} is tried again", change.phase),
    }
}

/// A model call that failed, with whose it is.
pub(super) fn call_failed(view: &RunView, failed: &CallFailed) -> String {
    let number = failed.subject.task_id().and_then(|id| view.number_of(id));
    let who = match (failed.subject.phase(), number) {
        (Some(phase), _) => phase.to_string(),
        (None, Some(number)) => HumanRef::task(number).to_string(),
        (None, None) => failed.role.to_string(),
    };
    format!("{who}: {}", failed.line())
}

fn passed(change: &PhaseChange) -> String {
    let score = change
        .score
        .map_or(String::new(), |score| format!(" {score:.2}"));
    let took = change
        .took_ms
        .map_or(String::new(), |ms| format!("  {}", took(ms)));
    format!("{} passed{score}{took}", change.phase)
}

/// The newest note about a task.
fn noted(view: &RunView, about: &str) -> Option<String> {
    let mut notes = view.notes.iter().rev();
    let note = notes.find(|note| note.text.starts_with(about))?;
    Some(note.text.clone())
}

fn activity_line(view: &RunView, activity: &Activity) -> Option<String> {
    let who = match activity.subject {
        AttemptSubject::Task { task_id } => HumanRef::task(view.number_of(task_id)?).to_string(),
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
fn ablated(done: &AblationDone) -> String {
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

fn check(view: &RunView, receipt: &ReceiptDone) -> String {
    let number = receipt.task_id.and_then(|id| view.number_of(id));
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
        took(receipt.took_ms),
        receipt.command
    )
}

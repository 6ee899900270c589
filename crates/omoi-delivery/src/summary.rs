//! A run in figures: the last line of `omoi run --json`, read from rows and events.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::approval::ApprovalState;
use omoi_domain::attempt::{AttemptState, SubjectKind};
use omoi_domain::block::TaskBlock;
use omoi_domain::check::CheckStage;
use omoi_domain::event::{Event, StoredEvent};
use omoi_domain::hand_over::HandOverState;
use omoi_domain::id::{AttemptId, HumanRef, SpecId};
use omoi_domain::lifecycle::phase::phase_asked_about;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::object::ObjectId;
use omoi_protocol::summary::{
    ConflictCounts, CriterionCounts, PhaseSummary, PurposeCost, ReceiptCounts, RunOutcome,
    RunSummary, SuiteSummary, TaskCounts,
};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::Task;
use omoi_store::{
    StoreError, Tenant, Tx, ablations, approvals, checks, costs, deliveries, discoveries, events,
    merges, opinions, phases, projects, requirements, tasks, tickets,
};

use crate::receipts;
use crate::suite::{BranchRange, outside_plan};
use crate::trace::TraceError;

/// Titles of one note.
const TITLES_MAX: usize = 3;

/// The figures of a spec as it stands.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(
    store: &Tenant,
    folders: &RepositoryFolders,
    id: SpecId,
) -> Result<RunSummary, TraceError> {
    let rows = store.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        let summary = of_rows(tx, &spec).await?;
        let tasks = tasks::of_spec(tx, id).await?;
        Ok::<_, StoreError>((spec, summary, tasks))
    });
    let (spec, mut summary, tasks) = rows.await?;
    if let Some(head) = &summary.head {
        let range = BranchRange {
            base: &ObjectId::parse(&spec.base_sha)?,
            head: &ObjectId::parse(head)?,
        };
        let mirror = folders.project_mirror(spec.project_id).await?;
        summary.outside_plan = outside_plan(&mirror, range, &tasks).await?;
    }
    Ok(summary)
}

/// What the rows say; the files outside the plan are known to git alone.
async fn of_rows(tx: &mut Tx, spec: &Spec) -> Result<RunSummary, StoreError> {
    let id = spec.id;
    let names = projects::names(tx).await?;
    let hand_over = deliveries::find(tx, id)
        .await?
        .filter(|h| h.state == HandOverState::Confirmed);
    let spend = costs::of_spec(tx, id).await?;
    let log = log(tx, id).await?;
    let head = hand_over.as_ref().map(|h| h.head_sha.clone());
    let ended_at = spec.ended_at.unwrap_or_else(|| tx.now());
    Ok(RunSummary {
        r#type: RunSummary::TYPE.to_owned(),
        outcome: outcome(spec),
        blocked_by: spec.blocked_by,
        reason: reason(tx, spec).await?,
        model: spec.model.clone(),
        model_kind: spec.model_kind,
        spec_id: spec.id.to_string(),
        spec_ref: HumanRef::spec(spec.number).to_string(),
        spec_name: names.reference(spec.project_id, HumanRef::spec(spec.number)),
        tickets: tickets::of_spec(tx, id).await?.len() as u32,
        tasks: task_counts(tx, id).await?,
        max_parallel: max_parallel(&log),
        phases: phase_summaries(tx, id).await?,
        suite: suite_summary(tx, spec).await?,
        outside_plan: Vec::new(),
        discoveries: discoveries::of_spec(tx, id)
            .await?
            .iter()
            .filter(|d| d.task_id.is_some())
            .count() as u32,
        conflicts: conflicts(tx, id).await?,
        receipts: receipt_counts(tx, id).await?,
        criteria: criteria(tx, id, head.as_deref()).await?,
        repo: names.repo(spec.project_id).to_owned(),
        branch: hand_over
            .as_ref()
            .map_or(spec.integration_branch.clone(), |h| h.branch.clone()),
        head,
        cost_nanousd: Some(spend.cost_nanousd),
        cost_by_purpose: by_purpose(tx, id).await?,
        tokens: spend.tokens,
        wall_ms: (ended_at.as_micros() - spec.created_at.as_micros()) / 1000,
        model_ms: spend.model_ms,
        notes: notes(tx, spec, hand_over.and_then(|h| h.note)).await?,
    })
}

async fn by_purpose(
    tx: &mut Tx,
    id: SpecId,
) -> Result<BTreeMap<PurposeKind, PurposeCost>, StoreError> {
    let found = costs::by_purpose(tx, id).await?;
    let cost = |of: costs::PurposeSpend| {
        let cost = PurposeCost {
            calls: of.calls,
            tokens: of.spend.tokens,
            cost_nanousd: of.spend.cost_nanousd,
            estimated_nanousd: of.estimated_nanousd,
        };
        (of.purpose, cost)
    };
    Ok(found.into_iter().map(cost).collect())
}

async fn suite_summary(tx: &mut Tx, spec: &Spec) -> Result<Option<SuiteSummary>, StoreError> {
    let Some(suite) = checks::suite_of_spec(tx, spec.id).await? else {
        return Ok(None);
    };
    let mut summary = SuiteSummary {
        command: suite.command,
        accept_red: spec.options.0.accept_red,
        ..SuiteSummary::default()
    };
    if let Some(base) = checks::base_receipt(tx, suite.id).await? {
        summary.base_passed = Some(base.passed);
        summary.base_exit = base.exit_code;
        summary.acceptable = base.suite_run().report.failures.is_some();
        summary.base_output =
            (!base.passed).then(|| receipts::output_tail(&base.output).to_owned());
        summary.base_tests = base.tests.0;
    }
    Ok(Some(summary))
}

/// Why the run is not over, or not as wished.
async fn reason(tx: &mut Tx, spec: &Spec) -> Result<Option<String>, StoreError> {
    Ok(match spec.status {
        SpecStatus::Completed => Some("the plan waits for approval".to_owned()),
        SpecStatus::Executing => {
            let mut asked = approvals::of_spec(tx, spec.id).await?;
            asked.retain(|asked| asked.state == ApprovalState::Pending);
            let phase = asked
                .first()
                .and_then(|asked| phase_asked_about(asked.kind));
            phase.map(|phase| format!("{phase} waits for approval"))
        }
        SpecStatus::Working => {
            let all = tasks::of_spec(tx, spec.id).await?;
            let asks = |task: &&Task| task.blocked_by == Some(TaskBlock::Question);
            let asking = all.iter().find(asks).map(|task| {
                let what = task.blocked_reason.as_deref().unwrap_or_default();
                format!(
                    "{} waits for an answer ({what})",
                    HumanRef::task(task.number)
                )
            });
            asking.or_else(|| spec.last_error.clone())
        }
        _ => spec.last_error.clone(),
    })
}

fn outcome(spec: &Spec) -> RunOutcome {
    match spec.status {
        SpecStatus::Delivered => RunOutcome::Succeeded,
        SpecStatus::Failed | SpecStatus::Cancelled => RunOutcome::Failed,
        SpecStatus::Draft
        | SpecStatus::Executing
        | SpecStatus::Completed
        | SpecStatus::Working
        | SpecStatus::Blocked => RunOutcome::Blocked,
    }
}

async fn log(tx: &mut Tx, id: SpecId) -> Result<Vec<StoredEvent>, StoreError> {
    let mut log = Vec::new();
    loop {
        let from = log.last().map_or(0, |event: &StoredEvent| event.seq);
        let batch = events::of_spec(tx, id, from).await?;
        if batch.is_empty() {
            return Ok(log);
        }
        log.extend(batch);
    }
}

/// Most task attempts between `agent.started` and their end at one instant.
fn max_parallel(log: &[StoredEvent]) -> u32 {
    let mut running: BTreeSet<AttemptId> = BTreeSet::new();
    let mut most = 0;
    for event in log {
        match &event.event {
            Event::AgentStarted(change) if change.subject.kind() == SubjectKind::Task => {
                running.insert(change.attempt_id);
                most = most.max(running.len());
            }
            Event::AttemptEnded(change) if change.from == AttemptState::Running => {
                running.remove(&change.attempt_id);
            }
            _ => {}
        }
    }
    most as u32
}

async fn task_counts(tx: &mut Tx, id: SpecId) -> Result<TaskCounts, StoreError> {
    let mut counts = TaskCounts::default();
    for task in tasks::standing_of_spec(tx, id).await? {
        match task.status {
            TaskStatus::Completed => counts.completed += 1,
            TaskStatus::Failed => counts.failed += 1,
            TaskStatus::Cancelled => counts.cancelled += 1,
            _ => {}
        }
    }
    Ok(counts)
}

async fn phase_summaries(
    tx: &mut Tx,
    id: SpecId,
) -> Result<BTreeMap<Phase, PhaseSummary>, StoreError> {
    let runs = phases::of_spec(tx, id).await?;
    Ok(runs
        .into_iter()
        .map(|run| {
            (
                run.phase,
                PhaseSummary {
                    attempts: run.attempts,
                    score: run.score,
                },
            )
        })
        .collect())
}

async fn conflicts(tx: &mut Tx, id: SpecId) -> Result<ConflictCounts, StoreError> {
    let merges = merges::of_spec(tx, id).await?;
    let found: Vec<_> = merges
        .iter()
        .filter(|m| !m.conflicts.0.is_empty())
        .collect();
    let resolved = found
        .iter()
        .filter(|m| m.state == MergeState::Completed)
        .count() as u32;
    Ok(ConflictCounts {
        found: found.len() as u32,
        resolved,
    })
}

async fn receipt_counts(tx: &mut Tx, id: SpecId) -> Result<ReceiptCounts, StoreError> {
    let mut counts = ReceiptCounts::default();
    for receipt in checks::receipts_of_spec(tx, id).await? {
        if matches!(receipt.stage, CheckStage::Base | CheckStage::Ablation) {
            // It says something of the check, not of the work.
            continue;
        }
        if receipt.passed {
            counts.passed += 1;
        } else {
            counts.failed += 1;
        }
    }
    Ok(counts)
}

/// Criteria with a passing receipt at `head`; self-tested ones have no other. What ablation found
/// out counts also where it stopped the hand-over.
async fn criteria(
    tx: &mut Tx,
    id: SpecId,
    head: Option<&str>,
) -> Result<CriterionCounts, StoreError> {
    let links = checks::criteria_links(tx, id).await?;
    let receipts = checks::receipts_of_spec(tx, id).await?;
    let mut counts = CriterionCounts::default();
    for ablation in ablations::of_spec(tx, id).await? {
        if head.is_some_and(|head| head != ablation.head_sha) {
            continue;
        }
        match ablation.verdict {
            AblationVerdict::Needed => {}
            AblationVerdict::Weak => counts.weak += 1,
            AblationVerdict::Unknown => counts.unknown += 1,
            AblationVerdict::NotTried => counts.not_tried += 1,
        }
    }
    for criterion in requirements::criteria_of_spec(tx, id).await? {
        counts.total += 1;
        let proofs: Vec<_> = receipts
            .iter()
            .filter(|r| {
                r.passed && r.stage == CheckStage::Head && Some(r.commit_sha.as_str()) == head
            })
            .filter(|r| links.contains(&(r.check_id, criterion.id)))
            .collect();
        if !proofs.is_empty() {
            counts.proven += 1;
            counts.self_tested += u32::from(proofs.iter().all(|r| r.self_tested));
        }
    }
    Ok(counts)
}

/// What a person should know: notes of the start, a renamed branch, optional work that failed.
async fn notes(
    tx: &mut Tx,
    spec: &Spec,
    hand_over: Option<String>,
) -> Result<Vec<String>, StoreError> {
    let mut notes = spec.options.0.notes.clone();
    notes.extend(hand_over);
    let opinion = opinions::find(tx, spec.id).await?;
    if let Some(why) = opinion.and_then(|opinion| opinion.skipped) {
        notes.push(format!("the plan has no second opinion: {why}"));
    }
    for task in tasks::standing_of_spec(tx, spec.id).await? {
        let given_up = matches!(task.status, TaskStatus::Failed | TaskStatus::Blocked)
            || task.integration_state == IntegrationState::Manual;
        if !task.needed && given_up {
            let why = task
                .error_message
                .or(task.blocked_reason)
                .unwrap_or_default();
            notes.push(format!(
                "optional {} did not land: {why}",
                HumanRef::task(task.number)
            ));
        }
    }
    let found = discoveries::of_spec(tx, spec.id).await?;
    let refused = found
        .into_iter()
        .filter_map(|found| Some((found.refused?, found.title)));
    notes.extend(not_taken_up(refused));
    Ok(notes)
}

/// One note for each reason why something that was found became no task.
fn not_taken_up(refused: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (why, title) in refused {
        by_reason.entry(why).or_default().push(title);
    }
    let note = |(why, titles): (String, Vec<String>)| {
        let shown = titles[..titles.len().min(TITLES_MAX)].join("; ");
        let more = match titles.len().saturating_sub(TITLES_MAX) {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        format!("found but not taken up: {shown}{more} ({why})")
    };
    by_reason.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_findings_are_one_note() {
        let found = (1..=25).map(|n| ("the cap is reached".to_owned(), format!("bug {n}")));
        let notes = not_taken_up(found.chain([("too deep".to_owned(), "a typo".to_owned())]));
        assert_eq!(
            notes,
            [
                "found but not taken up: bug 1; bug 2; bug 3; and 22 more (the cap is reached)",
                "found but not taken up: a typo (too deep)",
            ]
        );
    }
}

//! Takes the items of a phase's output in: one row each, one transaction for those that come together.

use std::time::Duration;

use serde::Deserialize as _;
use sha2::{Digest as _, Sha256};
use tracing::debug;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_execution::intake::IntakeError;
use omoi_git::object::ObjectId;
use omoi_plan::items::{
    AcceptedItem, ItemSubmission, OutputItem, assemble_output, latest_items, validate_item,
};
use omoi_plan::outputs::tasks;
use omoi_plan::repository::RepoPaths;
use omoi_protocol::worker::{
    DoneAck, ITEMS_MAX, ItemAck, ItemOutcome, ItemsAck, SubmitItem, SubmitItems,
};
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, NewItem, PhaseRun};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, Tx};

use crate::plan_gate::PlanGate;
use crate::tree;

/// Bytes one item may have.
const ITEM_BYTES_MAX: usize = 100 << 10;

/// Takes items in, in their order. The same key again replaces an item, and null takes it out of its list; the
/// journal keeps all of them. One that is refused keeps none of the others out.
///
/// They are not on the disk yet: what loses them, loses with them the turn that hands them in, and it is taken again.
///
/// # Errors
/// [`IntakeError::Refused`] for too many; [`IntakeError::Superseded`] when the attempt is over, also when it ends at
/// this very moment.
pub async fn submit_items(
    gate: &PlanGate,
    attempt: &Attempt,
    report: SubmitItems,
) -> Result<ItemsAck, IntakeError> {
    let phase = phase_of(attempt)?;
    let n_items = report.items.len();
    if n_items > ITEMS_MAX {
        let refusal = format!("{n_items} items, at most {ITEMS_MAX}");
        return Err(IntakeError::Refused(refusal));
    }
    let spec = gate
        .store
        .read(async |tx| specs::get(tx, attempt.spec_id).await);
    let spec = spec.await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    let repo = tree::tracked(&gate.folders, spec.project_id, &base).await?;
    let check_timeout = spec.work_limits(gate.limits).check_timeout;
    let checked = report.items.into_iter().map(|item| {
        let checked = checked_item(phase, &item, &repo, check_timeout);
        checked.map_err(|why| refuse_item(phase, &item, why))
    });
    let checked: Vec<_> = checked.collect();
    if checked.iter().all(Result::is_err) {
        let outcomes = checked.into_iter().filter_map(Result::err).collect();
        return Ok(ItemsAck { outcomes });
    }
    let store_all = async |tx: &mut Tx| -> Result<Vec<ItemOutcome>, IntakeError> {
        if !attempts::hold(tx, attempt.id).await? {
            return Err(IntakeError::Superseded);
        }
        let run = phases::ensure(tx, spec.id, phase).await?;
        let mut outcomes = Vec::new();
        for checked in checked {
            outcomes.push(match checked {
                Ok(accepted) => store_item(tx, &spec, &run, accepted).await?,
                Err(refused) => refused,
            });
        }
        Ok(outcomes)
    };
    let stored = gate.store.write_ahead(CrashPoint::ItemAccepted, store_all);
    let (outcomes, _) = stored.await?;
    debug!(%phase, n_items, "Took items in");
    Ok(ItemsAck { outcomes })
}

/// `item` as it would be stored, or what was expected of it.
fn checked_item(
    phase: Phase,
    item: &SubmitItem,
    repo: &RepoPaths,
    check_timeout: Duration,
) -> Result<AcceptedItem, String> {
    let bytes = item.value.to_string().len();
    if bytes > ITEM_BYTES_MAX {
        return Err(format!(
            "the item has {bytes} bytes, at most {ITEM_BYTES_MAX}"
        ));
    }
    let submission = ItemSubmission {
        phase,
        section: &item.section,
        key: &item.key,
        value: &item.value,
    };
    validated(submission, repo, check_timeout)
}

fn refuse_item(phase: Phase, item: &SubmitItem, message: String) -> ItemOutcome {
    let (section, key) = (item.section.as_str(), item.key.as_str());
    debug!(%phase, section, key, why = message, "Refused an item");
    ItemOutcome::Refused { message }
}

/// Stores an item, unless it withdraws one that is not there.
async fn store_item(
    tx: &mut Tx,
    spec: &Spec,
    run: &PhaseRun,
    accepted: AcceptedItem,
) -> Result<ItemOutcome, StoreError> {
    let AcceptedItem { item, warnings } = accepted;
    let withdraws = item.withdraws(run.phase);
    if withdraws && let Err(message) = stands(&journal(tx, spec.id, run.phase).await?, &item) {
        return Ok(ItemOutcome::Refused { message });
    }
    let seq = put(tx, spec, run, &item).await?;
    let mut notes: Vec<String> = warnings.into_iter().map(|w| w.message).collect();
    if withdraws {
        notes.push(format!("`{}` is withdrawn", item.key));
    }
    Ok(ItemOutcome::Accepted(ItemAck { seq, notes }))
}

/// Whether the phase's output is complete.
///
/// # Errors
/// [`IntakeError::Refused`] naming what is missing.
pub async fn done(store: &Tenant, attempt: &Attempt) -> Result<DoneAck, IntakeError> {
    let phase = phase_of(attempt)?;
    let items = store.read(async |tx| journal(tx, attempt.spec_id, phase).await);
    let items = items.await?;
    match assemble_output(phase, &items) {
        Ok(_) => {
            debug!(%phase, n_items = items.len(), "The output is complete");
            Ok(DoneAck {
                items: items.len() as u32,
            })
        }
        Err(missing) => {
            let lines: Vec<String> = missing
                .iter()
                .map(|m| format!("{} needs {}, has {}", m.section, m.needed, m.present))
                .collect();
            Err(IntakeError::Refused(format!(
                "the output is not complete: {}",
                lines.join("; ")
            )))
        }
    }
}

/// The accepted items of a phase that stand, oldest first: none that was replaced or withdrawn.
pub(crate) async fn journal(
    tx: &mut Tx,
    spec: SpecId,
    phase: Phase,
) -> Result<Vec<OutputItem>, StoreError> {
    let rows = phases::items(tx, spec, phase).await?;
    let items = rows.into_iter().map(|row| OutputItem {
        section: row.section,
        key: row.item_key,
        value: row.value.0,
    });
    Ok(latest_items(phase, items.collect()))
}

/// The item as it is stored, or what was expected of it.
pub(crate) fn validated(
    submission: ItemSubmission<'_>,
    repo: &RepoPaths,
    check_timeout: Duration,
) -> Result<AcceptedItem, String> {
    let phase = submission.phase;
    let accepted = validate_item(submission, repo).map_err(|refusal| refusal.to_string())?;
    if phase == Phase::Tasks && accepted.item.section == "tasks" {
        checks_can_run(&accepted.item, check_timeout)?;
    }
    Ok(accepted)
}

/// Refuses checks that the platform could not run as they are written.
fn checks_can_run(item: &OutputItem, timeout_max: Duration) -> Result<(), String> {
    if item.withdraws(Phase::Tasks) {
        return Ok(());
    }
    let task = tasks::PlannedTask::deserialize(&item.value).map_err(|error| error.to_string())?;
    let max = u32::try_from(timeout_max.as_secs()).unwrap_or(u32::MAX);
    for (n, check) in task.checks.iter().enumerate() {
        if let Some((field, says)) = check.find_fault(max) {
            return Err(format!("`tasks[{}].checks[{n}].{field}`: {says}", task.id));
        }
    }
    Ok(())
}

/// Appends an accepted item to the journal; returns its place there.
pub(crate) async fn put(
    tx: &mut Tx,
    spec: &Spec,
    run: &PhaseRun,
    item: &OutputItem,
) -> Result<i64, StoreError> {
    let new = NewItem {
        spec_id: spec.id,
        project_id: spec.project_id,
        phase: run.phase,
        attempt_no: run.attempts,
        section: &item.section,
        key: &item.key,
        value: item.value.clone(),
        digest: hex::encode(Sha256::digest(item.value.to_string())),
    };
    phases::append_item(tx, new).await
}

/// Only what stands can be withdrawn: a wrong key would leave the surplus item where it is.
fn stands(items: &[OutputItem], withdrawn: &OutputItem) -> Result<(), String> {
    let of_section = items.iter().filter(|i| i.section == withdrawn.section);
    let keys: Vec<&str> = of_section.map(|i| i.key.as_str()).collect();
    if keys.contains(&withdrawn.key.as_str()) {
        return Ok(());
    }
    Err(format!(
        "section `{}` has no item `{}` to withdraw; it has: {}",
        withdrawn.section,
        withdrawn.key,
        keys.join(", ")
    ))
}

fn phase_of(attempt: &Attempt) -> Result<Phase, IntakeError> {
    match attempt.subject {
        AttemptSubject::SpecPhase { phase } => Ok(phase),
        _ => Err(IntakeError::Refused(
            "this attempt has no phase to hand items in for".to_owned(),
        )),
    }
}

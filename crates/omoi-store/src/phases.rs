//! Phase runs of a spec and the journal of their items.

use serde_json::Value;

use omoi_domain::event::{Event, ItemAccepted, PhaseChange};
use omoi_domain::id::{OrgId, ProjectId, SpecId};
use omoi_domain::machine::transition as rule;
use omoi_domain::phase::{Phase, PhaseVerdict};
use omoi_domain::spec::PhaseState;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::tx::Tx;

row! {
    /// One phase of one spec, over all its attempts.
    PhaseRun in "spec_phase_runs" as "phase run" {
        /// The spec.
        spec_id: SpecId,
        /// Its organisation.
        org_id: OrgId,
        /// The phase.
        phase: Phase,
        /// Where it stands.
        state: PhaseState,
        /// Attempts that counted, from 1.
        attempts: u32,
        /// The evaluator's last score.
        score: Option<f64>,
        /// Why the last refused output was refused; the next attempt is told.
        feedback: Option<String>,
        /// The accepted output.
        output: Option<Json<Value>>,
        /// The best output that was refused, for a person to look at.
        rejected_output: Option<Json<Value>>,
        /// Its score.
        rejected_score: Option<f64>,
        /// What the platform found out for the accepted output, such as base exits of checks.
        facts: Option<Json<Value>>,
        /// Digest of what the phase read.
        input_digest: Option<String>,
        /// Digest of the accepted output.
        output_digest: Option<String>,
        /// Earliest next attempt.
        not_before: Timestamp,
        /// When the first attempt began.
        started_at: Option<Timestamp>,
        /// When it passed or failed.
        ended_at: Option<Timestamp>,
        /// Guards updates.
        state_version: i64,
    }
}
versioned!(PhaseRun by spec_id, phase in "spec_phase_runs" {
    state, attempts, score, feedback, output, rejected_output, rejected_score, facts, input_digest,
    output_digest, not_before, started_at, ended_at,
});

row! {
    /// One accepted item of a phase.
    Item in "phase_items" as "phase item" {
        /// The spec.
        spec_id: SpecId,
        /// Its organisation.
        org_id: OrgId,
        /// The phase.
        phase: Phase,
        /// Position in the journal, from 1.
        seq: i64,
        /// The attempt that submitted it.
        attempt_no: u32,
        /// The section of the output.
        section: String,
        /// Its key; the same key again replaces.
        item_key: String,
        /// The value, normalised and checked.
        value: Json<Value>,
        /// SHA-256 of the value.
        digest: String,
        /// When it was accepted.
        created_at: Timestamp,
    }
}

/// The phase run, made pending when there is none.
///
/// # Errors
/// When the database cannot be written.
pub async fn ensure(tx: &mut Tx, spec: SpecId, phase: Phase) -> Result<PhaseRun, StoreError> {
    tx.execute(
        "insert into spec_phase_runs (org_id, spec_id, phase, state, not_before)
         values ($1, $2, $3, $4, $5) on conflict do nothing",
        args![spec, phase, PhaseState::Pending, Timestamp::default()],
    )
    .await?;
    tx.get(
        format!("{spec}/{phase}"),
        "spec_id = $2 and phase = $3",
        args![spec, phase],
    )
    .await
}

/// The phase run, if it was begun.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, spec: SpecId, phase: Phase) -> Result<Option<PhaseRun>, StoreError> {
    tx.find("spec_id = $2 and phase = $3", args![spec, phase])
        .await
}

/// Every phase run of a spec.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<PhaseRun>, StoreError> {
    tx.all("spec_id = $2", args![spec]).await
}

/// Moves a phase along its machine and writes the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    project: ProjectId,
    run: &mut PhaseRun,
    to: PhaseState,
    verdict: PhaseVerdict,
) -> Result<(), StoreError> {
    let kind = rule(run.state, to)?;
    run.state = to;
    match to {
        PhaseState::Running => run.started_at = run.started_at.or(Some(tx.now())),
        PhaseState::Passed | PhaseState::Failed => run.ended_at = Some(tx.now()),
        PhaseState::Pending => run.ended_at = None,
        PhaseState::Backoff => {}
    }
    tx.update(run).await?;
    let payload = change(run, verdict);
    tx.emit_kind((Some(project), Some(run.spec_id)), kind, &payload)
}

/// Tells of an evaluator's verdict.
pub fn emit_verdict(tx: &mut Tx, project: ProjectId, run: &PhaseRun, verdict: PhaseVerdict) {
    let payload = change(run, verdict);
    tx.emit(
        Some(project),
        Some(run.spec_id),
        Event::SpecEvalResult(payload),
    );
}

fn change(run: &PhaseRun, verdict: PhaseVerdict) -> PhaseChange {
    let took_ms = run
        .started_at
        .zip(run.ended_at)
        .map(|(a, b)| (b.as_micros() - a.as_micros()) / 1000);
    PhaseChange {
        spec_id: run.spec_id,
        phase: run.phase,
        attempt: run.attempts,
        score: verdict.score,
        passed: verdict.passed,
        blockers: verdict.blockers,
        reason: verdict.reason,
        feedback: run.feedback.clone(),
        took_ms,
    }
}

/// Writes changed fields other than the state.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, run: &mut PhaseRun) -> Result<(), StoreError> {
    tx.update(run).await
}

/// A new item for the journal.
pub struct NewItem<'a> {
    /// The spec.
    pub spec_id: SpecId,
    /// Its project.
    pub project_id: ProjectId,
    /// The phase's name.
    pub phase: Phase,
    /// The attempt that submits.
    pub attempt_no: u32,
    /// The section of the output.
    pub section: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The value, normalised and checked.
    pub value: Value,
    /// SHA-256 of the value.
    pub digest: String,
}

/// Appends an item. The same value under the same key again is the same item, not a new one.
///
/// # Errors
/// When the database cannot be written.
pub async fn append_item(tx: &mut Tx, new: NewItem<'_>) -> Result<i64, StoreError> {
    let last = tx
        .find::<Item>(
            "spec_id = $2 and phase = $3 and section = $4 and item_key = $5 order by seq desc limit 1",
            args![new.spec_id, new.phase, new.section, new.key],
        )
        .await?;
    if let Some(last) = last.filter(|item| item.digest == new.digest) {
        return Ok(last.seq);
    }
    let rows = tx
        .rows(
            "select coalesce(max(seq), 0) as value from phase_items
             where org_id = $1 and spec_id = $2 and phase = $3",
            args![new.spec_id, new.phase],
        )
        .await?;
    let seq = rows.first().map_or(Ok(0), |row| i64::read(row, "value"))? + 1;
    let item = Item {
        spec_id: new.spec_id,
        org_id: tx.org(),
        phase: new.phase,
        seq,
        attempt_no: new.attempt_no,
        section: new.section.to_owned(),
        item_key: new.key.to_owned(),
        value: Json(new.value),
        digest: new.digest,
        created_at: tx.now(),
    };
    tx.insert(&item).await?;
    let payload = ItemAccepted {
        spec_id: new.spec_id,
        phase: item.phase,
        section: item.section,
        key: item.item_key,
        seq,
    };
    tx.emit(
        Some(new.project_id),
        Some(new.spec_id),
        Event::SpecItemAccepted(payload),
    );
    Ok(seq)
}

/// The journal of a phase, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn items(tx: &mut Tx, spec: SpecId, phase: Phase) -> Result<Vec<Item>, StoreError> {
    tx.all(
        "spec_id = $2 and phase = $3 order by seq",
        args![spec, phase],
    )
    .await
}

/// Drops the journal of a phase whose inputs changed.
///
/// # Errors
/// When the database cannot be written.
pub async fn clear_items(tx: &mut Tx, spec: SpecId, phase: Phase) -> Result<(), StoreError> {
    tx.execute(
        "delete from phase_items where org_id = $1 and spec_id = $2 and phase = $3",
        args![spec, phase],
    )
    .await?;
    Ok(())
}

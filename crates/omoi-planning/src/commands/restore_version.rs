//! Takes a spec back to what it was planned from before.

use serde_json::Value;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::restore_outputs;
use omoi_domain::phase::Phase;
use omoi_execution::specs::apply_to_spec;
use omoi_store::phases::PhaseRun;
use omoi_store::spec_versions::{self, SpecVersion, VERSIONED_PHASES};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, Tenant, phases, search_documents};

use super::SpecCommandError;
use super::judged_edit::{EditDraft, ItemEdit, JudgedEdit};
use super::spec_changes::{expect_version, explain_refusal};
use crate::gate_facts::PhaseMaterial;
use crate::items::journal;
use crate::output_diff::changed_items;
use crate::plan_gate::PlanGate;

/// A version that a person wants back.
#[derive(Clone, Copy, Debug)]
pub struct RestoreWish<'a> {
    /// Its number.
    pub number: i64,
    /// The versions of the spec's row that the wish is meant for; any without them.
    pub versions: Option<&'a [i64]>,
}

/// Has a spec planned from what one of its versions has, which is judged as any change is, and keeps that as a version of its own.
/// A version that says what the spec says already changes nothing.
///
/// # Errors
/// [`SpecCommandError::InvalidEdit`] when an output could not be accepted any more, [`SpecCommandError::AtWork`],
/// [`SpecCommandError::StaleVersion`].
pub async fn restore_version(
    gate: &PlanGate,
    tenant: &Tenant,
    id: SpecId,
    wish: RestoreWish<'_>,
) -> Result<Spec, SpecCommandError> {
    let (spec, version, runs) = read_version(tenant, id, wish).await?;
    let mut judged = Vec::new();
    let mut runs_then = runs.clone();
    for phase in VERSIONED_PHASES {
        let edits = restoring_edits(&version, &runs, phase);
        if edits.is_empty() {
            continue;
        }
        let items = tenant.read(async |tx| journal(tx, id, phase).await);
        let material = PhaseMaterial {
            items: items.await?,
            runs: runs_then.clone(),
        };
        let draft = EditDraft {
            material,
            edits: &edits,
        };
        let edit = JudgedEdit::judge_edit(gate, &spec, phase, draft).await?;
        // What comes after it is judged beside it.
        if let Some(run) = runs_then.iter_mut().find(|run| run.phase == phase) {
            run.output = Some(Json(edit.output.clone()));
        }
        judged.push((phase, edit));
    }
    if judged.is_empty() && version.title == spec.title {
        return Ok(spec);
    }
    let restored = tenant.write(CrashPoint::PhaseMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        expect_version(&spec, wish.versions)?;
        let mut states = Vec::new();
        for (phase, _) in &judged {
            states.push((*phase, phases::ensure(tx, id, *phase).await?.state));
        }
        let has_tasks = version.phase_output(Phase::Tasks).is_some();
        let planned_from = version.current_phase;
        let actions = match restore_outputs(spec.status, &states, planned_from, has_tasks) {
            Ok(actions) => actions,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        };
        let before = spec_versions::look_before(tx, &spec).await?;
        for (_, edit) in &judged {
            edit.write_output(tx, &spec).await?;
        }
        spec.title.clone_from(&version.title);
        apply_to_spec(tx, &mut spec, actions, true).await?;
        search_documents::index_spec(tx, &spec).await?;
        let summary = format!("restored version {}", wish.number);
        spec_versions::append(tx, before, &spec, &summary).await?;
        Ok(spec)
    });
    restored.await
}

async fn read_version(
    tenant: &Tenant,
    id: SpecId,
    wish: RestoreWish<'_>,
) -> Result<(Spec, SpecVersion, Vec<PhaseRun>), SpecCommandError> {
    let read = tenant.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        expect_version(&spec, wish.versions)?;
        let version = spec_versions::get(tx, id, wish.number).await?;
        Ok::<_, SpecCommandError>((spec, version, phases::of_spec(tx, id).await?))
    });
    read.await
}

/// What takes the output of `phase` back to that of the version; nothing where the version has none.
fn restoring_edits(version: &SpecVersion, runs: &[PhaseRun], phase: Phase) -> Vec<ItemEdit> {
    let Some(wanted) = version.phase_output(phase) else {
        return Vec::new();
    };
    let run = runs.iter().find(|run| run.phase == phase);
    let now = run.and_then(|run| run.output.as_ref());
    let changes = changed_items(phase, now.map(|now| &now.0), Some(wanted));
    let edits = changes.into_iter().map(|change| ItemEdit {
        section: change.section,
        key: change.key,
        value: change.after.unwrap_or(Value::Null),
    });
    edits.collect()
}

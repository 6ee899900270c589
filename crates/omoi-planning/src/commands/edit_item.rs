//! Changes a person makes to what a spec is planned from.

use serde_json::Value;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::{EditedPhase, edit_output, expect_editable};
use omoi_domain::phase::Phase;
use omoi_execution::specs::apply_to_spec;
use omoi_plan::items::{AcceptedItem, ItemSubmission};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, Tenant, phases};

use super::SpecCommandError;
use super::spec_changes::explain_refusal;
use crate::gate::JudgedOutput;
use crate::gate_facts::{PhaseMaterial, judge_items};
use crate::items::{journal, put, validated};
use crate::plan_gate::PlanGate;
use crate::planner::output_digest;
use crate::tree;

/// One item of an accepted output as a person wants it.
#[derive(Clone, Debug)]
pub struct ItemEdit {
    /// The phase whose output it is in.
    pub phase: Phase,
    /// The section of the output.
    pub section: String,
    /// Its key within a list.
    pub key: String,
    /// The item; null takes one out of a list.
    pub value: Value,
}

/// Changes an item of an accepted output; on the next resume the phases that read it run again.
///
/// # Errors
/// [`SpecCommandError::InvalidEdit`] when the output could not be accepted with it, or is none that a
/// person can change: the checks of tasks are tried before they stand, and sync is computed.
pub async fn edit_item(
    gate: &PlanGate,
    tenant: &Tenant,
    id: SpecId,
    edit: ItemEdit,
) -> Result<Spec, SpecCommandError> {
    let (accepted, judged) = judge_edit(gate, tenant, id, &edit).await?;
    let Some(output) = judged.output.filter(|_| judged.evaluation.passed) else {
        return Err(SpecCommandError::InvalidEdit(judged.evaluation.feedback));
    };
    let edited = tenant.write(CrashPoint::PhaseMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        let mut run = phases::ensure(tx, id, edit.phase).await?;
        let edited = EditedPhase {
            spec: spec.status,
            phase: run.phase,
            state: run.state,
        };
        let actions = match edit_output(edited) {
            Ok(actions) => actions,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        };
        put(tx, &spec, &run, &accepted.item).await?;
        run.output_digest = Some(output_digest(&output));
        run.output = Some(Json(output));
        run.score = Some(judged.evaluation.score);
        phases::save(tx, &mut run).await?;
        apply_to_spec(tx, &mut spec, actions, false).await?;
        Ok(spec)
    });
    edited.await
}

/// What the gate of the phase says of its output with the edited item in it.
async fn judge_edit(
    gate: &PlanGate,
    tenant: &Tenant,
    id: SpecId,
    edit: &ItemEdit,
) -> Result<(AcceptedItem, JudgedOutput), SpecCommandError> {
    let phase = edit.phase;
    let read = tenant.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        if let Err(refusal) = expect_editable(spec.status, phase) {
            return Err(explain_refusal(tx, &spec, refusal).await);
        }
        let material = PhaseMaterial {
            runs: phases::of_spec(tx, id).await?,
            items: journal(tx, id, phase).await?,
        };
        Ok::<_, SpecCommandError>((spec, material))
    });
    let (spec, mut material) = read.await?;
    let tracked = tree::of_spec(&gate.folders, &spec).await;
    let repo = tracked.map_err(SpecCommandError::Judge)?;
    let item = ItemSubmission {
        phase,
        section: &edit.section,
        key: &edit.key,
        value: &edit.value,
    };
    let check_timeout = spec.work_limits(gate.limits).check_timeout;
    let accepted = validated(item, &repo, check_timeout).map_err(SpecCommandError::InvalidEdit)?;
    material.items.push(accepted.item.clone());
    let judged = judge_items(gate, &spec, phase, material).await;
    Ok((accepted, judged.map_err(SpecCommandError::Judge)?))
}

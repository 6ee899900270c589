//! Changes a person makes to what a spec is planned from.

use serde_json::Value;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_plan::items::{AcceptedItem, ItemSubmission};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, Tenant, Tx, phases};

use super::SpecCommandError;
use super::spec_changes::spec_name;
use crate::gate::JudgedOutput;
use crate::items::{journal, put, validated};
use crate::judge::{PhaseMaterial, judge_items};
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
    let next = phase_after_edit(edit.phase)?;
    let (accepted, judged) = judge_edit(gate, tenant, id, &edit).await?;
    let Some(output) = judged.output.filter(|_| judged.evaluation.passed) else {
        return Err(SpecCommandError::InvalidEdit(judged.evaluation.feedback));
    };
    let edited = tenant.write(CrashPoint::PhaseMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        expect_changeable(tx, &spec).await?;
        let mut run = phases::ensure(tx, id, edit.phase).await?;
        if run.state != PhaseState::Passed {
            let says = format!(
                "{} has not passed yet; there is nothing to edit",
                edit.phase
            );
            return Err(SpecCommandError::InvalidEdit(says));
        }
        put(tx, &spec, &run, &accepted.item).await?;
        run.output_digest = Some(output_digest(&output));
        run.output = Some(Json(output));
        run.score = Some(judged.evaluation.score);
        phases::save(tx, &mut run).await?;
        spec.current_phase = next;
        specs::save(tx, &mut spec).await?;
        Ok(spec)
    });
    edited.await
}

/// The phase to plan on from when the output of `phase` was edited.
fn phase_after_edit(phase: Phase) -> Result<Phase, SpecCommandError> {
    let next = match phase {
        Phase::Explore | Phase::Prd | Phase::Requirements | Phase::Design => phase.next(),
        Phase::Tasks | Phase::Sync | Phase::Complete => None,
    };
    next.ok_or_else(|| {
        let says = format!("the output of {phase} cannot be edited by hand");
        SpecCommandError::InvalidEdit(says)
    })
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
        expect_changeable(tx, &spec).await?;
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

/// Refuses a spec whose tasks are released, or that is over.
pub(super) async fn expect_changeable(tx: &mut Tx, spec: &Spec) -> Result<(), SpecCommandError> {
    match spec.status {
        SpecStatus::Working | SpecStatus::Delivered | SpecStatus::Cancelled => {
            Err(SpecCommandError::AtWork {
                spec: spec_name(tx, spec).await?,
                status: spec.status,
            })
        }
        SpecStatus::Draft
        | SpecStatus::Executing
        | SpecStatus::Completed
        | SpecStatus::Blocked
        | SpecStatus::Failed => Ok(()),
    }
}

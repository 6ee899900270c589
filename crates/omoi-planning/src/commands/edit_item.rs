//! Changes a person makes to what a spec is planned from.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::{EditedPhase, edit_output, expect_editable};
use omoi_domain::phase::Phase;
use omoi_execution::specs::apply_to_spec;
use omoi_store::specs::{self, Spec};
use omoi_store::{Tenant, phases, spec_versions};

use super::SpecCommandError;
use super::judged_edit::{EditDraft, ItemEdit, JudgedEdit};
use super::spec_changes::{expect_planned, expect_version, explain_refusal};
use crate::gate_facts::PhaseMaterial;
use crate::items::journal;
use crate::plan_gate::PlanGate;

/// A change of the accepted output of one phase.
#[derive(Clone, Debug)]
pub struct PhaseEdit {
    /// The phase.
    pub phase: Phase,
    /// The items that are to be others.
    pub items: Vec<ItemEdit>,
    /// The versions of the spec that the change is meant for; any without them.
    pub versions: Option<Vec<i64>>,
    /// What is changed, for the versions of the spec.
    pub summary: String,
}

/// Changes items of an accepted output, and keeps a version of what the spec was planned from; on the next resume the phases
/// that read it run again.
///
/// # Errors
/// [`SpecCommandError::InvalidEdit`] when the output could not be accepted with it, or is none that a
/// person can change: the checks of tasks are tried before they stand, and sync is computed.
/// [`SpecCommandError::StaleVersion`].
pub async fn edit_items(
    gate: &PlanGate,
    tenant: &Tenant,
    id: SpecId,
    edit: &PhaseEdit,
) -> Result<Spec, SpecCommandError> {
    let phase = edit.phase;
    let read = tenant.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        expect_version(&spec, edit.versions.as_deref())?;
        expect_planned(&spec)?;
        if let Err(refusal) = expect_editable(spec.status, phase) {
            return Err(explain_refusal(tx, &spec, refusal).await);
        }
        let material = PhaseMaterial {
            runs: phases::of_spec(tx, id).await?,
            items: journal(tx, id, phase).await?,
        };
        Ok::<_, SpecCommandError>((spec, material))
    });
    let (spec, material) = read.await?;
    let draft = EditDraft {
        material,
        edits: &edit.items,
    };
    let judged = JudgedEdit::judge_edit(gate, &spec, phase, draft).await?;
    let edited = tenant.write(CrashPoint::PhaseMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        expect_version(&spec, edit.versions.as_deref())?;
        let run = phases::ensure(tx, id, phase).await?;
        let edited = EditedPhase {
            spec: spec.status,
            phase,
            state: run.state,
        };
        let actions = match edit_output(edited) {
            Ok(actions) => actions,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        };
        let before = spec_versions::look_before(tx, &spec).await?;
        judged.write_output(tx, &spec).await?;
        apply_to_spec(tx, &mut spec, actions, true).await?;
        spec_versions::append(tx, before, &spec, &edit.summary).await?;
        Ok(spec)
    });
    edited.await
}

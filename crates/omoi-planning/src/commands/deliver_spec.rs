//! `omoi spec deliver`.

use tracing::info;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::{SpecRefusal, deliver_as_it_stands};
use omoi_domain::spec::SpecStatus;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_store::Tenant;
use omoi_store::specs::{self, Spec};

use super::SpecCommandError;
use super::spec_changes::{explain_refusal, read_spec_facts, read_spec_tasks};
use super::spec_model::adopt_model;

/// Has what has landed of a spec handed over as it stands, because a person says so: what is not
/// proven or not done is told with it. The suite and every check of what landed that proves no
/// criterion must still pass.
///
/// # Errors
/// [`SpecCommandError::NotPlanned`], [`SpecCommandError::OtherModel`],
/// [`SpecCommandError::NothingLanded`], [`SpecCommandError::StillOpen`].
pub async fn deliver_spec(
    selection: &SpecSelection,
    tenant: &Tenant,
    id: SpecId,
) -> Result<Spec, SpecCommandError> {
    let delivered = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        let facts = read_spec_facts(tx, &spec).await?;
        let tasks = read_spec_tasks(tx, id).await?;
        let actions = match deliver_as_it_stands(facts, &tasks) {
            Ok(actions) => actions,
            Err(refusal) => {
                if refusal != SpecRefusal::NotPlanned {
                    // Nothing here may go on with it, whatever else it waits for.
                    adopt_model(selection, tx, &mut spec).await?;
                }
                return Err(explain_refusal(tx, &spec, refusal).await);
            }
        };
        // One that is delivered keeps the name of the model that did the work.
        if !actions.is_empty() {
            let is_renamed = adopt_model(selection, tx, &mut spec).await?;
            apply_to_spec(tx, &mut spec, actions, is_renamed).await?;
            tx.record_act(AuditAct::done_to(AuditAction::SpecDelivered, id));
        }
        Ok(spec)
    });
    let spec = delivered.await?;
    info!(spec.id = %spec.id, "A person wants SPEC-{} as it stands", spec.number);
    if spec.status != SpecStatus::Delivered {
        selection.scope.ask_for(spec.id);
    }
    Ok(spec)
}

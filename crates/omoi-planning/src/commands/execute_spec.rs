//! `POST /specs/{spec_id}/execute`.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec as rules;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_store::Tenant;
use omoi_store::projects;
use omoi_store::specs::{self, Spec};

use super::SpecCommandError;
use super::spec_changes::explain_refusal;
use super::spec_model::adopt_model;

/// Has a spec planned that is written down. One whose planning is under way is left alone.
///
/// # Errors
/// [`SpecCommandError::AtWork`] once it was planned or stopped, [`SpecCommandError::OtherModel`].
pub async fn execute_spec(
    selection: &SpecSelection,
    tenant: &Tenant,
    id: SpecId,
) -> Result<Spec, SpecCommandError> {
    let begun = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        let actions = match rules::execute_spec(spec.status) {
            Ok(actions) => actions,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        };
        if !actions.is_empty() {
            projects::take_up(tx, spec.project_id).await?;
            let is_renamed = adopt_model(selection, tx, &mut spec).await?;
            apply_to_spec(tx, &mut spec, actions, is_renamed).await?;
        }
        Ok(spec)
    });
    let spec = begun.await?;
    selection.scope.ask_for(spec.id);
    info!(spec.id = %spec.id, "A person has SPEC-{} planned", spec.number);
    Ok(spec)
}

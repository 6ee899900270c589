//! `omoi spec approve`.

use serde_json::json;
use tracing::info;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec as rules;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_store::Tenant;
use omoi_store::specs::{self, Spec};

use super::SpecCommandError;
use super::spec_changes::{explain_refusal, read_spec_facts};
use super::spec_model::adopt_model;

/// Releases the tasks of a planned spec. One released already is left alone.
///
/// # Errors
/// [`SpecCommandError::NotPlanned`], [`SpecCommandError::OtherModel`].
pub async fn approve_spec(
    selection: &SpecSelection,
    tenant: &Tenant,
    id: SpecId,
) -> Result<Spec, SpecCommandError> {
    let approved = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        let facts = read_spec_facts(tx, &spec).await?;
        let actions = match rules::approve_spec(facts) {
            Ok(actions) => actions,
            Err(refusal) => return Err(explain_refusal(tx, &spec, refusal).await),
        };
        // One released already was approved before.
        if !actions.is_empty() {
            let approved = AuditAct::done_to(AuditAction::ApprovalDecided, spec.id);
            tx.record_act(approved.with_after(json!({ "approved": "plan" })));
        }
        let is_renamed = adopt_model(selection, tx, &mut spec).await?;
        apply_to_spec(tx, &mut spec, actions, is_renamed).await?;
        Ok(spec)
    });
    let spec = approved.await?;
    selection.scope.ask_for(spec.id);
    info!(spec.id = %spec.id, "A person approved SPEC-{}", spec.number);
    Ok(spec)
}

//! `omoi spec cancel`.

use tracing::info;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::{self as rules, CancelFacts};
use omoi_execution::specs::apply_to_spec;
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, tasks};

use super::spec_changes::{read_phase_states, read_spec_tasks};

/// Cancels a spec. What runs for it is stopped; what was done stays where it is.
///
/// # Errors
/// [`StoreError::Transition`] when it is over already.
pub async fn cancel_spec(tenant: &Tenant, id: SpecId) -> Result<Spec, StoreError> {
    let cancelled = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        // A task that moves on between the look at it and its cancelling would be refused.
        tasks::hold_of_spec(tx, id).await?;
        let actions = rules::cancel_spec(CancelFacts {
            tasks: &read_spec_tasks(tx, id).await?,
            phases: &read_phase_states(tx, id).await?,
        });
        apply_to_spec(tx, &mut spec, actions, false).await?;
        tx.record_act(AuditAct::done_to(AuditAction::SpecCancelled, id));
        Ok(spec)
    });
    cancelled.await.inspect(|spec: &Spec| {
        info!(spec.id = %spec.id, "A person cancelled SPEC-{}", spec.number);
    })
}

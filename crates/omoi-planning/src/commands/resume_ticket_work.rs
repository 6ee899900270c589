//! Has the work on a ticket go on.

use omoi_domain::id::{SpecId, TicketId};
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_protocol::api::ResumeSpec;
use omoi_store::{StoreError, Tenant, specs, tickets};

use super::SpecCommandError;
use super::resume_spec::resume_spec;
use crate::spec_policy::SpecPolicy;

/// Resumes the spec that works for a ticket alone, where that stopped; nothing is done where it did not, or where there is
/// none.
///
/// # Errors
/// As [`resume_spec`].
pub async fn resume_ticket_work(
    policy: &SpecPolicy,
    tenant: &Tenant,
    id: TicketId,
) -> Result<(), SpecCommandError> {
    let read = tenant.read(async |tx| {
        let ticket = tickets::get(tx, id).await?;
        let mut stopped: Option<SpecId> = None;
        for spec in ticket.spec_id.into_iter().chain(ticket.follows_spec_id) {
            let spec = specs::get(tx, spec).await?;
            let is_own = spec.kind == SpecKind::Direct || ticket.follows_spec_id == Some(spec.id);
            let has_stopped = matches!(spec.status, SpecStatus::Blocked | SpecStatus::Failed);
            if is_own && has_stopped {
                stopped = Some(spec.id);
            }
        }
        Ok::<_, StoreError>(stopped)
    });
    match read.await? {
        Some(spec) => resume_spec(policy, tenant, spec, ResumeSpec::default())
            .await
            .map(drop),
        None => Ok(()),
    }
}

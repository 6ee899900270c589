//! `POST /specs/{spec_id}/sync`.

use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecStatus;
use omoi_protocol::api::ResumeSpec;
use omoi_store::Tenant;
use omoi_store::specs::{self, Spec};

use super::SpecCommandError;
use super::resume_spec::resume_spec;
use super::spec_changes::{expect_planned, spec_name};
use crate::spec_policy::SpecPolicy;

/// Has the tickets and tasks of a plan written where that stopped. One that has them is left alone, and one whose planning
/// is under way, as it writes them itself.
///
/// # Errors
/// [`SpecCommandError::NotPlanned`] before every phase has passed; as [`resume_spec`].
pub async fn sync_spec(
    policy: &SpecPolicy,
    tenant: &Tenant,
    id: SpecId,
) -> Result<Spec, SpecCommandError> {
    let seen = tenant.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        expect_planned(&spec)?;
        let name = spec_name(tx, &spec).await?;
        Ok::<_, SpecCommandError>((spec, name))
    });
    let (spec, name) = seen.await?;
    match (spec.current_phase, spec.status) {
        (Phase::Complete, _) | (Phase::Sync, SpecStatus::Executing) => Ok(spec),
        // A person changed the tasks of one that was planned.
        (Phase::Sync, SpecStatus::Completed | SpecStatus::Failed | SpecStatus::Blocked) => {
            resume_spec(policy, tenant, id, ResumeSpec::default()).await
        }
        (_, status) => Err(SpecCommandError::NotPlanned { spec: name, status }),
    }
}

//! Makes the integration branch of a spec before its tasks need it.

use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_execution::integration::{IntegrationError, ensure_for};
use omoi_execution::spec_files::SpecRenderer;
use omoi_git::mirror::MirrorError;
use omoi_git::object::ObjectId;
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant};

use super::SpecCommandError;
use super::spec_changes::{expect_planned, spec_name};
use crate::plan_gate::PlanGate;

/// An integration branch with the commit that it is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecBranch {
    /// Its name.
    pub branch: String,
    /// The commit.
    pub head: ObjectId,
}

/// The integration branch could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateBranchError {
    /// The spec is not planned yet.
    #[error(transparent)]
    Spec(#[from] SpecCommandError),
    /// The mirror cannot be opened.
    #[error("could not open the mirror of the repository")]
    Mirror(#[from] MirrorError),
    /// The branch could not be set.
    #[error("could not make the integration branch")]
    Branch(#[from] IntegrationError),
}

impl From<StoreError> for CreateBranchError {
    fn from(error: StoreError) -> Self {
        Self::Spec(error.into())
    }
}

/// Makes the integration branch of a planned spec in the mirror, at the commit that its first task would be cut from; one
/// that is there stays as it is.
///
/// # Errors
/// [`SpecCommandError::NotPlanned`]: the branch carries what was planned.
pub async fn create_spec_branch(
    gate: &PlanGate,
    renderer: &SpecRenderer,
    tenant: &Tenant,
    id: SpecId,
) -> Result<SpecBranch, CreateBranchError> {
    let spec = tenant.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        expect_planned(&spec)?;
        match spec.current_phase {
            Phase::Complete => Ok::<Spec, SpecCommandError>(spec),
            _ => Err(SpecCommandError::NotPlanned {
                spec: spec_name(tx, &spec).await?,
                status: spec.status,
            }),
        }
    });
    let spec = spec.await?;
    let mirror = gate.folders.project_mirror(spec.project_id).await?;
    let head = ensure_for(&renderer.in_tenant(tenant), &mirror, &spec).await?;
    Ok(SpecBranch {
        branch: spec.integration_branch,
        head,
    })
}

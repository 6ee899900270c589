//! A delivered branch on its way to a repository that lies elsewhere.

use std::fs::File;

use omoi_domain::hand_over::HandOverState;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::mirror::MirrorError;
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::transfer::PackError;
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tenant, deliveries};

/// Why a delivered branch was not packed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveredBundleError {
    /// Nothing was handed over yet.
    #[error("SPEC-{number} is not delivered yet")]
    NotDelivered {
        /// Number of the spec in its project.
        number: i64,
    },
    /// The row names no commit.
    #[error("the hand-over names no commit")]
    Head(#[from] BadObjectId),
    /// The mirror could not be opened.
    #[error("could not open the mirror")]
    Mirror(#[from] MirrorError),
    /// The mirror could not pack it.
    #[error("could not pack the delivered branch")]
    Pack(#[from] PackError),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// A bundle with the delivered commit of `spec`, for whoever has those of `have` that it builds on.
///
/// # Errors
/// [`DeliveredBundleError`].
pub async fn pack_delivered(
    folders: &RepositoryFolders,
    tenant: &Tenant,
    spec: &Spec,
    have: &[ObjectId],
) -> Result<File, DeliveredBundleError> {
    let planned = tenant.read(async |tx| deliveries::find(tx, spec.id).await);
    let delivered = planned
        .await?
        .filter(|delivery| delivery.state == HandOverState::Confirmed);
    let delivered = delivered.ok_or(DeliveredBundleError::NotDelivered {
        number: spec.number,
    })?;
    let head = ObjectId::parse(&delivered.head_sha)?;
    let mirror = folders.project_mirror(spec.project_id).await?;
    Ok(mirror.bundle_commit(&head, have).await?)
}

//! What only makes sense where caller and process share a disk: repositories by their paths, and numbers that mean
//! what the repository says in which they were typed.

mod get_trust;
mod resolve_reference;
mod set_up_repository;
mod trust_repository;

use super::ApiSurface;
use super::router::{ApiRouter, operation};

/// What means rows of the caller alone, wherever it asks from.
pub(super) fn reference_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new().add(operation!(
        resolve_reference::resolve_reference,
        NotFound,
        UnclearReference
    ))
}

/// What reads repositories by their paths on the disk of this process.
pub(super) fn path_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            get_trust::get_trust,
            BadRepository,
            BadRepositoryFile
        ))
        .add(operation!(
            trust_repository::trust_repository,
            BadRepository,
            BadRepositoryFile,
            TrustOutdated
        ))
        .add(operation!(
            set_up_repository::set_up_repository,
            BadRepository,
            BadRepositoryFile,
            RepositoryNotTrusted,
            CopyRefused,
            NoSandbox
        ))
}

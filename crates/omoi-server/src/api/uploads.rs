//! Operations on projects whose repositories lie elsewhere: what is sent of them, work on it, and what comes back.

mod find_missing_commits;
mod get_spec_bundle;
mod launch_project_spec;
mod upload_bundle;

use omoi_git::object::ObjectId;

use super::ApiSurface;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            find_missing_commits::find_missing_commits,
            NotFound,
            BadRepository,
            Conflict
        ))
        .add(operation!(
            upload_bundle::upload_bundle,
            NotFound,
            BadRepository,
            BundleRefused,
            Conflict
        ))
        .add(operation!(
            launch_project_spec::launch_project_spec,
            NotFound,
            BadRepository,
            BadRepositoryFile,
            RepositoryNotTrusted,
            AgentUnusable,
            Conflict
        ))
        .add(operation!(
            get_spec_bundle::get_spec_bundle,
            NotFound,
            UnclearReference,
            NothingLanded
        ))
}

/// The commit that `text` names in full.
fn read_commit(text: &str, place: &str) -> Result<ObjectId, ApiError> {
    ObjectId::parse(text).map_err(|bad| ApiError::invalid_value(bad.to_string()).with_field(place))
}

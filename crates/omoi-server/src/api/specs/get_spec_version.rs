//! Shows a version of a spec.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_protocol::api::{EXAMPLE_SPEC, SpecVersionDetail, SpecVersionView};
use omoi_store::spec_versions::{self, SpecVersion};

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Which version.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionPath {
    /// Row id of the spec, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    pub(super) spec_id: String,
    /// Number of the version.
    #[param(example = json!(1), minimum = 1)]
    pub(super) number: i64,
}

/// Shows what a spec was planned from in one of its versions.
#[utoipa::path(
    get, path = "/specs/{spec_id}/versions/{number}", tag = "specs", params(VersionPath, OfProject),
    responses((status = 200, description = "The version.", body = SpecVersionDetail))
)]
pub(super) async fn get_spec_version(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<VersionPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecVersionDetail> {
    let VersionPath { spec_id, number } = path;
    let id = caller.find_spec(&SpecPath { spec_id }, &of).await?.id;
    let rows = caller.own_rows();
    let version = rows.read(async |tx| spec_versions::get(tx, id, number).await);
    Ok(Json(version_detail(version.await?)))
}

fn version_detail(version: SpecVersion) -> SpecVersionDetail {
    SpecVersionDetail {
        current_phase: version.current_phase,
        outputs: version.outputs.0.into_iter().collect(),
        version: SpecVersionView {
            number: version.number,
            title: version.title,
            summary: version.summary,
            actor: version.actor,
            created_at: version.created_at.into(),
        },
    }
}

//! Tells what differs between two versions of a spec.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_planning::output_diff::{ItemChange, changed_items};
use omoi_protocol::api::{EXAMPLE_SPEC, PlanItemChange, SpecTitleChange, SpecVersionDiff};
use omoi_store::StoreError;
use omoi_store::spec_versions::{self, SpecVersion, VERSIONED_PHASES};

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Which versions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionsPath {
    /// Row id of the spec, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    spec_id: String,
    /// Number of the version that is looked at from.
    #[param(example = json!(1), minimum = 1)]
    number: i64,
    /// Number of the other.
    #[param(example = json!(2), minimum = 1)]
    other: i64,
}

/// Tells which items of the plan differ from one version of a spec to another.
#[utoipa::path(
    get, path = "/specs/{spec_id}/versions/{number}/diff/{other}", tag = "specs", params(VersionsPath, OfProject),
    responses((status = 200, description = "What differs.", body = SpecVersionDiff))
)]
pub(super) async fn diff_spec_versions(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<VersionsPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<SpecVersionDiff> {
    let VersionsPath {
        spec_id,
        number,
        other,
    } = path;
    let id = caller.find_spec(&SpecPath { spec_id }, &of).await?.id;
    let read = caller.own_rows().read(async |tx| {
        let before = spec_versions::get(tx, id, number).await?;
        Ok::<_, StoreError>((before, spec_versions::get(tx, id, other).await?))
    });
    let (before, after) = read.await?;
    Ok(Json(diff_of(&before, &after)))
}

fn diff_of(before: &SpecVersion, after: &SpecVersion) -> SpecVersionDiff {
    let items = VERSIONED_PHASES.into_iter().flat_map(|phase| {
        changed_items(phase, before.phase_output(phase), after.phase_output(phase))
    });
    let view = |change: ItemChange| PlanItemChange {
        phase: change.phase,
        section: change.section,
        key: change.key,
        before: change.before,
        after: change.after,
    };
    let is_renamed = before.title != after.title;
    SpecVersionDiff {
        title: is_renamed.then(|| SpecTitleChange {
            before: before.title.clone(),
            after: after.title.clone(),
        }),
        items: items.map(view).collect(),
    }
}

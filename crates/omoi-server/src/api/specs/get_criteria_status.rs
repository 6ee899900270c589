//! Tells which criteria of a spec are proven.

use axum::Json;
use axum::extract::State;

use omoi_delivery::trace;
use omoi_protocol::api::{CriteriaStatus, CriterionStatus};

use super::{OfProject, SpecPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Tells which acceptance criteria of a spec are proven at its head.
#[utoipa::path(
    get, path = "/specs/{spec_id}/criteria-status", tag = "specs", params(SpecPath, OfProject),
    responses((status = 200, description = "The criteria.", body = CriteriaStatus))
)]
pub(super) async fn get_criteria_status(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
) -> Answer<CriteriaStatus> {
    let id = caller.find_spec(&path, &of).await?.id;
    let folders = &s.parts.repositories.folders;
    let trace = trace::of_spec(caller.own_rows(), folders, id).await?;
    let mut items = Vec::new();
    for requirement in trace.requirements {
        let criteria = requirement.criteria.into_iter();
        items.extend(criteria.map(|criterion| CriterionStatus {
            id: criterion.id,
            requirement_id: requirement.id.clone(),
            text: criterion.text,
            is_proven: criterion.proven,
            stale_since: criterion.stale_since,
        }));
    }
    Ok(Json(CriteriaStatus {
        head: trace.head,
        n_proven: items.iter().filter(|item| item.is_proven).count() as u64,
        items,
    }))
}

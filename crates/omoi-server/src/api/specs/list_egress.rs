//! Lists what sandboxes asked for from outside.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::{EgressEntryId, HumanRef, ProjectId};
use omoi_protocol::api::{EgressEntryView, EgressLogView};
use omoi_store::egress_entries::{self, EgressEntry, EgressFilter, PAGE_MAX};

use super::{OfProject, SpecPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EgressQuery {
    /// Those with this outcome.
    outcome: Option<EgressOutcome>,
    /// Those older than this entry.
    before: Option<EgressEntryId>,
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Lists what sandboxes of a spec asked for from outside, newest first.
#[utoipa::path(
    get, path = "/specs/{spec_id}/egress", tag = "specs", params(SpecPath, EgressQuery),
    responses((status = 200, description = "The newest entries.", body = EgressLogView))
)]
pub(super) async fn list_egress(
    caller: Allowed<needs::SpecRead>,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(query): ApiQuery<EgressQuery>,
) -> Answer<EgressLogView> {
    let of = OfProject {
        project_id: query.project_id,
    };
    let spec = caller.find_spec(&path, &of).await?;
    let filter = EgressFilter {
        outcome: query.outcome,
        before: query.before,
    };
    let page = caller
        .own_rows()
        .read(async |tx| Ok::<_, ApiError>(egress_entries::page_of_spec(tx, &spec, filter).await?));
    let page = page.await?;
    let last = page.last().filter(|_| page.len() == PAGE_MAX);
    let before = last.map(|(entry, _)| entry.id);
    let entries = page.into_iter();
    Ok(Json(EgressLogView {
        entries: entries
            .map(|(entry, number)| entry_view(entry, number))
            .collect(),
        before,
    }))
}

fn entry_view(entry: EgressEntry, task_number: Option<i64>) -> EgressEntryView {
    EgressEntryView {
        task_ref: task_number.map(|number| HumanRef::task(number).to_string()),
        attempt_id: entry.attempt_id,
        packages_layer: entry.packages_layer,
        outcome: entry.outcome,
        subject: entry.target,
        reason: entry.reason,
        detail: entry.detail,
        remedy: entry.remedy,
        digest: entry.digest,
        bytes: entry.bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        at: entry.created_at.into(),
    }
}

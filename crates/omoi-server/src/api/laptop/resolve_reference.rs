//! Which row a reference means.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::HumanRef;
use omoi_domain::reference::LookupUse;
use omoi_protocol::api::{ReferenceKind, ReferenceUse, ResolvedReference};
use omoi_store::{StoreError, Tx, projects};

use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::find::{self, AskedReference};
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// What was typed, where, and what for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceQuery {
    /// The kind of row.
    #[param(example = "spec")]
    kind: ReferenceKind,
    /// `SPEC-1`, `todo/TSK-003` or a row id; without it, the newest spec is meant.
    #[serde(rename = "ref")]
    #[param(example = "SPEC-1")]
    reference: Option<String>,
    /// Path of the repository it was typed in: a number without a project means that one's.
    repo_path: Option<String>,
    /// Whether the row is to be changed: then nothing is guessed.
    #[serde(rename = "use")]
    #[param(inline)]
    usage: Option<ReferenceUse>,
}

/// Tells which row a reference means to a person in a repository.
#[utoipa::path(
    get, path = "/resolve", tag = "laptop", params(ReferenceQuery),
    responses((status = 200, description = "The row.", body = ResolvedReference))
)]
pub(super) async fn resolve_reference(
    caller: Allowed<needs::SpecRead>,
    ApiQuery(query): ApiQuery<ReferenceQuery>,
) -> Answer<ResolvedReference> {
    let found = caller.own_rows().read(async |tx| resolve(tx, &query).await);
    Ok(Json(found.await?))
}

async fn resolve(tx: &mut Tx, query: &ReferenceQuery) -> Result<ResolvedReference, ApiError> {
    let here = query.repo_path.as_deref();
    let asked = query.reference.as_deref().map(|text| AskedReference {
        text,
        here,
        project: None,
        usage: match query.usage {
            Some(ReferenceUse::Act) => LookupUse::Act,
            Some(ReferenceUse::Read) | None => LookupUse::Read,
        },
    });
    let (id, project_id, item) = match (query.kind, asked) {
        (ReferenceKind::Spec, Some(asked)) => {
            let spec = find::spec(tx, asked).await?;
            (
                spec.id.as_uuid(),
                spec.project_id,
                HumanRef::spec(spec.number),
            )
        }
        (ReferenceKind::Ticket, Some(asked)) => {
            let ticket = find::find_ticket(tx, asked).await?;
            (
                ticket.id.as_uuid(),
                ticket.project_id,
                HumanRef::ticket(ticket.number),
            )
        }
        (ReferenceKind::Task, Some(asked)) => {
            let task = find::task(tx, asked).await?;
            (
                task.id.as_uuid(),
                task.project_id,
                HumanRef::task(task.number),
            )
        }
        (ReferenceKind::Spec, None) => {
            let newest = find::newest_spec(tx, here).await?;
            let spec = newest.ok_or_else(no_spec_yet)?;
            (
                spec.id.as_uuid(),
                spec.project_id,
                HumanRef::spec(spec.number),
            )
        }
        (ReferenceKind::Project, _) => return resolve_project(tx, query).await,
        (ReferenceKind::Ticket | ReferenceKind::Task, None) => {
            let says = format!("name the {} that is meant", query.kind);
            return Err(ApiError::invalid_value(says).with_field("ref"));
        }
    };
    let name = projects::names(tx).await?.reference(project_id, item);
    Ok(ResolvedReference {
        kind: query.kind,
        id,
        project_id,
        name,
    })
}

/// The project of the repository that a command was typed in; outside of one, the only one there is.
async fn resolve_project(
    tx: &mut Tx,
    query: &ReferenceQuery,
) -> Result<ResolvedReference, ApiError> {
    if query.reference.is_some() {
        let says = "a project is named by `repo_path` alone";
        return Err(ApiError::invalid_value(says).with_field("ref"));
    }
    let project_id = match query.repo_path.as_deref() {
        Some(path) => {
            let found = projects::find(tx, path).await?;
            let found = found.ok_or_else(|| StoreError::NotFound {
                what: "project",
                key: path.to_owned(),
            });
            let found = found.map_err(|missing| {
                ApiError::from(missing).hint("nothing was worked on in this repository: omoi setup")
            });
            found?.id
        }
        None => find::find_project(tx, None).await?,
    };
    let name = projects::named_project(tx, project_id).await?;
    Ok(ResolvedReference {
        kind: query.kind,
        id: project_id.as_uuid(),
        project_id,
        name: name.unique_name().to_owned(),
    })
}

fn no_spec_yet() -> ApiError {
    let missing = StoreError::NotFound {
        what: "spec",
        key: "newest".to_owned(),
    };
    ApiError::from(missing)
}

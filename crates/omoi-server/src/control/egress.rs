//! What sandboxes asked for from outside.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use tracing::info;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::{EgressEntryId, HumanRef};
use omoi_egress::listing::ListedEntries;
use omoi_egress::package::PackageVersion;
use omoi_egress::project_hosts::ProjectHosts;
use omoi_protocol::api::{AllowEgress, AllowedEgress, EgressEntryView, EgressLogView};
use omoi_store::egress_entries::{self, EgressEntry, EgressFilter, PAGE_MAX};

use super::find::{self, AskedReference, CallerRepository};
use super::{Answer, Surface};
use crate::error::{ApiError, JsonBody};

/// Which entries are asked for.
#[derive(Deserialize)]
pub(super) struct EgressQuery {
    outcome: Option<EgressOutcome>,
    before: Option<EgressEntryId>,
}

pub(super) async fn list_egress(
    State(s): Surface,
    here: CallerRepository,
    Path(spec): Path<String>,
    Query(query): Query<EgressQuery>,
) -> Answer<EgressLogView> {
    let filter = EgressFilter {
        outcome: query.outcome,
        before: query.before,
    };
    let page = s.parts.store.read(async |tx| {
        let spec = find::spec(tx, AskedReference::to_read(&spec, &here)).await?;
        Ok::<_, ApiError>(egress_entries::page_of_spec(tx, &spec, filter).await?)
    });
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

/// Lets what `body` names through from now on, for attempts at work as well.
pub(super) async fn allow_egress(
    State(s): Surface,
    JsonBody(body): JsonBody<AllowEgress>,
) -> Answer<AllowedEgress> {
    let bad = |error: &dyn std::error::Error| ApiError::invalid_value(error.to_string());
    let hosts = ProjectHosts::parse(&body.hosts).map_err(|error| bad(&error))?;
    let versions = body.versions.iter();
    let versions = versions.map(|version| version.parse::<PackageVersion>());
    let versions = versions
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&error))?;
    let Some(listing) = &s.parts.listing else {
        return Ok(Json(AllowedEgress { is_in_force: false }));
    };
    listing.add_entries(ListedEntries { hosts, versions });
    let AllowEgress { hosts, versions } = &body;
    info!(?hosts, ?versions, "A person lets more through the proxy");
    Ok(Json(AllowedEgress { is_in_force: true }))
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

//! `GET /organizations/{organization_id}/audit/export`.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures::stream;

use omoi_accounts::audit::record_export;
use omoi_store::audit_log::{self, AuditEntry};
use omoi_store::{StoreError, Tenant, Tx};

use super::{OrganizationPath, audit_entry_view};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Sends the whole audit log of an organisation as lines of JSON, oldest first. The last line tells of this.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/audit/export", tag = "organizations",
    params(OrganizationPath),
    responses((
        status = 200, description = "An `AuditEntryView` on each line.",
        content_type = "application/x-ndjson", body = String
    ))
)]
pub(super) async fn export_audit(
    caller: Allowed<needs::OrgAuditRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
) -> Result<Response, ApiError> {
    let org = caller.expect_organization(path.organization_id)?;
    record_export(&caller.accounts_of(&s).store, org).await?;
    let rows = caller.own_rows().clone();
    let head = rows
        .read(async |tx: &mut Tx| audit_log::chain_head(tx).await)
        .await?;
    let begun = ExportedLog {
        rows,
        after: 0,
        last: head.seq,
    };
    let chunks = stream::try_unfold(begun, |mut log| async move {
        let chunk = log.next_chunk().await?;
        Ok::<_, StoreError>(chunk.map(|chunk| (chunk, log)))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// A log that is sent, up to the entry that was the newest when it was asked for.
struct ExportedLog {
    rows: Tenant,
    after: i64,
    last: i64,
}

impl ExportedLog {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        let after = self.after;
        let entries = self
            .rows
            .read(async |tx: &mut Tx| audit_log::entries_after(tx, after).await);
        let mut entries: Vec<AuditEntry> = entries.await?;
        entries.retain(|entry| entry.seq <= self.last);
        let Some(newest) = entries.last() else {
            return Ok(None);
        };
        self.after = newest.seq;
        let mut text = Vec::new();
        for entry in entries {
            let line = serde_json::to_vec(&audit_entry_view(entry)).map_err(StoreError::Encode)?;
            text.extend(line);
            text.push(b'\n');
        }
        Ok(Some(text.into()))
    }
}

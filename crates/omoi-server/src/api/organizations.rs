//! Organisations: who did what in them.

mod export_audit;
mod list_audit;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{ActorId, AuditTargetId, OrgId};
use omoi_protocol::api::{AuditEntryView, EXAMPLE_ORGANIZATION};
use omoi_store::audit_log::AuditEntry;

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_audit::list_audit, InvalidCursor))
        .add(operation!(export_audit::export_audit))
}

/// Which organisation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OrganizationPath {
    /// Row id of the organisation.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
}

/// An entry of the audit log as the API shows it.
pub fn audit_entry_view(entry: AuditEntry) -> AuditEntryView {
    // What is no JSON was changed past the platform: it is shown as the text that it is.
    let shown = |text: Option<String>| {
        text.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| text.into()))
    };
    AuditEntryView {
        id: entry.id,
        seq: entry.seq,
        organization_id: entry.org_id,
        occurred_at: entry.occurred_at.into(),
        actor_kind: entry.actor.actor_kind(),
        actor_id: entry.actor.actor_id().map(ActorId::from_uuid),
        credential_id: entry.credential_id,
        action: entry.action,
        target_type: entry.target.target_kind,
        target_id: entry.target.target_id.map(AuditTargetId::from_uuid),
        outcome: entry.outcome,
        ip: entry.ip,
        user_agent: entry.user_agent,
        request_id: entry.request_id,
        reason: entry.reason,
        before: shown(entry.value_before),
        after: shown(entry.value_after),
        digest: entry.digest,
    }
}

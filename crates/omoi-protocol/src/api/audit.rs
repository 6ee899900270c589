//! The audit log of an organisation.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::actor::ActorKind;
use omoi_domain::audit::{AuditAction, AuditOutcome, AuditTargetKind};
use omoi_domain::id::{ActorId, AuditEntryId, AuditTargetId, CredentialId, OrgId};

use super::ApiTime;

/// An act, as the audit log tells it. `GET /organizations/{organization_id}/audit`, and each line of its export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryView {
    /// Its id.
    pub id: AuditEntryId,
    /// Its number in the log of its organisation, without gaps.
    pub seq: i64,
    /// Whose log it stands in.
    pub organization_id: OrgId,
    /// When it was done.
    pub occurred_at: ApiTime,
    /// What did it.
    pub actor_kind: ActorKind,
    /// Which user, key or attempt did it; none of the platform itself.
    pub actor_id: Option<ActorId>,
    /// The sign-in or key that the request came with.
    pub credential_id: Option<CredentialId>,
    /// What was done.
    pub action: AuditAction,
    /// What it was done to.
    pub target_type: AuditTargetKind,
    /// Which row; none of what has no row.
    pub target_id: Option<AuditTargetId>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The address that the request came from.
    pub ip: Option<String>,
    /// What the program calls itself.
    pub user_agent: Option<String>,
    /// What the access log calls the request.
    pub request_id: Option<String>,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// What was there before.
    pub before: Option<Value>,
    /// What is there since.
    pub after: Option<Value>,
    /// SHA-256 of the digest before it and of what the entry says, as 64 hexadecimal digits.
    pub digest: String,
}

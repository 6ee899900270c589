//! What a person is told of by themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{
    ApprovalId, CommentId, InvitationId, NotificationId, OrgId, ProjectId, RoleId, SpecId, TicketId,
};
use omoi_domain::notification::NotificationKind;

use super::example::EXAMPLE_NOTIFICATION;
use super::ticket::ActorView;
use super::time::ApiTime;

/// Notifications that one request names, at most.
pub const NOTIFICATIONS_MAX: usize = 200;

/// A person is told of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationView {
    /// Row id of the notification.
    pub id: NotificationId,
    /// Why they are told.
    pub kind: NotificationKind,
    /// The organisation of what they are told.
    pub organization_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// The ticket that it is about, where it is about one.
    pub ticket_id: Option<TicketId>,
    /// The spec whose plan it is about, where it is about one.
    pub spec_id: Option<SpecId>,
    /// The comment that mentions them.
    pub comment_id: Option<CommentId>,
    /// The question that waits for their answer.
    pub approval_id: Option<ApprovalId>,
    /// Who mentions them, or asks.
    pub actor: ActorView,
    /// Since when.
    pub created_at: ApiTime,
    /// When they took note of it, or it was over; none of what is unread.
    pub read_at: Option<ApiTime>,
}

/// An invitation to whoever asks, until they accept it or it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnInvitationView {
    /// Row id of the invitation.
    pub id: InvitationId,
    /// Where to.
    pub organization_id: OrgId,
    /// The role that they get.
    pub role_id: RoleId,
    /// When it ends.
    pub expires_at: ApiTime,
}

/// What a person is told. `GET /notifications`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationList {
    /// Of all organisations that they reach, newest first.
    pub items: Vec<NotificationView>,
    /// `before` of what follows; none where this is all.
    pub next_before: Option<NotificationId>,
    /// Open invitations to their address: they count as unread until they are accepted or over.
    pub invitations: Vec<OwnInvitationView>,
}

/// How much waits for a person. `GET /notifications/unread-count`, `POST /notifications/read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreadCount {
    /// Notifications and invitations together.
    pub unread_count: u32,
}

/// `POST /notifications/read`: these are known, or all there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ids": [EXAMPLE_NOTIFICATION] }))]
#[serde(deny_unknown_fields)]
pub struct ReadNotifications {
    /// Row ids of notifications; left out where `all` is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 200)]
    pub ids: Option<Vec<NotificationId>>,
    /// Whether all of them are known.
    #[serde(default)]
    pub all: bool,
}

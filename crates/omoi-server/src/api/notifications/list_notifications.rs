//! Lists what a person is told.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::NotificationId;
use omoi_protocol::api::{NotificationList, NotificationView, OwnInvitationView};
use omoi_store::Tx;
use omoi_store::notifications::{self, Notification, NotificationFilter};

use super::{expect_person, own_invitations, told_reaches};
use crate::api::caller::AccountCaller;
use crate::api::list::page_limit;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::{Answer, Surface};

/// Which notifications.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct NotificationQuery {
    /// Whether those that were read are left out.
    #[serde(default)]
    unread: bool,
    /// Those before this one: `next_before` of the list before.
    before: Option<NotificationId>,
    /// How many, 1 to 200; 50 without it.
    limit: Option<u32>,
}

/// Lists what whoever asks is told, newest first, in all organisations that they reach: that comments mention them, that
/// questions wait for their answer, and invitations to their address.
#[utoipa::path(
    get, path = "/notifications", tag = "notifications", params(NotificationQuery),
    responses((status = 200, description = "What they are told.", body = NotificationList))
)]
pub(super) async fn list_notifications(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
    ApiQuery(query): ApiQuery<NotificationQuery>,
) -> Answer<NotificationList> {
    let user = expect_person(&caller)?;
    let limit = page_limit(query.limit)?;
    let filter = NotificationFilter {
        is_unread: query.unread,
        before: query.before,
        limit: limit + 1,
    };
    let mut found = Vec::new();
    for reach in told_reaches(&caller) {
        let rows = s.rows_of(reach.org, caller.actor);
        let listed =
            rows.read(async |tx: &mut Tx| notifications::list_of_user(tx, user, filter).await);
        found.extend(listed.await?);
    }
    found.sort_by_key(|notification: &Notification| std::cmp::Reverse(notification.id));
    let is_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_before = found.last().filter(|_| is_more).map(|last| last.id);
    let invitations = own_invitations(&s, &caller, user).await?.into_iter();
    Ok(Json(NotificationList {
        items: found.into_iter().map(notification_view).collect(),
        next_before,
        invitations: invitations
            .map(|invitation| OwnInvitationView {
                id: invitation.id,
                organization_id: invitation.org_id,
                role_id: invitation.role.role_id(),
                expires_at: invitation.expires_at.into(),
            })
            .collect(),
    }))
}

fn notification_view(notification: Notification) -> NotificationView {
    NotificationView {
        id: notification.id,
        kind: notification.kind,
        organization_id: notification.org_id,
        project_id: notification.project_id,
        ticket_id: notification.ticket_id,
        spec_id: notification.spec_id,
        comment_id: notification.comment_id,
        approval_id: notification.approval_id,
        actor: notification.actor.into(),
        created_at: notification.created_at.into(),
        read_at: notification.read_at.map(Into::into),
    }
}

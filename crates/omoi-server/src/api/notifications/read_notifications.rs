//! Notes what a person knows of.

use axum::Json;
use axum::extract::State;

use omoi_execution::commands::read_notifications as mark_read;
use omoi_protocol::api::{NOTIFICATIONS_MAX, ReadNotifications, UnreadCount};

use super::{expect_person, told_reaches, unread_count};
use crate::api::body::ApiBody;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Notes that whoever asks knows of notifications, by their ids or of all of them. What is not theirs stays as it is, and
/// is answered the same way.
#[utoipa::path(
    post, path = "/notifications/read", tag = "notifications", request_body = ReadNotifications,
    responses((status = 200, description = "How many are unread now.", body = UnreadCount))
)]
pub(super) async fn read_notifications(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
    ApiBody(body): ApiBody<ReadNotifications>,
) -> Answer<UnreadCount> {
    let user = expect_person(&caller)?;
    let refuse = |says: &str| ApiError::invalid_value(says).with_field("/ids");
    let ids = match (&body.ids, body.all) {
        (None, true) => None,
        (Some(ids), false) if ids.len() <= NOTIFICATIONS_MAX => Some(ids.as_slice()),
        (Some(_), false) => return Err(refuse("one request names 200 notifications at most")),
        (Some(_), true) | (None, false) => {
            return Err(refuse("either `ids` or `all` says what is known"));
        }
    };
    let store = caller.accounts_of(&s).store;
    for reach in told_reaches(&caller) {
        let rows = store.tenant(reach.org).acting_as(caller.actor);
        mark_read(&rows, user, ids).await?;
    }
    Ok(Json(unread_count(&s, &caller, user).await?))
}

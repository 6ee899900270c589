//! Counts what a person took no note of.

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::UnreadCount;

use super::{expect_person, unread_count};
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Counts the notifications that whoever asks took no note of, with their open invitations.
#[utoipa::path(
    get, path = "/notifications/unread-count", tag = "notifications",
    responses((status = 200, description = "How many.", body = UnreadCount))
)]
pub(super) async fn count_unread(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
) -> Answer<UnreadCount> {
    let user = expect_person(&caller)?;
    Ok(Json(unread_count(&s, &caller, user).await?))
}

//! `PATCH /auth/me`.

use axum::Json;
use axum::extract::State;

use omoi_accounts::commands::profile::{ProfileChange, update_profile};
use omoi_accounts::error::AccountError;
use omoi_domain::access::profile::BadProfile;
use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{AccountView, UpdateAccount};

use super::{account_view, expect_person};
use crate::api::body::ApiBody;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, ApiSurface, Surface};
use crate::error::ApiError;

/// Changes what the account of whoever asks says of them.
#[utoipa::path(
    patch, path = "/auth/me", tag = "auth", request_body = UpdateAccount,
    responses((status = 200, description = "The account as it is then.", body = AccountView))
)]
pub(super) async fn update_account(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiBody(body): ApiBody<UpdateAccount>,
) -> Answer<AccountView> {
    let user = expect_person(&caller)?;
    let change = ProfileChange {
        full_name: body.full_name,
        department: body.department,
        attributes: body.attributes,
    };
    let updated = update_profile(&caller.accounts_of(&s), user, change).await;
    let updated = updated.map_err(|error| refuse_profile(&s, error))?;
    Ok(Json(account_view(updated, &caller)))
}

fn refuse_profile(s: &ApiSurface, error: AccountError) -> ApiError {
    let field = match &error {
        AccountError::Name(_) => "/full_name",
        AccountError::Profile(BadProfile::Department) => "/department",
        AccountError::Profile(_) => "/attributes",
        _ => return s.refuse_account(error),
    };
    ApiError::new(ErrorCode::ValidationFailed, error.to_string()).with_field(field)
}

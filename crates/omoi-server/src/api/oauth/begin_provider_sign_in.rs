//! `GET /auth/oauth/{provider}`.

use axum::extract::State;
use axum::response::{Redirect, Response};

use omoi_accounts::commands::provider_sign_in::{FlowPurpose, begin_flow};

use super::{ProviderPath, ReturnQuery, keep_in_browser, refuse_provider};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Anyone;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Sends a browser to a provider to sign in there.
#[utoipa::path(
    get, path = "/auth/oauth/{provider}", tag = "oauth", params(ProviderPath, ReturnQuery),
    responses((status = 303, description = "The provider's page of consent."))
)]
pub(super) async fn begin_provider_sign_in(
    _: Anyone,
    State(s): Surface,
    ApiPath(path): ApiPath<ProviderPath>,
    ApiQuery(query): ApiQuery<ReturnQuery>,
) -> Result<Response, ApiError> {
    let purpose = FlowPurpose::SignIn;
    let begun = begin_flow(
        &s.accounts,
        &s.providers,
        path.provider,
        purpose,
        query.address(),
    )
    .await;
    let begun = begun.map_err(|error| refuse_provider(&s, error))?;
    Ok(keep_in_browser(
        &s,
        &begun,
        Redirect::to(&begun.consent_url),
    ))
}

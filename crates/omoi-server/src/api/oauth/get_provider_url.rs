//! `GET /auth/oauth/{provider}/url`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use omoi_accounts::commands::provider_sign_in::{FlowPurpose, begin_flow};
use omoi_protocol::api::ProviderConsent;

use super::{ProviderPath, ReturnQuery, keep_in_browser, refuse_provider};
use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Anyone;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Tells the page of a provider where somebody who signs in consents. The browser that asks is the one that may come
/// back, within ten minutes.
#[utoipa::path(
    get, path = "/auth/oauth/{provider}/url", tag = "oauth", params(ProviderPath, ReturnQuery),
    responses((status = 200, description = "Where to go.", body = ProviderConsent))
)]
pub(super) async fn get_provider_url(
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
    let consent = ProviderConsent {
        auth_url: begun.consent_url.clone(),
        state: begun.state.clone(),
    };
    Ok(keep_in_browser(&s, &begun, Json(consent)))
}

//! `POST /auth/oauth/{provider}/connect`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use omoi_accounts::commands::provider_sign_in::{FlowPurpose, begin_flow};
use omoi_protocol::api::ProviderConsent;

use super::{ProviderPath, ReturnQuery, keep_in_browser, refuse_provider};
use crate::api::Surface;
use crate::api::auth::expect_person;
use crate::api::body::ApiPath;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Begins to link an account at a provider to the account of whoever asks, who goes to the provider's page in this
/// browser.
#[utoipa::path(
    post, path = "/auth/oauth/{provider}/connect", tag = "oauth", params(ProviderPath, ReturnQuery),
    responses((status = 200, description = "Where to go.", body = ProviderConsent))
)]
pub(super) async fn link_provider(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiPath(path): ApiPath<ProviderPath>,
    ApiQuery(query): ApiQuery<ReturnQuery>,
) -> Result<Response, ApiError> {
    let purpose = FlowPurpose::Link(expect_person(&caller)?);
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

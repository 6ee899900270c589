//! `GET /auth/oauth/providers`.

use axum::Json;
use axum::extract::State;

use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_protocol::api::{ListPage, SignInProviderView};

use crate::api::caller::Anyone;
use crate::api::{Answer, Surface};

/// Lists the providers by which people can sign in, and which of them are set up here.
#[utoipa::path(
    get, path = "/auth/oauth/providers", tag = "oauth",
    responses((status = 200, description = "The providers.", body = ListPage<SignInProviderView>))
)]
pub(super) async fn list_providers(
    _: Anyone,
    State(s): Surface,
) -> Answer<ListPage<SignInProviderView>> {
    let view = |name: &IdentityProvider| SignInProviderView {
        name: *name,
        enabled: s.providers.find_provider(*name).is_some(),
    };
    let items = IdentityProvider::ALL.iter().map(view).collect();
    Ok(Json(ListPage::whole_list(items)))
}

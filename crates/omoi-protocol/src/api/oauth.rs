//! Signing in by an account at a provider.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::access::provider_identity::IdentityProvider;

use super::ApiTime;

/// A provider by which people sign in. `GET /auth/oauth/providers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignInProviderView {
    /// Its name.
    pub name: IdentityProvider,
    /// Whether it is set up here.
    pub enabled: bool,
}

/// Where somebody consents at a provider. `GET /auth/oauth/{provider}/url`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderConsent {
    /// The provider's page.
    pub auth_url: String,
    /// What the browser comes back with.
    pub state: String,
}

/// The code that a browser came back with. `POST /auth/oauth/exchange`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "code": "9f0c2b7d6a514e38b1c4d2e7f8a90315" }))]
#[serde(deny_unknown_fields)]
pub struct SignInCode {
    /// What stands behind `#code=`.
    pub code: String,
}

/// An account at a provider that opens an account here. `GET /auth/oauth/connected`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkedProviderView {
    /// The provider.
    pub provider: IdentityProvider,
    /// What the person was called there when it was linked.
    pub username: Option<String>,
    /// When it was linked.
    pub linked_at: ApiTime,
}

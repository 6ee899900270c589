//! Keys that an organisation brings for providers of models.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiTime;

/// A key for a provider of models. `PUT /organizations/{organization_id}/provider-keys/{provider_name}`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "key": "sk-example-0123456789-x4f9" }))]
#[serde(deny_unknown_fields)]
pub struct SetProviderKey {
    /// The key as the provider gave it: 16 to 512 letters, digits and signs.
    #[schema(format = Password)]
    pub key: String,
}

/// A key that an organisation brought. `GET /organizations/{organization_id}/provider-keys`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderKeyView {
    /// What the deployment calls the provider.
    pub provider: String,
    /// The last four characters of the key; the rest is never told.
    pub last_four: String,
    /// When it was brought.
    pub set_at: ApiTime,
}

impl fmt::Debug for SetProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetProviderKey").finish_non_exhaustive()
    }
}

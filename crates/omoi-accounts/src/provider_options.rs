//! What can be configured of signing in by other providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use omoi_integrations::oauth::github::{GithubAddresses, GithubSignIn};
use omoi_integrations::oauth::google::GoogleSignIn;
use omoi_integrations::oauth::{OAuthClient, ProviderError, SignInProvider};
use secrecy::SecretString;

use crate::providers::SignInProviders;

config_keys! {
    /// Keys of signing in by other providers.
    OAUTH_KEYS of OAUTH = "oauth", "OAUTH_";

    /// Client id of this server at GitHub; people sign in by GitHub where it and the secret are set.
    OAUTH_GITHUB_ID: Option<String> = ConfigKey::new(&OAUTH, "github_client_id", ValueKind::Text, "")
        .closed_to_repository();
    /// Its secret.
    OAUTH_GITHUB_SECRET: Option<SecretString> =
        ConfigKey::new(&OAUTH, "github_client_secret", ValueKind::Secret, "")
            .closed_to_repository();
    /// GitHub's page of consent.
    OAUTH_GITHUB_AUTHORIZE: String = ConfigKey::new(
        &OAUTH, "github_authorize_url", ValueKind::Url(&["http", "https"]), "https://github.com/login/oauth/authorize",
    )
    .closed_to_repository();
    /// Where GitHub exchanges codes.
    OAUTH_GITHUB_TOKEN: String = ConfigKey::new(
        &OAUTH, "github_token_url", ValueKind::Url(&["http", "https"]), "https://github.com/login/oauth/access_token",
    )
    .closed_to_repository();
    /// The root of GitHub's REST API.
    OAUTH_GITHUB_API: String = ConfigKey::new(
        &OAUTH, "github_api_url", ValueKind::Url(&["http", "https"]), "https://api.github.com",
    )
    .closed_to_repository();
    /// Client id of this server at Google; people sign in by Google where it and the secret are set.
    OAUTH_GOOGLE_ID: Option<String> = ConfigKey::new(&OAUTH, "google_client_id", ValueKind::Text, "")
        .closed_to_repository();
    /// Its secret.
    OAUTH_GOOGLE_SECRET: Option<SecretString> =
        ConfigKey::new(&OAUTH, "google_client_secret", ValueKind::Secret, "")
            .closed_to_repository();
    /// Who issues Google's ID tokens; its addresses are found there.
    OAUTH_GOOGLE_ISSUER: String = ConfigKey::new(
        &OAUTH, "google_issuer", ValueKind::Url(&["http", "https"]), "https://accounts.google.com",
    )
    .closed_to_repository();
}

/// The providers that `config` sets up for a server that people reach at `public_url`. Without an address that they come back to,
/// there are none.
///
/// # Errors
/// [`ProviderError::UnsafeAddress`] for an address that is neither https nor of this machine.
pub fn sign_in_providers(
    config: &Config,
    public_url: Option<&str>,
) -> Result<SignInProviders, ProviderError> {
    let Some(public_url) = public_url else {
        return Ok(SignInProviders::default());
    };
    let client = |provider: IdentityProvider, id: Option<String>, secret: Option<SecretString>| {
        Some(OAuthClient {
            client_id: id?,
            client_secret: secret?,
            callback: format!("{public_url}/api/v1/auth/oauth/{provider}/callback"),
        })
    };
    let mut by_name = BTreeMap::<_, Arc<dyn SignInProvider>>::new();
    let (id, secret) = (
        config.get(&OAUTH_GITHUB_ID),
        config.get(&OAUTH_GITHUB_SECRET),
    );
    if let Some(client) = client(IdentityProvider::GitHub, id, secret) {
        let addresses = GithubAddresses {
            authorize: config.get(&OAUTH_GITHUB_AUTHORIZE),
            token: config.get(&OAUTH_GITHUB_TOKEN),
            api: config.get(&OAUTH_GITHUB_API),
        };
        let github = GithubSignIn::new(&client, &addresses)?;
        by_name.insert(IdentityProvider::GitHub, Arc::new(github));
    }
    let (id, secret) = (
        config.get(&OAUTH_GOOGLE_ID),
        config.get(&OAUTH_GOOGLE_SECRET),
    );
    if let Some(client) = client(IdentityProvider::Google, id, secret) {
        let google = GoogleSignIn::new(&client, &config.get(&OAUTH_GOOGLE_ISSUER))?;
        by_name.insert(IdentityProvider::Google, Arc::new(google));
    }
    Ok(SignInProviders::new(by_name, vec![public_url.to_owned()]))
}

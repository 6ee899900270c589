//! Signing in by GitHub: its web application flow with PKCE, and the profile and addresses of its REST API.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{Request, StatusCode};
use oauth2::basic::{BasicClient, BasicErrorResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, RedirectUrl, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::planted_bug::{PlantedBug, is_planted};
use omoi_domain::time::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::provider_http::{ProviderHttp, safe_url};
use super::{
    OAuthClient, ProviderError, ProviderHttpError, ProviderProfile, SignInProvider, SignInReturn,
    SignInSecrets, given_name,
};

/// Who the person is and which addresses are theirs; nothing about repositories.
const SCOPES: [&str; 2] = ["read:user", "user:email"];
/// The version of the REST API that the answers are read in.
const API_VERSION: (&str, &str) = ("x-github-api-version", "2022-11-28");
/// Answers of 100 are the longest.
const ADDRESSES_PATH: &str = "user/emails?per_page=100";

/// Addresses of GitHub, or of a GitHub that somebody else runs.
#[derive(Clone, Debug)]
pub struct GithubAddresses {
    /// The page of consent.
    pub authorize: String,
    /// Where codes are exchanged.
    pub token: String,
    /// The root of the REST API.
    pub api: String,
}

impl Default for GithubAddresses {
    fn default() -> Self {
        Self {
            authorize: "https://github.com/login/oauth/authorize".to_owned(),
            token: "https://github.com/login/oauth/access_token".to_owned(),
            api: "https://api.github.com".to_owned(),
        }
    }
}

type GithubOAuth =
    BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Signs in by GitHub.
#[derive(Debug)]
pub struct GithubSignIn {
    http: ProviderHttp,
    oauth: GithubOAuth,
    api: String,
}

impl GithubSignIn {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// [`ProviderError::UnsafeAddress`], [`ProviderError::Client`].
    pub fn new(client: &OAuthClient, addresses: &GithubAddresses) -> Result<Self, ProviderError> {
        let api = safe_url(&addresses.api)?;
        let oauth = BasicClient::new(ClientId::new(client.client_id.clone()))
            .set_client_secret(ClientSecret::new(
                client.client_secret.expose_secret().to_owned(),
            ))
            .set_auth_uri(AuthUrl::from_url(safe_url(&addresses.authorize)?))
            .set_token_uri(TokenUrl::from_url(safe_url(&addresses.token)?))
            .set_redirect_uri(RedirectUrl::from_url(safe_url(&client.callback)?))
            // As it documents: the id and the secret stand in the body.
            .set_auth_type(AuthType::RequestBody);
        Ok(Self {
            http: ProviderHttp::new()?,
            oauth,
            api: api.as_str().trim_end_matches('/').to_owned(),
        })
    }

    fn consent(&self, secrets: &SignInSecrets) -> String {
        let (url, _state) = self
            .oauth
            .authorize_url(|| CsrfToken::new(secrets.state.clone()))
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(secrets.challenge())
            .url();
        url.into()
    }

    async fn profile(&self, back: SignInReturn<'_>) -> Result<ProviderProfile, ProviderError> {
        let code = AuthorizationCode::new(back.code.to_owned());
        let exchange = self
            .oauth
            .exchange_code(code)
            .set_pkce_verifier(back.secrets.verifier());
        let answer = exchange
            .request_async(&self.http)
            .await
            .map_err(token_error)?;
        let token = answer.access_token().secret();
        let user: GithubUser = self.get("user", token).await?;
        let addresses: Vec<GithubAddress> = self.get(ADDRESSES_PATH, token).await?;
        Ok(ProviderProfile {
            provider: IdentityProvider::GitHub,
            provider_user_id: user.id.to_string(),
            username: given_name(Some(&user.login)),
            full_name: given_name(user.name.as_deref()),
            address: choose_address(&addresses),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, ProviderError> {
        let request = Request::get(format!("{}/{path}", self.api))
            .header(ACCEPT, "application/vnd.github+json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(API_VERSION.0, API_VERSION.1)
            .body(Vec::new())
            .map_err(|_| ProviderError::answer("its token is no header value"))?;
        let answer = self.http.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(ProviderError::answer(format_args!(
                "{} for `{path}`",
                answer.status()
            )));
        }
        serde_json::from_slice(answer.body())
            .map_err(|error| ProviderError::answer(format_args!("`{path}`: {error}")))
    }
}

impl SignInProvider for GithubSignIn {
    fn consent_url<'a>(
        &'a self,
        secrets: &'a SignInSecrets,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<String, ProviderError>> {
        futures::future::ready(Ok(self.consent(secrets))).boxed()
    }

    fn read_profile<'a>(
        &'a self,
        back: SignInReturn<'a>,
    ) -> BoxFuture<'a, Result<ProviderProfile, ProviderError>> {
        self.profile(back).boxed()
    }
}

/// What is read of a user.
#[derive(Deserialize)]
struct GithubUser {
    id: u64,
    login: String,
    name: Option<String>,
}

/// What is read of an address of a user.
#[derive(Deserialize)]
struct GithubAddress {
    email: String,
    primary: bool,
    verified: bool,
}

/// The primary address if it is verified, else the first verified one.
fn choose_address(addresses: &[GithubAddress]) -> Option<MailAddress> {
    let is_any = is_planted(PlantedBug::ProviderAddress);
    let verified = || {
        addresses
            .iter()
            .filter(|address| address.verified || is_any)
    };
    let chosen = verified()
        .find(|address| address.primary)
        .or_else(|| verified().next())?;
    chosen.email.parse().ok()
}

/// GitHub refuses with status 200, which the client library takes for a token without its parts.
fn token_error(error: RequestTokenError<ProviderHttpError, BasicErrorResponse>) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => error.into(),
        RequestTokenError::ServerResponse(refusal) => {
            ProviderError::refused(refusal.error().as_ref())
        }
        RequestTokenError::Parse(_, body) => {
            match serde_json::from_slice::<BasicErrorResponse>(&body) {
                Ok(refusal) => ProviderError::refused(refusal.error().as_ref()),
                // Not what it says: it could hold a token.
                Err(_) => ProviderError::answer("the answer to a code is no token"),
            }
        }
        RequestTokenError::Other(_) => ProviderError::answer("the answer to a code is no token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verified_address_is_used_and_the_primary_one_first() {
        let check = |addresses: &[(&str, bool, bool)], expected: Option<&str>| {
            let addresses: Vec<GithubAddress> = addresses
                .iter()
                .map(|(email, primary, verified)| GithubAddress {
                    email: (*email).to_owned(),
                    primary: *primary,
                    verified: *verified,
                })
                .collect();
            let chosen = choose_address(&addresses);
            assert_eq!(chosen.as_ref().map(MailAddress::as_str), expected);
        };
        check(&[], None);
        check(&[("a@x.org", true, false)], None);
        check(
            &[("a@x.org", false, true), ("B@x.org", true, true)],
            Some("b@x.org"),
        );
        check(
            &[
                ("a@x.org", true, false),
                ("b@x.org", false, true),
                ("c@x.org", false, true),
            ],
            Some("b@x.org"),
        );
        check(&[("no address", true, true)], None);
    }
}

//! Signing in by Google, or by another provider that speaks OpenID Connect and vouches for addresses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::time::Timestamp;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenClaims,
    CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse,
    TokenResponse as _,
};
use secrecy::ExposeSecret as _;

use super::provider_http::{ProviderHttp, safe_url};
use super::{
    OAuthClient, ProviderError, ProviderHttpError, ProviderProfile, SignInProvider, SignInReturn,
    SignInSecrets, given_name,
};

/// The address of Google as an OpenID provider.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";
/// Who the person is; nothing that outlives the sign-in.
const SCOPES: [&str; 2] = ["email", "profile"];
/// Signatures by a private key alone: with the client's secret, whoever knows it could sign.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 2] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
];
/// How long addresses and keys of the provider are believed.
const METADATA_AGE_MAX: Duration = Duration::from_hours(1);
/// How old they must be to be asked for again because of a key that is not among them.
const METADATA_AGE_MIN: Duration = Duration::from_mins(1);

type OpenIdClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Addresses and keys of the provider.
#[derive(Clone, Debug)]
struct KnownProvider {
    metadata: Arc<CoreProviderMetadata>,
    read_at: Timestamp,
}

/// Signs in by OpenID Connect.
#[derive(Debug)]
pub struct GoogleSignIn {
    http: ProviderHttp,
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    callback: RedirectUrl,
    known: Mutex<Option<KnownProvider>>,
}

impl GoogleSignIn {
    /// Asks nobody yet. `issuer` is [`GOOGLE_ISSUER`] but in tests.
    ///
    /// # Errors
    /// [`ProviderError::UnsafeAddress`], [`ProviderError::Client`].
    pub fn new(client: &OAuthClient, issuer: &str) -> Result<Self, ProviderError> {
        safe_url(issuer)?;
        let issuer =
            IssuerUrl::new(issuer.to_owned()).map_err(|_| ProviderError::UnsafeAddress {
                url: issuer.to_owned(),
            })?;
        Ok(Self {
            http: ProviderHttp::new()?,
            issuer,
            client_id: ClientId::new(client.client_id.clone()),
            client_secret: ClientSecret::new(client.client_secret.expose_secret().to_owned()),
            callback: RedirectUrl::from_url(safe_url(&client.callback)?),
            known: Mutex::default(),
        })
    }

    async fn consent(
        &self,
        secrets: &SignInSecrets,
        now: Timestamp,
    ) -> Result<String, ProviderError> {
        let client = self.client(&self.provider(now).await?);
        let SignInSecrets { state, nonce, .. } = secrets.clone();
        let (url, _state, _nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("prompt", "select_account")
            .set_pkce_challenge(secrets.challenge())
            .url();
        Ok(url.into())
    }

    async fn profile(&self, back: SignInReturn<'_>) -> Result<ProviderProfile, ProviderError> {
        let provider = self.provider(back.now).await?;
        let client = self.client(&provider);
        let code = AuthorizationCode::new(back.code.to_owned());
        let exchange = client
            .exchange_code(code)
            .map_err(|_| ProviderError::answer("it names no address for codes"))?
            .set_pkce_verifier(back.secrets.verifier());
        let answer = exchange
            .request_async(&self.http)
            .await
            .map_err(token_error)?;
        let token = answer
            .id_token()
            .ok_or_else(|| ProviderError::answer("there is no ID token"))?;
        let claims = self.verify(token, &provider, &back).await?;
        let vouches = claims.email_verified() == Some(true);
        let address = claims.email().filter(|_| vouches);
        let name = claims.name().and_then(|name| name.get(None));
        Ok(ProviderProfile {
            provider: IdentityProvider::Google,
            provider_user_id: claims.subject().to_string(),
            username: None,
            full_name: given_name(name.map(|name| name.as_str())),
            address: address.and_then(|address| address.parse().ok()),
        })
    }

    /// The claims of a token that the provider signed for us, for this sign-in, and that has not ended.
    async fn verify(
        &self,
        token: &CoreIdToken,
        provider: &KnownProvider,
        back: &SignInReturn<'_>,
    ) -> Result<CoreIdTokenClaims, ProviderError> {
        let claims = match self.read_claims(token, provider, back) {
            // Providers change their keys; not every token with a strange key may make us ask.
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) if back.now.since(provider.read_at) >= METADATA_AGE_MIN => {
                let provider = self.discover(back.now).await?;
                self.read_claims(token, &provider, back)
            }
            claims => claims,
        };
        claims.map_err(|error| ProviderError::IdToken {
            why: super::name_line(&error.to_string()),
        })
    }

    fn read_claims(
        &self,
        token: &CoreIdToken,
        provider: &KnownProvider,
        back: &SignInReturn<'_>,
    ) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
        let now = DateTime::<Utc>::from_timestamp_micros(back.now.as_micros());
        let now = now.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let client = self.client(provider);
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now);
        let nonce = Nonce::new(back.secrets.nonce.clone());
        token.claims(&verifier, &nonce).cloned()
    }

    fn client(&self, provider: &KnownProvider) -> OpenIdClient {
        CoreClient::from_provider_metadata(
            CoreProviderMetadata::clone(&provider.metadata),
            self.client_id.clone(),
            Some(self.client_secret.clone()),
        )
        .set_redirect_uri(self.callback.clone())
    }

    /// What is known of the provider, asked for again when it is old.
    async fn provider(&self, now: Timestamp) -> Result<KnownProvider, ProviderError> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match known.filter(|known| now.since(known.read_at) < METADATA_AGE_MAX) {
            Some(known) => Ok(known),
            None => self.discover(now).await,
        }
    }

    async fn discover(&self, now: Timestamp) -> Result<KnownProvider, ProviderError> {
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http)
            .await
            .map_err(discovery_error)?;
        let known = KnownProvider {
            metadata: Arc::new(metadata),
            read_at: now,
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

impl SignInProvider for GoogleSignIn {
    fn consent_url<'a>(
        &'a self,
        secrets: &'a SignInSecrets,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<String, ProviderError>> {
        self.consent(secrets, now).boxed()
    }

    fn read_profile<'a>(
        &'a self,
        back: SignInReturn<'a>,
    ) -> BoxFuture<'a, Result<ProviderProfile, ProviderError>> {
        self.profile(back).boxed()
    }
}

fn discovery_error(error: DiscoveryError<ProviderHttpError>) -> ProviderError {
    match error {
        DiscoveryError::Request(error) => error.into(),
        error => ProviderError::answer(format_args!("its addresses and keys: {error}")),
    }
}

fn token_error(
    error: RequestTokenError<ProviderHttpError, StandardErrorResponse<CoreErrorResponseType>>,
) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => error.into(),
        RequestTokenError::ServerResponse(refusal) => {
            ProviderError::refused(refusal.error().as_ref())
        }
        // Not what it says: it could hold a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ProviderError::answer("the answer to a code is no token")
        }
    }
}

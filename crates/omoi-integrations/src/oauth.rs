//! Signing in by an account at another provider.
//!
//! A person goes to the provider's page of consent and comes back with a code; the code is exchanged for a token, the
//! token for a profile, and the token is dropped. What has to be kept in between is in [`SignInSecrets`].

pub mod fake;
pub mod github;
pub mod google;
mod provider_http;

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::quotation::single_line;
use omoi_domain::time::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use provider_http::ProviderHttpError;

/// Most characters of a name that a provider gives.
const NAME_CHARS_MAX: usize = 200;

/// OmoiOS as a provider knows it.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The public id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Where people come back to; the provider has it on a list.
    pub callback: String,
}

/// What is kept between the way to the provider and the way back. All three are guesses of nobody; the last two never
/// leave the server but for their digests.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInSecrets {
    /// Comes back with the person.
    pub state: String,
    /// Shows the provider that whoever exchanges the code began the sign-in.
    pub code_verifier: String,
    /// Comes back within the ID token, where a provider gives one.
    pub nonce: String,
}

impl SignInSecrets {
    /// Secrets made of random bytes.
    pub fn from_random(random: &[[u8; 32]; 3]) -> Self {
        let [state, code_verifier, nonce] =
            random.map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        Self {
            state,
            code_verifier,
            nonce,
        }
    }

    fn challenge(&self) -> PkceCodeChallenge {
        PkceCodeChallenge::from_code_verifier_sha256(&self.verifier())
    }

    fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.code_verifier.clone())
    }
}

impl fmt::Debug for SignInSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInSecrets(…)")
    }
}

/// A person who came back from a provider.
#[derive(Clone, Copy, Debug)]
pub struct SignInReturn<'a> {
    /// The provider's code, good once.
    pub code: &'a str,
    /// What was kept when the person went there.
    pub secrets: &'a SignInSecrets,
    /// Now; tokens that ended are refused.
    pub now: Timestamp,
}

/// Who a person is to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderProfile {
    /// The provider.
    pub provider: IdentityProvider,
    /// Its own id of the person, which never changes hands.
    pub provider_user_id: String,
    /// What the person is called there, which may change hands.
    pub username: Option<String>,
    /// The person's name, on one line.
    pub full_name: Option<String>,
    /// An address that the provider vouches for.
    pub address: Option<MailAddress>,
}

/// A provider by which people sign in.
pub trait SignInProvider: Send + Sync + fmt::Debug {
    /// The provider's page of consent for a sign-in with these secrets.
    ///
    /// # Errors
    /// [`ProviderError`] where the provider has to be asked for its addresses and does not answer.
    fn consent_url<'a>(
        &'a self,
        secrets: &'a SignInSecrets,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<String, ProviderError>>;

    /// Exchanges the code and reads who the person is.
    ///
    /// # Errors
    /// [`ProviderError`].
    fn read_profile<'a>(
        &'a self,
        back: SignInReturn<'a>,
    ) -> BoxFuture<'a, Result<ProviderProfile, ProviderError>>;
}

/// Why a provider did not tell who a person is.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// An address of the provider cannot be used.
    #[error("`{url}` is no https address, nor an http address of this machine")]
    UnsafeAddress {
        /// As it is configured.
        url: String,
    },
    /// The HTTP client cannot be made.
    #[error("could not prepare requests to a sign-in provider")]
    Client(#[source] reqwest::Error),
    /// The provider could not be asked.
    #[error("could not ask the sign-in provider")]
    Http(#[from] ProviderHttpError),
    /// The provider refuses the code, or us.
    #[error("the sign-in provider refused: {error}")]
    Refused {
        /// The provider's word, such as `bad_verification_code`.
        error: String,
    },
    /// The provider's answer is not what its documentation says.
    #[error("the sign-in provider gave an answer that cannot be read: {what}")]
    Answer {
        /// Which answer, and what of it.
        what: String,
    },
    /// The ID token is forged, ended, or for somebody else.
    #[error("the ID token of the sign-in provider is not good: {why}")]
    IdToken {
        /// What is wrong with it.
        why: String,
    },
}

impl ProviderError {
    fn answer(what: impl fmt::Display) -> Self {
        let what = what.to_string();
        Self::Answer {
            what: name_line(&what),
        }
    }

    fn refused(error: &str) -> Self {
        Self::Refused {
            error: name_line(error),
        }
    }
}

/// A text of the provider on one line that is not too long.
fn name_line(text: &str) -> String {
    single_line(text).chars().take(NAME_CHARS_MAX).collect()
}

/// A name of the provider, where it is one.
fn given_name(name: Option<&str>) -> Option<String> {
    name.map(name_line).filter(|name| !name.trim().is_empty())
}

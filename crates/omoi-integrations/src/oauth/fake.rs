//! A provider in memory, for tests of whoever signs people in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::time::Timestamp;
use url::Url;

use super::{ProviderError, ProviderProfile, SignInProvider, SignInReturn, SignInSecrets};

/// The page of consent, at which nobody is.
const CONSENT: &str = "https://provider.invalid/consent";

/// Gives out codes that are good once, for whoever began the sign-in.
#[derive(Default)]
pub struct FakeProvider {
    consents: Mutex<BTreeMap<String, FakeConsent>>,
}

struct FakeConsent {
    challenge: String,
    profile: ProviderProfile,
}

impl FakeProvider {
    /// Consents on the page at `consent_url` as the person of `profile`, and gives the code with which the browser comes
    /// back.
    ///
    /// # Panics
    /// When the address is not one of this provider's pages.
    #[expect(clippy::panic, reason = "a test fails where it stands")]
    pub fn consent_as(&self, consent_url: &str, profile: ProviderProfile) -> String {
        let challenge = consent_url
            .strip_prefix(CONSENT)
            .and_then(|_| Url::parse(consent_url).ok())
            .and_then(|url| {
                let mut pairs = url.query_pairs();
                pairs.find_map(|(name, value)| {
                    (name == "code_challenge").then(|| value.into_owned())
                })
            })
            .unwrap_or_else(|| panic!("{consent_url} is no page of consent"));
        self.lock(|consents| {
            let code = format!("code-{}", consents.len());
            consents.insert(code.clone(), FakeConsent { challenge, profile });
            code
        })
    }

    fn exchange(&self, back: SignInReturn<'_>) -> Result<ProviderProfile, ProviderError> {
        let consent = self.lock(|consents| {
            let kept = consents.get_mut(back.code)?;
            // The entry stays, so that no later code is the same; what it was good for goes.
            let challenge = std::mem::take(&mut kept.challenge);
            (challenge == back.secrets.challenge().as_str()).then(|| kept.profile.clone())
        });
        consent.ok_or_else(|| ProviderError::refused("bad_verification_code"))
    }

    fn lock<T>(&self, with: impl FnOnce(&mut BTreeMap<String, FakeConsent>) -> T) -> T {
        with(&mut self.consents.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SignInProvider for FakeProvider {
    fn consent_url<'a>(
        &'a self,
        secrets: &'a SignInSecrets,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<String, ProviderError>> {
        let challenge = secrets.challenge();
        let query = [
            ("state", secrets.state.as_str()),
            ("code_challenge", challenge.as_str()),
        ];
        let url = Url::parse_with_params(CONSENT, query).map(String::from);
        futures::future::ready(url.map_err(ProviderError::answer)).boxed()
    }

    fn read_profile<'a>(
        &'a self,
        back: SignInReturn<'a>,
    ) -> BoxFuture<'a, Result<ProviderProfile, ProviderError>> {
        futures::future::ready(self.exchange(back)).boxed()
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider").finish_non_exhaustive()
    }
}

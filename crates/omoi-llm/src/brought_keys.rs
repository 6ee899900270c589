//! Keys that organisations bring for their own questions, in the place of the deployment's.
//!
//! A question is asked with the keys that its organisation has when it begins. They are looked at again before each call,
//! so that a key that was removed or changed meanwhile is not used any more: the question ends then, and comes again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use omoi_domain::id::OrgId;
use omoi_domain::secret_mask::{LearnedSecrets, SecretMask};
use omoi_domain::time::Timestamp;

use crate::ask_error::AskError;
use crate::llm_client::LlmClient;

/// How long keys are asked with before they are looked at again.
const KEYS_AGE_MAX: Duration = Duration::from_secs(2);

/// The keys of one organisation, by what the deployment calls their providers.
#[derive(Clone, Debug, Default)]
pub struct BroughtKeys(pub BTreeMap<String, SecretString>);

/// Why the keys of an organisation are not known. Its questions are not asked with another one's meanwhile.
#[derive(Debug, Error)]
pub enum BroughtKeyError {
    /// A key is there, and cannot be read any more.
    #[error(
        "the key that the organisation brought cannot be read; set it again: omoi org provider-key set PROVIDER"
    )]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// They cannot be looked up for now.
    #[error("the keys of the organisation cannot be looked up for now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where the keys of organisations are found.
pub trait BroughtKeySource: Send + Sync + 'static {
    /// The keys of `org` as they are now.
    fn find_keys(&self, org: OrgId) -> BoxFuture<'_, Result<BroughtKeys, BroughtKeyError>>;
}

/// Keys that a question is asked with.
#[derive(Clone)]
struct HeldKeys {
    org: OrgId,
    keys: BroughtKeys,
    read_at: Arc<Mutex<Timestamp>>,
}

/// What organisations bring, as an [`LlmClient`] knows it. Clones share what they have learned.
#[derive(Clone, Default)]
pub(crate) struct OrganisationKeyring {
    source: Option<Arc<dyn BroughtKeySource>>,
    /// Whose questions are asked, and with what; none of the deployment's own.
    held: Option<HeldKeys>,
    /// All that was ever read in this process, by organisation.
    learned: Arc<Mutex<BTreeMap<OrgId, LearnedKeys>>>,
}

#[derive(Default)]
struct LearnedKeys {
    last: BroughtKeys,
    secrets: LearnedSecrets,
}

impl BroughtKeys {
    /// The key for `provider`.
    pub(crate) fn key_of(&self, provider: &str) -> Option<&SecretString> {
        self.0.get(provider)
    }
}

impl PartialEq for BroughtKeys {
    fn eq(&self, other: &Self) -> bool {
        let plain = |keys: &Self| -> Vec<(String, String)> {
            let all = keys.0.iter();
            all.map(|(provider, key)| (provider.clone(), key.expose_secret().to_owned()))
                .collect()
        };
        plain(self) == plain(other)
    }
}

impl OrganisationKeyring {
    /// What hides every key of `org` that was read here.
    fn mask_of(&self, org: OrgId) -> Option<SecretMask> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = &learned.get(&org)?.secrets;
        Some(SecretMask::default().with_learned(secrets))
    }

    fn learn_keys(&self, org: OrgId, keys: &BroughtKeys) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.0.is_empty() {
            return;
        }
        let known = learned.entry(org).or_default();
        if known.last != *keys {
            let all = keys.0.values().map(ExposeSecret::expose_secret);
            known.secrets.learn_secrets(all);
            known.last = keys.clone();
        }
    }

    async fn read_keys(&self, org: OrgId) -> Result<BroughtKeys, BroughtKeyError> {
        let Some(source) = &self.source else {
            return Ok(BroughtKeys::default());
        };
        let keys = source.find_keys(org).await?;
        self.learn_keys(org, &keys);
        Ok(keys)
    }
}

impl LlmClient {
    /// The same models, asked by organisations with the keys that `source` knows of them.
    #[must_use]
    pub fn with_brought_keys(mut self, source: Arc<dyn BroughtKeySource>) -> Self {
        self.brought.source = Some(source);
        self
    }

    /// What hides every key of `org` that was read here, where one was.
    pub fn organisation_mask(&self, org: OrgId) -> Option<SecretMask> {
        self.brought.mask_of(org)
    }

    /// The same models for one question of `org`, which is asked with its own keys where it brought some.
    ///
    /// # Errors
    /// [`BroughtKeyError`]: an organisation that brought a key is never served by another one in its place.
    pub async fn for_organisation(&self, org: OrgId) -> Result<Self, BroughtKeyError> {
        if self.brought.source.is_none() {
            return Ok(self.clone());
        }
        let read_at = Arc::new(Mutex::new(self.pace.now()));
        let keys = self.brought.read_keys(org).await?;
        let mut own = self.clone();
        if !keys.0.is_empty() {
            let mask = SecretMask::new(keys.0.values().map(ExposeSecret::expose_secret));
            own = own.hiding_secrets(&mask);
            own.routes = own.routes.with_brought_keys(&keys);
        }
        own.brought.held = Some(HeldKeys { org, keys, read_at });
        Ok(own)
    }

    /// Looks whether the keys that questions are asked with are still those of their organisation.
    pub(crate) async fn expect_same_keys(&self) -> Result<(), AskError> {
        let Some(held) = &self.brought.held else {
            return Ok(());
        };
        let now = self.pace.now();
        let read_at = *held.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(read_at) < KEYS_AGE_MAX {
            return Ok(());
        }
        let keys = self.brought.read_keys(held.org).await;
        if keys.map_err(AskError::Keys)? != held.keys {
            return Err(AskError::KeysChanged);
        }
        *held.read_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }
}

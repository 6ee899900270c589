//! Keys that organisations bring for their own questions, in the place of the deployment's.
//!
//! A question is asked with the keys that its organisation has when it begins. They are looked at again before each call,
//! so that a key that was removed or changed meanwhile is not used any more: the question ends then, and comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use omoi_domain::id::OrgId;
use omoi_domain::model_kind::BroughtModel;
use omoi_domain::model_route::RouteName;
use omoi_domain::secret_mask::{LearnedSecrets, SecretMask};
use omoi_domain::time::Timestamp;

use crate::ask_error::AskError;
use crate::llm_client::LlmClient;
use crate::route::{RouteError, RouteTable};

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
    /// Neither the deployment nor the organisation has a key for a model; this says what to set.
    #[error("there is no model to ask: {0}")]
    NoModel(String),
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
    /// The models of organisations that brought keys, where those are more than the deployment's own.
    routes: Option<Arc<RouteTable>>,
    /// What to set, where no organisation is asked for that brought no key.
    missing: Option<String>,
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

    /// The same models, and for organisations that brought keys those of `routes`, in which providers stand that the
    /// deployment has no key for. With `missing`, which says what to set, no other organisation is asked for.
    #[must_use]
    pub fn with_awaited_routes(mut self, routes: RouteTable, missing: Option<String>) -> Self {
        self.brought.routes = Some(Arc::new(routes));
        self.brought.missing = missing;
        self
    }

    /// The models of the deployment and those that wait for the key of an organisation.
    fn open_routes(&self) -> &RouteTable {
        self.brought.routes.as_deref().unwrap_or(&self.routes)
    }

    /// The providers for which organisations may bring keys of their own.
    pub fn key_providers(&self) -> BTreeSet<String> {
        let mut names = self.routes.key_providers();
        names.extend(self.open_routes().key_providers());
        names
    }

    /// The models that agents of an organisation are answered by with a key of its own, best first; none where the deployment
    /// has a model for everybody.
    pub fn brought_models(&self) -> Vec<BroughtModel> {
        match self.brought.missing {
            Some(_) => self.open_routes().brought_models(RouteName::Agent),
            None => Vec::new(),
        }
    }

    /// What hides every key of `org` that was read here, where one was.
    pub fn organisation_mask(&self, org: OrgId) -> Option<SecretMask> {
        self.brought.mask_of(org)
    }

    /// What hides every key of `org`: those that it has now, and those that it had since this process began.
    ///
    /// # Errors
    /// [`BroughtKeyError`] where they cannot be read.
    pub async fn read_organisation_mask(&self, org: OrgId) -> Result<SecretMask, BroughtKeyError> {
        self.brought.read_keys(org).await?;
        Ok(self.brought.mask_of(org).unwrap_or_default())
    }

    /// The same models for one question of `org`, which is asked with its own keys where it brought some.
    ///
    /// # Errors
    /// [`BroughtKeyError`]: an organisation that brought a key is never served by another one in its place, and where the
    /// deployment has none it is not asked for without its own.
    pub async fn for_organisation(&self, org: OrgId) -> Result<Self, BroughtKeyError> {
        if self.brought.source.is_none() {
            return Ok(self.clone());
        }
        let read_at = Arc::new(Mutex::new(self.pace.now()));
        let keys = self.brought.read_keys(org).await?;
        if let (true, Some(why)) = (keys.0.is_empty(), &self.brought.missing) {
            return Err(BroughtKeyError::NoModel(why.clone()));
        }
        let mut own = self.clone();
        if !keys.0.is_empty() {
            let mask = SecretMask::new(keys.0.values().map(ExposeSecret::expose_secret));
            own = own.hiding_secrets(&mask);
            own.routes = self.open_routes().with_brought_keys(&keys);
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

/// What to do where the deployment has no model for `reason`, and an organisation may bring a key for one of `providers`.
pub fn missing_words(reason: &RouteError, providers: &BTreeSet<String>) -> String {
    let names: Vec<&str> = providers.iter().map(String::as_str).collect();
    format!(
        "{reason}; or have the organisation bring a key of its own: omoi org provider-key set PROVIDER (of {})",
        names.join(", ")
    )
}

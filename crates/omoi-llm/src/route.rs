//! Which model answers which kind of question, and with whose key.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::provider_row::{ServerKinship, ServerQuirk, are_calls_of};
use omoi_domain::role_settings::{CacheChoice, RoleSettings};

use crate::brought_keys::BroughtKeys;
use crate::conversation::ThinkingForm;
use crate::pricing::ModelPrice;
use crate::upstream::AnswerLimits;
use crate::wire::dialect::Dialect;

mod chooser;
mod llm_settings;
mod model_family;
mod role_setup;
mod route_error;
mod route_table;
mod server_list;

pub use self::llm_settings::{ListedProvider, LlmSettings, ModelServer};
pub use self::model_family::model_family;
pub(crate) use self::model_family::name_fit;
pub use self::role_setup::ToldSettings;
pub use self::route_error::RouteError;
pub use self::route_table::{RouteChoice, RouteTable};

/// Base URL of Anthropic's own API.
pub const ANTHROPIC_BASE_URL: &str = "https://api.anthropic.com";
/// Base URL of OpenAI's own API.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The environment variables that messages of this module tell people to set: the names of the keys in
/// `options`.
pub(crate) mod variables {
    /// Key for Anthropic, sent as `x-api-key`.
    pub(crate) const ANTHROPIC_API_KEY: &str = "ANTHROPIC_API_KEY";
    /// Base URL of another Anthropic-compatible server.
    pub(crate) const ANTHROPIC_BASE_URL: &str = "ANTHROPIC_BASE_URL";
    /// The model to ask there.
    pub(crate) const ANTHROPIC_MODEL: &str = "ANTHROPIC_MODEL";
    /// API key for OpenAI or its compatible server.
    pub(crate) const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
    /// Another server that speaks OpenAI's format, up to and including `/v1`.
    pub(crate) const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
    /// The model to ask there.
    pub(crate) const OPENAI_MODEL: &str = "OPENAI_MODEL";
    /// The one server to ask, whatever else is set.
    pub(crate) const LLM_BASE_URL: &str = "LLM_BASE_URL";
    /// API key of the server at `LLM_BASE_URL`.
    pub(crate) const LLM_API_KEY: &str = "LLM_API_KEY";
    /// The model to ask, whoever answers.
    pub(crate) const LLM_MODEL: &str = "LLM_MODEL";
}

/// How a typed answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerMode {
    /// A tool the model must call.
    ToolCall,
    /// The vendor's JSON schema mode.
    JsonSchema,
    /// A fenced block in plain words, for models that have neither.
    Fenced,
}

/// A provider's key and how it is sent.
#[derive(Clone, Debug, Default)]
pub enum ProviderKey {
    /// No key: local servers.
    #[default]
    None,
    /// Sent as the header `x-api-key`.
    Header(SecretString),
    /// Sent as `authorization: Bearer …`.
    Bearer(SecretString),
    /// The deployment lacks it; organisations may bring theirs.
    Awaited(AwaitedKey),
}

/// A key that the deployment lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedKey {
    /// The variable or secret file that would hold the deployment's own.
    pub variable: String,
    /// Whether it is sent as `authorization: Bearer …`; otherwise as the header `x-api-key`.
    pub is_bearer: bool,
}

impl AwaitedKey {
    /// `brought`, as this key would be sent.
    fn fill(&self, brought: &SecretString) -> ProviderKey {
        match self.is_bearer {
            true => ProviderKey::Bearer(brought.clone()),
            false => ProviderKey::Header(brought.clone()),
        }
    }
}

impl ProviderKey {
    /// Whether there is no key.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The secret, where there is one.
    pub const fn secret_key(&self) -> Option<&SecretString> {
        match self {
            Self::None | Self::Awaited(_) => None,
            Self::Header(key) | Self::Bearer(key) => Some(key),
        }
    }
}

/// What a person says of a server.
#[derive(Clone, Debug, Default)]
pub struct ServerSettings {
    /// What its provider is called, where its key is one of the provider's API; none has its questions asked with the
    /// deployment's key alone.
    pub provider: Option<String>,
    /// Headers of each call, by name.
    pub headers: BTreeMap<String, SecretString>,
    /// Whose ways it has; none tells them from its address.
    pub like: Option<ServerKinship>,
    /// What it does otherwise.
    pub quirks: Vec<ServerQuirk>,
}

/// Where questions of one kind go: server, model, key and price.
#[derive(Clone, Debug)]
pub struct ModelRoute {
    /// The wire format there.
    pub dialect: Dialect,
    /// Its address, without the last path segments (`/v1/messages`, `/chat/completions`).
    pub base_url: String,
    /// The model asked for.
    pub model: String,
    /// API key sent with every call.
    pub key: ProviderKey,
    /// How typed answers are asked for.
    pub answer_mode: AnswerMode,
    /// The most tokens one answer may have there; a request that asks for more asks for these.
    pub max_tokens: u32,
    /// Price per token, for metering.
    pub price: ModelPrice,
    /// The most tokens the model reads, where that is known.
    pub window_tokens: Option<u64>,
    /// How long one answer may take there.
    pub limits: AnswerLimits,
    /// Whether the model takes a temperature and the like; others refuse a request that holds one.
    pub takes_sampling: bool,
    /// How the model is told how much to think.
    pub thinking: ThinkingForm,
    /// How it is to answer, where a request has no choice of its own.
    pub settings: RoleSettings,
    /// The program whose calls alone the key is for.
    pub only_program: Option<AgentProgram>,
    /// What a person says of the server.
    pub server: ServerSettings,
    /// The answers are scripted; everything that shows them must say so.
    pub simulated: bool,
}

impl ModelRoute {
    /// Whether the server has the ways of the vendor of its dialect.
    pub fn acts_like_vendor(&self) -> bool {
        match (self.server.like, self.dialect) {
            (Some(like), _) => like != ServerKinship::Compatible,
            (None, Dialect::Messages) => self.base_url == ANTHROPIC_BASE_URL,
            (None, Dialect::ChatCompletions | Dialect::Responses) => {
                self.base_url == OPENAI_BASE_URL
            }
        }
    }

    /// Whether the key is for calls of another program than `program`; none are calls of the platform.
    pub fn is_reserved_from(&self, program: Option<AgentProgram>) -> bool {
        let may_ask = |only| program.is_some_and(|program| are_calls_of(program, only));
        self.only_program.is_some_and(|only| !may_ask(only))
    }

    /// The key that is missing before the model can be asked.
    pub const fn awaited_key(&self) -> Option<&AwaitedKey> {
        match &self.key {
            ProviderKey::Awaited(key) => Some(key),
            ProviderKey::None | ProviderKey::Header(_) | ProviderKey::Bearer(_) => None,
        }
    }

    /// The provider for which an organisation may bring a key of its own: one that is asked with a key, which is no
    /// program's alone.
    pub fn key_provider(&self) -> Option<&str> {
        let takes_key = !self.simulated && !self.key.is_none() && self.only_program.is_none();
        self.server.provider.as_deref().filter(|_| takes_key)
    }

    /// The same model, asked with the key that `keys` have for its provider.
    fn with_brought_key(&self, keys: &BroughtKeys) -> Self {
        let brought = self.key_provider().and_then(|name| keys.key_of(name));
        let Some(brought) = brought else {
            return self.clone();
        };
        let key = match &self.key {
            // A token of the deployment's is sent otherwise than keys of the API are.
            ProviderKey::Bearer(_) if self.base_url == ANTHROPIC_BASE_URL => {
                ProviderKey::Header(brought.clone())
            }
            ProviderKey::Bearer(_) => ProviderKey::Bearer(brought.clone()),
            ProviderKey::Header(_) | ProviderKey::None => ProviderKey::Header(brought.clone()),
            ProviderKey::Awaited(awaited) => awaited.fill(brought),
        };
        Self {
            key,
            ..self.clone()
        }
    }

    /// The secrets that calls hold.
    pub fn call_secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.key
            .secret_key()
            .into_iter()
            .chain(self.server.headers.values())
    }

    /// Names a model at its address, as a circuit does. One that is overloaded says nothing of
    /// the next of its list, which often stands at the same address.
    pub fn circuit_target(&self) -> String {
        format!("{} at {}", self.model, self.base_url)
    }

    /// Names the circuit: the target, and the credential where there is one. A limit of one credential says
    /// nothing of another.
    pub fn circuit_key(&self) -> String {
        match self.key {
            ProviderKey::None => self.circuit_target(),
            _ => format!(
                "{} with key {:.8}",
                self.circuit_target(),
                self.credential_id()
            ),
        }
    }

    /// A name of the key at its server, which tells neither: limits belong to it.
    pub fn credential_id(&self) -> String {
        let key = self.key.secret_key().map(ExposeSecret::expose_secret);
        let mut digest = Sha256::new_with_prefix(self.base_url.as_bytes());
        digest.update([0]);
        digest.update(key.unwrap_or_default());
        for (name, value) in &self.server.headers {
            digest.update(format!("\0{name}\0"));
            digest.update(value.expose_secret());
        }
        hex::encode(&digest.finalize()[..16])
    }

    /// Whether the prompt cache is to keep what requests mark for an hour.
    pub(crate) fn keeps_cache_for_hour(&self) -> bool {
        self.dialect == Dialect::Messages && self.settings.cache == Some(CacheChoice::Hour)
    }

    /// Whether an answer takes its room from what the model reads: everywhere but at OpenAI's own, whose
    /// list names what it reads apart.
    pub(crate) fn has_shared_window(&self) -> bool {
        self.dialect == Dialect::Messages || !self.acts_like_vendor()
    }

    /// A name of whoever makes the answers, for what only it can read: a family of models, behind one
    /// address, asked with one key. It tells none of them, which agents are not to know.
    pub fn maker_id(&self) -> String {
        let mut digest = Sha256::new_with_prefix(self.credential_id());
        digest.update(model_family(&self.model));
        hex::encode(&digest.finalize()[..8])
    }

    /// The provider for people to read: the host, or `the simulated model`.
    pub fn provider_name(&self) -> String {
        if self.simulated {
            return "the simulated model".to_owned();
        }
        let (_, rest) = self
            .base_url
            .split_once("://")
            .unwrap_or(("", &self.base_url));
        let host = rest.split('/').next().unwrap_or_default();
        // What stands before the host may be a password.
        host.rsplit('@').next().unwrap_or_default().to_owned()
    }
}

/// The name in `models.json` of the vendor whose format it is.
const fn vendor_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "anthropic",
        Dialect::ChatCompletions | Dialect::Responses => "openai",
    }
}

const fn default_mode(dialect: Dialect) -> AnswerMode {
    match dialect {
        Dialect::Messages => AnswerMode::ToolCall,
        Dialect::ChatCompletions | Dialect::Responses => AnswerMode::JsonSchema,
    }
}

fn trim_url(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;

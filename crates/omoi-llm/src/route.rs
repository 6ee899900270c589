//! Which model answers which kind of question, and with whose key.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where Anthropic listens.
pub const ANTHROPIC_BASE_URL: &str = "https://api.anthropic.com";
/// Where OpenAI listens.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The environment variables that messages of this module tell people to set.
pub mod variables {
    /// Key for Anthropic, sent as `x-api-key`.
    pub const ANTHROPIC_API_KEY: &str = "ANTHROPIC_API_KEY";
    /// Token for an Anthropic-compatible server, sent as a bearer token.
    pub const ANTHROPIC_AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
    /// Another Anthropic-compatible server.
    pub const ANTHROPIC_BASE_URL: &str = "ANTHROPIC_BASE_URL";
    /// Key for OpenAI or a compatible server.
    pub const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
    /// An OpenAI-compatible server, up to and including `/v1`.
    pub const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
    /// The model of every route that names none.
    pub const LLM_MODEL: &str = "LLM_MODEL";
}

/// What a question is for. The agents of a run use [`RouteName::Agent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteName {
    /// Hard thinking: planning and conflict resolution outside an agent.
    Reasoning,
    /// Typed answers.
    Structured,
    /// Short names for things.
    Title,
    /// Verdicts on work.
    Judge,
    /// Agents at work.
    Agent,
}

impl RouteName {
    /// Every route.
    pub const ALL: [Self; 5] = [
        Self::Reasoning,
        Self::Structured,
        Self::Title,
        Self::Judge,
        Self::Agent,
    ];

    /// The name in configuration, on the wire and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reasoning => "reasoning",
            Self::Structured => "structured",
            Self::Title => "title",
            Self::Judge => "judge",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which wire format an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI chat completions.
    Openai,
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
pub enum Key {
    /// No key: local servers.
    #[default]
    None,
    /// `x-api-key`.
    Header(SecretString),
    /// `authorization: Bearer`.
    Bearer(SecretString),
}

/// Where one kind of question goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// The wire format there.
    pub provider: Provider,
    /// Its address, without the last path segments (`/v1/messages`, `/chat/completions`).
    pub base_url: String,
    /// The model asked for.
    pub model: String,
    /// Its key.
    pub key: Key,
    /// How typed answers are asked for.
    pub answer_mode: AnswerMode,
    /// The answers are scripted; everything that shows them must say so.
    pub simulated: bool,
}

impl Route {
    /// What a circuit breaker counts by: calls to one address fail together.
    pub fn target(&self) -> &str {
        &self.base_url
    }
}

/// What configuration says about models. Empty fields mean the default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Key for Anthropic.
    pub anthropic_api_key: Option<SecretString>,
    /// Bearer token for an Anthropic-compatible server; wins over the key.
    pub anthropic_auth_token: Option<SecretString>,
    /// Another Anthropic-compatible server.
    pub anthropic_base_url: Option<String>,
    /// Key for OpenAI or a compatible server.
    pub openai_api_key: Option<SecretString>,
    /// An OpenAI-compatible server; alone it means one that wants no key.
    pub openai_base_url: Option<String>,
    /// The model of every route that names none.
    pub model: Option<String>,
    /// Routes that differ.
    pub routes: BTreeMap<RouteName, RouteSetting>,
}

/// What configuration says about one route. Empty fields mean the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSetting {
    /// Which provider.
    pub provider: Option<Provider>,
    /// Which model.
    pub model: Option<String>,
    /// How typed answers are asked for.
    pub answer_mode: Option<AnswerMode>,
}

/// Why there is no model to ask.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// No provider is configured at all.
    #[error(
        "no model provider is configured: set {} for Anthropic, or {} for OpenAI, or {} and {} for another \
         OpenAI-compatible server (and {} if it wants a key)",
        variables::ANTHROPIC_API_KEY,
        variables::OPENAI_API_KEY,
        variables::OPENAI_BASE_URL,
        variables::LLM_MODEL,
        variables::OPENAI_API_KEY
    )]
    NoProvider,
    /// A route names a provider that has no key.
    #[error("route `{route}` needs provider `{provider}`: set {variable}")]
    ProviderWithoutKey {
        /// The route.
        route: RouteName,
        /// The provider it names.
        provider: &'static str,
        /// What to set.
        variable: &'static str,
    },
    /// Only the vendors' own servers have a model we may assume.
    #[error(
        "no model is named for `{base_url}`: set {} or `llm.routes.{route}.model`",
        variables::LLM_MODEL
    )]
    NoModel {
        /// The server.
        base_url: String,
        /// The first route without a model.
        route: RouteName,
    },
    /// An address is not an `http` or `https` URL.
    #[error("`{variable}` is not an http or https URL: `{value}`")]
    BadUrl {
        /// Where it was set.
        variable: &'static str,
        /// What it says.
        value: String,
    },
}

/// A route for every name.
#[derive(Clone, Debug)]
pub struct Routes {
    table: BTreeMap<RouteName, Route>,
    fallback: Route,
}

impl Routes {
    /// Works out every route: what configuration says, else the first provider with a key, Anthropic
    /// before OpenAI.
    ///
    /// # Errors
    /// Returns [`RouteError`] saying exactly what to set; nothing is assumed without a key.
    pub fn resolve(settings: &Settings) -> Result<Self, RouteError> {
        let upstreams = Upstreams::from(settings)?;
        let first = upstreams.first().ok_or(RouteError::NoProvider)?;
        let mut table = BTreeMap::new();
        for name in RouteName::ALL {
            let setting = settings.routes.get(&name).cloned().unwrap_or_default();
            let upstream = match setting.provider {
                None => first,
                Some(wanted) => upstreams.of(wanted, name)?,
            };
            let model = setting.model.clone().or_else(|| settings.model.clone());
            table.insert(name, upstream.route(name, model, setting.answer_mode)?);
        }
        Ok(Self::of(table))
    }

    /// Every route to the simulated model at `base_url`, which speaks either format.
    pub fn simulated(provider: Provider, base_url: &str) -> Self {
        let route = Route {
            provider,
            base_url: trimmed(base_url),
            model: "simulated".to_owned(),
            // Any key will do there, but that one is sent is checked.
            key: match provider {
                Provider::Anthropic => Key::Header("simulated".into()),
                Provider::Openai => Key::Bearer("simulated".into()),
            },
            answer_mode: default_mode(provider),
            simulated: true,
        };
        Self::of(RouteName::ALL.map(|name| (name, route.clone())).into())
    }

    /// Routes as given; a name left out goes where [`RouteName::Agent`] or else the first one goes.
    /// `None` when `table` is empty.
    pub fn from_table(table: BTreeMap<RouteName, Route>) -> Option<Self> {
        let fallback = table
            .get(&RouteName::Agent)
            .or_else(|| table.values().next())?;
        let fallback = fallback.clone();
        Some(Self { table, fallback })
    }

    /// The route called `name`.
    pub fn get(&self, name: RouteName) -> &Route {
        self.table.get(&name).unwrap_or(&self.fallback)
    }

    /// The route a request means by `model`: a route's name, or the model some route uses.
    pub fn by_alias(&self, model: &str) -> Option<(RouteName, &Route)> {
        let named = RouteName::ALL.into_iter().find(|n| n.as_str() == model);
        // Agents first: they are who asks by model name.
        let mut names = RouteName::ALL.into_iter().rev();
        let name = named.or_else(|| names.find(|n| self.get(*n).model == model))?;
        Some((name, self.get(name)))
    }

    /// Whether any answer is scripted.
    pub fn simulated_anywhere(&self) -> bool {
        RouteName::ALL.into_iter().any(|n| self.get(n).simulated)
    }

    fn of(table: BTreeMap<RouteName, Route>) -> Self {
        #[expect(clippy::expect_used, reason = "both callers fill in every name")]
        Self::from_table(table).expect("a full table")
    }
}

struct Upstreams {
    anthropic: Option<Upstream>,
    openai: Option<Upstream>,
}

struct Upstream {
    provider: Provider,
    base_url: String,
    key: Key,
    own_server: bool,
}

impl Upstreams {
    fn from(settings: &Settings) -> Result<Self, RouteError> {
        let own = settings.anthropic_base_url.as_deref();
        let base_url = address(own, ANTHROPIC_BASE_URL, variables::ANTHROPIC_BASE_URL)?;
        let bearer = settings.anthropic_auth_token.clone().map(Key::Bearer);
        let key = bearer.or_else(|| settings.anthropic_api_key.clone().map(Key::Header));
        let anthropic = key.map(|key| Upstream {
            provider: Provider::Anthropic,
            own_server: base_url == ANTHROPIC_BASE_URL,
            base_url,
            key,
        });
        let own = settings.openai_base_url.as_deref();
        let base_url = address(own, OPENAI_BASE_URL, variables::OPENAI_BASE_URL)?;
        let key = settings.openai_api_key.clone().map(Key::Bearer);
        let openai = match key {
            None if own.is_none() => None,
            key => Some(Upstream {
                provider: Provider::Openai,
                own_server: base_url == OPENAI_BASE_URL,
                base_url,
                key: key.unwrap_or_default(),
            }),
        };
        Ok(Self { anthropic, openai })
    }

    fn first(&self) -> Option<&Upstream> {
        self.anthropic.as_ref().or(self.openai.as_ref())
    }

    fn of(&self, provider: Provider, route: RouteName) -> Result<&Upstream, RouteError> {
        let (upstream, provider, variable) = match provider {
            Provider::Anthropic => (&self.anthropic, "anthropic", variables::ANTHROPIC_API_KEY),
            Provider::Openai => (&self.openai, "openai", variables::OPENAI_API_KEY),
        };
        upstream.as_ref().ok_or(RouteError::ProviderWithoutKey {
            route,
            provider,
            variable,
        })
    }
}

impl Upstream {
    fn route(
        &self,
        name: RouteName,
        model: Option<String>,
        mode: Option<AnswerMode>,
    ) -> Result<Route, RouteError> {
        let assumed = || {
            let small = name == RouteName::Title;
            let model = match (self.provider, small) {
                (Provider::Anthropic, false) => "claude-sonnet-4-5-20250929",
                (Provider::Anthropic, true) => "claude-haiku-4-5-20251001",
                (Provider::Openai, false) => "gpt-4.1",
                (Provider::Openai, true) => "gpt-4.1-mini",
            };
            self.own_server.then(|| model.to_owned())
        };
        let no_model = || RouteError::NoModel {
            base_url: self.base_url.clone(),
            route: name,
        };
        Ok(Route {
            provider: self.provider,
            base_url: self.base_url.clone(),
            model: model.or_else(assumed).ok_or_else(no_model)?,
            key: self.key.clone(),
            answer_mode: mode.unwrap_or_else(|| default_mode(self.provider)),
            simulated: false,
        })
    }
}

const fn default_mode(provider: Provider) -> AnswerMode {
    match provider {
        Provider::Anthropic => AnswerMode::ToolCall,
        Provider::Openai => AnswerMode::JsonSchema,
    }
}

fn address(own: Option<&str>, vendor: &str, variable: &'static str) -> Result<String, RouteError> {
    let url = trimmed(own.unwrap_or(vendor));
    let is_http = reqwest::Url::parse(&url)
        .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    if is_http {
        return Ok(url);
    }
    Err(RouteError::BadUrl {
        variable,
        value: url,
    })
}

fn trimmed(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    /// `provider base model` of the agent and the title route.
    fn shape(settings: &Settings) -> Result<[String; 2], String> {
        let routes = Routes::resolve(settings).map_err(|e| e.to_string())?;
        Ok([RouteName::Agent, RouteName::Title].map(|name| {
            let r = routes.get(name);
            format!("{:?} {} {}", r.provider, r.base_url, r.model)
        }))
    }

    #[test]
    fn the_first_key_decides_and_nothing_is_assumed_without_one() {
        let none = Settings::default();
        let both = Settings {
            anthropic_api_key: Some(secret("a")),
            openai_api_key: Some(secret("o")),
            ..none.clone()
        };
        let openai = Settings {
            openai_api_key: Some(secret("o")),
            ..none.clone()
        };
        let local = Settings {
            openai_base_url: Some("http://127.0.0.1:8080/v1/".into()),
            ..none.clone()
        };
        let local_named = Settings {
            model: Some("qwen".into()),
            ..local.clone()
        };
        let sonnet = "Anthropic https://api.anthropic.com claude-sonnet-4-5-20250929";
        let haiku = "Anthropic https://api.anthropic.com claude-haiku-4-5-20251001";
        assert_eq!(shape(&both).unwrap(), [sonnet, haiku]);
        let [agent, title] = shape(&openai).unwrap();
        assert_eq!(agent, "Openai https://api.openai.com/v1 gpt-4.1");
        assert_eq!(title, "Openai https://api.openai.com/v1 gpt-4.1-mini");
        let qwen = "Openai http://127.0.0.1:8080/v1 qwen";
        assert_eq!(shape(&local_named).unwrap(), [qwen, qwen]);
        for (settings, says) in [
            (
                &none,
                "set ANTHROPIC_API_KEY for Anthropic, or OPENAI_API_KEY",
            ),
            (&local, "set LLM_MODEL or `llm.routes.reasoning.model`"),
        ] {
            let error = shape(settings).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let bad = Settings {
            anthropic_base_url: Some("localhost:1".into()),
            ..both
        };
        assert!(
            shape(&bad)
                .unwrap_err()
                .contains("`ANTHROPIC_BASE_URL` is not an http")
        );
    }

    #[test]
    fn one_route_may_differ_but_needs_its_key() {
        let judge = RouteSetting {
            provider: Some(Provider::Openai),
            model: Some("gpt-5".into()),
            answer_mode: Some(AnswerMode::Fenced),
        };
        let mut settings = Settings {
            anthropic_api_key: Some(secret("a")),
            routes: BTreeMap::from([(RouteName::Judge, judge)]),
            ..Settings::default()
        };
        let error = Routes::resolve(&settings).unwrap_err();
        assert_eq!(
            error.to_string(),
            "route `judge` needs provider `openai`: set OPENAI_API_KEY"
        );
        settings.openai_api_key = Some(secret("sk-hidden"));
        let routes = Routes::resolve(&settings).unwrap();
        assert_eq!(routes.get(RouteName::Judge).answer_mode, AnswerMode::Fenced);
        let by = |alias| routes.by_alias(alias).map(|(name, _)| name);
        assert_eq!(by("title"), Some(RouteName::Title));
        assert_eq!(by("gpt-5"), Some(RouteName::Judge));
        assert_eq!(by("claude-sonnet-4-5-20250929"), Some(RouteName::Agent));
        assert_eq!(by("claude-2"), None);
        // A route can be logged: keys are never part of its text.
        assert!(!format!("{routes:?}").contains("sk-hidden"));
    }
}

//! Everybody who can be asked, in the order of preference.

use secrecy::SecretString;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::dialect::Dialect;
use omoi_domain::provider_row::{ProviderPreset, ServerKinship};

use super::{
    ANTHROPIC_BASE_URL, AwaitedKey, LlmSettings, ModelServer, OPENAI_BASE_URL, ProviderKey,
    RouteError, ServerSettings, trim_url, variables,
};
use crate::catalogue::provider_at;

/// A server that answers, with everything its routes have in common.
#[derive(Clone, Debug)]
pub(super) struct UpstreamServer {
    /// What choices call it.
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) base_url: String,
    /// Its keys, one at least, used in turn.
    pub(super) keys: Vec<ProviderKey>,
    /// The program whose calls alone they are for.
    pub(super) only_program: Option<AgentProgram>,
    /// Whether a person runs it, by what stands in the list.
    pub(super) is_own_server: bool,
    /// The model of every question that names none.
    pub(super) model: Option<String>,
    /// Where to name one.
    pub(super) model_variable: &'static str,
    pub(super) max_tokens: u32,
    /// The most tokens its models read, where a person says so.
    pub(super) window: Option<u64>,
    pub(super) settings: ServerSettings,
    /// Whether it takes every name, known or not: a server of the person's own choice, or a proxy.
    pub(super) takes_any_model: bool,
    /// Whether the vendor's own models may be assumed.
    pub(super) is_vendor: bool,
    /// Whether it stands in the person's list.
    pub(super) is_listed: bool,
}

impl UpstreamServer {
    /// Whether it can be asked only once an organisation brings a key.
    pub(super) fn awaits_key(&self) -> bool {
        matches!(self.keys.first(), Some(ProviderKey::Awaited(_)))
    }

    /// Whether the server has the ways of the vendor of its dialect.
    pub(super) fn acts_like_vendor(&self) -> bool {
        let like = self.settings.like;
        like.map_or(self.is_vendor, |like| like != ServerKinship::Compatible)
    }
}

/// The servers that can be asked, and those that lack a key.
#[derive(Clone, Debug)]
pub(super) struct ServerList {
    servers: Vec<UpstreamServer>,
    /// Names of listed providers, with the variable that has to be set.
    keyless: Vec<(String, String)>,
}

impl ServerList {
    /// The one server that wins over all, then the person's own list, then the vendors with a key.
    ///
    /// # Errors
    /// Returns [`RouteError`] where that is none.
    pub(super) fn from_settings(settings: &LlmSettings) -> Result<Self, RouteError> {
        let list = Self::with_keys(settings)?;
        match (list.servers.is_empty(), list.keyless.first()) {
            (false, _) => Ok(list),
            (true, Some((name, variable))) => Err(RouteError::NoKey {
                provider: name.clone(),
                variable: variable.clone(),
            }),
            (true, None) if settings.own.key.is_none() => Err(RouteError::NoProvider),
            (true, None) => Err(RouteError::KeyWithoutServer),
        }
    }

    /// The same servers, then those that lack a key which an organisation may bring.
    ///
    /// # Errors
    /// Returns [`RouteError`] where that is none.
    pub(super) fn with_awaited(settings: &LlmSettings) -> Result<Self, RouteError> {
        let mut list = Self::with_keys(settings)?;
        let awaited = settings.providers.iter().filter_map(|listed| {
            let key = listed.awaited_key()?;
            Some(UpstreamServer::of_listed(settings, listed).awaiting(key))
        });
        list.servers.extend(awaited);
        let is_listed = |name: &str| settings.providers.iter().any(|p| p.row.name == name);
        for (kind, server) in [(ANTHROPIC, &settings.anthropic), (OPENAI, &settings.openai)] {
            if list.find_server(kind.name).is_some() || is_listed(kind.name) {
                continue;
            }
            let server = UpstreamServer::of_kind(kind, server)?;
            list.servers.push(server.awaiting(AwaitedKey {
                variable: kind.key_variable.to_owned(),
                is_bearer: kind.dialect != Dialect::Messages,
            }));
        }
        match list.servers.is_empty() {
            true => Err(RouteError::NoProvider),
            false => Ok(list),
        }
    }

    /// Those that have the keys they want; it may be none.
    fn with_keys(settings: &LlmSettings) -> Result<Self, RouteError> {
        let mut list = Self {
            servers: Vec::new(),
            keyless: Vec::new(),
        };
        let LlmSettings {
            own,
            anthropic,
            openai,
            ..
        } = settings;
        if own.base_url.is_some() {
            list.servers.push(UpstreamServer::of_kind(OWN, own)?);
        }
        for listed in &settings.providers {
            match listed.missing_key() {
                Some(variable) => {
                    let keyless = (listed.row.name.clone(), variable.to_owned());
                    list.keyless.push(keyless);
                }
                None => list
                    .servers
                    .push(UpstreamServer::of_listed(settings, listed)),
            }
        }
        let is_listed = |name: &str| settings.providers.iter().any(|p| p.row.name == name);
        if !anthropic.key.is_none() && !is_listed(ANTHROPIC.name) {
            let server = UpstreamServer::of_kind(ANTHROPIC, anthropic)?;
            list.servers.push(server);
        }
        let has_openai = !openai.key.is_none() || openai.base_url.is_some();
        if has_openai && !is_listed(OPENAI.name) {
            list.servers.push(UpstreamServer::of_kind(OPENAI, openai)?);
        }
        Ok(list)
    }

    /// The server that is asked first.
    #[expect(
        clippy::indexing_slicing,
        reason = "a list without servers is not made"
    )]
    pub(super) fn first_server(&self) -> &UpstreamServer {
        &self.servers[0]
    }

    /// All of them, first choice first.
    pub(super) fn all_servers(&self) -> &[UpstreamServer] {
        &self.servers
    }

    /// The server that choices call `name`.
    pub(super) fn find_server(&self, name: &str) -> Option<&UpstreamServer> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// What to do before a provider called `name` can be asked; none where that is no provider.
    pub(super) fn missing_reason(&self, name: &str) -> Option<String> {
        if let Some((_, variable)) = self.keyless.iter().find(|(keyless, _)| keyless == name) {
            return Some(format!("set {variable}"));
        }
        let preset = ProviderPreset::parse(name)?;
        Some(match preset.key_variable() {
            // The vendors need no row.
            Some(variable)
                if matches!(preset, ProviderPreset::Anthropic | ProviderPreset::Openai) =>
            {
                format!("set {variable}")
            }
            Some(variable) => format!("list `{name}` under `providers:` and set {variable}"),
            None => format!("list `{name}` under `providers:`"),
        })
    }
}

/// What is known of a server by the section that configures it.
#[derive(Clone, Copy)]
struct ServerKind {
    name: &'static str,
    dialect: Dialect,
    vendor_url: Option<&'static str>,
    url_variable: &'static str,
    model_variable: &'static str,
    key_variable: &'static str,
}

const OWN: ServerKind = ServerKind {
    name: "llm",
    dialect: Dialect::ChatCompletions,
    vendor_url: None,
    url_variable: variables::LLM_BASE_URL,
    model_variable: variables::LLM_MODEL,
    key_variable: variables::LLM_API_KEY,
};
const ANTHROPIC: ServerKind = ServerKind {
    name: "anthropic",
    dialect: Dialect::Messages,
    vendor_url: Some(ANTHROPIC_BASE_URL),
    url_variable: variables::ANTHROPIC_BASE_URL,
    model_variable: variables::ANTHROPIC_MODEL,
    key_variable: variables::ANTHROPIC_API_KEY,
};
const OPENAI: ServerKind = ServerKind {
    name: "openai",
    dialect: Dialect::ChatCompletions,
    vendor_url: Some(OPENAI_BASE_URL),
    url_variable: variables::OPENAI_BASE_URL,
    model_variable: variables::OPENAI_MODEL,
    key_variable: variables::OPENAI_API_KEY,
};

impl UpstreamServer {
    fn of_kind(kind: ServerKind, server: &ModelServer) -> Result<Self, RouteError> {
        let written = server.base_url.as_deref().or(kind.vendor_url);
        let base_url = parse_address(written.unwrap_or_default(), kind.url_variable)?;
        let is_vendor = kind.vendor_url == Some(base_url.as_str());
        Ok(Self {
            name: kind.name.to_owned(),
            dialect: kind.dialect,
            is_vendor,
            is_listed: false,
            takes_any_model: !is_vendor,
            base_url,
            keys: vec![server.key.clone()],
            only_program: None,
            is_own_server: false,
            model: server.model.clone(),
            model_variable: kind.model_variable,
            max_tokens: server.max_tokens,
            window: None,
            settings: ServerSettings {
                provider: Some(kind.name.to_owned()),
                ..ServerSettings::default()
            },
        })
    }

    /// The same server, asked with keys of organisations alone.
    fn awaiting(self, key: AwaitedKey) -> Self {
        Self {
            keys: vec![ProviderKey::Awaited(key)],
            ..self
        }
    }

    fn of_listed(settings: &LlmSettings, listed: &super::ListedProvider) -> Self {
        let row = &listed.row;
        let send_key = |key: &SecretString| match (row.dialect, row.only_program) {
            // The token of a subscription is none of the keys of the API.
            (Dialect::Messages, None) => ProviderKey::Header(key.clone()),
            _ => ProviderKey::Bearer(key.clone()),
        };
        let mut keys: Vec<_> = listed
            .key
            .iter()
            .chain(&listed.more_keys)
            .map(send_key)
            .collect();
        if keys.is_empty() {
            keys.push(ProviderKey::None);
        }
        let usual = match row.dialect {
            Dialect::Messages => &settings.anthropic,
            Dialect::ChatCompletions | Dialect::Responses => &settings.openai,
        };
        let is_vendor = [ANTHROPIC_BASE_URL, OPENAI_BASE_URL].contains(&row.address.as_str());
        Self {
            name: row.name.clone(),
            dialect: row.dialect,
            base_url: trim_url(&row.address),
            keys,
            only_program: row.only_program,
            is_own_server: row.is_own_server,
            model: None,
            model_variable: variables::LLM_MODEL,
            max_tokens: row.max_tokens.unwrap_or(usual.max_tokens),
            window: row.window,
            settings: ServerSettings {
                provider: Some(row.name.clone()),
                headers: listed.headers.clone(),
                like: row.manner.like,
                quirks: row.manner.quirks.clone(),
            },
            takes_any_model: provider_at(&row.address).is_none(),
            is_vendor,
            is_listed: true,
        }
    }
}

fn parse_address(written: &str, variable: &'static str) -> Result<String, RouteError> {
    let url = trim_url(written);
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

//! What can be configured of the address that people and probes are answered at.

use omoi_domain::config::{Config, ConfigKey, ListItems, ValueKind};
use omoi_domain::{choice, config_keys};

config_keys! {
    /// Keys of the address to listen at.
    SERVER_KEYS of SERVER = "server", "SERVER_";

    /// Whom it serves: `local` answers the person whose machine it is, on loopback alone; `team` answers people who sign in, and demands `server.public_url` and `auth.keys`.
    SERVER_MODE: ServerMode = ConfigKey::choice(&SERVER, "mode", "local")
        .closed_to_repository();
    /// The address to listen at.
    SERVER_HOST: String = ConfigKey::new(&SERVER, "host", ValueKind::Text, "127.0.0.1")
        .closed_to_repository();
    /// The port to listen at; 0 takes a free one.
    SERVER_PORT: u16 = ConfigKey::new(&SERVER, "port", ValueKind::int_range(0, 65_535), "8000")
        .closed_to_repository();
    /// Address that people reach this server at, such as `https://omoi.example.org`; `team` demands it. Signing in by GitHub or Google needs it: their pages lead back there.
    SERVER_PUBLIC_URL: Option<String> =
        ConfigKey::new(&SERVER, "public_url", ValueKind::Url(&["http", "https"]), "")
            .closed_to_repository();
    /// Origins of pages elsewhere that may ask this server with a person's cookie, such as `https://board.example.org`; never `*`.
    SERVER_ALLOWED_ORIGINS: Vec<String> =
        ConfigKey::new(&SERVER, "allowed_origins", ValueKind::List(ListItems::Entries("origins")), "")
            .closed_to_repository();
    /// Addresses or networks of the proxies in front of it, such as `10.0.0.0/8`: who a request comes from is read in `X-Forwarded-For` of theirs alone. `team` behind `https` demands them.
    SERVER_TRUSTED_PROXIES: Vec<String> =
        ConfigKey::new(&SERVER, "trusted_proxies", ValueKind::List(ListItems::Entries("addresses and networks")), "")
            .closed_to_repository();
    /// Whether requests of one caller are limited. Load tests switch it off.
    SERVER_REQUEST_LIMITS: bool = ConfigKey::new(&SERVER, "request_limits", ValueKind::Bool, "true")
        .closed_to_repository();
}

choice! {
    /// Whom a server serves.
    ServerMode {
        /// The person whose machine it is, who needs no account.
        Local = "local",
        /// People who sign in.
        Team = "team",
    }
}

/// Whether requests of one caller are limited.
pub fn has_request_limits(config: &Config) -> bool {
    config.get(&SERVER_REQUEST_LIMITS)
}

/// The address that people reach this server at, without a slash at its end.
pub fn public_url(config: &Config) -> Option<String> {
    let url = config.get(&SERVER_PUBLIC_URL)?;
    Some(url.trim_end_matches('/').to_owned())
}

/// How a server is reached, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteOptions {
    /// Whom it serves.
    pub mode: ServerMode,
    /// Address that people reach it at.
    pub public_url: Option<String>,
    /// Origins of pages elsewhere.
    pub allowed_origins: Vec<String>,
    /// Proxies in front of it.
    pub trusted_proxies: Vec<String>,
}

impl SiteOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            mode: config.get(&SERVER_MODE),
            public_url: public_url(config),
            allowed_origins: config.get(&SERVER_ALLOWED_ORIGINS),
            trusted_proxies: config.get(&SERVER_TRUSTED_PROXIES),
        }
    }
}

/// The address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Name or address of the host.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
}

impl ListenOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            host: config.get(&SERVER_HOST),
            port: config.get(&SERVER_PORT),
        }
    }
}

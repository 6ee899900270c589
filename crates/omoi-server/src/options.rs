//! What can be configured of the address that people and probes are answered at.

use std::time::Duration;

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
    /// Port of loopback at which a process that answers no people, as one that only does the work, answers `/health` and `/metrics`; 0 takes a free one, which it names when it starts.
    SERVER_PROBE_PORT: u16 = ConfigKey::new(&SERVER, "probe_port", ValueKind::int_range(0, 65_535), "0")
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
    /// How long the head of a request may take to come, the silence before it counted in; whoever is slower finds the connection closed.
    SERVER_HEAD_TIME: Duration = ConfigKey::new(&SERVER, "head_time", ValueKind::Seconds { min: 1, max: 300 }, "10")
        .closed_to_repository();
    /// How long the body of a request may take to come; a large upload has a second more for each MiB.
    SERVER_BODY_TIME: Duration = ConfigKey::new(&SERVER, "body_time", ValueKind::Seconds { min: 1, max: 3_600 }, "60")
        .closed_to_repository();
    /// Bytes of the head of a request: its first line and its headers.
    SERVER_HEAD_BYTES: u64 = ConfigKey::new(&SERVER, "head_bytes", ValueKind::bytes_range(8 << 10, 1 << 20), "16KiB")
        .closed_to_repository();
    /// Connections that this process holds at most, and never more than half of the files that it may open.
    SERVER_CONNECTIONS: u32 = ConfigKey::new(&SERVER, "connections", ValueKind::int_range(1, 1_000_000), "4096")
        .closed_to_repository();
    /// Connections that one address holds at most, the proxies of `server.trusted_proxies` excepted: they bring those of others.
    SERVER_ADDRESS_CONNECTIONS: u32 =
        ConfigKey::new(&SERVER, "connections_per_address", ValueKind::int_range(1, 1_000_000), "1000")
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

/// What connections and the requests on them may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// How long the head of a request may take to come.
    pub head_time: Duration,
    /// Bytes of a head.
    pub head_bytes: usize,
    /// Connections of all addresses.
    pub connections_max: usize,
    /// Connections of one address.
    pub address_connections_max: usize,
}

impl ConnectionOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            head_time: config.get(&SERVER_HEAD_TIME),
            head_bytes: usize::try_from(config.get(&SERVER_HEAD_BYTES)).unwrap_or(usize::MAX),
            connections_max: count(config.get(&SERVER_CONNECTIONS)),
            address_connections_max: count(config.get(&SERVER_ADDRESS_CONNECTIONS)),
        }
    }
}

/// How long the body of a request may take to come.
pub fn body_time(config: &Config) -> Duration {
    config.get(&SERVER_BODY_TIME)
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

    /// Where a process that answers no people answers probes.
    pub fn of_probes(config: &Config) -> Self {
        Self {
            host: std::net::Ipv4Addr::LOCALHOST.to_string(),
            port: config.get(&SERVER_PROBE_PORT),
        }
    }
}

//! What can be configured of the address that people and probes are answered at.

use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;

config_keys! {
    /// Keys of the address to listen at.
    SERVER_KEYS of SERVER = "server", "SERVER_";

    /// The address to listen at.
    SERVER_HOST: String = ConfigKey::new(&SERVER, "host", ValueKind::Text, "127.0.0.1")
        .closed_to_repository();
    /// The port to listen at; 0 takes a free one.
    SERVER_PORT: u16 = ConfigKey::new(&SERVER, "port", ValueKind::int_range(0, 65_535), "8000")
        .closed_to_repository();
    /// Address that people reach this server at, such as `https://omoi.example.org`. Signing in by GitHub or Google needs it: their pages lead back there.
    SERVER_PUBLIC_URL: Option<String> =
        ConfigKey::new(&SERVER, "public_url", ValueKind::Url(&["http", "https"]), "")
            .closed_to_repository();
}

/// The address that people reach this server at, without a slash at its end.
pub fn public_url(config: &Config) -> Option<String> {
    let url = config.get(&SERVER_PUBLIC_URL)?;
    Some(url.trim_end_matches('/').to_owned())
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

//! What can be configured of the data folder, the log and the bus.

use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, DefaultContext, ValueKind};
use omoi_domain::{choice, config_keys};

config_keys! {
    /// Keys of the data folder. They come first in a table: other defaults are derived from the folder.
    DATA_KEYS of DATA = "data", "DATA_";

    /// Folder for the database, mirrors and workspaces.
    DATA_DIR: PathBuf = ConfigKey::new(&DATA, "dir", ValueKind::Path, "")
        .derived_default("`omoios` in the user's data folder", default_data_dir)
        .env_name("OMOI_DATA_DIR")
        .closed_to_repository();
    /// How long a followed run stands still on a full disk before it ends and waits for a person.
    DATA_DISK_WAIT: Duration = ConfigKey::new(&DATA, "disk_wait", ValueKind::TIME, "30")
        .closed_to_repository();
}

config_keys! {
    /// Keys of the process log.
    LOG_KEYS of LOG = "log", "LOG_";

    /// What to log, as in `warn,omoi=debug`.
    LOG_FILTER: String = ConfigKey::new(&LOG, "filter", ValueKind::Text, "warn,omoi=info")
        .env_name("OMOI_LOG")
        .closed_to_repository();
    /// How a log line looks.
    LOG_FORMAT: LogFormat = ConfigKey::choice(&LOG, "format", "text")
        .env_name("OMOI_LOG_FORMAT")
        .closed_to_repository();
}

config_keys! {
    /// Keys of the server that carries hints between processes.
    REDIS_KEYS of REDIS = "redis", "REDIS_";

    /// The server that carries hints between processes; empty keeps them in this one.
    REDIS_URL: Option<String> =
        ConfigKey::new(&REDIS, "url", ValueKind::Url(&["redis", "rediss", "redis+unix"]), "")
            .closed_to_repository();
    /// Keeps deployments on one server apart.
    REDIS_KEY_PREFIX: String = ConfigKey::new(&REDIS, "key_prefix", ValueKind::Text, "omoi")
        .closed_to_repository();
}

choice! {
    /// How a log line looks.
    LogFormat {
        /// Plain text for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// Where a deployment keeps its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataOptions {
    /// Folder for the database, mirrors and workspaces.
    pub folder: PathBuf,
    /// How long a followed run stands still on a full disk.
    pub disk_wait: Duration,
}

impl DataOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            folder: config.get(&DATA_DIR),
            disk_wait: config.get(&DATA_DISK_WAIT),
        }
    }
}

/// Where the Redis server is and which of its channels is ours.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://`, `rediss://` (TLS) or `redis+unix://`, with the password in it.
    pub url: String,
    /// Keeps deployments on one server apart.
    pub key_prefix: String,
}

impl RedisOptions {
    /// The options that `config` asks for; none where hints stay in the process.
    pub fn from_config(config: &Config) -> Option<Self> {
        Some(Self {
            url: config.get(&REDIS_URL)?,
            key_prefix: config.get(&REDIS_KEY_PREFIX),
        })
    }
}

fn default_data_dir(context: &DefaultContext) -> Option<String> {
    let folder = context.data_home.as_ref()?.join("omoios");
    folder.into_os_string().into_string().ok()
}

//! What can be configured of the database.

use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, DefaultContext, ValueKind};
use omoi_domain::config_keys;

config_keys! {
    /// Keys of the database.
    DATABASE_KEYS of DATABASE = "database", "DATABASE_";

    /// Address of the database that holds all state.
    DATABASE_URL: String =
        ConfigKey::new(&DATABASE, "url", ValueKind::Url(&["sqlite", "postgres", "postgresql"]), "")
            .derived_default("`omoios.db` in the data folder", default_database_url)
            .closed_to_repository();
    /// Connections kept open to PostgreSQL.
    DATABASE_POOL_SIZE: u32 =
        ConfigKey::new(&DATABASE, "pool_size", ValueKind::int_range(1, 500), "10")
            .closed_to_repository();
    /// How long to wait for a free connection.
    DATABASE_POOL_TIMEOUT: Duration =
        ConfigKey::new(&DATABASE, "pool_timeout", ValueKind::TIME, "30")
            .closed_to_repository();
    /// How long one statement may take in PostgreSQL.
    DATABASE_COMMAND_TIMEOUT: Duration =
        ConfigKey::new(&DATABASE, "command_timeout", ValueKind::TIME, "30")
            .closed_to_repository();
    /// How long connecting to PostgreSQL may take.
    DATABASE_CONNECT_TIMEOUT: Duration =
        ConfigKey::new(&DATABASE, "connect_timeout", ValueKind::TIME, "10")
            .closed_to_repository();
}

/// The database that a process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOptions {
    /// Its address; empty for the file in the data folder.
    pub url: String,
    /// How it is used when it is a server.
    pub server: ServerOptions,
}

impl DatabaseOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            url: config.get(&DATABASE_URL),
            server: ServerOptions {
                connections: config.get(&DATABASE_POOL_SIZE),
                pool_timeout: config.get(&DATABASE_POOL_TIMEOUT),
                command_timeout: config.get(&DATABASE_COMMAND_TIMEOUT),
                connect_timeout: config.get(&DATABASE_CONNECT_TIMEOUT),
            },
        }
    }

    /// Whether processes of several data folders and hosts may use it at once.
    pub fn is_shared(&self) -> bool {
        self.url.starts_with("postgres")
    }
}

/// How a database server is used; a file is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Connections that are kept open to it.
    pub connections: u32,
    /// How long to wait for a free one.
    pub pool_timeout: Duration,
    /// How long one statement may take.
    pub command_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections: 10,
            pool_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

fn default_database_url(context: &DefaultContext) -> Option<String> {
    let path = context.data_folder.as_ref()?.join("omoios.db");
    let path = path.to_str()?;
    // The only characters that mean something else in such an address.
    let path = path
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23");
    Some(format!("sqlite://{path}"))
}

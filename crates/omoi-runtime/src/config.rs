//! Layered configuration: read once, checked whole, then never changed.
//!
//! A [`KeyTable`] declares the keys; [`load_config`] reads every layer of [`ConfigSources`] against it. Later
//! layers win: default < `config/base.yaml` < user file < `config/<env>.yaml` < secret
//! files < `.env` < `.env.local` < process environment < command line. Anything unknown,
//! contradictory or out of range refuses the start, with the place it stands at.

pub mod keys;

mod error;
mod key;
mod load;
mod nearest;
mod parse_value;
mod repository;
mod repository_rules;
mod show;
mod sources;
mod url_secrets;
mod value;
mod yaml;

use std::collections::HashMap;

use omoi_domain::secret_mask::SecretMask;
use secrecy::ExposeSecret as _;

pub use self::error::{ConfigLayer, LoadError, ValueOrigin, ValuePlace};
pub use self::key::{
    ConfigKey, DefaultContext, DefaultValue, KeySection, KeySpec, RepositoryRule, SettingShape,
    SettingValue,
};
pub use self::load::load_config;
pub use self::repository::read_repository_settings;
pub use self::show::{config_page, key_reference};
pub use self::sources::{ConfigSources, FILE_BYTES_MAX, OMOI_ROOT, OMOI_SECRETS_DIR, OMOIOS_ENV};
pub use self::value::{BadValue, ConfigValue, ListItems, ValueKind};

use self::nearest::nearest_name;

/// The kind of deployment, which picks `config/<name>.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeploymentEnvironment {
    /// A single machine of one person.
    #[default]
    Local,
    /// A deployment for trying out releases.
    Staging,
    /// The deployment that people work with.
    Production,
    /// A run of the test suite.
    Test,
}

impl DeploymentEnvironment {
    /// All environments, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Local, Self::Staging, Self::Production, Self::Test];

    /// The name in `OMOIOS_ENV` and of the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Test => "test",
        }
    }
}

/// The declared keys and the rules between them.
pub struct KeyTable {
    /// In the order they are shown; a derived default sees only keys before it.
    pub keys: &'static [&'static KeySpec],
    /// Rules between keys, checked after all layers are read.
    pub rules: &'static [TableRule],
}

/// Refuses keys that are right alone and wrong together.
pub type TableRule = fn(&Config) -> Result<(), LoadError>;

impl KeyTable {
    fn find_section(&self, name: &str) -> Option<&'static str> {
        let mut names = self.keys.iter().map(|spec| spec.section.name);
        names.find(|known| *known == name)
    }

    fn find_key(&self, section: &str, name: &str) -> Option<&'static KeySpec> {
        let mut keys = self.keys.iter().copied();
        keys.find(|spec| spec.section.name == section && spec.name == name)
    }

    fn unknown_section(&self, origin: ValueOrigin, name: String) -> LoadError {
        let nearest = nearest_name(&name, self.keys.iter().map(|spec| spec.section.name));
        LoadError::Unknown {
            origin,
            what: "section",
            nearest: nearest.map(ToOwned::to_owned),
            name,
        }
    }

    fn unknown_key(&self, origin: ValueOrigin, section: &str, name: &str) -> LoadError {
        let in_section = self.keys.iter().filter(|spec| spec.section.name == section);
        let found = nearest_name(name, in_section.map(|spec| spec.name));
        // The right key under the wrong section is as likely as a slip of the pen.
        let elsewhere = || self.keys.iter().find(|spec| spec.name == name);
        let nearest = match found {
            Some(near) => Some(format!("{section}.{near}")),
            None => elsewhere().map(|spec| spec.dotted_path()),
        };
        LoadError::Unknown {
            origin,
            what: "key",
            name: format!("{section}.{name}"),
            nearest,
        }
    }
}

/// Every key with its value and where that came from.
#[derive(Clone)]
pub struct Config {
    environment: DeploymentEnvironment,
    entries: Vec<ConfigEntry>,
    by_key: HashMap<(&'static str, &'static str), usize>,
    warnings: Vec<String>,
}

/// One key of a [`Config`].
#[derive(Clone, Debug)]
pub struct ConfigEntry {
    /// Declaration of the key.
    pub spec: &'static KeySpec,
    /// Value of the highest layer that sets the key.
    pub value: ConfigValue,
    /// Where it was written.
    pub origin: ValueOrigin,
}

impl ConfigEntry {
    fn entry_secrets(&self) -> Vec<String> {
        match (&self.value, self.spec.kind) {
            (ConfigValue::Secret(secret), _) => vec![secret.expose_secret().to_owned()],
            (ConfigValue::Text(url), ValueKind::Url(_)) => url_secrets::url_secrets(url),
            _ => Vec::new(),
        }
    }
}

impl Config {
    /// The value of `key`.
    #[expect(
        clippy::expect_used,
        reason = "a key is declared in the table this was loaded from, with a type that fits its kind"
    )]
    pub fn get<T: SettingValue>(&self, key: &'static ConfigKey<T>) -> T {
        let entry = self.entry(&key.spec).expect("a key of the loaded table");
        T::from_value(&entry.value).expect("a kind checked when the key was declared")
    }

    /// The value of `spec` with its origin, if the table has it.
    pub fn entry(&self, spec: &KeySpec) -> Option<&ConfigEntry> {
        let at = self.by_key.get(&(spec.section.name, spec.name))?;
        self.entries.get(*at)
    }

    /// What takes the secrets of this configuration out of other texts: keys, tokens and the passwords
    /// of addresses.
    pub fn secret_mask(&self) -> SecretMask {
        let secrets = self.entries.iter().flat_map(ConfigEntry::entry_secrets);
        SecretMask::new(secrets)
    }

    /// Every key, in the table's order.
    pub fn entries(&self) -> &[ConfigEntry] {
        &self.entries
    }

    /// The kind of deployment.
    pub fn environment(&self) -> DeploymentEnvironment {
        self.environment
    }

    /// What looks like a mistake but may be meant for another program: variables that begin like
    /// ours and that nobody reads.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn push_entry(&mut self, entry: ConfigEntry) {
        let key = (entry.spec.section.name, entry.spec.name);
        self.by_key.insert(key, self.entries.len());
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests;

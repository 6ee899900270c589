//! What can be configured: declarations of keys, and the loaded configuration that each crate takes its
//! own options from. Nothing here reads a file or a variable.

mod key;
mod origin;
mod url_secrets;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

pub use self::key::{
    ConfigKey, DefaultContext, DefaultValue, KeySection, KeySpec, RepositoryRule, SettingShape,
    SettingValue,
};
pub use self::origin::{ConfigLayer, ValueOrigin, ValuePlace};
pub use self::url_secrets::mask_url;
pub(crate) use self::url_secrets::url_secrets;
pub use self::value::{ConfigValue, ListItems, ValueKind};
use crate::secret_mask::{LearnedSecrets, SecretMask};

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

/// Every key with its value and where that came from.
#[derive(Clone)]
pub struct Config {
    environment: DeploymentEnvironment,
    entries: Vec<ConfigEntry>,
    by_key: HashMap<(&'static str, &'static str), usize>,
    warnings: Vec<String>,
    /// Secrets that values name, by the name of their variable or file.
    named_secrets: BTreeMap<String, NamedSecret>,
    /// Secrets that are read while the process runs, known to every mask of it.
    learned: LearnedSecrets,
}

/// A secret that the value of a key names, as a provider names its key.
#[derive(Clone, Debug)]
pub struct NamedSecret {
    /// The secret itself.
    pub value: SecretString,
    /// Where it was found.
    pub origin: ValueOrigin,
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
            (ConfigValue::Text(url), ValueKind::Url(_)) => url_secrets(url),
            _ => Vec::new(),
        }
    }
}

impl Config {
    /// A configuration of these entries, each of another key.
    pub fn of_entries(environment: DeploymentEnvironment, entries: Vec<ConfigEntry>) -> Self {
        let by_key = entries.iter().zip(0..);
        let by_key = by_key.map(|(entry, at)| ((entry.spec.section.name, entry.spec.name), at));
        Self {
            environment,
            by_key: by_key.collect(),
            entries,
            warnings: Vec::new(),
            named_secrets: BTreeMap::new(),
            learned: LearnedSecrets::default(),
        }
    }

    /// Adds the secrets that values name.
    #[must_use]
    pub fn with_named_secrets(mut self, secrets: BTreeMap<String, NamedSecret>) -> Self {
        self.named_secrets = secrets;
        self
    }

    /// The secrets that values name, by the name of their variable or file.
    pub fn named_secrets(&self) -> &BTreeMap<String, NamedSecret> {
        &self.named_secrets
    }

    /// Adds what looks like a mistake.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

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
        let named = self.named_secrets.values();
        let named = named.map(|secret| secret.value.expose_secret().to_owned());
        SecretMask::new(secrets.chain(named)).with_learned(&self.learned)
    }

    /// Where secrets are added that are read while the process runs.
    pub const fn learned_secrets(&self) -> &LearnedSecrets {
        &self.learned
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

    /// Each of `specs` as `section.key=value (place)`, for a message.
    pub fn describe_keys(&self, specs: &[&KeySpec]) -> String {
        let one = |entry: &ConfigEntry| {
            let path = entry.spec.dotted_path();
            format!("{path}={} ({})", entry.value, entry.origin)
        };
        let entries = specs.iter().filter_map(|spec| self.entry(spec));
        entries.map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Keys that are right alone are wrong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}, but {found}")]
pub struct BrokenRule {
    /// Rule that must hold, for people.
    pub rule: String,
    /// The keys with their values and places.
    pub found: String,
}

/// Refuses keys that are right alone and wrong together.
pub type TableRule = fn(&Config) -> Result<(), BrokenRule>;

/// Every key with its value and place on one line, secrets masked.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                (
                    entry.spec.dotted_path(),
                    entry.value.to_string(),
                    &entry.origin,
                )
            })
            .collect();
        let width = |column: fn(&(String, String, &ValueOrigin)) -> usize| {
            rows.iter().map(column).max().unwrap_or(0)
        };
        let key_width = width(|row| row.0.chars().count());
        let value_width = width(|row| row.1.chars().count()).min(40);
        writeln!(f, "environment: {}", self.environment.as_str())?;
        for (key, value, origin) in &rows {
            writeln!(f, "{key:key_width$}  {value:value_width$}  {origin}")?;
        }
        Ok(())
    }
}

/// Masked, like everything that shows a configuration.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Config {
    /// Every key with its value, layer and place, secrets masked.
    pub fn to_json(&self) -> serde_json::Value {
        let keys = self.entries.iter().map(|entry| {
            json!({
                "key": entry.spec.dotted_path(),
                "value": entry.value.to_json(),
                "layer": entry.origin.layer.as_str(),
                "origin": entry.origin.to_string(),
            })
        });
        json!({
            "environment": self.environment.as_str(),
            "keys": keys.collect::<Vec<_>>(),
        })
    }
}

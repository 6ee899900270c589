//! Layered configuration: read once, checked whole, then never changed.
//!
//! A [`Table`] declares the keys; [`load`] reads every layer of [`Sources`] against it. Later
//! layers win: default < `config/base.yaml` < user file < `config/<env>.yaml` < secret
//! files < `.env` < `.env.local` < process environment < command line. Anything unknown,
//! contradictory or out of range refuses the start, with the place it stands at.

pub mod keys;

mod error;
mod key;
mod load;
mod nearest;
mod project;
mod repository;
mod show;
mod sources;
mod value;
mod yaml;

use std::collections::HashMap;

use omoi_domain::secret_mask::SecretMask;
use secrecy::ExposeSecret as _;

pub use self::error::{Layer, LoadError, Origin, Place};
pub use self::key::{DefaultValue, ForProject, Key, Section, Setting, Shape, Spec, Surroundings};
pub use self::load::load;
pub use self::repository::read_repository_settings;
pub use self::show::{page, reference};
pub use self::sources::{FILE_BYTES_MAX, OMOI_ROOT, OMOI_SECRETS_DIR, OMOIOS_ENV, Sources};
pub use self::value::{BadValue, Items, Kind, Value};

use self::nearest::nearest;

/// The kind of deployment, which picks `config/<name>.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// A laptop.
    #[default]
    Local,
    /// The rehearsal.
    Staging,
    /// The real thing.
    Production,
    /// Tests.
    Test,
}

impl Environment {
    /// Every environment.
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
pub struct Table {
    /// In the order they are shown; a derived default sees only keys before it.
    pub keys: &'static [&'static Spec],
    /// What must hold between keys.
    pub rules: &'static [Rule],
}

/// Refuses keys that are right alone and wrong together.
pub type Rule = fn(&Config) -> Result<(), LoadError>;

impl Table {
    fn section(&self, name: &str) -> Option<&'static str> {
        let mut names = self.keys.iter().map(|spec| spec.section.name);
        names.find(|known| *known == name)
    }

    fn key(&self, section: &str, name: &str) -> Option<&'static Spec> {
        let mut keys = self.keys.iter().copied();
        keys.find(|spec| spec.section.name == section && spec.name == name)
    }

    fn unknown_section(&self, origin: Origin, name: String) -> LoadError {
        let nearest = nearest(&name, self.keys.iter().map(|spec| spec.section.name));
        LoadError::Unknown {
            origin,
            what: "section",
            nearest: nearest.map(ToOwned::to_owned),
            name,
        }
    }

    fn unknown_key(&self, origin: Origin, section: &str, name: &str) -> LoadError {
        let in_section = self.keys.iter().filter(|spec| spec.section.name == section);
        let found = nearest(name, in_section.map(|spec| spec.name));
        // The right key under the wrong section is as likely as a slip of the pen.
        let elsewhere = || self.keys.iter().find(|spec| spec.name == name);
        let nearest = match found {
            Some(near) => Some(format!("{section}.{near}")),
            None => elsewhere().map(|spec| spec.path()),
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
    environment: Environment,
    entries: Vec<Entry>,
    by_key: HashMap<(&'static str, &'static str), usize>,
    warnings: Vec<String>,
}

/// One key of a [`Config`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// The declaration.
    pub spec: &'static Spec,
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

impl Entry {
    fn secrets(&self) -> Vec<String> {
        match (&self.value, self.spec.kind) {
            (Value::Secret(secret), _) => vec![secret.expose_secret().to_owned()],
            (Value::Text(url), Kind::Url(_)) => value::url_secrets(url),
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
    pub fn get<T: Setting>(&self, key: &'static Key<T>) -> T {
        let entry = self.entry(&key.spec).expect("a key of the loaded table");
        T::read(&entry.value).expect("a kind checked when the key was declared")
    }

    /// The value of `spec` with its origin, if the table has it.
    pub fn entry(&self, spec: &Spec) -> Option<&Entry> {
        let at = self.by_key.get(&(spec.section.name, spec.name))?;
        self.entries.get(*at)
    }

    /// What takes the secrets of this configuration out of other texts: keys, tokens and the passwords
    /// of addresses.
    pub fn secret_mask(&self) -> SecretMask {
        let secrets = self.entries.iter().flat_map(Entry::secrets);
        SecretMask::new(secrets)
    }

    /// Every key, in the table's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The kind of deployment.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// What looks like a mistake but may be meant for another program: variables that begin like
    /// ours and that nobody reads.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn push(&mut self, entry: Entry) {
        let key = (entry.spec.section.name, entry.spec.name);
        self.by_key.insert(key, self.entries.len());
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests;

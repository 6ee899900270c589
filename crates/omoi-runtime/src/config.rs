//! Layered configuration: read once, checked whole, then never changed.
//!
//! A [`KeyTable`] declares the keys; [`load_config`] reads every layer of [`ConfigSources`] against it. Later
//! layers win: default < `config/base.yaml` < user file < `config/<env>.yaml` < secret
//! files < `.env` < `.env.local` < process environment < command line. Anything unknown,
//! contradictory or out of range refuses the start, with the place it stands at.

mod error;
mod load;
mod nearest;
mod parse_value;
mod repository_rules;
mod show;
mod sources;
mod yaml;

use omoi_domain::config::{KeySpec, TableRule, ValueOrigin};

pub use self::error::LoadError;
pub use self::load::{load_config, load_repository_file};
pub use self::parse_value::BadValue;
pub use self::show::{config_page, key_reference};
pub use self::sources::{ConfigSources, FILE_BYTES_MAX, OMOI_ROOT, OMOI_SECRETS_DIR, OMOIOS_ENV};

use self::nearest::nearest_name;

/// The declared keys and the rules between them.
pub struct KeyTable {
    /// The sections in the order they are shown, each as a list of its keys. The data folder comes first:
    /// other defaults are derived from it.
    pub sections: &'static [&'static [&'static KeySpec]],
    /// Rules between keys, checked after all layers are read.
    pub rules: &'static [TableRule],
}

impl KeyTable {
    /// Every key, in the order they are shown.
    pub fn key_specs(&self) -> impl Iterator<Item = &'static KeySpec> + use<> {
        self.sections
            .iter()
            .flat_map(|section| section.iter().copied())
    }
}

/// The keys that a text may name.
pub(crate) struct KnownKeys(Vec<&'static KeySpec>);

impl KnownKeys {
    fn key_specs(&self) -> impl Iterator<Item = &'static KeySpec> {
        self.0.iter().copied()
    }

    fn find_section(&self, name: &str) -> Option<&'static str> {
        let mut names = self.key_specs().map(|spec| spec.section.name);
        names.find(|known| *known == name)
    }

    fn find_key(&self, section: &str, name: &str) -> Option<&'static KeySpec> {
        let mut keys = self.key_specs();
        keys.find(|spec| spec.section.name == section && spec.name == name)
    }

    fn unknown_section(&self, origin: ValueOrigin, name: String) -> LoadError {
        let nearest = nearest_name(&name, self.key_specs().map(|spec| spec.section.name));
        LoadError::Unknown {
            origin,
            what: "section",
            nearest: nearest.map(ToOwned::to_owned),
            name,
        }
    }

    fn unknown_key(&self, origin: ValueOrigin, section: &str, name: &str) -> LoadError {
        let in_section = self.key_specs().filter(|spec| spec.section.name == section);
        let found = nearest_name(name, in_section.map(|spec| spec.name));
        // The right key under the wrong section is as likely as a slip of the pen.
        let elsewhere = || self.key_specs().find(|spec| spec.name == name);
        let nearest = match found {
            Some(near) => Some(format!("{section}.{near}")),
            None => elsewhere().map(KeySpec::dotted_path),
        };
        LoadError::Unknown {
            origin,
            what: "key",
            name: format!("{section}.{name}"),
            nearest,
        }
    }
}

#[cfg(test)]
mod tests;

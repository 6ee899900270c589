//! Reading every layer and keeping what wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use omoi_domain::config::{
    Config, ConfigEntry, ConfigLayer, ConfigValue, DefaultContext, DefaultValue,
    DeploymentEnvironment, KeySpec, ListItems, NamedSecret, RepositoryRule, SettingValue as _,
    ValueKind, ValueOrigin, ValuePlace,
};
use omoi_domain::provider_row::ProviderRow;
use omoi_domain::repository_settings::REPOSITORY_FILE;

use super::error::LoadError;
use super::nearest::nearest_name;
use super::parse_value::{RawValue, holds_secret, masked_text, parse_value};
use super::sources::{self, ConfigSources, LayerVariables, OMOIOS_ENV};
use super::yaml::{self, YamlItem};
use super::{KeyTable, KnownKeys, repository_rules};
use crate::options::DATA_DIR;

/// Reads every layer of `sources`, checks it against `table`, and keeps the winning values.
///
/// # Errors
/// Returns the first [`LoadError`] met, in the order of the layers. Values that a later layer
/// overrides are checked too: a mistake is told when it is made.
pub fn load_config(table: &'static KeyTable, sources: &ConfigSources) -> Result<Config, LoadError> {
    let variables = read_variables(table, sources)?;
    let environment = find_environment(&variables)?;
    let mut loading = ConfigLoader {
        known: KnownKeys(table.key_specs().collect()),
        home: sources
            .home_dir()
            .and_then(|home| Some(home.to_str()?.to_owned())),
        values: BTreeMap::new(),
        warnings: Vec::new(),
    };

    let folder = sources.deployment.as_ref().map(|root| root.join("config"));
    let in_folder = |name: &str| folder.as_ref().map(|folder| folder.join(name));
    for (layer, path) in [
        (ConfigLayer::Base, in_folder("base.yaml")),
        (ConfigLayer::User, sources.user_file.clone()),
        (
            ConfigLayer::Environment,
            in_folder(&format!("{}.yaml", environment.as_str())),
        ),
    ] {
        if let Some(path) = path {
            loading.read_yaml(layer, &path)?;
        }
    }
    for layer in &variables {
        loading.read_variables(layer)?;
    }
    loading.read_flags(&sources.flags)?;

    let named = loading.named_secrets(&variables, sources.secrets.as_deref())?;
    let config = loading.finish(environment, sources)?;
    let config = config.with_named_secrets(named);
    for rule in table.rules {
        rule(&config)?;
    }
    Ok(config)
}

/// Reads the `text` of a repository's `.omoi.yaml` over `own`, the configuration of this process. Values of
/// the file carry [`ConfigLayer::Repository`]; a limit is less than the own one, or the file is refused.
///
/// # Errors
/// The first [`LoadError`] met.
pub fn load_repository_file(
    own: &Config,
    home: Option<&Path>,
    text: &str,
) -> Result<Config, LoadError> {
    let written = own.entries().iter().map(|entry| {
        let key = (entry.spec.section.name, entry.spec.name);
        let written = WrittenValue {
            value: entry.value.clone(),
            origin: entry.origin.clone(),
        };
        (key, written)
    });
    let mut loading = ConfigLoader {
        known: KnownKeys(own.entries().iter().map(|entry| entry.spec).collect()),
        home: home.and_then(Path::to_str).map(ToOwned::to_owned),
        values: written.collect(),
        warnings: Vec::new(),
    };
    loading.read_text(ConfigLayer::Repository, Path::new(REPOSITORY_FILE), text)?;
    let config = loading.finish(own.environment(), &ConfigSources::default())?;
    Ok(config.with_named_secrets(own.named_secrets().clone()))
}

/// The secret that a registry names: `host=…; credential=NAME`.
fn credential_name(row: &str) -> Option<String> {
    let mut fields = row.split(';').filter_map(|field| field.split_once('='));
    let (_, name) = fields.find(|(field, _)| field.trim() == "credential")?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| name.to_owned())
}

/// The layers made of variables, lowest first.
fn read_variables(
    table: &KeyTable,
    sources: &ConfigSources,
) -> Result<Vec<LayerVariables>, LoadError> {
    let mut layers = Vec::new();
    if let Some(folder) = &sources.secrets {
        let names = table.key_specs().flat_map(KeySpec::env_names);
        layers.push(LayerVariables::of_secret_files(folder, names)?);
    }
    if let Some(root) = &sources.deployment {
        layers.push(LayerVariables::of_dotenv(
            ConfigLayer::DotEnv,
            &root.join(".env"),
        )?);
        layers.push(LayerVariables::of_dotenv(
            ConfigLayer::DotEnvLocal,
            &root.join(".env.local"),
        )?);
    }
    layers.push(LayerVariables::of_process(sources));
    Ok(layers)
}

fn find_environment(layers: &[LayerVariables]) -> Result<DeploymentEnvironment, LoadError> {
    for layer in layers.iter().rev() {
        if let Some((name, origin)) = layer.get(OMOIOS_ENV)? {
            let known = DeploymentEnvironment::ALL
                .into_iter()
                .find(|e| e.as_str() == name);
            return known.ok_or_else(|| LoadError::NoSuchEnvironment {
                origin,
                name: name.to_owned(),
            });
        }
    }
    Ok(DeploymentEnvironment::default())
}

/// A checked value and the place it was written in.
#[derive(Clone)]
pub(super) struct WrittenValue {
    pub(super) value: ConfigValue,
    pub(super) origin: ValueOrigin,
}

/// The layers read so far.
struct ConfigLoader {
    known: KnownKeys,
    home: Option<String>,
    /// The winning value of each key, by section and name.
    values: BTreeMap<(&'static str, &'static str), WrittenValue>,
    warnings: Vec<String>,
}

impl ConfigLoader {
    fn set_value(
        &mut self,
        spec: &'static KeySpec,
        raw: &RawValue,
        origin: ValueOrigin,
    ) -> Result<(), LoadError> {
        let value = self.parse_raw(spec, raw, &origin)?;
        self.values.insert(
            (spec.section.name, spec.name),
            WrittenValue { value, origin },
        );
        Ok(())
    }

    fn parse_raw(
        &self,
        spec: &KeySpec,
        raw: &RawValue,
        origin: &ValueOrigin,
    ) -> Result<ConfigValue, LoadError> {
        parse_value(&spec.kind, raw, self.home.as_deref()).map_err(|source| LoadError::Value {
            origin: origin.clone(),
            key: spec.dotted_path(),
            value: masked_text(&spec.kind, raw),
            source: Box::new(source),
        })
    }

    fn read_yaml(&mut self, layer: ConfigLayer, path: &Path) -> Result<(), LoadError> {
        match sources::read_file(path)? {
            Some(text) => self.read_text(layer, path, &text),
            None => Ok(()),
        }
    }

    fn read_text(&mut self, layer: ConfigLayer, path: &Path, text: &str) -> Result<(), LoadError> {
        let origin = |line| ValueOrigin {
            layer,
            place: ValuePlace::Line(path.to_owned(), line),
        };
        for found in yaml::parse_yaml(&self.known, path, text)? {
            match found {
                YamlItem::Section { name, line } => {
                    return Err(self.known.unknown_section(origin(line), name));
                }
                YamlItem::Key {
                    section,
                    name,
                    line,
                } => return Err(self.known.unknown_key(origin(line), section, &name)),
                YamlItem::Value { spec, raw, line } => {
                    let origin = origin(line);
                    let [variable, _] = spec.env_names();
                    let key = spec.dotted_path();
                    if holds_secret(&spec.kind, &raw) {
                        return Err(LoadError::SecretInYaml {
                            origin,
                            key,
                            variable,
                        });
                    }
                    if layer == ConfigLayer::Repository {
                        self.check_repository_key(spec, &raw, &origin)?;
                    }
                    self.set_value(spec, &raw, origin)?;
                }
            }
        }
        Ok(())
    }

    /// The secrets that the providers read so far name.
    fn named_secrets(
        &self,
        variables: &[LayerVariables],
        folder: Option<&Path>,
    ) -> Result<BTreeMap<String, NamedSecret>, LoadError> {
        let mut names = Vec::new();
        for spec in self.known.key_specs() {
            let Some(written) = self.values.get(&(spec.section.name, spec.name)) else {
                continue;
            };
            match (&spec.kind, &written.value) {
                (ValueKind::List(ListItems::Providers), value) => {
                    let rows = Vec::<ProviderRow>::from_value(value).into_iter().flatten();
                    for row in rows {
                        names.extend(row.secret_names().cloned());
                    }
                }
                (ValueKind::List(ListItems::Registries(_)), ConfigValue::List(rows)) => {
                    names.extend(rows.iter().filter_map(|row| credential_name(row)));
                }
                _ => {}
            }
        }
        let mut files = None;
        if let Some(folder) = folder {
            // The usual names of keys were read before anybody knew these.
            files = Some(LayerVariables::of_secret_files(
                folder,
                names.iter().cloned(),
            )?);
        }
        let mut found = BTreeMap::new();
        for name in names {
            for layer in files.iter().chain(variables) {
                if let Some((text, origin)) = layer.get(&name)?
                    && !text.is_empty()
                {
                    let value = SecretString::from(text.to_owned());
                    found.insert(name.clone(), NamedSecret { value, origin });
                }
            }
        }
        Ok(found)
    }

    /// Refuses a key that the file of a repository must not set.
    fn check_repository_key(
        &self,
        spec: &'static KeySpec,
        raw: &RawValue,
        origin: &ValueOrigin,
    ) -> Result<(), LoadError> {
        if spec.repository == RepositoryRule::Closed {
            let [variable, _] = spec.env_names();
            return Err(LoadError::ClosedToRepository {
                origin: origin.clone(),
                key: spec.dotted_path(),
                variable,
            });
        }
        let written = WrittenValue {
            value: self.parse_raw(spec, raw, origin)?,
            origin: origin.clone(),
        };
        let below = match self.values.get(&(spec.section.name, spec.name)) {
            Some(lower) => Some(lower.clone()),
            None => self.written_default(spec)?,
        };
        repository_rules::check_repository_value(spec, &written, below, self.home.as_deref())
    }

    fn read_variables(&mut self, variables: &LayerVariables) -> Result<(), LoadError> {
        for spec in self.known.0.clone() {
            let [usual, alias] = spec.env_names();
            let (raw, origin) = match (variables.get(&usual)?, variables.get(&alias)?) {
                (None, None) => continue,
                (Some((first, at)), Some((second, also_at))) if first != second => {
                    return Err(LoadError::Conflict {
                        key: spec.dotted_path(),
                        first: at,
                        second: also_at,
                    });
                }
                (Some((value, origin)), _) | (None, Some((value, origin))) => {
                    (RawValue::Scalar(value.to_owned()), origin)
                }
            };
            self.set_value(spec, &raw, origin)?;
        }
        self.warn_of_unread(variables);
        Ok(())
    }

    /// `OMOI_<SECTION>_…` without such a key is most likely a slip.
    fn warn_of_unread(&mut self, variables: &LayerVariables) {
        let known: Vec<_> = self
            .known
            .key_specs()
            .flat_map(KeySpec::env_names)
            .collect();
        for name in variables
            .variable_names()
            .filter(|name| name.starts_with("OMOI_"))
        {
            let of_section = self.known.key_specs().any(|spec| {
                let section = spec.section.name.to_ascii_uppercase();
                name["OMOI_".len()..].starts_with(&format!("{section}_"))
            });
            if of_section && !known.iter().any(|known| known == name) {
                let hint = match nearest_name(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("; did you mean {near}?"),
                    None => String::new(),
                };
                self.warnings.push(format!("nobody reads {name}{hint}"));
            }
        }
    }

    fn read_flags(&mut self, flags: &[(String, String)]) -> Result<(), LoadError> {
        for (path, value) in flags {
            let origin = ValueOrigin {
                layer: ConfigLayer::Flag,
                place: ValuePlace::Flag,
            };
            let (section, name) = path.split_once('.').unwrap_or((path, ""));
            let Some(section) = self.known.find_section(section) else {
                return Err(self.known.unknown_section(origin, section.to_owned()));
            };
            let Some(spec) = self.known.find_key(section, name) else {
                return Err(self.known.unknown_key(origin, section, name));
            };
            self.set_value(spec, &RawValue::Scalar(value.clone()), origin)?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        environment: DeploymentEnvironment,
        sources: &ConfigSources,
    ) -> Result<Config, LoadError> {
        let mut entries = Vec::new();
        for spec in self.known.key_specs() {
            let key = (spec.section.name, spec.name);
            let WrittenValue { value, origin } = match self.values.remove(&key) {
                Some(written) => written,
                None => self.default_value(spec, &entries, sources)?,
            };
            entries.push(ConfigEntry {
                spec,
                value,
                origin,
            });
        }
        let config = Config::of_entries(environment, entries);
        Ok(config.with_warnings(self.warnings))
    }

    fn default_value(
        &self,
        spec: &KeySpec,
        before: &[ConfigEntry],
        sources: &ConfigSources,
    ) -> Result<WrittenValue, LoadError> {
        let text = match spec.default {
            DefaultValue::Text(text) => text.to_owned(),
            DefaultValue::Derived { from, .. } => {
                let surroundings = DefaultContext {
                    data_home: sources.data_home(),
                    data_folder: data_folder(before),
                };
                from(&surroundings).ok_or_else(|| LoadError::NoDefault {
                    key: spec.dotted_path(),
                    variable: spec.env_names()[0].clone(),
                })?
            }
        };
        self.parse_default(spec, text)
    }

    /// The default of a key that has one without looking around.
    fn written_default(&self, spec: &KeySpec) -> Result<Option<WrittenValue>, LoadError> {
        match spec.default {
            DefaultValue::Text(text) => self.parse_default(spec, text.to_owned()).map(Some),
            DefaultValue::Derived { .. } => Ok(None),
        }
    }

    fn parse_default(&self, spec: &KeySpec, text: String) -> Result<WrittenValue, LoadError> {
        let origin = ValueOrigin {
            layer: ConfigLayer::Default,
            place: ValuePlace::Code,
        };
        let value = self.parse_raw(spec, &RawValue::Scalar(text), &origin)?;
        Ok(WrittenValue { value, origin })
    }
}

/// The data folder, if it is among the keys read so far.
fn data_folder(entries: &[ConfigEntry]) -> Option<PathBuf> {
    let found = entries
        .iter()
        .find(|entry| std::ptr::eq(entry.spec, &raw const DATA_DIR.spec))?;
    PathBuf::from_value(&found.value)
}

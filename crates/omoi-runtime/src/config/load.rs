//! Reading every layer and keeping what wins.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use omoi_domain::repository_settings::REPOSITORY_FILE;

use super::error::{Layer, LoadError, Origin, Place};
use super::key::{DefaultValue, ForProject, Spec, Surroundings};
use super::nearest::nearest;
use super::project;
use super::sources::{self, OMOIOS_ENV, Sources, Variables};
use super::value::{Raw, Value};
use super::yaml::{self, Found};
use super::{Config, Entry, Environment, Table};

/// Reads every layer of `sources`, checks it against `table`, and keeps the winning values.
///
/// # Errors
/// Returns the first [`LoadError`] met, in the order of the layers. Values that a later layer
/// overrides are checked too: a mistake is told when it is made.
pub fn load(table: &'static Table, sources: &Sources) -> Result<Config, LoadError> {
    let variables = read_variables(table, sources)?;
    let environment = find_environment(&variables)?;
    let mut loading = Loading {
        table,
        home: sources
            .home()
            .and_then(|home| Some(home.to_str()?.to_owned())),
        values: BTreeMap::new(),
        warnings: Vec::new(),
    };

    let folder = sources.deployment.as_ref().map(|root| root.join("config"));
    let in_folder = |name: &str| folder.as_ref().map(|folder| folder.join(name));
    for (layer, path) in [
        (Layer::Base, in_folder("base.yaml")),
        (Layer::User, sources.user_file.clone()),
        (
            Layer::Environment,
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

    let config = loading.finish(environment, sources)?;
    for rule in table.rules {
        rule(&config)?;
    }
    Ok(config)
}

/// Reads the `text` of a repository's file over `own`, the configuration of this process. Values of
/// the file carry [`Layer::Project`]; a limit is less than the own one, or the file is refused.
///
/// # Errors
/// The first [`LoadError`] met.
pub(super) fn load_over(
    table: &'static Table,
    own: &Config,
    home: Option<&str>,
    text: &str,
) -> Result<Config, LoadError> {
    let written = own.entries.iter().map(|entry| {
        let key = (entry.spec.section.name, entry.spec.name);
        (key, (entry.value.clone(), entry.origin.clone()))
    });
    let mut loading = Loading {
        table,
        home: home.map(ToOwned::to_owned),
        values: written.collect(),
        warnings: Vec::new(),
    };
    loading.read_text(Layer::Project, Path::new(REPOSITORY_FILE), text)?;
    loading.finish(own.environment, &Sources::default())
}

/// The layers made of variables, lowest first.
fn read_variables(table: &Table, sources: &Sources) -> Result<Vec<Variables>, LoadError> {
    let mut layers = Vec::new();
    if let Some(folder) = &sources.secrets {
        let names = table.keys.iter().flat_map(|spec| spec.env_names());
        layers.push(Variables::secret_files(folder, names)?);
    }
    if let Some(root) = &sources.deployment {
        layers.push(Variables::dotenv(Layer::DotEnv, &root.join(".env"))?);
        layers.push(Variables::dotenv(
            Layer::DotEnvLocal,
            &root.join(".env.local"),
        )?);
    }
    layers.push(Variables::process(sources));
    Ok(layers)
}

fn find_environment(layers: &[Variables]) -> Result<Environment, LoadError> {
    for layer in layers.iter().rev() {
        if let Some((name, origin)) = layer.get(OMOIOS_ENV)? {
            let known = Environment::ALL.into_iter().find(|e| e.as_str() == name);
            return known.ok_or_else(|| LoadError::NoSuchEnvironment {
                origin,
                name: name.to_owned(),
            });
        }
    }
    Ok(Environment::default())
}

/// The layers read so far.
struct Loading {
    table: &'static Table,
    home: Option<String>,
    /// The winning value of each key, by section and name.
    values: BTreeMap<(&'static str, &'static str), (Value, Origin)>,
    warnings: Vec<String>,
}

impl Loading {
    fn set(&mut self, spec: &'static Spec, raw: &Raw, origin: Origin) -> Result<(), LoadError> {
        let value = self.parse(spec, raw, &origin)?;
        self.values
            .insert((spec.section.name, spec.name), (value, origin));
        Ok(())
    }

    fn parse(&self, spec: &Spec, raw: &Raw, origin: &Origin) -> Result<Value, LoadError> {
        spec.kind
            .parse(raw, self.home.as_deref())
            .map_err(|source| LoadError::Value {
                origin: origin.clone(),
                key: spec.path(),
                value: spec.kind.show(raw),
                source: Box::new(source),
            })
    }

    fn read_yaml(&mut self, layer: Layer, path: &Path) -> Result<(), LoadError> {
        match sources::read(path)? {
            Some(text) => self.read_text(layer, path, &text),
            None => Ok(()),
        }
    }

    fn read_text(&mut self, layer: Layer, path: &Path, text: &str) -> Result<(), LoadError> {
        let origin = |line| Origin {
            layer,
            place: Place::Line(path.to_owned(), line),
        };
        for found in yaml::parse(self.table, path, text)? {
            match found {
                Found::Section { name, line } => {
                    return Err(self.table.unknown_section(origin(line), name));
                }
                Found::Key {
                    section,
                    name,
                    line,
                } => return Err(self.table.unknown_key(origin(line), section, &name)),
                Found::Value { spec, raw, line } => {
                    let origin = origin(line);
                    let [variable, _] = spec.env_names();
                    let key = spec.path();
                    if spec.kind.holds_secret(&raw) {
                        return Err(LoadError::SecretInYaml {
                            origin,
                            key,
                            variable,
                        });
                    }
                    if layer == Layer::Project {
                        self.check_project(spec, &raw, &origin)?;
                    }
                    self.set(spec, &raw, origin)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses what the file of a repository must not say.
    fn check_project(
        &self,
        spec: &'static Spec,
        raw: &Raw,
        origin: &Origin,
    ) -> Result<(), LoadError> {
        if spec.project == ForProject::Closed {
            let [variable, _] = spec.env_names();
            return Err(LoadError::ClosedToProject {
                origin: origin.clone(),
                key: spec.path(),
                variable,
            });
        }
        let value = self.parse(spec, raw, origin)?;
        let below = match self.values.get(&(spec.section.name, spec.name)) {
            Some(written) => Some(written.clone()),
            None => self.written_default(spec)?,
        };
        project::check(spec, (&value, origin), below, self.home.as_deref())
    }

    fn read_variables(&mut self, variables: &Variables) -> Result<(), LoadError> {
        for spec in self.table.keys {
            let [usual, alias] = spec.env_names();
            let (raw, origin) = match (variables.get(&usual)?, variables.get(&alias)?) {
                (None, None) => continue,
                (Some((first, at)), Some((second, also_at))) if first != second => {
                    return Err(LoadError::Conflict {
                        key: spec.path(),
                        first: at,
                        second: also_at,
                    });
                }
                (Some((value, origin)), _) | (None, Some((value, origin))) => {
                    (Raw::Scalar(value.to_owned()), origin)
                }
            };
            self.set(spec, &raw, origin)?;
        }
        self.warn_of_unread(variables);
        Ok(())
    }

    /// `OMOI_<SECTION>_…` without such a key is most likely a slip.
    fn warn_of_unread(&mut self, variables: &Variables) {
        let known: Vec<_> = self.table.keys.iter().flat_map(|s| s.env_names()).collect();
        for name in variables.names().filter(|name| name.starts_with("OMOI_")) {
            let of_section = self.table.keys.iter().any(|spec| {
                let section = spec.section.name.to_ascii_uppercase();
                name["OMOI_".len()..].starts_with(&format!("{section}_"))
            });
            if of_section && !known.iter().any(|known| known == name) {
                let hint = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("; did you mean {near}?"),
                    None => String::new(),
                };
                self.warnings.push(format!("nobody reads {name}{hint}"));
            }
        }
    }

    fn read_flags(&mut self, flags: &[(String, String)]) -> Result<(), LoadError> {
        for (path, value) in flags {
            let origin = Origin {
                layer: Layer::Flag,
                place: Place::Flag,
            };
            let (section, name) = path.split_once('.').unwrap_or((path, ""));
            let Some(section) = self.table.section(section) else {
                return Err(self.table.unknown_section(origin, section.to_owned()));
            };
            let Some(spec) = self.table.key(section, name) else {
                return Err(self.table.unknown_key(origin, section, name));
            };
            self.set(spec, &Raw::Scalar(value.clone()), origin)?;
        }
        Ok(())
    }

    fn finish(mut self, environment: Environment, sources: &Sources) -> Result<Config, LoadError> {
        let mut config = Config {
            environment,
            entries: Vec::with_capacity(self.table.keys.len()),
            by_key: HashMap::new(),
            warnings: std::mem::take(&mut self.warnings),
        };
        for spec in self.table.keys {
            let key = (spec.section.name, spec.name);
            let (value, origin) = match self.values.remove(&key) {
                Some(written) => written,
                None => self.default(spec, &config, sources)?,
            };
            config.push(Entry {
                spec,
                value,
                origin,
            });
        }
        Ok(config)
    }

    fn default(
        &self,
        spec: &Spec,
        config: &Config,
        sources: &Sources,
    ) -> Result<(Value, Origin), LoadError> {
        let text = match spec.default {
            DefaultValue::Text(text) => text.to_owned(),
            DefaultValue::Derived { from, .. } => {
                let surroundings = Surroundings {
                    data_home: sources.data_home(),
                    config,
                };
                from(&surroundings).ok_or_else(|| LoadError::NoDefault {
                    key: spec.path(),
                    variable: spec.env_names()[0].clone(),
                })?
            }
        };
        self.of_code(spec, text)
    }

    /// The default of a key that has one without looking around.
    fn written_default(&self, spec: &Spec) -> Result<Option<(Value, Origin)>, LoadError> {
        match spec.default {
            DefaultValue::Text(text) => self.of_code(spec, text.to_owned()).map(Some),
            DefaultValue::Derived { .. } => Ok(None),
        }
    }

    fn of_code(&self, spec: &Spec, text: String) -> Result<(Value, Origin), LoadError> {
        let origin = Origin {
            layer: Layer::Default,
            place: Place::Code,
        };
        let value = self.parse(spec, &Raw::Scalar(text), &origin)?;
        Ok((value, origin))
    }
}

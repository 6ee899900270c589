//! Where the layers are read from, and the layers that are not YAML.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use omoi_domain::config::{ConfigLayer, ValueOrigin, ValuePlace};

use super::error::LoadError;

/// Names the environment: `local` (default), `staging`, `production` or `test`.
pub const OMOIOS_ENV: &str = "OMOIOS_ENV";
/// Names the deployment's folder, which holds `config/`, `.env` and `.env.local`.
pub const OMOI_ROOT: &str = "OMOI_ROOT";
/// Names the folder with one file per secret, called like its environment variable.
pub const OMOI_SECRETS_DIR: &str = "OMOI_SECRETS_DIR";

/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Everything the configuration is read from. What is `None` or missing on disk is skipped.
#[derive(Clone, Debug, Default)]
pub struct ConfigSources {
    /// Environment variables of the process.
    pub process: BTreeMap<OsString, OsString>,
    /// The deployment's folder. Never the repository under work nor simply the current folder:
    /// whoever wrote the files there could redirect our credentials.
    pub deployment: Option<PathBuf>,
    /// The folder of secret files.
    pub secrets: Option<PathBuf>,
    /// The person's own file.
    pub user_file: Option<PathBuf>,
    /// Pairs of `section.key` and value from the command line.
    pub flags: Vec<(String, String)>,
}

impl ConfigSources {
    /// The process environment and the files it points to.
    pub fn from_process() -> Self {
        Self::from_variables(std::env::vars_os().collect())
    }

    /// As [`from_process`](Self::from_process) for any environment.
    pub fn from_variables(process: BTreeMap<OsString, OsString>) -> Self {
        let mut sources = Self {
            process,
            ..Self::default()
        };
        let own = sources.xdg_folder("XDG_CONFIG_HOME", ".config");
        let own = own.map(|folder| folder.join("omoios"));
        sources.deployment = sources.variable_path(OMOI_ROOT);
        sources.secrets = sources
            .variable_path(OMOI_SECRETS_DIR)
            .or_else(|| own.as_ref().map(|own| own.join("secrets")));
        sources.user_file = own.map(|own| own.join("config.yaml"));
        sources
    }

    /// Adds a command-line value for `section.key`.
    #[must_use]
    pub fn with_flag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.flags.push((key.into(), value.into()));
        self
    }

    /// The user's folder for data.
    pub(super) fn data_home(&self) -> Option<PathBuf> {
        self.xdg_folder("XDG_DATA_HOME", ".local/share")
    }

    /// The user's home folder.
    pub(super) fn home_dir(&self) -> Option<PathBuf> {
        self.variable_path("HOME")
    }

    /// A folder of the XDG convention, which says to ignore relative ones.
    fn xdg_folder(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.variable_path(variable)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.home_dir()?.join(below_home)))
    }

    fn variable_path(&self, variable: &str) -> Option<PathBuf> {
        let value = self.process.get(std::ffi::OsStr::new(variable))?;
        (!value.is_empty()).then(|| value.into())
    }
}

/// Variables by name, with where each stands.
#[derive(Debug)]
pub(super) struct LayerVariables {
    pub(super) layer: ConfigLayer,
    values: BTreeMap<String, (String, ValuePlace)>,
    /// Names whose value is not UTF-8.
    not_text: Vec<String>,
}

impl LayerVariables {
    /// The value of `name` and where it stands.
    pub(super) fn get(&self, name: &str) -> Result<Option<(&str, ValueOrigin)>, LoadError> {
        if self.not_text.iter().any(|bad| bad == name) {
            return Err(LoadError::NotText(name.to_owned()));
        }
        Ok(self.values.get(name).map(|(value, place)| {
            let origin = ValueOrigin {
                layer: self.layer,
                place: place.clone(),
            };
            (value.as_str(), origin)
        }))
    }

    /// Names of all variables of the layer.
    pub(super) fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The layer of the process environment.
    pub(super) fn of_process(sources: &ConfigSources) -> Self {
        let mut variables = Self::empty_layer(ConfigLayer::Process);
        for (name, value) in &sources.process {
            let Some(name) = name.to_str() else { continue };
            match value.to_str() {
                Some(value) => {
                    let place = ValuePlace::Variable(name.to_owned());
                    variables
                        .values
                        .insert(name.to_owned(), (value.to_owned(), place));
                }
                None => variables.not_text.push(name.to_owned()),
            }
        }
        variables
    }

    /// Reads the env file at `path`; empty when there is none.
    pub(super) fn of_dotenv(layer: ConfigLayer, path: &Path) -> Result<Self, LoadError> {
        let mut variables = Self::empty_layer(layer);
        let text = read_file(path)?.unwrap_or_default();
        for (line, number) in text.lines().zip(1..) {
            let entry = parse_line(line).map_err(|reason| LoadError::DotEnv {
                path: path.to_owned(),
                line: number,
                reason,
            })?;
            if let Some((name, value)) = entry {
                let place = ValuePlace::Line(path.to_owned(), number);
                variables.values.insert(name, (value, place));
            }
        }
        Ok(variables)
    }

    /// The files of `folder` that are called like one of `names`.
    pub(super) fn of_secret_files(
        folder: &Path,
        names: impl Iterator<Item = String>,
    ) -> Result<Self, LoadError> {
        let mut variables = Self::empty_layer(ConfigLayer::SecretFile);
        if !folder.exists() {
            return Ok(variables);
        }
        for name in names {
            let path = folder.join(&name);
            check_secret_mode(&path)?;
            if let Some(text) = read_file(&path)? {
                // Editors and `echo` end a file with a newline that is no part of the secret.
                let value = text.trim_end_matches(['\r', '\n']).to_owned();
                variables
                    .values
                    .insert(name, (value, ValuePlace::Line(path, 0)));
            }
        }
        Ok(variables)
    }

    fn empty_layer(layer: ConfigLayer) -> Self {
        Self {
            layer,
            values: BTreeMap::new(),
            not_text: Vec::new(),
        }
    }
}

/// A secret that others can read is not used.
fn check_secret_mode(path: &Path) -> Result<(), LoadError> {
    // One that is not there is told, or not missed, where it is read.
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode() & 0o7777);
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(LoadError::OpenSecret {
            path: path.to_owned(),
            mode,
        }),
    }
}

/// The text of the file, or `None` when there is none.
pub(super) fn read_file(path: &Path) -> Result<Option<String>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
            limit: FILE_BYTES_MAX,
        });
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// `NAME=value`, with an optional `export`; nothing is interpolated.
fn parse_line(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("expected NAME=value")?;
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err("a name has only letters, digits and `_`");
    }
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted_value(&value[1..], quote)?,
        _ => bare_value(value).to_owned(),
    };
    Ok(Some((name.to_owned(), value)))
}

/// Up to a comment, which needs a space in front.
fn bare_value(value: &str) -> &str {
    if value.starts_with('#') {
        return "";
    }
    let end = value.find(" #").unwrap_or(value.len());
    value[..end].trim_end()
}

fn quoted_value(rest: &str, quote: char) -> Result<String, &'static str> {
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        if character == quote {
            let after = characters.as_str().trim_start();
            if after.is_empty() || after.starts_with('#') {
                return Ok(value);
            }
            return Err("there is text after the closing quote");
        }
        if character != '\\' || quote == '\'' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => value.push('\n'),
            Some('t') => value.push('\t'),
            Some(escaped @ ('\\' | '"' | '$' | '`')) => value.push(escaped),
            _ => return Err(r#"only \n \t \\ \" \$ and \` are escapes"#),
        }
    }
    Err("the closing quote is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_lines() {
        for (line, expected) in [
            ("", Ok(None)),
            ("  # note", Ok(None)),
            ("A=1", Ok(Some(("A", "1")))),
            ("export A_B = x y  # note", Ok(Some(("A_B", "x y")))),
            ("A=x#y", Ok(Some(("A", "x#y")))),
            ("A=", Ok(Some(("A", "")))),
            ("A=# note", Ok(Some(("A", "")))),
            ("A=b=c==", Ok(Some(("A", "b=c==")))),
            (r#"A="x # \"y\"\n" # note"#, Ok(Some(("A", "x # \"y\"\n")))),
            (r"A='raw \n $B'", Ok(Some(("A", r"raw \n $B")))),
            ("A", Err("expected NAME=value")),
            ("A B=1", Err("a name has only letters, digits and `_`")),
            ("A=\"x", Err("the closing quote is missing")),
            ("A='x'y", Err("there is text after the closing quote")),
            (
                r#"A="\q""#,
                Err(r#"only \n \t \\ \" \$ and \` are escapes"#),
            ),
        ] {
            let expected = expected.map(|entry: Option<(&str, &str)>| {
                entry.map(|(name, value)| (name.to_owned(), value.to_owned()))
            });
            assert_eq!(parse_line(line), expected, "{line}");
        }
    }

    #[test]
    fn the_environment_says_where_files_are() {
        let sources = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into()));
            ConfigSources::from_variables(pairs.collect())
        };
        let laptop = sources(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "relative")]);
        assert_eq!(
            laptop.user_file,
            Some("/home/ada/.config/omoios/config.yaml".into())
        );
        assert_eq!(
            laptop.secrets,
            Some("/home/ada/.config/omoios/secrets".into())
        );
        assert_eq!(laptop.data_home(), Some("/home/ada/.local/share".into()));
        assert_eq!(laptop.deployment, None, "the current folder is not trusted");

        let fleet = sources(&[
            (OMOI_ROOT, "/srv/omoi"),
            (OMOI_SECRETS_DIR, "/run/secrets"),
            ("XDG_CONFIG_HOME", "/etc/xdg"),
        ]);
        assert_eq!(fleet.deployment, Some("/srv/omoi".into()));
        assert_eq!(fleet.secrets, Some("/run/secrets".into()));
        assert_eq!(fleet.user_file, Some("/etc/xdg/omoios/config.yaml".into()));
        assert_eq!(fleet.data_home(), None);
    }
}

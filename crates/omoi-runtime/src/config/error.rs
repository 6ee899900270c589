//! Why the configuration was refused.

use std::io;
use std::path::PathBuf;

use omoi_domain::config::{BrokenRule, ValueOrigin};

use super::parse_value::BadValue;

/// The configuration cannot be used; the program must not start with it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder is there but cannot be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Why the system could not read it.
        #[source]
        source: io::Error,
    },
    /// Others can read a secret file.
    #[error(
        "`{}` can be read by other users (mode {mode:04o}); run: chmod 600 {}",
        path.display(),
        path.display()
    )]
    OpenSecret {
        /// Path of the file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file is too large to be a configuration.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Largest size that is read, in bytes.
        limit: u64,
    },
    /// The YAML itself is wrong, or a value has the wrong shape.
    #[error("`{}` line {line} is not valid", path.display())]
    Yaml {
        /// Path of the file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Error of the YAML parser.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A line of an env file is wrong.
    #[error("`{}` line {line}: {reason}", path.display())]
    DotEnv {
        /// Path of the file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with the line.
        reason: &'static str,
    },
    /// Nobody reads this section or key.
    #[error("{origin}: unknown {what} `{name}`{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// The word `section` or `key`.
        what: &'static str,
        /// Its name, with the section in front for keys.
        name: String,
        /// The known name most like it.
        nearest: Option<String>,
    },
    /// A secret stands in a file that is made to be shared.
    #[error(
        "{origin}: `{key}` is a secret; set {variable} in the environment or use a secret file"
    )]
    SecretInYaml {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// The key as `section.name`.
        key: String,
        /// The variable to use.
        variable: String,
    },
    /// The repository's file sets a key that repositories must not set.
    #[error(
        "{origin}: `{key}` cannot be set by a repository; set {variable}, or use your own file"
    )]
    ClosedToRepository {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// The key as `section.name`.
        key: String,
        /// The variable to use.
        variable: String,
    },
    /// The repository's file asks for more than the person allows.
    #[error(
        "{origin}: a repository can lower `{key}`, not raise it to {value}; it is {limit} ({limit_origin})"
    )]
    RaisedByRepository {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// The key as `section.name`.
        key: String,
        /// The value asked for.
        value: String,
        /// The value without the repository's file.
        limit: String,
        /// Where that was written.
        limit_origin: Box<ValueOrigin>,
    },
    /// The repository's file names a place of the home folder.
    #[error("{origin}: `{key}` of a repository cannot name `{path}`, a place of your home folder")]
    HomeForRepository {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// The key as `section.name`.
        key: String,
        /// Path as the file names it.
        path: String,
    },
    /// The two names of one key say different things in one layer.
    #[error("`{key}` is set by {first} and, differently, by {second}; remove one")]
    Conflict {
        /// The key as `section.name`.
        key: String,
        /// Place of the first value.
        first: ValueOrigin,
        /// Place of the value that differs.
        second: ValueOrigin,
    },
    /// A variable of ours is not text.
    #[error("environment variable {0} is not UTF-8")]
    NotText(String),
    /// A value does not fit its key.
    #[error("{origin}: `{value}` cannot be the value of `{key}`")]
    Value {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// The key as `section.name`.
        key: String,
        /// The value, masked if secret.
        value: String,
        /// What it must be.
        #[source]
        source: Box<BadValue>,
    },
    /// Keys that are right alone are wrong together.
    #[error(transparent)]
    Rule(#[from] BrokenRule),
    /// A default depends on surroundings that are not there.
    #[error("`{key}` has no default here; set {variable}")]
    NoDefault {
        /// The key as `section.name`.
        key: String,
        /// The variable to set.
        variable: String,
    },
    /// `OMOIOS_ENV` names no environment.
    #[error("{origin}: no environment is called `{name}`; use local, staging, production or test")]
    NoSuchEnvironment {
        /// Layer and place where it is written.
        origin: ValueOrigin,
        /// Name that was given.
        name: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

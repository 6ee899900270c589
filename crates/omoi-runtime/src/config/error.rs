//! Why the configuration was refused.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::value::BadValue;

/// Where a layer's values come from, lowest first: a later layer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The program itself.
    Default,
    /// `config/base.yaml` of the deployment.
    Base,
    /// The person's own file.
    User,
    /// `.omoi.yaml` of the repository under work.
    Project,
    /// `config/<environment>.yaml` of the deployment.
    Environment,
    /// A file per key in the folder of secrets.
    SecretFile,
    /// `.env` of the deployment.
    DotEnv,
    /// `.env.local` of the deployment.
    DotEnvLocal,
    /// The process environment.
    Process,
    /// The command line.
    Flag,
}

impl Layer {
    /// The name in `config show`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Base => "base",
            Self::User => "user",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::SecretFile => "secret file",
            Self::DotEnv => ".env",
            Self::DotEnvLocal => ".env.local",
            Self::Process => "process",
            Self::Flag => "flag",
        }
    }
}

/// Where exactly a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The layer.
    pub layer: Layer,
    /// The place within it.
    pub place: Place,
}

/// A place within a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The program's own default.
    Code,
    /// A line of a file, from 1; a secret file as a whole is line 0.
    Line(PathBuf, u64),
    /// An environment variable.
    Variable(String),
    /// A command-line flag for this key.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Code => f.write_str("default"),
            Place::Line(path, 0) => write!(f, "{}", path.display()),
            Place::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Variable(name) => write!(f, "environment variable {name}"),
            Place::Flag => f.write_str("command line"),
        }
    }
}

/// The configuration cannot be used; the program must not start with it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder is there but cannot be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file is too large to be a configuration.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The YAML itself is wrong, or a value has the wrong shape.
    #[error("`{}` line {line} is not valid", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The parser's words.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A line of an env file is wrong.
    #[error("`{}` line {line}: {reason}", path.display())]
    DotEnv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Nobody reads this section or key.
    #[error("{origin}: unknown {what} `{name}`{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// Where it stands.
        origin: Origin,
        /// `section` or `key`.
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
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The variable to use.
        variable: String,
    },
    /// The repository's file sets a key that repositories must not set.
    #[error(
        "{origin}: `{key}` cannot be set by a repository; set {variable}, or use your own file"
    )]
    ClosedToProject {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The variable to use.
        variable: String,
    },
    /// The repository's file asks for more than the person allows.
    #[error(
        "{origin}: a repository can lower `{key}`, not raise it to {value}; it is {limit} ({limit_origin})"
    )]
    RaisedByProject {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The value asked for.
        value: String,
        /// The value without the repository's file.
        limit: String,
        /// Where that was written.
        limit_origin: Box<Origin>,
    },
    /// The repository's file names a place of the home folder.
    #[error("{origin}: `{key}` of a repository cannot name `{path}`, a place of your home folder")]
    HomeForProject {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The path.
        path: String,
    },
    /// The two names of one key say different things in one layer.
    #[error("`{key}` is set by {first} and, differently, by {second}; remove one")]
    Conflict {
        /// The key.
        key: String,
        /// One place.
        first: Origin,
        /// The other.
        second: Origin,
    },
    /// A variable of ours is not text.
    #[error("environment variable {0} is not UTF-8")]
    NotText(String),
    /// A value does not fit its key.
    #[error("{origin}: `{value}` cannot be the value of `{key}`")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The value, masked if secret.
        value: String,
        /// What it must be.
        #[source]
        source: Box<BadValue>,
    },
    /// Keys that are right alone are wrong together.
    #[error("{rule}, but {found}")]
    Rule {
        /// What must hold.
        rule: String,
        /// The keys with their values and places.
        found: String,
    },
    /// A default depends on surroundings that are not there.
    #[error("`{key}` has no default here; set {variable}")]
    NoDefault {
        /// The key.
        key: String,
        /// The variable to set.
        variable: String,
    },
    /// `OMOIOS_ENV` names no environment.
    #[error("{origin}: no environment is called `{name}`; use local, staging, production or test")]
    NoSuchEnvironment {
        /// Where it stands.
        origin: Origin,
        /// The name.
        name: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

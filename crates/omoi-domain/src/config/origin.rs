//! Where a value was written.

use std::fmt;
use std::path::PathBuf;

/// Where a layer's values come from, lowest first: a later layer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigLayer {
    /// The default that the program declares.
    Default,
    /// `config/base.yaml` of the deployment.
    Base,
    /// The person's own file.
    User,
    /// `.omoi.yaml` of the repository under work.
    Repository,
    /// `config/<environment>.yaml` of the deployment.
    Environment,
    /// A file per key in the folder of secrets.
    SecretFile,
    /// `.env` of the deployment.
    DotEnv,
    /// `.env.local` of the deployment.
    DotEnvLocal,
    /// Environment variables of the process.
    Process,
    /// A flag of the command line.
    Flag,
}

impl ConfigLayer {
    /// The name in `config show`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Base => "base",
            Self::User => "user",
            Self::Repository => "project",
            Self::Environment => "environment",
            Self::SecretFile => "secret file",
            Self::DotEnv => ".env",
            Self::DotEnvLocal => ".env.local",
            Self::Process => "process",
            Self::Flag => "flag",
        }
    }
}

/// Layer and place in which a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueOrigin {
    /// Layer that the value comes from.
    pub layer: ConfigLayer,
    /// The place within it.
    pub place: ValuePlace,
}

/// A place within a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePlace {
    /// The program's own default.
    Code,
    /// A line of a file, from 1; a secret file as a whole is line 0.
    Line(PathBuf, u64),
    /// The environment variable of this name.
    Variable(String),
    /// A command-line flag for this key.
    Flag,
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            ValuePlace::Code => f.write_str("default"),
            ValuePlace::Line(path, 0) => write!(f, "{}", path.display()),
            ValuePlace::Line(path, line) => write!(f, "{}:{line}", path.display()),
            ValuePlace::Variable(name) => write!(f, "environment variable {name}"),
            ValuePlace::Flag => f.write_str("command line"),
        }
    }
}

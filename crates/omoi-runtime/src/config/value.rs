//! Kinds of values, and values that never show a secret.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use omoi_domain::money::NanoUsd;

use super::url_secrets::mask_url;

/// Kind of value that a key holds, with its bounds.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// `true` or `false`; also `yes`, `no`, `on`, `off`, `1`, `0`.
    Bool,
    /// A whole number within bounds.
    Int {
        /// Least value that is taken.
        min: i64,
        /// Greatest value that is taken.
        max: i64,
    },
    /// A number within bounds.
    Float {
        /// Least value that is taken.
        min: f64,
        /// Greatest value that is taken.
        max: f64,
    },
    /// An amount of money in US dollars, 0 or more.
    Usd {
        /// Most, in whole dollars.
        max: i64,
    },
    /// A length of time: seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
    Seconds {
        /// Shortest time, in seconds.
        min: u64,
        /// Longest time, in seconds.
        max: u64,
    },
    /// A size: bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB`.
    Bytes {
        /// Smallest size, in bytes.
        min: u64,
        /// Largest size, in bytes.
        max: u64,
    },
    /// Any text; empty means not set.
    Text,
    /// One word of a closed set.
    Choice(&'static [&'static str]),
    /// A list: a sequence in YAML, separated by commas elsewhere.
    List(ListItems),
    /// A path; a leading `~/` is the home folder. Empty means not set.
    Path,
    /// An address of one of these schemes; empty means not set. Its password is a secret.
    Url(&'static [&'static str]),
    /// Never shown, never in YAML; empty means not set.
    Secret,
}

/// Kind of the items of a list.
#[derive(Clone, Copy, Debug)]
pub enum ListItems {
    /// Words of a closed set.
    Words(&'static [&'static str]),
    /// Absolute paths; a leading `~/` is the home folder.
    Paths,
    /// Prices of models, `MODEL=INPUT/OUTPUT` in US dollars for a million tokens.
    Prices,
}

/// A value as a layer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawValue {
    Scalar(String),
    List(Vec<String>),
}

/// A checked value. Whatever prints it masks secrets.
#[derive(Clone)]
pub enum ConfigValue {
    /// Value of a [`ValueKind::Bool`] key.
    Bool(bool),
    /// Value of an [`ValueKind::Int`] key.
    Int(i64),
    /// Value of a [`ValueKind::Float`] key.
    Float(f64),
    /// Value of a [`ValueKind::Usd`] key.
    Usd(NanoUsd),
    /// Value of a [`ValueKind::Seconds`] key.
    Seconds(Duration),
    /// Value of a [`ValueKind::Bytes`] key, in bytes.
    Bytes(u64),
    /// Value of a text, choice, path or address key.
    Text(String),
    /// Items of a [`ValueKind::List`] key.
    List(Vec<String>),
    /// Value of a [`ValueKind::Secret`] key.
    Secret(SecretString),
}

/// Why a text is not a value of its key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadValue {
    /// The text is of another kind.
    #[error("it must be {0}")]
    NotA(&'static str),
    /// The number is out of bounds.
    #[error("it must be between {min} and {max}")]
    Range {
        /// Least, with its unit.
        min: String,
        /// Most, with its unit.
        max: String,
    },
    /// The word is not in the set.
    #[error("`{word}` must be one of: {}", allowed.join(", "))]
    NotOneOf {
        /// Word that was given.
        word: String,
        /// Words that are allowed.
        allowed: &'static [&'static str],
    },
    /// A path that must not depend on the current folder does.
    #[error("`{0}` must be an absolute path")]
    Relative(String),
    /// `~/` without a known home.
    #[error("`~` stands for the home folder, but HOME is not set")]
    NoHome,
}

pub(super) use omoi_domain::secret_mask::MASK;

impl ValueKind {
    /// Whether `raw` may not stand in a file that is not kept secret.
    pub(super) fn holds_secret(&self, raw: &RawValue) -> bool {
        match (self, raw) {
            (Self::Secret, RawValue::Scalar(text)) => !text.is_empty(),
            (Self::Url(_), RawValue::Scalar(text)) => mask_url(text) != *text,
            _ => false,
        }
    }

    /// `raw` as it may be shown.
    pub(super) fn masked_text(&self, raw: &RawValue) -> String {
        match (self, raw) {
            (Self::Secret, _) => MASK.to_owned(),
            (Self::Url(_), RawValue::Scalar(text)) => mask_url(text),
            (_, RawValue::Scalar(text)) => text.clone(),
            (_, RawValue::List(items)) => items.join(","),
        }
    }
}

impl ConfigValue {
    /// The value as JSON, secrets masked.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Usd(value) => value.as_usd().into(),
            Self::Seconds(value) if value.subsec_nanos() == 0 => value.as_secs().into(),
            Self::Seconds(value) => value.as_secs_f64().into(),
            Self::Bytes(value) => (*value).into(),
            Self::Text(value) => mask_url(value).into(),
            Self::List(values) => values.clone().into(),
            Self::Secret(value) if value.expose_secret().is_empty() => serde_json::Value::Null,
            Self::Secret(_) => MASK.into(),
        }
    }
}

/// The value for people: bare text, lists with commas, secrets masked.
impl std::fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::List(values) => f.write_str(&values.join(",")),
            Self::Text(value) => f.write_str(&mask_url(value)),
            Self::Secret(value) if value.expose_secret().is_empty() => Ok(()),
            Self::Secret(_) => f.write_str(MASK),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl std::fmt::Debug for ConfigValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

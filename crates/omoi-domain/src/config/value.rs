//! Kinds of values, and values that never show a secret.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::url_secrets::mask_url;
use crate::money::NanoUsd;
use crate::secret_mask::MASK;

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
    /// Names of models, in order of preference.
    Models,
    /// Providers of models, as [`ProviderRow`](crate::provider_row::ProviderRow) reads them; in YAML also as
    /// mappings.
    Providers,
    /// Agents that a person declares, as [`AcpAgentRow`](crate::acp_agent_row::AcpAgentRow) reads them; in YAML also as
    /// mappings.
    AcpAgents,
    /// Which agents do what, as [`AgentRule`](crate::agent_rule::AgentRule) reads it.
    AgentRules,
    /// Files that are copied into sandboxes, as [`CopyRow`](crate::copied_file::CopyRow) reads them.
    CopyRows,
    /// Prices of models, as [`PriceRow`](crate::model_price::PriceRow) reads them.
    Prices,
    /// Texts whose reader is elsewhere, in words for the reference page.
    Entries(&'static str),
    /// Registries of packages, of the shape that is given in words: `credential=NAME` in one names a secret.
    Registries(&'static str),
    /// How long answers may take, `ROUTE=FIRST/SILENCE/TOTAL` in seconds.
    AnswerTimes,
    /// How models of a role are to answer, as [`RoleSettingsRow`](crate::role_settings::RoleSettingsRow) reads it.
    RoleSettings,
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

/// Seconds of a day.
const DAY: u64 = 86_400;

impl ValueKind {
    /// A time of one second to a day.
    pub const TIME: Self = Self::Seconds { min: 1, max: DAY };
    /// A share of a whole.
    pub const SHARE: Self = Self::Float { min: 0.0, max: 1.0 };
    /// An amount of money that work may cost.
    pub const BUDGET: Self = Self::Usd { max: 1_000_000 };
    /// An address of a server that speaks HTTP.
    pub const HTTP_URL: Self = Self::Url(&["http", "https"]);

    /// A whole number from `min` to `max`.
    pub const fn int_range(min: i64, max: i64) -> Self {
        Self::Int { min, max }
    }

    /// A size from `min` to `max` bytes.
    pub const fn bytes_range(min: u64, max: u64) -> Self {
        Self::Bytes { min, max }
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

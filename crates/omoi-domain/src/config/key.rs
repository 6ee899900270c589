//! The declaration of one configuration key.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::value::{ConfigValue, ListItems, ValueKind};
use crate::acp_agent_row::AcpAgentRow;
use crate::agent_rule::AgentRule;
use crate::copied_file::CopyRow;
use crate::model_price::PriceRow;
use crate::model_route::AnswerTimes;
use crate::money::NanoUsd;
use crate::provider_row::ProviderRow;
use crate::role_settings::RoleSettingsRow;

/// A group of keys: one mapping in YAML, one prefix in the environment.
#[derive(Clone, Copy, Debug)]
pub struct KeySection {
    /// The name in YAML.
    pub name: &'static str,
    /// The environment prefix, `LLM_`; may be empty.
    pub prefix: &'static str,
}

/// The value of a key that no layer sets.
#[derive(Clone, Copy, Debug)]
pub enum DefaultValue {
    /// Written as in the environment.
    Text(&'static str),
    /// Derived from the folders of the machine.
    Derived {
        /// Description of the value, for the reference page.
        says: &'static str,
        /// Computes it; `None` when the context does not suffice.
        from: fn(&DefaultContext) -> Option<String>,
    },
}

/// Folders from which a derived default is computed.
pub struct DefaultContext {
    /// The folder for data files of the user, from `XDG_DATA_HOME` or `HOME`.
    pub data_home: Option<PathBuf>,
    /// The data folder of the deployment, once it is known.
    pub data_folder: Option<PathBuf>,
}

/// How far the file of a repository may set a key. Repositories are not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepositoryRule {
    /// Set it to any value.
    Open,
    /// Make it less than the layers below say: budgets and limits are the person's.
    Lower,
    /// Name paths that neither are, hold nor lie in the home folder.
    OutsideHome,
    /// Nothing: the key decides where credentials are sent or how work is isolated.
    Closed,
}

/// A key without the type of its value.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Section that the key belongs to.
    pub section: &'static KeySection,
    /// Its name within the section, in lower case.
    pub name: &'static str,
    /// Kind of value it holds, with its bounds.
    pub kind: ValueKind,
    /// Its value when no layer sets it.
    pub default: DefaultValue,
    /// Its environment name when that is not prefix and name.
    pub env: Option<&'static str>,
    /// How far the file of a repository may set it.
    pub repository: RepositoryRule,
    /// One line about it.
    pub doc: &'static str,
}

impl KeySpec {
    /// The key as `section.name`, such as `llm.model`.
    pub fn dotted_path(&self) -> String {
        format!("{}.{}", self.section.name, self.name)
    }

    /// The two environment names: the usual one and the `OMOI_<SECTION>_<KEY>` alias; equal for
    /// keys that have only the alias.
    pub fn env_names(&self) -> [String; 2] {
        let upper = self.name.to_ascii_uppercase();
        let usual = self.env.map_or_else(
            || format!("{}{upper}", self.section.prefix),
            ToOwned::to_owned,
        );
        let section = self.section.name.to_ascii_uppercase();
        [usual, format!("OMOI_{section}_{upper}")]
    }
}

/// A key whose value has type `T`.
#[derive(Debug)]
pub struct ConfigKey<T> {
    /// Declaration without the type.
    pub spec: KeySpec,
    value: PhantomData<fn() -> T>,
}

impl<T: SettingValue> ConfigKey<T> {
    /// Declares a key. Does not compile when `kind` can hold what `T` cannot.
    ///
    /// # Panics
    /// At compile time, in the `static` that declares it.
    pub const fn new(
        section: &'static KeySection,
        name: &'static str,
        kind: ValueKind,
        default: &'static str,
    ) -> Self {
        assert!(
            kind_fits::<T>(&kind),
            "the type cannot hold every value of the kind"
        );
        Self {
            spec: KeySpec {
                section,
                name,
                kind,
                default: DefaultValue::Text(default),
                env: None,
                repository: RepositoryRule::Open,
                doc: "",
            },
            value: PhantomData,
        }
    }

    /// Declares a key whose words are those of `T`.
    pub const fn choice(
        section: &'static KeySection,
        name: &'static str,
        default: &'static str,
    ) -> Self {
        Self::new(section, name, ValueKind::Choice(T::WORDS), default)
    }

    /// Derives the default from the context instead.
    #[must_use]
    pub const fn derived_default(
        mut self,
        says: &'static str,
        from: fn(&DefaultContext) -> Option<String>,
    ) -> Self {
        self.spec.default = DefaultValue::Derived { says, from };
        self
    }

    /// Sets the environment name.
    #[must_use]
    pub const fn env_name(mut self, name: &'static str) -> Self {
        self.spec.env = Some(name);
        self
    }

    /// Closes the key to the file of a repository.
    #[must_use]
    pub const fn closed_to_repository(mut self) -> Self {
        self.spec.repository = RepositoryRule::Closed;
        self
    }

    /// Lets the file of a repository lower the value and not raise it.
    ///
    /// # Panics
    /// At compile time, for a kind without an order.
    #[must_use]
    pub const fn lowered_by_repository(mut self) -> Self {
        assert!(
            matches!(
                self.spec.kind,
                ValueKind::Int { .. }
                    | ValueKind::Float { .. }
                    | ValueKind::Usd { .. }
                    | ValueKind::Seconds { .. }
                    | ValueKind::Bytes { .. }
            ),
            "only what has an order can be lowered"
        );
        self.spec.repository = RepositoryRule::Lower;
        self
    }

    /// Keeps the file of a repository from naming places of the home folder.
    #[must_use]
    pub const fn outside_home_for_repository(mut self) -> Self {
        self.spec.repository = RepositoryRule::OutsideHome;
        self
    }

    /// Sets the sentence that the reference page shows.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.spec.doc = doc;
        self
    }
}

/// A type a key can have.
pub trait SettingValue: Sized {
    /// The kinds it takes.
    const SHAPE: SettingShape;
    /// The range of a whole number type.
    const RANGE: (i64, i64) = (0, 0);
    /// The words of a choice.
    const WORDS: &'static [&'static str] = &[];

    /// Reads a value of that shape; `None` for any other.
    fn from_value(value: &ConfigValue) -> Option<Self>;
}

/// The kinds a type takes.
#[derive(Clone, Copy, Debug)]
pub enum SettingShape {
    /// Takes [`ValueKind::Bool`] keys.
    Bool,
    /// Takes [`ValueKind::Int`] keys within the type's range.
    Int,
    /// Takes [`ValueKind::Bytes`] keys, sizes in bytes.
    Bytes,
    /// Takes [`ValueKind::Float`] keys within their bounds.
    Float,
    /// Takes [`ValueKind::Usd`] keys, amounts of money.
    Usd,
    /// Takes [`ValueKind::Seconds`] keys, lengths of time.
    Seconds,
    /// Takes [`ValueKind::Text`] and [`ValueKind::Url`] keys.
    Text,
    /// Takes [`ValueKind::Path`] keys, empty when not set.
    Path,
    /// Takes [`ValueKind::Choice`] keys with the type's words.
    Choice,
    /// Takes [`ValueKind::List`] keys of words.
    Words,
    /// Takes [`ValueKind::List`] keys of paths.
    Paths,
    /// Takes [`ValueKind::List`] keys of agents that are declared.
    AcpAgents,
    /// Takes [`ValueKind::List`] keys of rules for agents.
    AgentRules,
    /// Takes [`ValueKind::List`] keys of files to copy.
    CopyRows,
    /// Takes [`ValueKind::List`] keys of prices.
    Prices,
    /// Takes [`ValueKind::List`] keys of how long answers may take.
    AnswerTimes,
    /// Takes [`ValueKind::List`] keys of how models of a role are to answer.
    RoleSettings,
    /// Takes [`ValueKind::List`] keys of providers.
    Providers,
    /// Takes [`ValueKind::Secret`] keys, never shown.
    Secret,
}

const fn kind_fits<T: SettingValue>(kind: &ValueKind) -> bool {
    match (kind, T::SHAPE) {
        (ValueKind::Int { min, max }, SettingShape::Int) => {
            *min >= T::RANGE.0 && *max <= T::RANGE.1
        }
        // `Key::choice` takes the words from the type; the length catches a list written by hand.
        (ValueKind::Choice(words), SettingShape::Choice) => words.len() == T::WORDS.len(),
        (ValueKind::Bool, SettingShape::Bool)
        | (ValueKind::Bytes { .. }, SettingShape::Bytes)
        | (ValueKind::Float { .. }, SettingShape::Float)
        | (ValueKind::Usd { .. }, SettingShape::Usd)
        | (ValueKind::Seconds { .. }, SettingShape::Seconds)
        | (ValueKind::Text | ValueKind::Url(_), SettingShape::Text)
        | (ValueKind::Path, SettingShape::Path)
        | (
            ValueKind::List(
                ListItems::Words(_)
                | ListItems::Models
                | ListItems::Entries(_)
                | ListItems::Registries(_),
            ),
            SettingShape::Words,
        )
        | (ValueKind::List(ListItems::Paths), SettingShape::Paths)
        | (ValueKind::List(ListItems::AcpAgents), SettingShape::AcpAgents)
        | (ValueKind::List(ListItems::AgentRules), SettingShape::AgentRules)
        | (ValueKind::List(ListItems::CopyRows), SettingShape::CopyRows)
        | (ValueKind::List(ListItems::Prices), SettingShape::Prices)
        | (ValueKind::List(ListItems::AnswerTimes), SettingShape::AnswerTimes)
        | (ValueKind::List(ListItems::RoleSettings), SettingShape::RoleSettings)
        | (ValueKind::List(ListItems::Providers), SettingShape::Providers)
        | (ValueKind::Secret, SettingShape::Secret) => true,
        _ => false,
    }
}

macro_rules! int_setting {
    ($($int:ty),+) => {$(
        impl SettingValue for $int {
            const SHAPE: SettingShape = SettingShape::Int;
            const RANGE: (i64, i64) = (<$int>::MIN as i64, <$int>::MAX as i64);
            fn from_value(value: &ConfigValue) -> Option<Self> {
                match value {
                    ConfigValue::Int(value) => (*value).try_into().ok(),
                    _ => None,
                }
            }
        }
    )+};
}
int_setting!(i64, u32, u16);

macro_rules! setting {
    ($($type:ty, $shape:ident, $pattern:pat => $read:expr;)+) => {$(
        impl SettingValue for $type {
            const SHAPE: SettingShape = SettingShape::$shape;
            fn from_value(value: &ConfigValue) -> Option<Self> {
                match value {
                    $pattern => $read,
                    _ => None,
                }
            }
        }
    )+};
}
setting! {
    bool, Bool, ConfigValue::Bool(value) => Some(*value);
    u64, Bytes, ConfigValue::Bytes(value) => Some(*value);
    f64, Float, ConfigValue::Float(value) => Some(*value);
    NanoUsd, Usd, ConfigValue::Usd(value) => Some(*value);
    Duration, Seconds, ConfigValue::Seconds(value) => Some(*value);
    String, Text, ConfigValue::Text(value) => Some(value.clone());
    Option<String>, Text, ConfigValue::Text(value) =>
        Some(Some(value.clone()).filter(|value| !value.is_empty()));
    PathBuf, Path, ConfigValue::Text(value) => Some(value.into());
    Option<PathBuf>, Path, ConfigValue::Text(value) =>
        Some(Some(PathBuf::from(value)).filter(|value| !value.as_os_str().is_empty()));
    Vec<String>, Words, ConfigValue::List(values) => Some(values.clone());
    Vec<PathBuf>, Paths, ConfigValue::List(values) => Some(values.iter().map(PathBuf::from).collect());
    Vec<AcpAgentRow>, AcpAgents, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Vec<AgentRule>, AgentRules, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Vec<CopyRow>, CopyRows, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Vec<PriceRow>, Prices, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Vec<AnswerTimes>, AnswerTimes, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Vec<RoleSettingsRow>, RoleSettings, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Vec<ProviderRow>, Providers, ConfigValue::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Option<SecretString>, Secret, ConfigValue::Secret(value) =>
        Some(Some(value.clone()).filter(|value| !value.expose_secret().is_empty()));
}

/// Declares a closed set of words as an enum that a key can have.
#[macro_export]
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $word_doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $word_doc])+ $variant,)+ }

        impl $name {
            /// The word in files and variables.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::config::SettingValue for $name {
            const SHAPE: $crate::config::SettingShape = $crate::config::SettingShape::Choice;
            const WORDS: &'static [&'static str] = &[$($word,)+];
            fn from_value(value: &$crate::config::ConfigValue) -> Option<Self> {
                match value {
                    $crate::config::ConfigValue::Text(word) => match word.as_str() {
                        $($word => Some(Self::$variant),)+
                        _ => None,
                    },
                    _ => None,
                }
            }
        }
    };
}

/// Declares one section of the configuration: its keys as typed statics, and the list of them.
///
/// The comment of a key is its sentence on the reference page.
#[macro_export]
macro_rules! config_keys {
    ($(#[doc = $list_doc:literal])+ $list:ident of $section:ident = $name:literal, $prefix:literal;
     $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $declared:expr;)+) => {
        static $section: $crate::config::KeySection = $crate::config::KeySection {
            name: $name,
            prefix: $prefix,
        };

        $($(#[doc = $doc])+ pub static $key: $crate::config::ConfigKey<$type> =
            $declared.doc(concat!($($doc),+).trim_ascii());)+

        $(#[doc = $list_doc])+
        pub static $list: &[&$crate::config::KeySpec] = &[$(&$key.spec),+];
    };
}

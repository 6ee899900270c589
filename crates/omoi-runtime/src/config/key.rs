//! The declaration of one configuration key.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::money::{NanoUsd, PriceRow};
use secrecy::{ExposeSecret as _, SecretString};

use super::Config;
use super::value::{Items, Kind, Value};

/// A group of keys: one mapping in YAML, one prefix in the environment.
#[derive(Clone, Copy, Debug)]
pub struct Section {
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
    /// Worked out from the surroundings and from keys declared earlier.
    Derived {
        /// What it will be, for the reference page.
        says: &'static str,
        /// Works it out; `None` when the surroundings do not tell.
        from: fn(&Surroundings<'_>) -> Option<String>,
    },
}

/// What a derived default may look at.
pub struct Surroundings<'a> {
    /// The folder for data files of the user, from `XDG_DATA_HOME` or `HOME`.
    pub data_home: Option<PathBuf>,
    /// The keys resolved so far.
    pub config: &'a Config,
}

/// What the file of a repository may do with a key. Repositories are not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForProject {
    /// Set it.
    Open,
    /// Make it less than the layers below say: budgets and limits are the person's.
    Lower,
    /// Name paths that neither are, hold nor lie in the home folder.
    OutsideHome,
    /// Nothing: it says where credentials travel or which walls stand.
    Closed,
}

/// A key without the type of its value.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its section.
    pub section: &'static Section,
    /// Its name within the section, in lower case.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its value when no layer sets it.
    pub default: DefaultValue,
    /// Its environment name when that is not prefix and name.
    pub env: Option<&'static str>,
    /// What the file of a repository may do with it.
    pub project: ForProject,
    /// One line about it.
    pub doc: &'static str,
}

impl Spec {
    /// `llm.model`.
    pub fn path(&self) -> String {
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
pub struct Key<T> {
    /// The declaration.
    pub spec: Spec,
    value: PhantomData<fn() -> T>,
}

impl<T: Setting> Key<T> {
    /// Declares a key. Does not compile when `kind` can hold what `T` cannot.
    ///
    /// # Panics
    /// At compile time, in the `static` that declares it.
    pub const fn new(
        section: &'static Section,
        name: &'static str,
        kind: Kind,
        default: &'static str,
    ) -> Self {
        assert!(
            fits::<T>(&kind),
            "the type cannot hold every value of the kind"
        );
        Self {
            spec: Spec {
                section,
                name,
                kind,
                default: DefaultValue::Text(default),
                env: None,
                project: ForProject::Open,
                doc: "",
            },
            value: PhantomData,
        }
    }

    /// Declares a key whose words are those of `T`.
    pub const fn choice(
        section: &'static Section,
        name: &'static str,
        default: &'static str,
    ) -> Self {
        Self::new(section, name, Kind::Choice(T::WORDS), default)
    }

    /// Works the default out instead.
    #[must_use]
    pub const fn derived(
        mut self,
        says: &'static str,
        from: fn(&Surroundings<'_>) -> Option<String>,
    ) -> Self {
        self.spec.default = DefaultValue::Derived { says, from };
        self
    }

    /// Sets the environment name.
    #[must_use]
    pub const fn env(mut self, name: &'static str) -> Self {
        self.spec.env = Some(name);
        self
    }

    /// Closes the key to the file of a repository.
    #[must_use]
    pub const fn closed_to_project(mut self) -> Self {
        self.spec.project = ForProject::Closed;
        self
    }

    /// Lets the file of a repository lower the value and not raise it.
    ///
    /// # Panics
    /// At compile time, for a kind without an order.
    #[must_use]
    pub const fn lowered_by_project(mut self) -> Self {
        assert!(
            matches!(
                self.spec.kind,
                Kind::Int { .. }
                    | Kind::Float { .. }
                    | Kind::Usd { .. }
                    | Kind::Seconds { .. }
                    | Kind::Bytes { .. }
            ),
            "only what has an order can be lowered"
        );
        self.spec.project = ForProject::Lower;
        self
    }

    /// Keeps the file of a repository from naming places of the home folder.
    #[must_use]
    pub const fn outside_home_for_project(mut self) -> Self {
        self.spec.project = ForProject::OutsideHome;
        self
    }

    /// Documents the key.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.spec.doc = doc;
        self
    }
}

/// A type a key can have.
pub trait Setting: Sized {
    /// The kinds it takes.
    const SHAPE: Shape;
    /// The range of a whole number type.
    const RANGE: (i64, i64) = (0, 0);
    /// The words of a choice.
    const WORDS: &'static [&'static str] = &[];

    /// Reads a value of that shape; `None` for any other.
    fn read(value: &Value) -> Option<Self>;
}

/// The kinds a type takes.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// [`Kind::Bool`].
    Bool,
    /// [`Kind::Int`] within the type's range.
    Int,
    /// [`Kind::Bytes`].
    Bytes,
    /// [`Kind::Float`].
    Float,
    /// [`Kind::Usd`].
    Usd,
    /// [`Kind::Seconds`].
    Seconds,
    /// [`Kind::Text`] and [`Kind::Url`].
    Text,
    /// [`Kind::Path`].
    Path,
    /// [`Kind::Choice`] of the type's words.
    Choice,
    /// [`Kind::List`] of words.
    Words,
    /// [`Kind::List`] of paths.
    Paths,
    /// [`Kind::List`] of prices.
    Prices,
    /// [`Kind::Secret`].
    Secret,
}

const fn fits<T: Setting>(kind: &Kind) -> bool {
    match (kind, T::SHAPE) {
        (Kind::Int { min, max }, Shape::Int) => *min >= T::RANGE.0 && *max <= T::RANGE.1,
        // `Key::choice` takes the words from the type; the length catches a list written by hand.
        (Kind::Choice(words), Shape::Choice) => words.len() == T::WORDS.len(),
        (Kind::Bool, Shape::Bool)
        | (Kind::Bytes { .. }, Shape::Bytes)
        | (Kind::Float { .. }, Shape::Float)
        | (Kind::Usd { .. }, Shape::Usd)
        | (Kind::Seconds { .. }, Shape::Seconds)
        | (Kind::Text | Kind::Url(_), Shape::Text)
        | (Kind::Path, Shape::Path)
        | (Kind::List(Items::Words(_)), Shape::Words)
        | (Kind::List(Items::Paths), Shape::Paths)
        | (Kind::List(Items::Prices), Shape::Prices)
        | (Kind::Secret, Shape::Secret) => true,
        _ => false,
    }
}

macro_rules! int_setting {
    ($($int:ty),+) => {$(
        impl Setting for $int {
            const SHAPE: Shape = Shape::Int;
            const RANGE: (i64, i64) = (<$int>::MIN as i64, <$int>::MAX as i64);
            fn read(value: &Value) -> Option<Self> {
                match value {
                    Value::Int(value) => (*value).try_into().ok(),
                    _ => None,
                }
            }
        }
    )+};
}
int_setting!(i64, u32, u16);

macro_rules! setting {
    ($($type:ty, $shape:ident, $pattern:pat => $read:expr;)+) => {$(
        impl Setting for $type {
            const SHAPE: Shape = Shape::$shape;
            fn read(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $read,
                    _ => None,
                }
            }
        }
    )+};
}
setting! {
    bool, Bool, Value::Bool(value) => Some(*value);
    u64, Bytes, Value::Bytes(value) => Some(*value);
    f64, Float, Value::Float(value) => Some(*value);
    NanoUsd, Usd, Value::Usd(value) => Some(*value);
    Duration, Seconds, Value::Seconds(value) => Some(*value);
    String, Text, Value::Text(value) => Some(value.clone());
    Option<String>, Text, Value::Text(value) =>
        Some(Some(value.clone()).filter(|value| !value.is_empty()));
    PathBuf, Path, Value::Text(value) => Some(value.into());
    Option<PathBuf>, Path, Value::Text(value) =>
        Some(Some(PathBuf::from(value)).filter(|value| !value.as_os_str().is_empty()));
    Vec<String>, Words, Value::List(values) => Some(values.clone());
    Vec<PathBuf>, Paths, Value::List(values) => Some(values.iter().map(PathBuf::from).collect());
    Vec<PriceRow>, Prices, Value::List(values) =>
        values.iter().map(|value| value.parse().ok()).collect();
    Option<SecretString>, Secret, Value::Secret(value) =>
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

        impl $crate::config::Setting for $name {
            const SHAPE: $crate::config::Shape = $crate::config::Shape::Choice;
            const WORDS: &'static [&'static str] = &[$($word,)+];
            fn read(value: &$crate::config::Value) -> Option<Self> {
                match value {
                    $crate::config::Value::Text(word) => match word.as_str() {
                        $($word => Some(Self::$variant),)+
                        _ => None,
                    },
                    _ => None,
                }
            }
        }
    };
}

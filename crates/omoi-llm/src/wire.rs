//! The formats that models speak: types, server-sent events, the headers between gateway and
//! simulated model.
//!
//! The types serve both ends of a connection. What they do not know is kept, not refused: unknown
//! fields land in `extra`, unknown block and event kinds in `Other`, and both are written back as they
//! came. What they do know is checked: a `tool_use` block without an `id` is an error, not an `Other`.

/// An enum tagged by `"type"` whose unknown kinds survive as [`serde_json::Map`]s.
///
/// Serde's own untagged fallback would also swallow a known kind with a missing field and lose the
/// reason, so reading is done by hand: look at the tag, then demand that type.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident($body:ty) = $tag:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(tag = "type")]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $tag)] $variant($body),)+
            /// A kind this version does not know, kept whole.
            #[serde(untagged)]
            Other(serde_json::Map<String, serde_json::Value>),
        }

        impl $name {
            /// The wire name of this kind.
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $tag,)+
                    Self::Other(map) => map.get("type").and_then(|t| t.as_str()).unwrap_or_default(),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                let mut map = serde_json::Map::deserialize(deserializer)?;
                let kind = match map.get("type") {
                    Some(serde_json::Value::String(kind)) => kind.clone(),
                    Some(_) => return Err(D::Error::custom("`type` must be a string")),
                    None => return Err(D::Error::missing_field("type")),
                };
                match kind.as_str() {
                    $($tag => {
                        map.shift_remove("type");
                        serde_json::from_value(serde_json::Value::Object(map))
                            .map(Self::$variant)
                            .map_err(|e| D::Error::custom(format_args!("`{}`: {e}", $tag)))
                    })+
                    _ => Ok(Self::Other(map)),
                }
            }
        }
    };
}

/// An enum of bare strings whose unknown words survive.
macro_rules! open_words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A word this version does not know.
            Other(String),
        }

        impl $name {
            /// The word on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                Ok(match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                })
            }
        }
    };
}

pub mod answer;
pub mod answer_signs;
pub mod anthropic;
pub(crate) mod cache_marks;
pub mod carried_reasoning;
pub mod dialect;
pub mod headers;
pub mod openai;
pub mod raw_request;
pub mod responses;
pub mod round_entry;
pub mod sse;
pub mod web_tool;
pub mod worded_calls;

/// Fields that a type does not name, in the order they came.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Reads `null` like a field that is absent: several programs write it for nothing.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    use serde::Deserialize as _;
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

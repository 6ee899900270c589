//! Closed sets: enums whose values have one fixed text each, the same in columns, events and JSON.

/// What every enum of [`closed_set!`](macro@crate::closed_set) has, for code that is generic over them.
pub trait ClosedSet: Copy + Eq + std::fmt::Debug + 'static {
    /// Every value, in the order of its declaration.
    const ALL: &'static [Self];
    /// The text that columns, events and JSON hold for this value.
    fn as_str(self) -> &'static str;
    /// The value stored as `text`, if it is one of the set.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|value| value.as_str() == text)
    }
}

/// Declares a closed set: the enum, its texts, how they are read, and their serde form.
///
/// Attributes before the name are kept, so that a set of a model's answer can derive a JSON schema.
#[macro_export]
macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The text that columns, events and JSON hold for this value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value stored as `text`, if it is one of the set.
            pub fn parse(text: &str) -> Option<Self> {
                <Self as $crate::closed_set::ClosedSet>::parse(text)
            }
        }

        impl $crate::closed_set::ClosedSet for $name {
            const ALL: &'static [Self] = $name::ALL;
            fn as_str(self) -> &'static str {
                $name::as_str(self)
            }
        }

        impl $crate::wire_schema::PartialSchema for $name {
            fn schema() -> $crate::wire_schema::WireSchema {
                $crate::wire_schema::text_set_schema::<Self>()
            }
        }

        impl $crate::wire_schema::ToSchema for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

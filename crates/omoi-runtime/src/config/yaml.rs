//! A YAML layer, read against the key table so that every value keeps its own spelling and line.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use omoi_domain::config::{KeySpec, ListItems, ValueKind};

use super::KnownKeys;
use super::error::LoadError;
use super::parse_value::RawValue;

/// One thing found in a file.
pub(super) enum YamlItem {
    /// A value of a known key.
    Value {
        spec: &'static KeySpec,
        raw: RawValue,
        line: u64,
    },
    /// A section nobody reads.
    Section { name: String, line: u64 },
    /// A key nobody reads.
    Key {
        section: &'static str,
        name: String,
        line: u64,
    },
}

/// Keys that may stand outside of their section.
const ALONE: &[(&str, &str)] = &[
    ("providers", "llm"),
    ("setup", "sandbox"),
    ("suite", "validation"),
];

/// Reads `text`; keys set to null count as not written.
pub(super) fn parse_yaml(
    known: &KnownKeys,
    path: &Path,
    text: &str,
) -> Result<Vec<YamlItem>, LoadError> {
    let mut found = Vec::new();
    let options = serde_saphyr::options! { with_snippet: false };
    let root = DocumentVisitor {
        known,
        found: &mut found,
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        root.deserialize(yaml)
    })
    .map_err(|source| LoadError::Yaml {
        path: path.to_owned(),
        line: source.location().map_or(1, |location| location.line()),
        source: Box::new(source),
    })?;
    Ok(found)
}

/// The whole document: sections by name.
struct DocumentVisitor<'a> {
    known: &'a KnownKeys,
    found: &'a mut Vec<YamlItem>,
}

impl<'de> DeserializeSeed<'de> for DocumentVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        yaml.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for DocumentVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of sections")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        yaml.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let alone = ALONE.iter().find(|(alone, _)| *alone == name.value);
            if let Some(spec) = alone.and_then(|(key, section)| self.known.find_key(section, key)) {
                let line = name.referenced.line();
                if let Some(raw) = next_raw_value(&mut map, spec)? {
                    self.found.push(YamlItem::Value { spec, raw, line });
                }
                continue;
            }
            match self.known.find_section(&name.value) {
                Some(section) => map.next_value_seed(SectionVisitor {
                    known: self.known,
                    section,
                    found: &mut *self.found,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                    self.found.push(YamlItem::Section {
                        line: name.referenced.line(),
                        name: name.value,
                    });
                }
            }
        }
        Ok(())
    }
}

/// One section: keys by name.
struct SectionVisitor<'a> {
    known: &'a KnownKeys,
    section: &'static str,
    found: &'a mut Vec<YamlItem>,
}

impl<'de> DeserializeSeed<'de> for SectionVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        yaml.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for SectionVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping of the keys of `{}`", self.section)
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        yaml.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let line = name.referenced.line();
            let Some(spec) = self.known.find_key(self.section, &name.value) else {
                map.next_value::<IgnoredAny>()?;
                self.found.push(YamlItem::Key {
                    section: self.section,
                    name: name.value,
                    line,
                });
                continue;
            };
            let raw = next_raw_value(&mut map, spec)?;
            if let Some(raw) = raw {
                self.found.push(YamlItem::Value { spec, raw, line });
            }
        }
        Ok(())
    }
}

/// The value of `spec` as it was written; none for null.
fn next_raw_value<'de, A: MapAccess<'de>>(
    map: &mut A,
    spec: &KeySpec,
) -> Result<Option<RawValue>, A::Error> {
    // Asking for strings keeps `1.20` or `no` as written; the key's kind reads them.
    Ok(match spec.kind {
        ValueKind::List(ListItems::Providers | ListItems::AcpAgents) => {
            let rows = map.next_value::<Option<Vec<RowText>>>()?;
            rows.map(|rows| RawValue::List(rows.into_iter().map(|row| row.0).collect()))
        }
        ValueKind::List(_) => map.next_value::<Option<Vec<String>>>()?.map(RawValue::List),
        _ => map.next_value::<Option<String>>()?.map(RawValue::Scalar),
    })
}

/// A row of a list: a text, or a mapping as the text that says the same, `name=x; key=Y`.
struct RowText(String);

impl<'de> Deserialize<'de> for RowText {
    fn deserialize<D: Deserializer<'de>>(yaml: D) -> Result<Self, D::Error> {
        yaml.deserialize_any(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = RowText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a mapping")
    }

    fn visit_str<E>(self, text: &str) -> Result<RowText, E> {
        Ok(RowText(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RowText, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if value.contains(';') {
                return Err(A::Error::custom("a value must not hold `;`"));
            }
            fields.push(format!("{name}={value}"));
        }
        Ok(RowText(fields.join("; ")))
    }
}

//! A YAML tree that remembers where each value stands, so that a whole file is checked before anything is reported.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use super::error::{ScenarioError, ScenarioProblem, SourcePlace};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct YamlNode {
    pub(super) at: SourcePlace,
    pub(super) value: YamlValue,
}

/// A key of a mapping and where it stands.
#[derive(Debug)]
pub(super) struct YamlKey {
    pub(super) at: SourcePlace,
    pub(super) text: String,
}

/// What YAML can say; keys are text and keep their order.
#[derive(Debug)]
pub(super) enum YamlValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<(YamlKey, YamlNode)>),
}

impl YamlValue {
    /// How an error message calls the value.
    pub(super) fn describe_kind(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("`{value}`"),
            Self::Number(value) => format!("the number `{value}`"),
            Self::Text(value) if value.chars().count() <= 40 && !value.contains('\n') => {
                format!("the text `{value}`")
            }
            Self::Text(_) => "text".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Parses one YAML document.
///
/// Plain words mean what YAML 1.2 says (`yes`, `no`, `on` and `007` are text), tags are refused, and aliases may
/// not blow the text up beyond `scalar_bytes_max`.
pub(super) fn parse_yaml(
    file: &Arc<str>,
    text: &str,
    scalar_bytes_max: usize,
) -> Result<YamlNode, ScenarioError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_total_scalar_bytes: scalar_bytes_max },
    };
    let mut node =
        serde_saphyr::from_str_with_options::<YamlNode>(text, options).map_err(|error| {
            let mut place = SourcePlace::whole_file(file);
            if let Some(at) = error.location() {
                (place.line, place.column) = (at.line() as u32, at.column() as u32);
            }
            // The parser repeats the position at the end of its message.
            let message = error.to_string();
            let message = message
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            ScenarioError {
                place,
                problem: ScenarioProblem::Syntax { message },
            }
        })?;
    stamp_file(&mut node, file);
    Ok(node)
}

fn stamp_file(node: &mut YamlNode, file: &Arc<str>) {
    node.at.file = Arc::clone(file);
    match &mut node.value {
        YamlValue::List(entries) => entries.iter_mut().for_each(|entry| stamp_file(entry, file)),
        YamlValue::Map(entries) => {
            for (key, value) in entries {
                key.at.file = Arc::clone(file);
                stamp_file(value, file);
            }
        }
        YamlValue::Null | YamlValue::Bool(_) | YamlValue::Number(_) | YamlValue::Text(_) => {}
    }
}

fn place_of(at: Location) -> SourcePlace {
    SourcePlace {
        file: Arc::default(),
        line: at.line() as u32,
        column: at.column() as u32,
    }
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<YamlValue>::deserialize(deserializer)?;
        Ok(Self {
            at: place_of(spanned.referenced),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        YamlValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<YamlValue, E> {
        let number = Number::from_f64(value);
        number
            .map(YamlValue::Number)
            .ok_or_else(|| E::custom("JSON has no such number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<YamlValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element::<YamlNode>()? {
            entries.push(entry);
        }
        Ok(YamlValue::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = YamlKey {
                at: place_of(key.referenced),
                text: key.value,
            };
            entries.push((key, map.next_value::<YamlNode>()?));
        }
        Ok(YamlValue::Map(entries))
    }
}

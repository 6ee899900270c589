//! The fields of a JSON object with their bytes as they came.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of a JSON object in their order, each with its text as it came. Of a name that comes
/// twice the last value counts, as for most readers.
#[derive(Debug)]
pub(super) struct TopFields(pub(super) Vec<(String, Box<RawValue>)>);

impl TopFields {
    pub(super) fn find_field(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_ref())
    }
}

impl<'de> Deserialize<'de> for TopFields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = TopFields;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TopFields, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    match fields.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, before)) => *before = value,
                        None => fields.push((name, value)),
                    }
                }
                Ok(TopFields(fields))
            }
        }
        deserializer.deserialize_map(FieldVisitor)
    }
}

/// A JSON object under way.
#[derive(Default)]
pub(super) struct OutgoingFields(Vec<u8>);

impl OutgoingFields {
    pub(super) fn push_raw(&mut self, name: &str, json_text: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0
            .extend_from_slice(Value::from(name).to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(json_text.as_bytes());
    }

    pub(super) fn into_body(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        self.0
    }
}

//! A JSON object whose values keep their bytes: nothing is built of what is only passed on.

use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Names and values in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct RawEntries(pub(super) Vec<(String, Box<RawValue>)>);

impl RawEntries {
    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        let mut entries = self.0.iter();
        let found = entries.find(|(named, _)| named == name)?;
        Some(&found.1)
    }

    /// The value of `name`, read as what it should be.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Of entries with one name, keeps the last, as clients do.
    pub(super) fn keep_last(&mut self) {
        let mut seen = HashSet::new();
        self.0.reverse();
        self.0.retain(|(name, _)| seen.insert(name.clone()));
        self.0.reverse();
    }

    /// Puts `value` in the place of the one that stands at `name`.
    pub(super) fn replace<T: Serialize>(&mut self, name: &str, value: &T) {
        let mut entries = self.0.iter_mut();
        if let Some((_, old)) = entries.find(|(named, _)| named == name)
            && let Ok(value) = serde_json::value::to_raw_value(value)
        {
            *old = value;
        }
    }
}

impl<'de> Deserialize<'de> for RawEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = RawEntries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntries, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawEntries(entries))
    }
}

impl Serialize for RawEntries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

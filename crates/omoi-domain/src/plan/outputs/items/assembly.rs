//! Putting accepted items together to a whole output, and taking one apart.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Item, SectionKind, section, sections};
use crate::plan::outputs::Phase;

/// A section that the phase still needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The section.
    pub section: String,
    /// How many items it needs; 1 for a single value.
    pub needed: usize,
    /// How many it has.
    pub present: usize,
}

/// The whole output of `phase` from its accepted `items`, oldest first.
///
/// A later item with the same section and key replaces the earlier one in its place.
///
/// # Errors
/// Every required section that is absent or too short.
pub fn assemble(phase: Phase, items: &[Item]) -> Result<Value, Vec<Missing>> {
    let mut output = Map::new();
    let mut missing = Vec::new();
    for section in sections(phase) {
        let mut mine = items.iter().filter(|i| i.section == section.name);
        match section.kind {
            SectionKind::Single => match mine.next_back() {
                Some(item) => {
                    output.insert(section.name.to_owned(), item.value.clone());
                }
                None if section.required => missing.push(Missing {
                    section: section.name.to_owned(),
                    needed: 1,
                    present: 0,
                }),
                None => {}
            },
            SectionKind::List { min, .. } => {
                let mut list: Vec<(&str, &Value)> = Vec::new();
                for item in mine {
                    match list.iter_mut().find(|(key, _)| *key == item.key) {
                        Some(slot) => slot.1 = &item.value,
                        None => list.push((&item.key, &item.value)),
                    }
                }
                if list.len() < min {
                    missing.push(Missing {
                        section: section.name.to_owned(),
                        needed: min,
                        present: list.len(),
                    });
                }
                if section.required || !list.is_empty() {
                    let values = list.into_iter().map(|(_, v)| v.clone()).collect();
                    output.insert(section.name.to_owned(), Value::Array(values));
                }
            }
        }
    }
    if missing.is_empty() {
        Ok(Value::Object(output))
    } else {
        Err(missing)
    }
}

/// Takes a whole output apart into unchecked items, for answers that came in one piece.
///
/// Fields that are no section become items too, so that [`validate_item`] names them.
pub fn split(phase: Phase, whole: &Value) -> Vec<Item> {
    let Value::Object(fields) = whole else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for (name, value) in fields {
        let kind = section(phase, name).map(|s| s.kind);
        match (kind, value) {
            (Some(SectionKind::List { key_field, .. }), Value::Array(list)) => {
                for (n, element) in list.iter().enumerate() {
                    let own = key_field
                        .and_then(|f| element.get(f))
                        .and_then(Value::as_str);
                    items.push(Item {
                        section: name.clone(),
                        key: own.map_or_else(|| (n + 1).to_string(), str::to_owned),
                        value: element.clone(),
                    });
                }
            }
            _ => items.push(Item {
                section: name.clone(),
                key: String::new(),
                value: value.clone(),
            }),
        }
    }
    items
}

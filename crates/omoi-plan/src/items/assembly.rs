//! Putting accepted items together to a whole output, and taking one apart.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use omoi_domain::phase::Phase;

use crate::items::submission::OutputItem;
use crate::sections::{SectionKind, find_section, phase_sections};

/// A section that the phase still needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingSection {
    /// The section.
    pub section: String,
    /// How many items it needs; 1 for a single value.
    pub needed: usize,
    /// How many it has.
    pub present: usize,
}

/// The items in effect after the journal `items`, oldest first: a later item with the same section and key
/// replaces the earlier one in its place, or withdraws it.
pub fn latest_items(phase: Phase, items: Vec<OutputItem>) -> Vec<OutputItem> {
    let mut standing: Vec<OutputItem> = Vec::new();
    for item in items {
        let same = |other: &OutputItem| other.section == item.section && other.key == item.key;
        match standing.iter().position(same) {
            Some(at) if item.withdraws(phase) => {
                standing.remove(at);
            }
            Some(at) => standing[at] = item,
            None if item.withdraws(phase) => {}
            None => standing.push(item),
        }
    }
    standing
}

/// The whole output of `phase` from its accepted `items`, oldest first, as [`latest_items`] leaves them.
///
/// # Errors
/// Every required section that is absent or too short.
pub fn assemble_output(phase: Phase, items: &[OutputItem]) -> Result<Value, Vec<MissingSection>> {
    let items = latest_items(phase, items.to_vec());
    let mut output = Map::new();
    let mut missing = Vec::new();
    for section in phase_sections(phase) {
        let mut mine = items.iter().filter(|i| i.section == section.name);
        match section.kind {
            SectionKind::Single => match mine.next_back() {
                Some(item) => {
                    output.insert(section.name.to_owned(), item.value.clone());
                }
                None if section.required => missing.push(MissingSection {
                    section: section.name.to_owned(),
                    needed: 1,
                    present: 0,
                }),
                None => {}
            },
            SectionKind::List { min, .. } => {
                let list: Vec<&OutputItem> = mine.collect();
                if list.len() < min {
                    missing.push(MissingSection {
                        section: section.name.to_owned(),
                        needed: min,
                        present: list.len(),
                    });
                }
                if section.required || !list.is_empty() {
                    let values = list.into_iter().map(|item| item.value.clone()).collect();
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
/// Fields that are no section become items too, so that [`crate::items::validate_item`] names them.
pub fn split_output(phase: Phase, whole: &Value) -> Vec<OutputItem> {
    let Value::Object(fields) = whole else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for (name, value) in fields {
        let kind = find_section(phase, name).map(|s| s.kind);
        match (kind, value) {
            (Some(SectionKind::List { key_field, .. }), Value::Array(list)) => {
                for (n, element) in list.iter().enumerate() {
                    let own = key_field
                        .and_then(|f| element.get(f))
                        .and_then(Value::as_str);
                    items.push(OutputItem {
                        section: name.clone(),
                        key: own.map_or_else(|| (n + 1).to_string(), str::to_owned),
                        value: element.clone(),
                    });
                }
            }
            _ => items.push(OutputItem {
                section: name.clone(),
                key: String::new(),
                value: value.clone(),
            }),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_replaced_or_withdrawn_does_not_stand() {
        let item = |section: &str, key: &str, value: Value| OutputItem {
            section: section.to_owned(),
            key: key.to_owned(),
            value,
        };
        let journal = vec![
            item("risks", "a", json!("old")),
            item("goals", "", json!("first")),
            item("risks", "b", json!("surplus")),
            item("risks", "a", json!("new")),
            item("risks", "b", Value::Null),
            item("risks", "never there", Value::Null),
            // Null is a value like any other where there is no list.
            item("prd_version", "", Value::Null),
        ];
        let standing: Vec<(String, Value)> = latest_items(Phase::Prd, journal)
            .into_iter()
            .map(|item| (format!("{}/{}", item.section, item.key), item.value))
            .collect();
        let expected = [
            ("risks/a", json!("new")),
            ("goals/", json!("first")),
            ("prd_version/", Value::Null),
        ];
        assert_eq!(
            standing,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
    }
}

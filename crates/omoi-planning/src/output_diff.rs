//! What differs between two outputs of a phase, item by item.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::phase::Phase;
use omoi_plan::items::split_output;

/// An item that is another one in the later output.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemChange {
    /// The phase.
    pub phase: Phase,
    /// The section of its output.
    pub section: String,
    /// Its key within a list.
    pub key: String,
    /// What it was; none where it came.
    pub before: Option<Value>,
    /// What it is; none where it went.
    pub after: Option<Value>,
}

/// The items that differ between two outputs of `phase`, by section and key; an output that is not there has none.
pub fn changed_items(
    phase: Phase,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Vec<ItemChange> {
    let items = |output: Option<&Value>| -> BTreeMap<(String, String), Value> {
        let items = output.map(|output| split_output(phase, output));
        let items = items.unwrap_or_default().into_iter();
        items
            .map(|item| ((item.section, item.key), item.value))
            .collect()
    };
    let (mut old, new) = (items(before), items(after));
    let mut changes = Vec::new();
    for (place, value) in new {
        let before = old.remove(&place);
        if before.as_ref() != Some(&value) {
            changes.push((place, before, Some(value)));
        }
    }
    changes.extend(
        old.into_iter()
            .map(|(place, value)| (place, Some(value), None)),
    );
    changes.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let change = |((section, key), before, after)| ItemChange {
        phase,
        section,
        key,
        before,
        after,
    };
    changes.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_come_go_and_change_by_their_keys() {
        let before = json!({
            "feature_name": "tags",
            "requirements": [{ "id": "REQ-A", "n": 1 }, { "id": "REQ-B", "n": 1 }],
        });
        let after = json!({
            "feature_name": "tags",
            "requirements": [{ "id": "REQ-C", "n": 1 }, { "id": "REQ-A", "n": 2 }],
        });
        let change = |key: &str, before: Value, after: Value| ItemChange {
            phase: Phase::Requirements,
            section: "requirements".to_owned(),
            key: key.to_owned(),
            before: (!before.is_null()).then_some(before),
            after: (!after.is_null()).then_some(after),
        };
        let of = |id: &str, n: u32| json!({ "id": id, "n": n });
        let expected = [
            change("REQ-A", of("REQ-A", 1), of("REQ-A", 2)),
            change("REQ-B", of("REQ-B", 1), Value::Null),
            change("REQ-C", Value::Null, of("REQ-C", 1)),
        ];
        let changes = changed_items(Phase::Requirements, Some(&before), Some(&after));
        assert_eq!(changes, expected);
        let none = changed_items(Phase::Requirements, Some(&after), Some(&after));
        assert!(none.is_empty());
        assert_eq!(
            changed_items(Phase::Requirements, None, Some(&after)).len(),
            3
        );
    }
}

//! Lenient reading of arbitrary JSON: what is absent or of another type reads as empty.

use serde_json::Value;

static NULL: Value = Value::Null;

/// The value at the dotted `path`, or null.
pub(super) fn value_at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
        .unwrap_or(&NULL)
}

/// The text at `path`, or nothing.
pub(super) fn text_at<'a>(value: &'a Value, path: &str) -> &'a str {
    value_at(value, path).as_str().unwrap_or_default()
}

/// The list at `path`, or none.
pub(super) fn list_at<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value_at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// The texts in the list at `path`.
pub(super) fn texts_at<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    list_at(value, path)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

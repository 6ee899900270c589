//! Marks by which a request of Anthropic Messages says what a prompt cache keeps.

use serde_json::{Value, json};

/// Parts of a request that hold marks.
pub(crate) const MARKED_FIELDS: [&str; 3] = ["tools", "system", "messages"];
/// The mark.
pub(crate) const MARK: &str = "cache_control";
/// Fields whose inside is the caller's own data.
const OPAQUE_FIELDS: [&str; 2] = ["input", "input_schema"];

/// How long the marks of a request keep what they mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MarkedLives {
    /// Some mark names a life of its own.
    pub(crate) is_named: bool,
    /// Some mark asks for an hour.
    pub(crate) has_hour: bool,
}

impl MarkedLives {
    /// The marks in `part`, a request or a part of one.
    pub(crate) fn of_part(part: &Value) -> Self {
        let mut found = Self::default();
        found.add_part(part);
        found
    }

    /// Takes in the marks of a further part.
    pub(crate) fn add_part(&mut self, part: &Value) {
        match part {
            Value::Array(items) => items.iter().for_each(|item| self.add_part(item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name == MARK {
                        self.is_named |= value["ttl"].is_string();
                        self.has_hour |= value["ttl"] == "1h";
                    } else if !OPAQUE_FIELDS.contains(&name.as_str()) {
                        self.add_part(value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Has every mark of `part` keep what it marks for an hour.
pub(crate) fn keep_for_hour(part: &mut Value) {
    match part {
        Value::Array(items) => items.iter_mut().for_each(keep_for_hour),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if name == MARK && value.is_object() {
                    value["ttl"] = json!("1h");
                } else if !OPAQUE_FIELDS.contains(&name.as_str()) {
                    keep_for_hour(value);
                }
            }
        }
        _ => {}
    }
}

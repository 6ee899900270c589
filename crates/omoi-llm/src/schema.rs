//! JSON schema: from a Rust type, and checked against a value, so that a wrong answer can be sent back
//! with what is wrong and where.
//!
//! The checker knows the words that `schemars` writes and tools use. Words it does not know forbid
//! nothing; the Rust type has the last say anyway.

mod schema_checker;

use std::fmt;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::schema_checker::SchemaChecker;

/// Most characters of an offending value that are shown.
const VALUE_CHARS_MAX: usize = 400;
/// One thing wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// Where: a JSON pointer, empty for the whole value.
    pub path: String,
    /// What is wrong there, for the model to read.
    pub problem: String,
    /// The offending value as JSON, shortened.
    pub value: String,
}

impl SchemaViolation {
    /// Something wrong with `value` at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>, value: &Value) -> Self {
        let text = value.to_string();
        let mut shown: String = text.chars().take(VALUE_CHARS_MAX).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self {
            path: path.into(),
            problem: problem.into(),
            value: shown,
        }
    }
}

impl fmt::Display for SchemaViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.path.is_empty() {
            "the answer"
        } else {
            &self.path
        };
        write!(f, "{at}: {}; found {}", self.problem, self.value)
    }
}

/// The schema of `T`.
pub fn schema_for<T: JsonSchema>() -> Value {
    SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Reads `value` as a `T` that fits `schema`.
///
/// # Errors
/// Returns what is wrong, never an empty list.
pub fn read_typed<T: DeserializeOwned>(
    schema: &Value,
    value: &Value,
) -> Result<T, Vec<SchemaViolation>> {
    check_value(schema, value)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path: String = error.path().iter().map(pointer_segment).collect();
        let at = value.pointer(&path).unwrap_or(value);
        vec![SchemaViolation::new(path, error.inner().to_string(), at)]
    })
}

/// Checks `value` against `schema`.
///
/// # Errors
/// Returns what is wrong, never an empty list.
pub fn check_value(schema: &Value, value: &Value) -> Result<(), Vec<SchemaViolation>> {
    let mut checker = SchemaChecker::new(schema);
    checker.check_node(schema, value, "");
    if checker.found.is_empty() {
        return Ok(());
    }
    Err(checker.found)
}

fn pointer_segment(segment: &serde_path_to_error::Segment) -> String {
    use serde_path_to_error::Segment;
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escape_pointer(key)),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;

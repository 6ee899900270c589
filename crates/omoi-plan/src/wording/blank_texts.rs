//! Texts that were never written: blank ones and placeholders.

use serde_json::Value;

use super::placeholder::is_placeholder;
use crate::finding::Finding;

/// Fields whose content is code, data or a shape rather than text for people.
const FREE_FORM: &[&str] = &[
    "architecture_diagram",
    "command",
    "default",
    "error_responses",
    "files",
    "indexes",
    "inputs",
    "outputs",
    "path_params",
    "query_params",
    "relationships",
    "request_schema",
    "response_schema",
];

/// Deepest nesting that is looked into; phase outputs nest six deep.
const DEPTH_MAX: usize = 24;

/// Every text in `value` that is blank or a placeholder. Code, data and shapes are not looked at.
pub(crate) fn empty_texts(value: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<Finding>) {
    if path.len() > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) if text.trim().is_empty() => found.push(Finding {
            code: "blank_text".to_owned(),
            message: "blank; leave the field out or fill it".to_owned(),
            path: join(path),
        }),
        Value::String(text) if is_placeholder(text) => {
            let shown: String = text.chars().take(40).collect();
            found.push(Finding {
                code: "placeholder_text".to_owned(),
                message: format!("`{shown}` is a placeholder; write the content"),
                path: join(path),
            });
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                path.push(format!("[{n}]"));
                walk(item, path, found);
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if FREE_FORM.contains(&name.as_str()) {
                    continue;
                }
                path.push(name.clone());
                walk(field, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn join(path: &[String]) -> String {
    path.join(".").replace(".[", "[")
}

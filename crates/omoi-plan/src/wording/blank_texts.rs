//! Texts that were never written: blank ones and placeholders.

use serde_json::Value;

use super::placeholder::is_placeholder;
use crate::finding::RuleFinding;

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
pub(crate) fn find_blank_texts(value: &Value) -> Vec<RuleFinding> {
    let mut found = Vec::new();
    walk_texts(value, &mut Vec::new(), &mut found);
    found
}

fn walk_texts(value: &Value, path: &mut Vec<String>, found: &mut Vec<RuleFinding>) {
    if path.len() > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) if text.trim().is_empty() => found.push(RuleFinding {
            code: "blank_text".to_owned(),
            message: "blank; leave the field out or fill it".to_owned(),
            path: join_path(path),
        }),
        Value::String(text) if is_placeholder(text) => {
            let shown: String = text.chars().take(40).collect();
            found.push(RuleFinding {
                code: "placeholder_text".to_owned(),
                message: format!("`{shown}` is a placeholder; write the content"),
                path: join_path(path),
            });
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                path.push(format!("[{n}]"));
                walk_texts(item, path, found);
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if FREE_FORM.contains(&name.as_str()) {
                    continue;
                }
                path.push(name.clone());
                walk_texts(field, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn join_path(path: &[String]) -> String {
    path.join(".").replace(".[", "[")
}

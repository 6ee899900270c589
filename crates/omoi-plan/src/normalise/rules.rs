//! The rewriting rules themselves, one function per shape.

use serde_json::{Map, Value, json};

use omoi_domain::phase::Phase;

use crate::ears;
use crate::normalise::rewrite_log::RewriteLog;

/// Rewrites that concern the output as a whole.
pub(super) fn rewrite_output(phase: Phase, output: &mut Value, log: &mut RewriteLog<'_>) {
    let Value::Object(fields) = output else {
        return;
    };
    // Our own bookkeeping, never the model's.
    fields.retain(|name, _| !name.starts_with('_'));
    match phase {
        Phase::Prd => move_feature_name(fields, log),
        Phase::Explore => group_questions(fields, log),
        _ => {}
    }
}

/// Rewrites of one item of a section.
pub(super) fn rewrite_item(
    phase: Phase,
    section: &str,
    value: &mut Value,
    log: &mut RewriteLog<'_>,
) {
    if let Value::String(text) = value {
        let rewritten = match (phase, section) {
            (Phase::Design, "error_handling" | "testing_strategy") => {
                Some((json!({ "strategy": text }), "object with `strategy`"))
            }
            (Phase::Prd, "open_questions") => Some((
                json!({ "question": text, "resolution": "open" }),
                "open question",
            )),
            _ => None,
        };
        if let Some((object, what)) = rewritten {
            log.note("", format!("text became an {what}"));
            *value = object;
        }
    }
    let Value::Object(fields) = value else {
        return;
    };
    match (phase, section) {
        (Phase::Prd, "goals") => wrap_in_list(fields, "primary", Value::is_string, log),
        (Phase::Prd, "users") => wrap_in_list(fields, "primary", Value::is_object, log),
        (Phase::Prd, "risks") => {
            rename_field(fields, "risk", "description", log);
            rename_field(fields, "probability", "likelihood", log);
        }
        (Phase::Requirements, "requirements") => compose_text(fields, log),
        (Phase::Design, "data_models") => list_fields(fields, log),
        (Phase::Design, "api_endpoints") => {
            rename_field(fields, "purpose", "description", log);
            rename_field(fields, "endpoint", "path", log);
            rename_field(fields, "request_body", "request_schema", log);
            rename_field(fields, "response", "response_schema", log);
        }
        (Phase::Tasks, "tickets") => wrap_dependencies(fields, "blocked_by", log),
        (Phase::Tasks, "tasks") => {
            wrap_dependencies(fields, "depends_on", log);
            sort_deliverables(fields, log);
        }
        _ => {}
    }
}

/// Top-level `feature_name` into `overview.feature_name`.
fn move_feature_name(fields: &mut Map<String, Value>, log: &mut RewriteLog<'_>) {
    let free = match fields.get("overview") {
        Some(Value::Object(overview)) => !overview.contains_key("feature_name"),
        None => true,
        Some(_) => false,
    };
    if !free {
        return;
    }
    if let Some(name) = fields.shift_remove("feature_name") {
        let overview = fields.entry("overview").or_insert_with(|| json!({}));
        if let Value::Object(overview) = overview {
            overview.insert("feature_name".to_owned(), name);
            log.note(
                "feature_name",
                "`feature_name` became `overview.feature_name`",
            );
        }
    }
}

/// `discovery_questions` as a map of category to questions into a list of groups.
fn group_questions(fields: &mut Map<String, Value>, log: &mut RewriteLog<'_>) {
    let Some(Value::Object(groups)) = fields.get("discovery_questions") else {
        return;
    };
    let list = groups
        .iter()
        .map(|(category, questions)| json!({ "category": category, "questions": questions }))
        .collect();
    fields.insert("discovery_questions".to_owned(), Value::Array(list));
    log.note("discovery_questions", "map became a list of groups");
}

fn rename_field(fields: &mut Map<String, Value>, from: &str, to: &str, log: &mut RewriteLog<'_>) {
    if fields.contains_key(to) {
        return;
    }
    if let Some(value) = fields.shift_remove(from) {
        fields.insert(to.to_owned(), value);
        log.note(from, format!("`{from}` became `{to}`"));
    }
}

fn wrap_in_list(
    fields: &mut Map<String, Value>,
    name: &str,
    is_single: fn(&Value) -> bool,
    log: &mut RewriteLog<'_>,
) {
    if let Some(value) = fields.get_mut(name).filter(|v| is_single(v)) {
        *value = Value::Array(vec![value.take()]);
        log.note(name, "single value became a list of one");
    }
}

/// `condition` and `action` into `text`; where `text` exists they only repeat it and go.
fn compose_text(fields: &mut Map<String, Value>, log: &mut RewriteLog<'_>) {
    let part = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let has_text = fields.contains_key("text");
    let sentence = ears::compose_sentence(part("condition"), part("action"));
    let composed = match (has_text, sentence) {
        (true, Ok(sentence)) => {
            let said = ears::parse_sentence(part("text"));
            if said.as_ref() != Ok(&sentence) {
                return;
            }
            None
        }
        (false, Ok(sentence)) => Some(sentence.to_string()),
        (_, Err(_)) => return,
    };
    fields.shift_remove("condition");
    fields.shift_remove("action");
    if let Some(text) = composed {
        fields.insert("text".to_owned(), Value::String(text));
    }
    log.note("text", "`condition` and `action` became `text`");
}

/// `fields` as a map of name to type, or to an object, into a list.
fn list_fields(fields: &mut Map<String, Value>, log: &mut RewriteLog<'_>) {
    let Some(Value::Object(map)) = fields.get("fields") else {
        return;
    };
    let list = map
        .iter()
        .map(|(name, about)| {
            let mut field = Map::new();
            field.insert("name".to_owned(), json!(name));
            match about {
                Value::Object(more) => field.extend(more.clone()),
                other => {
                    field.insert("type".to_owned(), other.clone());
                }
            }
            Value::Object(field)
        })
        .collect();
    fields.insert("fields".to_owned(), Value::Array(list));
    log.note("fields", "map became a list of fields");
}

fn wrap_dependencies(fields: &mut Map<String, Value>, name: &str, log: &mut RewriteLog<'_>) {
    if let Some(value) = fields.get_mut("dependencies").filter(|v| v.is_array()) {
        *value = json!({ name: value.take() });
        log.note("dependencies", format!("bare list became `{name}`"));
    }
}

/// `deliverables` into `files_to_modify` where the file exists, else `files_to_create`.
fn sort_deliverables(fields: &mut Map<String, Value>, log: &mut RewriteLog<'_>) {
    let Some(Value::Array(paths)) = fields.get("deliverables") else {
        return;
    };
    let Some(paths) = paths
        .iter()
        .map(|p| p.as_str().map(str::to_owned))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    fields.shift_remove("deliverables");
    for name in ["files_to_create", "files_to_modify"] {
        fields.entry(name).or_insert_with(|| json!([]));
    }
    for path in paths {
        let name = if log.repo.locate(&path).exists() {
            "files_to_modify"
        } else {
            "files_to_create"
        };
        if let Some(Value::Array(list)) = fields.get_mut(name)
            && !list.iter().any(|p| p.as_str() == Some(&path))
        {
            list.push(Value::String(path));
        }
    }
    log.note(
        "deliverables",
        "`deliverables` became `files_to_create` and `files_to_modify`",
    );
}

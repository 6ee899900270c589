//! Whether the schema of a tool's arguments is one, in the part of JSON Schema that tools use.

use serde_json::Value as Json;

use super::{
    located_value::LocatedValue,
    refusal::{RefusalReason, RequestRefusal},
};

const TYPES: &[&str] = &[
    "object", "array", "string", "integer", "number", "boolean", "null",
];

/// Refuses a schema that cannot describe the arguments of a tool.
pub(super) fn check_arguments_schema(at: &LocatedValue<'_>) -> Result<(), RequestRefusal> {
    let bad = |why: String| at.refuse_with(RefusalReason::BadSchema { why });
    if at.value.get("type").and_then(Json::as_str) != Some("object") {
        return Err(bad("its `type` must be `object`".to_owned()));
    }
    check_sound(at.value, at.value, "").map_err(bad)
}

fn check_sound(root: &Json, schema: &Json, path: &str) -> Result<(), String> {
    let map = match schema {
        Json::Bool(_) => return Ok(()),
        Json::Object(map) => map,
        _ => return Err(format!("`{path}` must be an object or a boolean")),
    };
    let here = |what: &str| format!("`{path}/{what}` ");
    let types = type_words(map.get("type"));
    if map.contains_key("type") && !types.iter().all(|word| TYPES.contains(word)) {
        return Err(here("type") + "names no JSON type");
    }
    if let Some(reference) = map.get("$ref")
        && resolve_reference(root, reference).is_none()
    {
        return Err(here("$ref") + "leads nowhere");
    }
    if let Some(values) = map.get("enum")
        && values.as_array().is_none_or(Vec::is_empty)
    {
        return Err(here("enum") + "must be a list with entries");
    }
    if let Some(required) = map.get("required") {
        let names = required
            .as_array()
            .ok_or_else(|| here("required") + "must be a list")?;
        let has = |name: &Json| {
            name.as_str()
                .is_some_and(|name| map.get("properties").is_some_and(|p| p.get(name).is_some()))
        };
        if !names.iter().all(has) {
            return Err(here("required") + "names something that is not among `properties`");
        }
    }
    for key in ["properties", "$defs", "definitions"] {
        let Some(named) = map.get(key) else { continue };
        let named = named
            .as_object()
            .ok_or_else(|| here(key) + "must be an object")?;
        for (name, schema) in named {
            check_sound(root, schema, &format!("{path}/{key}/{name}"))?;
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some(list) = map.get(key) else { continue };
        let list = list.as_array().filter(|list| !list.is_empty());
        for schema in list.ok_or_else(|| here(key) + "must be a list with entries")? {
            check_sound(root, schema, &format!("{path}/{key}"))?;
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(schema) = map.get(key) {
            check_sound(root, schema, &format!("{path}/{key}"))?;
        }
    }
    Ok(())
}

/// The words of `type`, which may be one or a list; a wrong entry becomes an empty word.
fn type_words(types: Option<&Json>) -> Vec<&str> {
    match types {
        None => Vec::new(),
        Some(Json::Array(words)) => words
            .iter()
            .map(|word| word.as_str().unwrap_or_default())
            .collect(),
        Some(word) => vec![word.as_str().unwrap_or_default()],
    }
}

fn resolve_reference<'a>(root: &'a Json, reference: &Json) -> Option<&'a Json> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

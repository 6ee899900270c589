//! The part of JSON Schema that tool arguments use: is a schema sound, and does a value fit it.
//!
//! Keywords that only describe (`description`, `format`, `pattern`, `default` …) are not checked.

use serde_json::{Map, Value as Json};

use super::{
    refusal::{Reason, Refusal},
    walk::At,
};

const TYPES: &[&str] = &[
    "object", "array", "string", "integer", "number", "boolean", "null",
];
const DEPTH_MAX: usize = 64;

/// Refuses a schema that cannot describe the arguments of a tool.
pub(super) fn check_arguments_schema(at: &At<'_>) -> Result<(), Refusal> {
    let bad = |why: String| at.refuse(Reason::BadSchema { why });
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
        && resolve(root, reference).is_none()
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

/// Says where and why `value` does not fit `schema`.
pub(super) fn check_value(schema: &Json, value: &Json) -> Result<(), String> {
    Check { root: schema }.fits(schema, value, "input", 0)
}

struct Check<'a> {
    root: &'a Json,
}

impl Check<'_> {
    fn fits(&self, schema: &Json, value: &Json, path: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("{path} nests too deeply"));
        }
        let map = match schema {
            Json::Bool(true) => return Ok(()),
            Json::Object(map) => map,
            _ => return Err(format!("{path} is not allowed")),
        };
        if let Some(reference) = map.get("$ref") {
            let target = resolve(self.root, reference);
            let target = target.ok_or_else(|| format!("{path} has a schema that leads nowhere"))?;
            self.fits(target, value, path, depth + 1)?;
        }
        let types = type_words(map.get("type"));
        if !types.is_empty() && !types.iter().any(|word| is_of_type(value, word)) {
            return Err(format!("{path} must be of type {}", types.join(" or ")));
        }
        if let Some(allowed) = map.get("enum").and_then(Json::as_array)
            && !allowed.contains(value)
        {
            return Err(format!(
                "{path} must be one of {}",
                Json::Array(allowed.clone())
            ));
        }
        if let Some(only) = map.get("const")
            && only != value
        {
            return Err(format!("{path} must be {only}"));
        }
        self.combined(map, value, path, depth)?;
        bounds(map, value, path)?;
        match value {
            Json::Object(fields) => self.object(map, fields, path, depth),
            Json::Array(entries) => match map.get("items") {
                Some(items) => entries.iter().enumerate().try_for_each(|(index, entry)| {
                    self.fits(items, entry, &format!("{path}.{index}"), depth + 1)
                }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn combined(
        &self,
        map: &Map<String, Json>,
        value: &Json,
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        let list = |key: &str| map.get(key).and_then(Json::as_array);
        let check = |schema: &Json| self.fits(schema, value, path, depth + 1);
        list("allOf").into_iter().flatten().try_for_each(check)?;
        if let Some(any) = list("anyOf")
            && let Err(first) = any.iter().map(check).reduce(Result::or).unwrap_or(Ok(()))
        {
            return Err(first);
        }
        if let Some(one) = list("oneOf") {
            match one.iter().filter(|schema| check(schema).is_ok()).count() {
                1 => {}
                0 => {
                    return Err(format!(
                        "{path} fits none of its {} alternatives",
                        one.len()
                    ));
                }
                _ => return Err(format!("{path} fits more than one of its alternatives")),
            }
        }
        Ok(())
    }

    fn object(
        &self,
        map: &Map<String, Json>,
        fields: &Map<String, Json>,
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        let properties = map.get("properties").and_then(Json::as_object);
        for name in map
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(name) = name.as_str()
                && !fields.contains_key(name)
            {
                return Err(format!("{path}.{name} is required"));
            }
        }
        for (name, value) in fields {
            let schema = properties.and_then(|properties| properties.get(name));
            let path = format!("{path}.{name}");
            match (schema, map.get("additionalProperties")) {
                (Some(schema), _) => self.fits(schema, value, &path, depth + 1)?,
                (None, Some(Json::Bool(false))) => return Err(format!("{path} is unknown")),
                (None, Some(schema)) => self.fits(schema, value, &path, depth + 1)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

fn bounds(map: &Map<String, Json>, value: &Json, path: &str) -> Result<(), String> {
    let limit = |key: &str| map.get(key).and_then(Json::as_f64);
    let (size, lower, upper, what) = match value {
        Json::String(text) => (
            text.chars().count() as f64,
            "minLength",
            "maxLength",
            "characters",
        ),
        Json::Array(list) => (list.len() as f64, "minItems", "maxItems", "entries"),
        Json::Number(number) => (number.as_f64().unwrap_or(0.0), "minimum", "maximum", ""),
        _ => return Ok(()),
    };
    if limit(lower).is_some_and(|min| size < min) {
        return Err(format!("{path} is below `{lower}` {what}")
            .trim_end()
            .to_owned());
    }
    if limit(upper).is_some_and(|max| size > max) {
        return Err(format!("{path} is above `{upper}` {what}")
            .trim_end()
            .to_owned());
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

fn is_of_type(value: &Json, word: &str) -> bool {
    match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|v| v.fract() == 0.0)
        }
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn resolve<'a>(root: &'a Json, reference: &Json) -> Option<&'a Json> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

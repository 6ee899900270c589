//! A value against the words of a schema.

use regex::Regex;
use serde_json::Value;

use super::{SchemaViolation, escape_pointer};

/// Most violations reported at once.
const VIOLATIONS_MAX: usize = 8;
/// Deepest nesting followed, which also ends schemas that refer to themselves.
const DEPTH_MAX: usize = 128;

/// Checks one value; it collects what is wrong.
pub(super) struct SchemaChecker<'a> {
    root: &'a Value,
    pub(super) found: Vec<SchemaViolation>,
    depth: usize,
}

impl<'a> SchemaChecker<'a> {
    /// A checker by `root`, which references in it are read from.
    pub(super) const fn new(root: &'a Value) -> Self {
        Self {
            root,
            found: Vec::new(),
            depth: 0,
        }
    }

    /// Checks `value`, which stands at `path`, against `schema`.
    pub(super) fn check_node(&mut self, schema: &'a Value, value: &Value, path: &str) {
        if self.depth >= DEPTH_MAX {
            self.report_violation(path, "nested too deeply", value);
            return;
        }
        self.depth += 1;
        match schema {
            Value::Bool(false) => self.report_violation(path, "must not be there", value),
            Value::Object(_) => self.check_object_schema(schema, value, path),
            _ => {}
        }
        self.depth -= 1;
    }

    fn check_object_schema(&mut self, schema: &'a Value, value: &Value, path: &str) {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            match target.strip_prefix('#').and_then(|p| self.root.pointer(p)) {
                Some(definition) => self.check_node(definition, value, path),
                None => self.report_violation(
                    path,
                    &format!("the schema names `{target}`, which is not in it"),
                    value,
                ),
            }
        }
        if let Some(problem) = wrong_type(schema, value) {
            // Everything else would only repeat this.
            self.report_violation(path, &problem, value);
            return;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let allowed = Value::Array(allowed.clone());
            self.report_violation(path, &format!("must be one of {allowed}"), value);
        }
        if let Some(only) = schema.get("const")
            && only != value
        {
            self.report_violation(path, &format!("must be {only}"), value);
        }
        self.check_branches(schema, value, path);
        match value {
            Value::Object(_) => self.check_members(schema, value, path),
            Value::Array(items) => self.check_items(schema, items, value, path),
            Value::String(text) => self.check_text(schema, text, value, path),
            Value::Number(_) => self.check_number(schema, value, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_branches(&mut self, schema: &'a Value, value: &Value, path: &str) {
        for all in list_at(schema, "allOf") {
            self.check_node(all, value, path);
        }
        for word in ["anyOf", "oneOf"] {
            let branches = list_at(schema, word);
            if branches.is_empty() {
                continue;
            }
            let tries: Vec<_> = branches
                .iter()
                .map(|b| self.branch_violations(b, value, path))
                .collect();
            let fits = tries.iter().filter(|found| found.is_empty()).count();
            match fits {
                1 => {}
                0 => self.report_nearest(tries, value, path),
                _ if word == "anyOf" => {}
                _ => self.report_violation(path, "fits more than one of the allowed forms", value),
            }
        }
        if let Some(not) = schema.get("not")
            && self.branch_violations(not, value, path).is_empty()
        {
            self.report_violation(path, "has a form that is not allowed", value);
        }
    }

    fn branch_violations(
        &self,
        branch: &'a Value,
        value: &Value,
        path: &str,
    ) -> Vec<SchemaViolation> {
        let mut fork = SchemaChecker {
            root: self.root,
            found: Vec::new(),
            depth: self.depth,
        };
        fork.check_node(branch, value, path);
        fork.found
    }

    /// Of several forms, none fits: what is wrong with the one that fits best, unless that one is of
    /// another type altogether.
    fn report_nearest(&mut self, tries: Vec<Vec<SchemaViolation>>, value: &Value, path: &str) {
        let nearest = tries
            .into_iter()
            .filter(|found| found.iter().any(|v| v.path != path) || is_missing(found))
            .min_by_key(Vec::len);
        match nearest {
            Some(found) => {
                for violation in found {
                    self.push_violation(violation);
                }
            }
            None => self.report_violation(path, "fits none of the allowed forms", value),
        }
    }

    fn check_members(&mut self, schema: &'a Value, value: &Value, path: &str) {
        let Value::Object(members) = value else {
            return;
        };
        for required in list_at(schema, "required").iter().filter_map(Value::as_str) {
            if !members.contains_key(required) {
                self.report_violation(path, &format!("{LACKS_FIELD} `{required}`"), value);
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, member) in members {
            let at = format!("{path}/{}", escape_pointer(key));
            match (properties.and_then(|p| p.get(key)), others) {
                (Some(property), _) => self.check_node(property, member, &at),
                (None, Some(Value::Bool(false))) => {
                    self.report_violation(&at, "unknown field", member);
                }
                (None, Some(other)) => self.check_node(other, member, &at),
                (None, None) => {}
            }
        }
        let n = members.len();
        let size = MeasuredSize {
            n,
            unit: "fields",
            least: "minProperties",
            most: "maxProperties",
        };
        self.check_size(schema, size, value, path);
    }

    fn check_items(&mut self, schema: &'a Value, items: &[Value], value: &Value, path: &str) {
        let first = list_at(schema, "prefixItems");
        for (n, item) in items.iter().enumerate() {
            let schema = first.get(n).or_else(|| schema.get("items"));
            if let Some(schema) = schema {
                self.check_node(schema, item, &format!("{path}/{n}"));
            }
        }
        let size = MeasuredSize {
            n: items.len(),
            unit: "items",
            least: "minItems",
            most: "maxItems",
        };
        self.check_size(schema, size, value, path);
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let double = items
                .iter()
                .enumerate()
                .find(|(n, item)| items[..*n].contains(item));
            if let Some((n, item)) = double {
                self.report_violation(&format!("{path}/{n}"), "is there twice", item);
            }
        }
    }

    fn check_text(&mut self, schema: &Value, text: &str, value: &Value, path: &str) {
        let n = text.chars().count();
        let size = MeasuredSize {
            n,
            unit: "characters",
            least: "minLength",
            most: "maxLength",
        };
        self.check_size(schema, size, value, path);
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
            return;
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a schema is data: its broken pattern is told below"
        )]
        let regex = Regex::new(pattern);
        match regex {
            Ok(regex) if regex.is_match(text) => {}
            Ok(_) => self.report_violation(path, &format!("must match `{pattern}`"), value),
            Err(_) => {
                let problem = format!("cannot be checked: `{pattern}` is no regular expression");
                self.report_violation(path, &problem, value);
            }
        }
    }

    fn check_number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(number) = value.as_f64() else {
            return;
        };
        use std::cmp::Ordering::{Equal, Greater, Less};
        let bounds = [
            ("minimum", "at least", [Greater, Equal]),
            ("maximum", "at most", [Less, Equal]),
            ("exclusiveMinimum", "more than", [Greater, Greater]),
            ("exclusiveMaximum", "less than", [Less, Less]),
        ];
        for (word, says, right) in bounds {
            let bound = schema.get(word).and_then(Value::as_f64);
            let order = bound.and_then(|bound| number.partial_cmp(&bound));
            if order.is_some_and(|order| !right.contains(&order)) {
                let bound = &schema[word];
                self.report_violation(path, &format!("must be {says} {bound}"), value);
            }
        }
    }

    fn check_size(&mut self, schema: &Value, size: MeasuredSize, value: &Value, path: &str) {
        let bound = |word| schema.get(word).and_then(Value::as_u64);
        let (n, unit) = (size.n as u64, size.unit);
        if let Some(least) = bound(size.least).filter(|least| n < *least) {
            self.report_violation(path, &format!("must have at least {least} {unit}"), value);
        }
        if let Some(most) = bound(size.most).filter(|most| n > *most) {
            self.report_violation(path, &format!("must have at most {most} {unit}"), value);
        }
    }

    fn report_violation(&mut self, path: &str, problem: &str, value: &Value) {
        self.push_violation(SchemaViolation::new(path, problem, value));
    }

    fn push_violation(&mut self, violation: SchemaViolation) {
        if self.found.len() < VIOLATIONS_MAX {
            self.found.push(violation);
        }
    }
}

/// How large a value is, and the words of a schema that bound it.
struct MeasuredSize {
    n: usize,
    unit: &'static str,
    least: &'static str,
    most: &'static str,
}

const LACKS_FIELD: &str = "lacks the field";

fn is_missing(found: &[SchemaViolation]) -> bool {
    found.iter().any(|v| v.problem.starts_with(LACKS_FIELD))
}

fn list_at<'a>(schema: &'a Value, word: &str) -> &'a [Value] {
    schema
        .get(word)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn wrong_type(schema: &Value, value: &Value) -> Option<String> {
    let wanted: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let fits = wanted.iter().any(|wanted| match *wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => true,
    });
    (!fits).then(|| format!("must be of type {}", wanted.join(" or ")))
}

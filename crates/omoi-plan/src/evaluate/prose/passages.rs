//! The texts of an output that are written for people.

use serde_json::Value;

/// Fields that hold names, ids, figures or code, or that repeat another phase by rule.
const NO_PROSE: &[&str] = &[
    "api_endpoints",
    "architecture_diagram",
    "blocked_by",
    "blocks",
    "category",
    "checks",
    "critical_path",
    "data_models",
    "depends_on",
    "design_components",
    "entry_points",
    "estimate",
    "feature_name",
    "fields",
    "file",
    "file_path",
    "files",
    "files_to_create",
    "files_to_modify",
    "id",
    "impact",
    "interfaces",
    "likelihood",
    "name",
    "parent_ticket",
    "path",
    "prd_sections",
    "prd_version",
    "priority",
    "question",
    "related",
    "requirements_addressed",
    "resolution",
    "revision_history",
    "role",
    "structure",
    "target",
    "tech_stack",
    "traceability",
    "type",
];

/// Fields that hold names where they are lists of texts, and objects with prose elsewhere.
const NAME_LISTS: &[&str] = &["requirements", "tasks", "user_stories"];

/// Deepest nesting that is looked into.
const DEPTH_MAX: usize = 24;

/// A text of an output.
#[derive(Clone, Debug)]
pub(in crate::evaluate) struct ProsePassage<'a> {
    /// Where it stands, as in `requirements[0].text`.
    pub(in crate::evaluate) path: String,
    /// The same for all items of a list, as in `requirements[].text`.
    pub(in crate::evaluate) group: String,
    pub(in crate::evaluate) text: &'a str,
}

/// The prose of `output`, in order.
pub(in crate::evaluate) fn prose_passages(output: &Value) -> Vec<ProsePassage<'_>> {
    let mut found = Vec::new();
    let place = PassagePlace::default();
    walk_passages(output, &place, 0, &mut found);
    found
}

#[derive(Clone, Debug, Default)]
struct PassagePlace {
    path: String,
    group: String,
    /// The nearest name of a field.
    field: String,
}

impl PassagePlace {
    fn field(&self, name: &str) -> Self {
        let joined = |text: &str| match text {
            "" => name.to_owned(),
            before => format!("{before}.{name}"),
        };
        Self {
            path: joined(&self.path),
            group: joined(&self.group),
            field: name.to_owned(),
        }
    }

    fn item(&self, n: usize) -> Self {
        Self {
            path: format!("{}[{n}]", self.path),
            group: format!("{}[]", self.group),
            field: self.field.clone(),
        }
    }
}

fn walk_passages<'a>(
    value: &'a Value,
    place: &PassagePlace,
    depth: usize,
    found: &mut Vec<ProsePassage<'a>>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(_) if NAME_LISTS.contains(&place.field.as_str()) => {}
        Value::String(text) => found.push(ProsePassage {
            path: place.path.clone(),
            group: place.group.clone(),
            text,
        }),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                walk_passages(item, &place.item(n), depth + 1, found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                // Dependencies are prose in the scope and names everywhere else.
                let names = name == "dependencies" && place.field != "scope";
                if !names && !NO_PROSE.contains(&name.as_str()) {
                    walk_passages(field, &place.field(name), depth + 1, found);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_prose_is_found() {
        let output = json!({
            "requirements": [{
                "id": "REQ-A-FUNC-001", "title": "Keep tags", "text": "THE SYSTEM SHALL keep tags.",
                "user_stories": ["US-001"], "dependencies": ["REQ-A-FUNC-002"],
                "acceptance_criteria": ["A tag is kept"],
            }],
            "scope": { "dependencies": ["the csv module"] },
            "error_handling": { "name": "a field like others" },
        });
        let found: Vec<_> = prose_passages(&output)
            .into_iter()
            .map(|p| (p.path, p.group))
            .collect();
        let expected = [
            ("requirements[0].title", "requirements[].title"),
            ("requirements[0].text", "requirements[].text"),
            (
                "requirements[0].acceptance_criteria[0]",
                "requirements[].acceptance_criteria[]",
            ),
            ("scope.dependencies[0]", "scope.dependencies[]"),
        ];
        let expected = expected.map(|(path, group)| (path.to_owned(), group.to_owned()));
        assert_eq!(found, expected);
    }
}

//! Criteria of the design phase.

mod existing_code;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::common::{inside, refuse_repeats};
use crate::evaluate::evaluation::Criterion;
use crate::evaluate::facts::Facts;
use crate::evaluate::mermaid;
use crate::evaluate::read::{at, list, text, texts};
use crate::evaluate::sheet::{Sheet, share};
use crate::repository::Location;
use crate::wording::{distinct, fold, label, length, phrase, prose};

/// What the design is judged by.
pub(super) const CRITERIA: &[Criterion] = &[
    Criterion {
        name: "feature_name",
        weight: 0.05,
        paths: &["feature_name"],
        asks: "the name of the feature",
    },
    Criterion {
        name: "architecture_overview",
        weight: 0.15,
        paths: &["architecture_overview"],
        asks: "an overview of more than 100 characters",
    },
    Criterion {
        name: "components",
        weight: 0.20,
        paths: &[
            "components",
            "components[].name",
            "components[].responsibility",
        ],
        asks: "components with name and responsibility",
    },
    Criterion {
        name: "data_models",
        weight: 0.15,
        paths: &["data_models", "data_models[].name", "data_models[].fields"],
        asks: "data models with name and fields, or `data_models_not_needed` with the reason",
    },
    Criterion {
        name: "api_endpoints",
        weight: 0.15,
        paths: &[
            "api_endpoints",
            "api_endpoints[].method",
            "api_endpoints[].path",
            "api_endpoints[].description",
        ],
        asks: "endpoints with method, path and description, or `api_endpoints_not_needed` with \
               the reason",
    },
    Criterion {
        name: "testing_strategy",
        weight: 0.10,
        paths: &[
            "testing_strategy.unit_tests",
            "testing_strategy.integration_tests",
        ],
        asks: "unit tests and integration tests, each by name",
    },
    Criterion {
        name: "error_handling",
        weight: 0.08,
        paths: &["error_handling"],
        asks: "failures and how each is handled",
    },
    Criterion {
        name: "security_considerations",
        weight: 0.07,
        paths: &["security_considerations"],
        asks: "at least 2 considerations",
    },
    Criterion {
        name: "integration_points",
        weight: 0.05,
        paths: &["integration_points"],
        asks: "at least one place where it meets existing code",
    },
];

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

pub(super) fn judge(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let named = label(text(output, "feature_name"));
    sheet.mark("feature_name", if named { 1.0 } else { 0.5 }, "");
    architecture(output, sheet);
    components(output, facts, sheet);
    dependencies(output, facts, sheet);
    served_requirements(output, facts, sheet);
    data_models(output, sheet);
    endpoints(output, sheet);
    quality(output, sheet);
    existing_code::check(output, facts, sheet);
}

fn architecture(output: &Value, sheet: &mut Sheet) {
    let overview = text(output, "architecture_overview");
    let value = match prose(overview) {
        true if length(overview) > 100 => 1.0,
        true => 0.5,
        false => 0.0,
    };
    sheet.mark("architecture_overview", value, "");
    if let Err(error) = mermaid::check(text(output, "architecture_diagram")) {
        sheet.block("mermaid_invalid", "architecture_diagram", error.to_string());
    }
}

fn components(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let components = list(output, "components");
    let whole = |c: &&Value| label(text(c, "name")) && prose(text(c, "responsibility"));
    let held = components.iter().filter(whole).count();
    let lost = format!(
        "{held} of {} have name and responsibility",
        components.len()
    );
    sheet.mark("components", share(held, components.len()), lost);
    for (code, field) in [
        ("duplicate_name", "name"),
        ("duplicate_text", "responsibility"),
    ] {
        let texts = components.iter().enumerate();
        let texts = texts.map(|(n, c)| (format!("components[{n}].{field}"), text(c, field)));
        refuse_repeats(code, texts, sheet);
    }
    for (n, component) in components.iter().enumerate() {
        let path = |field: &str| format!("components[{n}].{field}");
        let responsibility = text(component, "responsibility");
        if length(responsibility) < 10 {
            let message = "fewer than 10 characters";
            sheet.warn("thin_responsibility", path("responsibility"), message);
        }
        let n_dependencies = list(component, "dependencies").len();
        if n_dependencies > 5 {
            let message = format!("{n_dependencies} dependencies; more than 5 bind too much");
            sheet.warn("many_dependencies", path("dependencies"), message);
        }
        if text(component, "type").is_empty() {
            sheet.warn("type_missing", path("type"), "what kind of part is it?");
        }
        if list(component, "interfaces").is_empty() {
            sheet.warn(
                "interfaces_missing",
                path("interfaces"),
                "what do others call?",
            );
        }
        inside(
            &facts.repo.paths,
            text(component, "file_path"),
            &path("file_path"),
            sheet,
        );
    }
}

/// A dependency is a component of this design, something that exists, or something outside.
fn dependencies(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let components = list(output, "components");
    let mut known: BTreeSet<String> = components.iter().map(|c| fold(text(c, "name"))).collect();
    if let Some(explore) = &facts.explore {
        known.extend(explore.existing_models.iter().map(|m| fold(&m.name)));
        known.extend(explore.related_to_feature.iter().map(|r| fold(&r.name)));
        known.extend(explore.tech_stack.iter().map(|t| fold(t)));
    }
    for (n, component) in components.iter().enumerate() {
        for needed in texts(component, "dependencies") {
            let declared = ["existing:", "external:"]
                .iter()
                .filter_map(|prefix| needed.trim().strip_prefix(prefix))
                .any(label);
            let location = facts.repo.paths.locate(needed);
            let exists = location.exists() && location != Location::Outside;
            if !(declared || exists || known.contains(&fold(needed))) {
                let message = format!(
                    "`{needed}` is no component of this design; if it exists already or comes \
                     from outside, write `existing:{needed}` or `external:{needed}`"
                );
                let path = format!("components[{n}].dependencies");
                sheet.block("undefined_component", path, message);
            }
        }
    }
}

/// Every CRITICAL or HIGH requirement is served by a component, and none is made up.
fn served_requirements(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let Some(requirements) = &facts.requirements else {
        return;
    };
    let mut served = BTreeSet::new();
    for (n, component) in list(output, "components").iter().enumerate() {
        for id in texts(component, "requirements") {
            served.insert(id);
            if !requirements.requirements.iter().any(|r| r.id == id) {
                let path = format!("components[{n}].requirements");
                sheet.block("unknown_requirement", path, format!("there is no `{id}`"));
            }
        }
    }
    for requirement in &requirements.requirements {
        if served.contains(requirement.id.as_str()) {
            continue;
        }
        let message = format!(
            "no component serves `{}` ({})",
            requirement.id, requirement.title
        );
        if requirement.priority.is_urgent() {
            sheet.block("requirement_unserved", "components", message);
        } else {
            sheet.warn("requirement_unserved", "components", message);
        }
    }
}

fn data_models(output: &Value, sheet: &mut Sheet) {
    let models = list(output, "data_models");
    let typed = |f: &Value| label(text(f, "name")) && !text(f, "type").trim().is_empty();
    let whole = |m: &&Value| label(text(m, "name")) && list(m, "fields").iter().any(typed);
    let held = models.iter().filter(whole).count();
    let excused = prose(text(output, "data_models_not_needed"));
    let value = if models.is_empty() {
        if excused { 1.0 } else { 0.0 }
    } else {
        share(held, models.len())
    };
    sheet.mark("data_models", value, "");
    for (n, model) in models.iter().enumerate() {
        let path = |field: &str| format!("data_models[{n}].{field}");
        if text(model, "table_name").is_empty() {
            sheet.warn(
                "table_name_missing",
                path("table_name"),
                "where is it stored?",
            );
        }
        if list(model, "indexes").is_empty() {
            sheet.warn("indexes_missing", path("indexes"), "how is it looked up?");
        }
    }
}

fn endpoints(output: &Value, sheet: &mut Sheet) {
    let endpoints = list(output, "api_endpoints");
    let whole = |e: &&Value| {
        METHODS.contains(&text(e, "method"))
            && text(e, "path").starts_with('/')
            && phrase(text(e, "description"))
    };
    let held = endpoints.iter().filter(whole).count();
    let excused = prose(text(output, "api_endpoints_not_needed"));
    let value = if endpoints.is_empty() {
        if excused { 1.0 } else { 0.0 }
    } else {
        share(held, endpoints.len())
    };
    sheet.mark("api_endpoints", value, "");
    for (n, endpoint) in endpoints.iter().enumerate() {
        let path = |field: &str| format!("api_endpoints[{n}].{field}");
        let method = text(endpoint, "method");
        if !METHODS.contains(&method) {
            let message = format!("`{method}` is none of {}", METHODS.join(", "));
            sheet.block("invalid_method", path("method"), message);
        }
        if !at(endpoint, "auth_required").is_boolean() {
            sheet.warn(
                "auth_required_missing",
                path("auth_required"),
                "who may call it?",
            );
        }
        if at(endpoint, "response_schema").is_null() {
            sheet.warn(
                "response_schema_missing",
                path("response_schema"),
                "what comes back?",
            );
        }
    }
}

fn quality(output: &Value, sheet: &mut Sheet) {
    let listed = |field: &str| distinct(texts(output, field), label) > 0;
    let lists = [
        listed("testing_strategy.unit_tests"),
        listed("testing_strategy.integration_tests"),
    ];
    let by_list = share(lists.iter().filter(|l| **l).count(), lists.len());
    let told = text(output, "testing_strategy.strategy");
    let by_prose = if prose(told) && length(told) > 20 {
        0.7
    } else {
        0.0
    };
    sheet.mark("testing_strategy", f64::max(by_list, by_prose), "");
    let handled = at(output, "error_handling").as_object();
    let says = |v: &Value| match v {
        Value::String(text) => label(text),
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let handles = handled.is_some_and(|h| h.values().any(says));
    sheet.mark("error_handling", if handles { 1.0 } else { 0.3 }, "");
    let value = match distinct(texts(output, "security_considerations"), label) {
        0 => 0.3,
        1 => 0.7,
        _ => 1.0,
    };
    sheet.mark("security_considerations", value, "");
    let meets = list(output, "integration_points").iter().any(says);
    sheet.mark("integration_points", if meets { 1.0 } else { 0.5 }, "");
}

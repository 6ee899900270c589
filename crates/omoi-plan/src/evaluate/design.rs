//! Criteria of the design phase.

mod existing_code;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::common::{check_inside, refuse_repeats};
use crate::evaluate::evaluation::ScoreCriterion;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::mermaid;
use crate::evaluate::read::{list_at, text_at, texts_at, value_at};
use crate::evaluate::sheet::{MarkSheet, share_of};
use crate::repository::PathLocation;
use crate::wording::{char_count, count_distinct, fold_text, is_label, is_phrase, is_prose};

/// What the design is judged by.
pub(super) const CRITERIA: &[ScoreCriterion] = &[
    ScoreCriterion {
        name: "feature_name",
        weight: 0.05,
        paths: &["feature_name"],
        asks: "the name of the feature",
    },
    ScoreCriterion {
        name: "architecture_overview",
        weight: 0.15,
        paths: &["architecture_overview"],
        asks: "an overview of more than 100 characters",
    },
    ScoreCriterion {
        name: "components",
        weight: 0.20,
        paths: &[
            "components",
            "components[].name",
            "components[].responsibility",
        ],
        asks: "components with name and responsibility",
    },
    ScoreCriterion {
        name: "data_models",
        weight: 0.15,
        paths: &["data_models", "data_models[].name", "data_models[].fields"],
        asks: "data models with name and fields, or `data_models_not_needed` with the reason",
    },
    ScoreCriterion {
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
    ScoreCriterion {
        name: "testing_strategy",
        weight: 0.10,
        paths: &[
            "testing_strategy.unit_tests",
            "testing_strategy.integration_tests",
        ],
        asks: "unit tests and integration tests, each by name",
    },
    ScoreCriterion {
        name: "error_handling",
        weight: 0.08,
        paths: &["error_handling"],
        asks: "failures and how each is handled",
    },
    ScoreCriterion {
        name: "security_considerations",
        weight: 0.07,
        paths: &["security_considerations"],
        asks: "at least 2 considerations",
    },
    ScoreCriterion {
        name: "integration_points",
        weight: 0.05,
        paths: &["integration_points"],
        asks: "at least one place where it meets existing code",
    },
];

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

pub(super) fn judge_design(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let named = is_label(text_at(output, "feature_name"));
    sheet.set_mark("feature_name", if named { 1.0 } else { 0.5 }, "");
    mark_architecture(output, sheet);
    mark_components(output, facts, sheet);
    check_dependencies(output, facts, sheet);
    served_requirements(output, facts, sheet);
    data_models(output, sheet);
    mark_endpoints(output, sheet);
    mark_quality(output, sheet);
    existing_code::check_existing_code(output, facts, sheet);
}

fn mark_architecture(output: &Value, sheet: &mut MarkSheet) {
    let overview = text_at(output, "architecture_overview");
    let value = match is_prose(overview) {
        true if char_count(overview) > 100 => 1.0,
        true => 0.5,
        false => 0.0,
    };
    sheet.set_mark("architecture_overview", value, "");
    if let Err(error) = mermaid::check_mermaid(text_at(output, "architecture_diagram")) {
        sheet.add_blocker("mermaid_invalid", "architecture_diagram", error.to_string());
    }
}

fn mark_components(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let components = list_at(output, "components");
    let whole = |c: &&Value| is_label(text_at(c, "name")) && is_prose(text_at(c, "responsibility"));
    let held = components.iter().filter(whole).count();
    let lost = format!(
        "{held} of {} have name and responsibility",
        components.len()
    );
    sheet.set_mark("components", share_of(held, components.len()), lost);
    for (code, field) in [
        ("duplicate_name", "name"),
        ("duplicate_text", "responsibility"),
    ] {
        let texts = components.iter().enumerate();
        let texts = texts.map(|(n, c)| (format!("components[{n}].{field}"), text_at(c, field)));
        refuse_repeats(code, texts, sheet);
    }
    for (n, component) in components.iter().enumerate() {
        let path = |field: &str| format!("components[{n}].{field}");
        let responsibility = text_at(component, "responsibility");
        if char_count(responsibility) < 10 {
            let message = "fewer than 10 characters";
            sheet.add_warning("thin_responsibility", path("responsibility"), message);
        }
        let n_dependencies = list_at(component, "dependencies").len();
        if n_dependencies > 5 {
            let message = format!("{n_dependencies} dependencies; more than 5 bind too much");
            sheet.add_warning("many_dependencies", path("dependencies"), message);
        }
        if text_at(component, "type").is_empty() {
            sheet.add_warning("type_missing", path("type"), "what kind of part is it?");
        }
        if list_at(component, "interfaces").is_empty() {
            sheet.add_warning(
                "interfaces_missing",
                path("interfaces"),
                "what do others call?",
            );
        }
        check_inside(
            &facts.repo.paths,
            text_at(component, "file_path"),
            &path("file_path"),
            sheet,
        );
    }
}

/// A dependency is a component of this design, something that exists, or something outside.
fn check_dependencies(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let components = list_at(output, "components");
    let mut known: BTreeSet<String> = components
        .iter()
        .map(|c| fold_text(text_at(c, "name")))
        .collect();
    if let Some(explore) = &facts.explore {
        known.extend(explore.existing_models.iter().map(|m| fold_text(&m.name)));
        known.extend(
            explore
                .related_to_feature
                .iter()
                .map(|r| fold_text(&r.name)),
        );
        known.extend(explore.tech_stack.iter().map(|t| fold_text(t)));
    }
    for (n, component) in components.iter().enumerate() {
        for needed in texts_at(component, "dependencies") {
            let declared = ["existing:", "external:"]
                .iter()
                .filter_map(|prefix| needed.trim().strip_prefix(prefix))
                .any(is_label);
            let location = facts.repo.paths.locate(needed);
            let exists = location.exists() && location != PathLocation::Outside;
            if !(declared || exists || known.contains(&fold_text(needed))) {
                let message = format!(
                    "`{needed}` is no component of this design; if it exists already or comes \
                     from outside, write `existing:{needed}` or `external:{needed}`"
                );
                let path = format!("components[{n}].dependencies");
                sheet.add_blocker("undefined_component", path, message);
            }
        }
    }
}

/// Every CRITICAL or HIGH requirement is served by a component, and none is made up.
fn served_requirements(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let Some(requirements) = &facts.requirements else {
        return;
    };
    let mut served = BTreeSet::new();
    for (n, component) in list_at(output, "components").iter().enumerate() {
        for id in texts_at(component, "requirements") {
            served.insert(id);
            if !requirements.requirements.iter().any(|r| r.id == id) {
                let path = format!("components[{n}].requirements");
                sheet.add_blocker("unknown_requirement", path, format!("there is no `{id}`"));
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
            sheet.add_blocker("requirement_unserved", "components", message);
        } else {
            sheet.add_warning("requirement_unserved", "components", message);
        }
    }
}

fn data_models(output: &Value, sheet: &mut MarkSheet) {
    let models = list_at(output, "data_models");
    let typed = |f: &Value| is_label(text_at(f, "name")) && !text_at(f, "type").trim().is_empty();
    let whole = |m: &&Value| is_label(text_at(m, "name")) && list_at(m, "fields").iter().any(typed);
    let held = models.iter().filter(whole).count();
    let excused = is_prose(text_at(output, "data_models_not_needed"));
    let value = if models.is_empty() {
        if excused { 1.0 } else { 0.0 }
    } else {
        share_of(held, models.len())
    };
    sheet.set_mark("data_models", value, "");
    for (n, model) in models.iter().enumerate() {
        let path = |field: &str| format!("data_models[{n}].{field}");
        if text_at(model, "table_name").is_empty() {
            sheet.add_warning(
                "table_name_missing",
                path("table_name"),
                "where is it stored?",
            );
        }
        if list_at(model, "indexes").is_empty() {
            sheet.add_warning("indexes_missing", path("indexes"), "how is it looked up?");
        }
    }
}

fn mark_endpoints(output: &Value, sheet: &mut MarkSheet) {
    let endpoints = list_at(output, "api_endpoints");
    let whole = |e: &&Value| {
        METHODS.contains(&text_at(e, "method"))
            && text_at(e, "path").starts_with('/')
            && is_phrase(text_at(e, "description"))
    };
    let held = endpoints.iter().filter(whole).count();
    let excused = is_prose(text_at(output, "api_endpoints_not_needed"));
    let value = if endpoints.is_empty() {
        if excused { 1.0 } else { 0.0 }
    } else {
        share_of(held, endpoints.len())
    };
    sheet.set_mark("api_endpoints", value, "");
    for (n, endpoint) in endpoints.iter().enumerate() {
        let path = |field: &str| format!("api_endpoints[{n}].{field}");
        let method = text_at(endpoint, "method");
        if !METHODS.contains(&method) {
            let message = format!("`{method}` is none of {}", METHODS.join(", "));
            sheet.add_blocker("invalid_method", path("method"), message);
        }
        if !value_at(endpoint, "auth_required").is_boolean() {
            sheet.add_warning(
                "auth_required_missing",
                path("auth_required"),
                "who may call it?",
            );
        }
        if value_at(endpoint, "response_schema").is_null() {
            sheet.add_warning(
                "response_schema_missing",
                path("response_schema"),
                "what comes back?",
            );
        }
    }
}

fn mark_quality(output: &Value, sheet: &mut MarkSheet) {
    let listed = |field: &str| count_distinct(texts_at(output, field), is_label) > 0;
    let lists = [
        listed("testing_strategy.unit_tests"),
        listed("testing_strategy.integration_tests"),
    ];
    let by_list = share_of(lists.iter().filter(|l| **l).count(), lists.len());
    let told = text_at(output, "testing_strategy.strategy");
    let by_prose = if is_prose(told) && char_count(told) > 20 {
        0.7
    } else {
        0.0
    };
    sheet.set_mark("testing_strategy", f64::max(by_list, by_prose), "");
    let handled = value_at(output, "error_handling").as_object();
    let says = |v: &Value| match v {
        Value::String(text) => is_label(text),
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let handles = handled.is_some_and(|h| h.values().any(says));
    sheet.set_mark("error_handling", if handles { 1.0 } else { 0.3 }, "");
    let value = match count_distinct(texts_at(output, "security_considerations"), is_label) {
        0 => 0.3,
        1 => 0.7,
        _ => 1.0,
    };
    sheet.set_mark("security_considerations", value, "");
    let meets = list_at(output, "integration_points").iter().any(says);
    sheet.set_mark("integration_points", if meets { 1.0 } else { 0.5 }, "");
}

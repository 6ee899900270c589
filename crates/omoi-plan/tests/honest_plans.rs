//! Complete honest outputs pass; the tables of criteria are sound; schema, type and rules agree.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use std::sync::Arc;

use serde_json::{Value, json};

use omoi_domain::phase::Phase;
use omoi_plan::evaluate::{EvaluationFacts, evaluate_output, score_criteria};
use omoi_plan::items::{ItemSubmission, OutputItem, assemble_output, split_output, validate_item};
use omoi_plan::normalise::normalise_output;
use omoi_plan::repository::{RepoPaths, RepositoryFacts};
use omoi_plan::sections::{
    SectionKind, find_section, item_schema, phase_sections, section_schema, submit_item_schema,
};
use omoi_testkit::plans::{all_plans, todo_tags};

#[test]
fn a_small_repository_names_what_it_has() {
    let mut plan = todo_tags();
    for (files, named, passes) in [
        (&["main.py"][..], 1, true),
        (&["main.py", "README.md"], 2, true),
        (&["main.py", "README.md"], 1, false),
        (&["main.py", "README.md", "a.py", "b.py"], 2, false),
        (&["main.py", "README.md", "a.py", "b.py"], 3, true),
    ] {
        plan.facts.repo = Arc::new(RepositoryFacts::of_paths(files.iter().copied()));
        let evaluation = plan.judge_bent(Phase::Explore, |output| {
            output["greenfield"] = json!(false);
            let named = files.iter().take(named).enumerate();
            let named =
                named.map(|(n, path)| json!({"path": path, "purpose": format!("Part {n}")}));
            output["key_files"] = named.collect();
        });
        let missing =
            omoi_testkit::plans::blocker_codes(&evaluation).contains(&"key_files_missing");
        assert_eq!(!missing, passes, "{files:?} {named}");
        assert_eq!(evaluation.details["key_files"] >= 1.0, passes, "{files:?}");
    }
}

#[test]
fn honest_outputs_pass() {
    let mut judged = 0;
    for plan in all_plans() {
        for phase in Phase::ALL_WORKING {
            let evaluation = plan.judge_output(phase, plan.phase_output(phase));
            assert!(
                evaluation.passed,
                "{} {phase} {}:\n{}",
                plan.name, evaluation.score, evaluation.feedback
            );
            assert!(
                evaluation.score > 0.9,
                "{} {phase}: {}",
                plan.name,
                evaluation.feedback
            );
            judged += 1;
        }
    }
    assert!(judged >= 20, "{judged} outputs");
}

/// Rules that had nothing to compare with say so instead of passing in silence.
#[test]
fn missing_facts_are_named() {
    let plan = todo_tags();
    for phase in Phase::ALL_WORKING {
        let evaluation =
            evaluate_output(phase, plan.phase_output(phase), &EvaluationFacts::default());
        let named = evaluation
            .warnings
            .iter()
            .filter(|w| w.code == "not_checked")
            .count();
        assert_eq!(named, phase.inputs().len(), "{phase}");
        let untried = evaluation
            .warnings
            .iter()
            .any(|w| w.code == "check_not_tried");
        assert_eq!(untried, phase == Phase::Tasks, "{phase}");
    }
}

#[test]
fn weights_sum_to_one_and_every_criterion_is_marked() {
    for phase in Phase::ALL_WORKING {
        let table = score_criteria(phase);
        let sum: f64 = table.iter().map(|c| c.weight).sum();
        assert!((sum - 1.0).abs() <= 1e-9, "{phase}: {sum}");
        let names: std::collections::BTreeSet<_> = table.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), table.len(), "{phase}");
        let plan = todo_tags();
        let details = plan.judge_output(phase, plan.phase_output(phase)).details;
        for criterion in table {
            assert!(details[criterion.name] > 0.0, "{phase} {}", criterion.name);
        }
    }
}

/// Every path a criterion reads exists in the schema the model sees.
#[test]
fn evaluator_paths_exist_in_the_schema() {
    for phase in Phase::ALL_WORKING {
        let schema = match phase {
            Phase::Sync => json!(schemars::schema_for!(omoi_plan::outputs::SyncOutput)),
            _ => section_schema(phase),
        };
        for criterion in score_criteria(phase) {
            for path in criterion.paths {
                assert!(
                    resolves(&schema, &schema, path),
                    "{phase} {}: {path}",
                    criterion.name
                );
            }
        }
    }
    let schema = section_schema(Phase::Tasks);
    assert!(!resolves(&schema, &schema, "tasks[].no_such_field"));
}

fn resolves(root: &Value, schema: &Value, path: &str) -> bool {
    let schema = match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if path.is_empty() {
        return true;
    }
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let field = &schema["properties"][head.trim_end_matches("[]")];
    let inner = if head.ends_with("[]") {
        &field["items"]
    } else {
        field
    };
    !inner.is_null() && resolves(root, inner, rest)
}

/// Taking any field a criterion reads away fails the output or costs that criterion points.
#[test]
fn removing_a_judged_field_is_noticed() {
    let plan = todo_tags();
    let mut removed = 0;
    for phase in Phase::ALL_WORKING {
        let whole = plan.judge_output(phase, plan.phase_output(phase));
        for criterion in score_criteria(phase) {
            for path in criterion.paths {
                let mut output = plan.phase_output(phase).clone();
                if !remove(&mut output, path) {
                    continue;
                }
                removed += 1;
                let bent = plan.judge_output(phase, &output);
                let lost = bent.details[criterion.name] < whole.details[criterion.name];
                assert!(!bent.passed || lost, "{phase} {path}: {bent:#?}");
            }
        }
    }
    assert!(removed > 60, "{removed}");
}

/// Taking any required field away is refused, whatever the score.
#[test]
fn removing_a_required_field_blocks() {
    let mut removed = 0;
    for plan in all_plans() {
        for phase in Phase::ALL_WORKING {
            let schema = match phase {
                Phase::Sync => json!(schemars::schema_for!(omoi_plan::outputs::SyncOutput)),
                _ => section_schema(phase),
            };
            for path in required_paths(&schema, &schema, "") {
                let mut output = plan.phase_output(phase).clone();
                if !remove(&mut output, &path) {
                    continue;
                }
                removed += 1;
                let evaluation = plan.judge_output(phase, &output);
                let refused = evaluation
                    .blockers
                    .iter()
                    .any(|b| b.code == "invalid_output");
                assert!(
                    refused && !evaluation.passed,
                    "{} {phase}: {path}",
                    plan.name
                );
            }
        }
    }
    assert!(removed > 400, "{removed}");
}

fn required_paths(root: &Value, schema: &Value, base: &str) -> Vec<String> {
    let schema = match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let mut paths = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if base.is_empty() {
            name.clone()
        } else {
            format!("{base}.{name}")
        };
        let required = schema["required"].as_array();
        if required.is_some_and(|r| r.iter().any(|n| n == name)) {
            paths.push(path.clone());
        }
        paths.extend(required_paths(root, field, &path));
        if field["items"].is_object() {
            paths.extend(required_paths(root, &field["items"], &format!("{path}[]")));
        }
    }
    paths
}

/// Removes `path`, of a list in every element; false where there is nothing to remove.
fn remove(value: &mut Value, path: &str) -> bool {
    match path.split_once('.') {
        Some((head, rest)) if head.ends_with("[]") => {
            let list = value
                .get_mut(head.trim_end_matches("[]"))
                .and_then(Value::as_array_mut);
            let mut any = false;
            for item in list.into_iter().flatten() {
                any |= remove(item, rest);
            }
            any
        }
        Some((head, rest)) => value.get_mut(head).is_some_and(|inner| remove(inner, rest)),
        None => value
            .as_object_mut()
            .is_some_and(|o| o.shift_remove(path).is_some()),
    }
}

/// The sections are exactly the fields of the schema, required alike, and each item schema is the
/// schema of its field.
#[test]
fn sections_equal_the_schema() {
    for phase in Phase::ALL_WORKING {
        let schema = section_schema(phase);
        let fields: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let names: Vec<&str> = phase_sections(phase).iter().map(|s| s.name).collect();
        assert_eq!(fields, names, "{phase}");
        assert_eq!(schema["additionalProperties"], json!(false), "{phase}");
        for section in phase_sections(phase) {
            let required = schema["required"].as_array().unwrap();
            let is_required = required.iter().any(|r| r == section.name);
            assert_eq!(is_required, section.required, "{phase} {}", section.name);
            let field = &schema["properties"][section.name];
            let expected = match section.kind {
                SectionKind::Single => field,
                SectionKind::List { .. } => &field["items"],
            };
            assert_eq!(
                bare(expected.clone()),
                bare(item_schema(section)),
                "{phase} {}",
                section.name
            );
            if let SectionKind::List {
                key_field: Some(key),
                ..
            } = section.kind
            {
                assert!(
                    expected["properties"][key].is_object(),
                    "{phase} {} {key}",
                    section.name
                );
            }
        }
        let tool = submit_item_schema(phase);
        assert_eq!(tool["properties"]["section"]["enum"], json!(names));
        assert_eq!(
            tool["properties"]["value"]["anyOf"]
                .as_array()
                .unwrap()
                .len(),
            // Each section's own, and null, which withdraws.
            names.len() + 1
        );
    }
}

/// A schema without the texts that differ between a field and its type.
fn bare(mut schema: Value) -> Value {
    if let Value::Object(fields) = &mut schema {
        for name in ["title", "description", "default"] {
            fields.shift_remove(name);
        }
    }
    schema
}

#[test]
fn outputs_survive_items_and_assembly() {
    for plan in all_plans() {
        for phase in Phase::ALL_WORKING {
            if phase == Phase::Sync {
                continue;
            }
            let output = plan.phase_output(phase);
            let mut items = Vec::new();
            for item in split_output(phase, output) {
                let submission = ItemSubmission {
                    phase,
                    section: &item.section,
                    key: &item.key,
                    value: &item.value,
                };
                let accepted = validate_item(submission, &plan.facts.repo.paths).unwrap();
                assert_eq!(accepted.warnings, []);
                items.push(accepted.item);
            }
            assert_eq!(
                &assemble_output(phase, &items).unwrap(),
                output,
                "{} {phase}",
                plan.name
            );
            let mut normal = output.clone();
            assert_eq!(
                normalise_output(phase, &mut normal, &plan.facts.repo.paths),
                []
            );
            assert_eq!(&normal, output);
        }
    }
}

#[test]
fn items_replace_in_place_and_missing_ones_are_named() {
    let item = |section: &str, key: &str, value: Value| OutputItem {
        section: section.to_owned(),
        key: key.to_owned(),
        value,
    };
    let items = [
        item("feature_name", "", json!("old")),
        item("tasks", "TSK-001", json!({"n": 1})),
        item("tasks", "TSK-002", json!({"n": 2})),
        item("tasks", "TSK-001", json!({"n": 3})),
        item("feature_name", "", json!("new")),
    ];
    let missing = assemble_output(Phase::Tasks, &items).unwrap_err();
    let names: Vec<_> = missing
        .iter()
        .map(|m| (m.section.as_str(), m.needed, m.present))
        .collect();
    assert_eq!(
        names,
        [
            ("tickets", 1, 0),
            ("total_estimated_hours", 1, 0),
            ("critical_path", 1, 0)
        ]
    );
    let mut items = items.to_vec();
    items.push(item("tickets", "TKT-001", json!({})));
    items.push(item("total_estimated_hours", "", json!(2)));
    items.push(item("critical_path", "", json!([])));
    let whole = assemble_output(Phase::Tasks, &items).unwrap();
    assert_eq!(whole["tasks"], json!([{"n": 3}, {"n": 2}]));
    assert_eq!(whole["feature_name"], "new");
    // Required lists that may be empty come out empty; optional ones do not appear.
    let sync = assemble_output(Phase::Sync, &[item("recommendations", "", json!([]))]).unwrap();
    assert_eq!(sync, json!({"coverage": [], "recommendations": []}));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn refused_items_say_where_and_what() {
    let story = json!({"id": "us-001", "role": "r", "want": "w", "benefit": "b",
                       "priority": "must", "acceptance_criteria": ["c"]});
    let submit = |phase, section: &str, key: &str, value: &Value| {
        validate_item(
            ItemSubmission {
                phase,
                section,
                key,
                value,
            },
            &RepoPaths::default(),
        )
    };
    let accepted = submit(Phase::Prd, "user_stories", "us-001", &story).unwrap();
    assert_eq!(
        (accepted.item.key.as_str(), accepted.warnings.len()),
        ("US-001", 1)
    );
    let mut bad_id = story.clone();
    bad_id["id"] = json!("STORY-1");
    let mut stranger = story.clone();
    stranger["effort"] = json!(3);
    let mut blank = story.clone();
    blank["benefit"] = json!("  ");
    for (phase, section, key, value, expected) in [
        (
            Phase::Prd,
            "stories",
            "",
            &story,
            "phase `prd` has no section `stories`; its sections are `overview`, `goals`",
        ),
        (
            Phase::Prd,
            "user_stories",
            "US-002",
            &story,
            "key `US-002` differs from `user_stories.id` = `US-001`; use `US-001` as the key",
        ),
        (
            Phase::Prd,
            "user_stories",
            "",
            &json!({}),
            "section `user_stories` is a list: give each item a key of its own (its `id`)",
        ),
        (
            Phase::Prd,
            "user_stories",
            "US-001",
            &json!({}),
            "`user_stories[US-001]`: missing field `id`",
        ),
        (
            Phase::Prd,
            "user_stories",
            "",
            &bad_id,
            "`user_stories[STORY-1].id`: `STORY-1` is no id of the form US-NNN",
        ),
        (
            Phase::Prd,
            "user_stories",
            "",
            &blank,
            "`user_stories[US-001].benefit`: blank; leave the field out or fill it",
        ),
        (
            Phase::Prd,
            "assumptions",
            "",
            &json!(["all is well here", "TBD"]),
            "`assumptions[1]`: `TBD` is a placeholder; write the content",
        ),
        (
            Phase::Prd,
            "user_stories",
            "",
            &stranger,
            "`user_stories[US-001].effort`: unknown field `effort`, expected one of `id`",
        ),
        (
            Phase::Prd,
            "assumptions",
            "",
            &json!(["a", 1]),
            "`assumptions[1]`: invalid type: integer `1`, expected a string",
        ),
        (
            Phase::Prd,
            "risks",
            " ",
            &json!({}),
            "section `risks` is a list: give each item a key of its own (any short label)",
        ),
        (
            Phase::Tasks,
            "total_estimated_hours",
            "",
            &json!("8"),
            "`total_estimated_hours`: invalid type: string \"8\", expected f64",
        ),
    ] {
        let error = submit(phase, section, key, value).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    assert!(find_section(Phase::Complete, "x").is_none());
}

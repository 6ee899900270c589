//! Outputs that try to pass without the work: known ways past shape-only gates, and many more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use serde_json::{Value, json};

use omoi_domain::phase::Phase::{self, Design, Explore, Prd, Requirements, Sync, Tasks};
use omoi_plan::normalise::normalise_output;
use omoi_testkit::plans::{HonestPlan, blocker_codes, todo_tags};

/// Judges `output` and expects it refused, with `code` among the blockers.
#[track_caller]
fn refuse(plan: &HonestPlan, phase: Phase, output: &Value, code: &str) {
    let evaluation = plan.judge_output(phase, output);
    assert!(
        !evaluation.passed,
        "{phase} {code} passes at {}",
        evaluation.score
    );
    assert!(
        blocker_codes(&evaluation).contains(&code),
        "{phase}: {code} is not among {:?}\n{}",
        blocker_codes(&evaluation),
        evaluation.feedback
    );
    assert!(
        evaluation.feedback.contains(code),
        "{}",
        evaluation.feedback
    );
}

/// Shapes that passed where only the presence of keys was looked at.
#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn known_gaming_cases_are_refused_by_name() {
    let plan = todo_tags();
    let nonsense = json!({
        "codebase_summary": "asdf qwer zxcv tyui ghjk bnm uiop hjkl vbnm fghj rtyu",
        "project_type": "qwerty stuff",
        "tech_stack": ["aa1", "bb2"],
        "structure": { "x": "foo/bar", "y": "foo/baz" },
        "key_files": [
            { "path": "foo/a.rs", "purpose": "things" },
            { "path": "foo/b.rs", "purpose": "stuff" },
            { "path": "foo/c.rs", "purpose": "bits" },
        ],
        "relevant_patterns": [],
        "conventions": { "naming": "some", "testing": "none", "patterns": [] },
        "discovery_questions": [
            { "category": "Problem & Value", "questions": ["who what when"] },
            { "category": "Users & Journeys", "questions": ["what when who"] },
            { "category": "Scope & Boundaries", "questions": ["when who what"] },
            { "category": "Technical Context", "questions": ["who when what"] },
            { "category": "Trade-offs & Risks", "questions": ["what who when"] },
        ],
        "feature_summary": {
            "name": "xx", "one_liner": "yy zz", "problem_statement": "aa bb cc",
            "scope_in": ["dd"], "scope_out": ["ee"], "technical_constraints": [],
            "risks_identified": [], "success_metrics": [],
        },
        "related_to_feature": [],
        "greenfield": false,
    });
    refuse(&plan, Explore, &nonsense, "key_files_missing");

    let mut if_may = plan.phase_output(Requirements).clone();
    if_may["requirements"] = json!([{
        "id": "REQ-TODOTAGS-FUNC-001", "title": "Do it if may", "type": "functional",
        "priority": "HIGH", "text": "if may", "acceptance_criteria": ["", ""],
        "user_stories": ["US-001", "US-002", "US-003"],
    }]);
    refuse(&plan, Requirements, &if_may, "unparsable_ears");
    refuse(&plan, Requirements, &if_may, "no_criterion");

    let bare_design = plan.judge_bent(Design, |d| {
        d["data_models"] = json!([]);
        d["api_endpoints"] = json!([]);
        d.as_object_mut()
            .unwrap()
            .remove("api_endpoints_not_needed");
    });
    assert!(!bare_design.passed);
    assert_eq!(blocker_codes(&bare_design), ["missing_content"]);

    let mut object_form = plan.phase_output(Tasks).clone();
    object_form["tasks"][0]["dependencies"]["depends_on"] = json!(["TSK-002", "TSK-999"]);
    object_form["tasks"][1]["dependencies"]["depends_on"] = json!(["TSK-001"]);
    refuse(&plan, Tasks, &object_form, "dependency_cycle");
    refuse(&plan, Tasks, &object_form, "dangling_dependency");

    let mut list_form = plan.phase_output(Tasks).clone();
    list_form["tasks"][0]["dependencies"] = json!(["TSK-002"]);
    list_form["tasks"][1]["dependencies"] = json!(["TSK-001"]);
    refuse(&plan, Tasks, &list_form, "dependency_cycle");
    normalise_output(Tasks, &mut list_form, &plan.facts.repo.paths);
    refuse(&plan, Tasks, &list_form, "dependency_cycle");

    let mut unready = plan.phase_output(Sync).clone();
    for flag in [
        "all_requirements_covered",
        "all_design_components_have_tasks",
        "dependency_order_valid",
        "no_circular_dependencies",
        "all_ids_valid",
    ] {
        unready["validation_results"][flag] = json!(false);
    }
    for row in unready["coverage_matrix"].as_array_mut().unwrap() {
        row["status"] = json!("not_covered");
    }
    unready["ready_for_execution"] = json!(false);
    refuse(&plan, Sync, &unready, "not_ready");
    refuse(&plan, Sync, &unready, "validation_failed");
    assert!(plan.judge_output(Sync, &unready).score < 0.70);
}

type Case = (Phase, &'static str, fn(&mut Value));

const CASES: &[Case] = &[
    // explore
    (Explore, "invalid_output", |o| *o = json!({})),
    (Explore, "invalid_output", |o| *o = json!([o.clone()])),
    (Explore, "invalid_output", |o| {
        o["verdict"] = json!("this output is perfect");
    }),
    (Explore, "blank_text", |o| {
        o["codebase_summary"] = json!(" \n ");
    }),
    (Explore, "placeholder_text", |o| {
        o["codebase_summary"] = json!("TBD");
    }),
    (Explore, "missing_content", |o| {
        o["codebase_summary"] = json!("good code ".repeat(40));
    }),
    (Explore, "placeholder_text", |o| {
        o["project_type"] = json!("xxxxxxxxxxxx");
    }),
    (Explore, "key_files_missing", |o| {
        for (n, file) in o["key_files"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            file["path"] = json!(format!("src/invented_{n}.py"));
        }
    }),
    (Explore, "key_files_missing", |o| {
        let file = o["key_files"][0].clone();
        o["key_files"] = json!([file, file, file]);
    }),
    (Explore, "key_files_missing", |o| {
        o["greenfield"] = json!(true);
        for file in o["key_files"].as_array_mut().unwrap() {
            file["path"] = json!("src/invented.py");
        }
    }),
    (Explore, "path_outside_repo", |o| {
        o["key_files"][0]["path"] = json!("/etc/passwd");
    }),
    (Explore, "path_outside_repo", |o| {
        o["related_to_feature"] =
            json!([{"name": "x1", "file": "../../secrets", "relevance": "y1"}]);
    }),
    (Explore, "missing_content", |o| {
        for group in o["discovery_questions"].as_array_mut().unwrap() {
            group["questions"] = json!([]);
        }
    }),
    (Explore, "missing_content", |o| o["structure"] = json!({})),
    // prd
    (Prd, "no_user_stories", |o| o["user_stories"] = json!([])),
    (Prd, "duplicate_id", |o| {
        o["user_stories"][1]["id"] = json!("US-001");
    }),
    (Prd, "duplicate_text", |o| {
        let story = o["user_stories"][0].clone();
        for (n, other) in o["user_stories"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            *other = story.clone();
            other["id"] = json!(format!("US-{:03}", n + 1));
        }
    }),
    (Prd, "no_measurable_metric", |o| {
        o["goals"]["success_metrics"][0]["target"] = json!("as high as possible");
    }),
    (Prd, "no_measurable_metric", |o| {
        o["goals"]["success_metrics"] = json!([]);
    }),
    (Prd, "question_dropped", |o| {
        o["open_questions"].as_array_mut().unwrap().remove(2);
    }),
    (Prd, "question_dropped", |o| o["open_questions"] = json!([])),
    (Prd, "answer_missing", |o| {
        o["open_questions"][0]
            .as_object_mut()
            .unwrap()
            .remove("answer");
    }),
    (Prd, "placeholder_text", |o| {
        o["overview"]["problem_statement"] = json!("Lorem ipsum dolor sit amet, consectetur elit.");
    }),
    (Prd, "missing_content", |o| {
        o["users"]["primary"] = json!([]);
    }),
    (Prd, "missing_content", |o| {
        for story in o["user_stories"].as_array_mut().unwrap() {
            story["acceptance_criteria"] = json!(["ok", "works"]);
        }
    }),
    (Prd, "missing_content", |o| {
        for (n, story) in o["user_stories"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            story["id"] = json!(format!("STORY-{n}"));
        }
    }),
    (Prd, "invalid_output", |o| {
        o["user_stories"][0]["priority"] = json!("asap");
    }),
    // requirements
    (Requirements, "no_requirements", |o| {
        o["requirements"] = json!([]);
    }),
    (Requirements, "duplicate_id", |o| {
        o["requirements"][1]["id"] = o["requirements"][0]["id"].clone();
    }),
    (Requirements, "unparsable_ears", |o| {
        o["requirements"][0]["text"] = json!("The mayor may fetch all the shallow data.");
    }),
    (Requirements, "unparsable_ears", |o| {
        o["requirements"][1]["text"] = json!("WHEN, THE SYSTEM SHALL do the right thing.");
    }),
    (Requirements, "no_criterion", |o| {
        o["requirements"][4]["acceptance_criteria"] = json!([]);
    }),
    (Requirements, "no_criterion", |o| {
        o["requirements"][4]["acceptance_criteria"] = json!(["good good good", "yes"]);
    }),
    (Requirements, "story_without_requirement", |o| {
        for requirement in o["requirements"].as_array_mut().unwrap() {
            requirement["user_stories"] = json!(["US-005"]);
        }
    }),
    (Requirements, "unknown_dependency", |o| {
        o["requirements"][0]["dependencies"] = json!(["REQ-OTHER-FUNC-001"]);
    }),
    (Requirements, "dependency_cycle", |o| {
        o["requirements"][0]["dependencies"] = json!([o["requirements"][0]["id"]]);
    }),
    (Requirements, "dependency_cycle", |o| {
        o["requirements"][0]["dependencies"] = json!([o["requirements"][1]["id"]]);
    }),
    (Requirements, "bare_title", |o| {
        o["requirements"][0]["title"] = json!("Data Model");
    }),
    (Requirements, "bare_title", |o| {
        o["requirements"][0]["title"] = json!("REQ-TODOTAGS-FUNC-001");
    }),
    (Requirements, "duplicate_text", |o| {
        o["requirements"][1]["text"] = json!(
            o["requirements"][0]["text"]
                .as_str()
                .unwrap()
                .to_uppercase()
        );
    }),
    (Requirements, "missing_content", |o| {
        for requirement in o["requirements"].as_array_mut().unwrap() {
            requirement["acceptance_criteria"] = json!(["It works well.", "it  works well"]);
        }
    }),
    (Requirements, "invalid_output", |o| {
        o["requirements"][0]["priority"] = json!("URGENT");
    }),
    // design
    (Design, "missing_content", |o| {
        o["api_endpoints_not_needed"] = json!("n/a");
    }),
    (Design, "missing_content", |o| o["data_models"] = json!([])),
    (Design, "missing_content", |o| o["components"] = json!([])),
    (Design, "invalid_method", |o| {
        o["api_endpoints"] = json!([{"method": "FETCH", "path": "/x", "description": "gets some things",
            "auth_required": true, "response_schema": {}}]);
    }),
    (Design, "mermaid_invalid", |o| {
        o["architecture_diagram"] = json!("graph TD\n  A[open --> B");
    }),
    (Design, "mermaid_invalid", |o| {
        o["architecture_diagram"] = json!("The client talks to the server.");
    }),
    (Design, "undefined_component", |o| {
        o["components"][0]["dependencies"] = json!(["quantum-cache"]);
    }),
    (Design, "requirement_unserved", |o| {
        for component in o["components"].as_array_mut().unwrap() {
            component["requirements"] = json!([]);
        }
    }),
    (Design, "unknown_requirement", |o| {
        o["components"][0]["requirements"]
            .as_array_mut()
            .unwrap()
            .push(json!("REQ-TODOTAGS-FUNC-900"));
    }),
    (Design, "duplicate_name", |o| {
        o["components"][1]["name"] = json!("todo-model");
    }),
    (Design, "placeholder_text", |o| {
        o["architecture_overview"] = json!("a".repeat(200));
    }),
    (Design, "missing_content", |o| {
        o["testing_strategy"] = json!({"unit_tests": [], "integration_tests": []});
    }),
    (Design, "path_outside_repo", |o| {
        o["components"][0]["file_path"] = json!("../other/x.py");
    }),
    // tasks
    (Tasks, "no_tasks", |o| o["tasks"] = json!([])),
    (Tasks, "no_tickets", |o| o["tickets"] = json!([])),
    (Tasks, "self_dependency", |o| {
        o["tasks"][0]["dependencies"]["depends_on"] = json!(["TSK-001"]);
    }),
    (Tasks, "dangling_dependency", |o| {
        o["tasks"][0]["dependencies"]["blocks"] = json!(["TSK-777"]);
    }),
    (Tasks, "dangling_dependency", |o| {
        o["tickets"][0]["dependencies"]["blocked_by"] = json!(["TKT-777"]);
    }),
    (Tasks, "dangling_parent", |o| {
        o["tasks"][0]["parent_ticket"] = json!("TKT-777");
    }),
    (Tasks, "dangling_task", |o| {
        o["tickets"][0]["tasks"] = json!(["TSK-001", "TSK-777"]);
    }),
    (Tasks, "duplicate_id", |o| {
        o["tasks"][1]["id"] = json!("TSK-001");
    }),
    (Tasks, "foreign_task", |o| {
        o["tickets"][0]["tasks"] = json!(["TSK-001", "TSK-002", "TSK-003"]);
    }),
    (Tasks, "ticket_without_tasks", |o| {
        o["tickets"][0]["tasks"] = json!([]);
    }),
    (Tasks, "dependency_cycle", |o| {
        o["tasks"][2]["dependencies"]["blocks"] = json!(["TSK-001"]);
    }),
    (Tasks, "dependency_cycle", |o| {
        o["tickets"][0]["dependencies"]["blocked_by"] = json!(["TKT-002"]);
    }),
    (Tasks, "requirement_unaddressed", |o| {
        o["tasks"][0]["requirements_addressed"] = json!([]);
    }),
    (Tasks, "unknown_requirement", |o| {
        o["tasks"][0]["requirements_addressed"]
            .as_array_mut()
            .unwrap()
            .push(json!("REQ-OTHER-FUNC-001"));
    }),
    (Tasks, "unknown_requirement", |o| {
        o["tickets"][0]["requirements"] = json!(["REQ-OTHER-FUNC-001"]);
    }),
    (Tasks, "unknown_criterion", |o| {
        o["tasks"][0]["checks"][0]["criteria"] = json!(["REQ-TODOTAGS-FUNC-001#9"]);
    }),
    (Tasks, "file_not_found", |o| {
        o["tasks"][0]["files_to_modify"] = json!(["todo/invented.py"]);
    }),
    // Created by the second task, but nothing makes the first wait for it.
    (Tasks, "file_not_found", |o| {
        o["tasks"][0]["files_to_modify"] = json!(["todo/dates.py"]);
    }),
    (Tasks, "path_outside_repo", |o| {
        o["tasks"][0]["files_to_create"] = json!(["/etc/cron.d/x"]);
    }),
    (Tasks, "path_outside_repo", |o| {
        o["tasks"][0]["checks"][0]["files"] = json!({"../x.sh": "exit 0"});
    }),
    (Tasks, "no_checks", |o| o["tasks"][0]["checks"] = json!([])),
    (Tasks, "no_command", |o| {
        o["tasks"][0]["checks"][0]["command"] = json!(" ");
    }),
    (Tasks, "missing_content", |o| {
        for task in o["tasks"].as_array_mut().unwrap() {
            task["estimated_hours"] = json!(40);
        }
    }),
    (Tasks, "duplicate_text", |o| {
        let description = o["tasks"][0]["description"].clone();
        for task in o["tasks"].as_array_mut().unwrap() {
            task["description"] = description.clone();
        }
    }),
    (Tasks, "invalid_id", |o| {
        o["tickets"][0]["id"] = json!("TICKET-1");
        for n in 0..2 {
            o["tasks"][n]["parent_ticket"] = json!("TICKET-1");
        }
        o["tickets"][1]["dependencies"]["blocked_by"] = json!(["TICKET-1"]);
    }),
    // sync
    (Sync, "not_ready", |o| {
        o["ready_for_execution"] = json!(false);
    }),
    (Sync, "matrix_incomplete", |o| {
        o["coverage_matrix"].as_array_mut().unwrap().pop();
    }),
    (Sync, "matrix_incomplete", |o| {
        let row = o["coverage_matrix"][0].clone();
        o["coverage_matrix"].as_array_mut().unwrap().push(row);
    }),
    (Sync, "readiness_contradicted", |o| {
        o["coverage_matrix"][0]["status"] = json!("not_covered");
    }),
    (Sync, "figure_wrong", |o| {
        o["spec_summary"]["total_tasks"] = json!(100);
    }),
    (Sync, "figure_wrong", |o| {
        for row in o["coverage_matrix"].as_array_mut().unwrap() {
            row["status"] = json!("partially_covered");
        }
    }),
    (Sync, "validation_failed", |o| {
        o["validation_results"]["no_circular_dependencies"] = json!(false);
    }),
    (Sync, "coverage_too_low", |o| {
        o["blockers"] = json!([{"code": "coverage_too_low", "message": "50 %", "phase": "tasks"}]);
    }),
];

#[test]
fn adversarial_outputs_are_refused() {
    assert!(CASES.len() >= 40, "{} cases", CASES.len());
    let plan = todo_tags();
    for (phase, code, bend) in CASES {
        let mut output = plan.phase_output(*phase).clone();
        bend(&mut output);
        assert_ne!(
            &output,
            plan.phase_output(*phase),
            "{phase} {code} changes nothing"
        );
        refuse(&plan, *phase, &output, code);
    }
}

#[test]
fn a_proof_that_does_not_fail_before_the_work_is_refused() {
    let mut plan = todo_tags();
    let output = plan.phase_output(Tasks).clone();
    let key = ("TSK-001".to_owned(), 0);
    for (exit, code) in [
        (Some(0), "check_proves_nothing"),
        (None, "check_unfinished"),
    ] {
        plan.facts.base_exits.insert(key.clone(), exit);
        refuse(&plan, Tasks, &output, code);
    }
    // Calling it a regression check, which is meant to pass there, leaves its criteria unproven.
    let mut regression = output.clone();
    regression["tasks"][0]["checks"][0]["kind"] = json!("regression");
    refuse(&plan, Tasks, &regression, "criteria_on_other_check");
    refuse(&plan, Tasks, &regression, "criterion_unproven");
    // Beside a proof it is welcome.
    let mut both = output;
    let mut more = regression["tasks"][0]["checks"][0].clone();
    more["criteria"] = json!([]);
    both["tasks"][0]["checks"]
        .as_array_mut()
        .unwrap()
        .push(more);
    plan.facts.base_exits.insert(key, Some(1));
    assert!(plan.judge_output(Tasks, &both).passed);
}

#[test]
fn a_criterion_without_a_proof_is_told_with_its_text() {
    let plan = todo_tags();
    let mut output = plan.phase_output(Tasks).clone();
    for task in output["tasks"].as_array_mut().unwrap() {
        for check in task["checks"].as_array_mut().unwrap() {
            check["kind"] = json!("regression");
            check["command"] = json!("true");
        }
    }
    // A test task for every requirement is no cover for it.
    let mut cover = output["tasks"][0].clone();
    cover["id"] = json!("TSK-090");
    cover["title"] = json!("Test all that was built");
    cover["description"] = json!("Writes tests for everything that the tasks before it built.");
    cover["type"] = json!("test");
    let ids = plan.phase_output(Requirements)["requirements"]
        .as_array()
        .unwrap();
    cover["requirements_addressed"] = ids.iter().map(|r| r["id"].clone()).collect();
    let parent = cover["parent_ticket"].clone();
    for ticket in output["tickets"].as_array_mut().unwrap() {
        if ticket["id"] == parent {
            ticket["tasks"]
                .as_array_mut()
                .unwrap()
                .push(json!("TSK-090"));
        }
    }
    output["tasks"].as_array_mut().unwrap().push(cover);
    for named in [true, false] {
        if !named {
            for task in output["tasks"].as_array_mut().unwrap() {
                for check in task["checks"].as_array_mut().unwrap() {
                    check["criteria"] = json!([]);
                }
            }
        }
        let evaluation = plan.judge_output(Tasks, &output);
        let unproven: Vec<&str> = evaluation
            .blockers
            .iter()
            .filter(|b| b.code == "criterion_unproven")
            .map(|b| b.message.as_str())
            .collect();
        let criteria: Vec<&str> = ids
            .iter()
            .flat_map(|r| r["acceptance_criteria"].as_array().unwrap())
            .map(|c| c.as_str().unwrap())
            .collect();
        assert_eq!(unproven.len(), criteria.len(), "{unproven:?}");
        for (message, criterion) in unproven.iter().zip(criteria) {
            assert!(message.contains(criterion), "{message}");
        }
        let relabelled = blocker_codes(&evaluation).contains(&"criteria_on_other_check");
        assert_eq!(relabelled, named, "{:?}", blocker_codes(&evaluation));
    }
}

/// Half the content gone costs more than the threshold allows or is blocked, phase by phase.
#[test]
fn gutted_outputs_fail() {
    let plan = todo_tags();
    for phase in Phase::ALL_WORKING {
        let mut output = plan.phase_output(phase).clone();
        gut(&mut output);
        let evaluation = plan.judge_output(phase, &output);
        assert!(
            !evaluation.passed && evaluation.score < 0.70,
            "{phase} {}",
            evaluation.score
        );
    }
}

/// Replaces every text by a single letter, keeping the shape.
fn gut(value: &mut Value) {
    match value {
        Value::String(text) => *text = "x".to_owned(),
        Value::Array(items) => items.iter_mut().for_each(gut),
        Value::Object(fields) => fields.values_mut().for_each(gut),
        Value::Bool(flag) => *flag = false,
        _ => {}
    }
}

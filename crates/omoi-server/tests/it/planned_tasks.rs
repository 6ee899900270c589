//! Tasks of a plan over HTTP.

use serde_json::{Value, json};

use omoi_domain::phase::Phase;
use omoi_testkit::plans::todo_tags;

use crate::api::bench;
use crate::plan_edits::{PlanDesk, add_planned};

fn wanted() -> Value {
    json!({
        "title": "Describe tags in the manual",
        "description": "Add a chapter on tags to the manual: how they are given, listed and taken away again.",
        "parent_ticket": "TKT-001", "type": "documentation", "priority": "LOW", "estimated_hours": 1.0,
        "files_to_modify": ["README.md"], "acceptance_criteria": ["The manual has a chapter on tags."],
    })
}

async fn tasks_output(desk: &PlanDesk) -> Value {
    let told = desk.read("/phase-data").await;
    let phases = told["items"].as_array().unwrap();
    let found = phases.iter().find(|run| run["phase"] == "tasks");
    found.unwrap()["output"].clone()
}

/// An output without lists and objects that hold nothing, which are left out where it is written again.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_empty).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name, without_empty(value)));
            let is_empty = |value: &Value| *value == json!([]) || *value == json!({});
            let kept = fields.filter(|(_, value)| !is_empty(value));
            kept.map(|(name, value)| (name.clone(), value)).collect()
        }
        value => value.clone(),
    }
}

#[tokio::test]
async fn a_planned_task_comes_changes_and_goes_by_the_version_of_its_spec() {
    let (test, router) = bench().await;
    let path = add_planned(&test, &todo_tags(), Phase::Tasks).await;
    let desk = PlanDesk { router, path };
    let before = tasks_output(&desk).await;
    let n_tasks = before["tasks"].as_array().unwrap().len();
    let id = format!("TSK-{:03}", n_tasks + 1);
    let (_, read, _) = desk.ask("GET", "", None, &Value::Null).await;
    let (status, tag, spec) = desk.ask("POST", "/tasks", read.as_deref(), &wanted()).await;
    assert_eq!(
        (status, &spec["current_phase"]),
        (200, &json!("sync")),
        "{spec}"
    );
    let with = tasks_output(&desk).await;
    assert_eq!(with["tasks"][n_tasks]["id"], json!(id), "{with}");
    let listed = with["tickets"][0]["tasks"].as_array().unwrap();
    assert!(listed.contains(&json!(id)), "{listed:?}");

    // Whoever read it before is told.
    let (one, low) = (format!("/tasks/{id}"), json!({ "title": "Manual of tags" }));
    let (status, _, told) = desk.ask("PATCH", &one, read.as_deref(), &low).await;
    assert_eq!(status, 412, "{told}");
    let (status, tag, told) = desk.ask("PATCH", &one, tag.as_deref(), &low).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        tasks_output(&desk).await["tasks"][n_tasks]["title"],
        "Manual of tags"
    );
    let (status, _, told) = desk.ask("DELETE", &one, tag.as_deref(), &Value::Null).await;
    assert_eq!(status, 200, "{told}");
    let after = tasks_output(&desk).await;
    for part in ["tickets", "tasks"] {
        assert_eq!(without_empty(&after[part]), without_empty(&before[part]));
    }
    assert_eq!(desk.version_numbers().await, [4, 3, 2, 1]);
    let diff = desk.read("/versions/1/diff/2").await;
    assert!(
        diff["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["key"] == json!(id)),
        "{diff}"
    );
}

#[tokio::test]
async fn what_no_plan_takes_is_refused_by_its_name() {
    let (test, router) = bench().await;
    let early = add_planned(&test, &todo_tags(), Phase::Design).await;
    let desk = PlanDesk {
        router,
        path: early,
    };
    let with = |field: &str, value: Value| {
        let mut body = wanted();
        body[field] = value;
        body
    };
    let (status, _, told) = desk.ask("POST", "/tasks", None, &wanted()).await;
    assert_eq!((status, &told["error"]), (422, &json!("refused")), "{told}");
    // One that is worked on has its plan.
    let working = PlanDesk {
        path: format!("/api/v1/specs/{}", test.spec.id),
        ..desk
    };
    let (status, _, told) = working.ask("POST", "/tasks", None, &wanted()).await;
    assert_eq!((status, &told["error"]), (409, &json!("at_work")), "{told}");
    for (method, below, body, expected) in [
        (
            "POST",
            "/tasks",
            with("status", json!("done")),
            (422, "unknown_field"),
        ),
        (
            "POST",
            "/tasks",
            with("priority", json!("SOON")),
            (422, "validation_failed"),
        ),
        (
            "POST",
            "/tasks",
            json!({ "title": "x" }),
            (422, "validation_failed"),
        ),
        (
            "PATCH",
            "/tasks/TSK-001",
            json!({ "id": "TSK-002" }),
            (422, "unknown_field"),
        ),
        (
            "PATCH",
            "/tasks/TSK-001",
            json!({ "title": null }),
            (422, "validation_failed"),
        ),
    ] {
        let (status, _, told) = working.ask(method, below, None, &body).await;
        let code = told["error"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{method} {below}: {told}");
    }
}

#[tokio::test]
async fn a_task_that_the_plan_has_not_is_not_there() {
    let (test, router) = bench().await;
    let path = add_planned(&test, &todo_tags(), Phase::Tasks).await;
    let desk = PlanDesk { router, path };
    let low = json!({ "priority": "LOW" });
    for (method, below, body, expected) in [
        ("PATCH", "/tasks/TSK-099", low, (404, "not_found")),
        ("DELETE", "/tasks/TSK-099", Value::Null, (404, "not_found")),
        (
            "POST",
            "/tasks",
            {
                let mut body = wanted();
                body["id"] = json!("TSK-001");
                body
            },
            (409, "conflict"),
        ),
        (
            "POST",
            "/tasks",
            {
                let mut body = wanted();
                body["parent_ticket"] = json!("TKT-099");
                body
            },
            (422, "refused"),
        ),
    ] {
        let (status, _, told) = desk.ask(method, below, None, &body).await;
        let code = told["error"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{method} {below}: {told}");
    }
    assert!(desk.version_numbers().await.is_empty());
}

//! Changes that people make of a plan, and the versions that keep what it was planned from.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use serde_json::{Value, json};

use omoi_domain::phase::{Phase, PhaseVerdict};
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_git::mirror::{CommitMeta, FileChange, Identity};
use omoi_git::object::RepoPath;
use omoi_runtime::clock::Clock as _;
use omoi_store::phases::{self, NewItem};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tx};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::plans::{HonestPlan, todo_tags};

use crate::api::{TOKEN, bench};
use crate::versions::send;

/// A commit with the files that the plan speaks of.
async fn commit_files(test: &TestDeployment, plan: &HonestPlan) -> String {
    let files = plan.facts.repo.paths.files();
    let changes = files.map(|path| FileChange {
        path: RepoPath::new(path).unwrap(),
        content: Some(format!("# {path}\n").into_bytes()),
    });
    let meta = CommitMeta {
        message: "Files".to_owned(),
        trailers: Vec::new(),
        author: Identity::platform(),
        time: test.clock.now(),
    };
    let (mirror, changes) = (test.project_mirror().await, changes.collect::<Vec<_>>());
    let made = mirror.commit_files(&test.base, &changes, &meta).await;
    made.unwrap().to_string()
}

/// A phase that handed in what the plan says, and passed.
async fn pass_phase(
    tx: &mut Tx,
    spec: &Spec,
    plan: &HonestPlan,
    phase: Phase,
) -> Result<(), StoreError> {
    let mut run = phases::ensure(tx, spec.id, phase).await?;
    for state in [PhaseState::Running, PhaseState::Passed] {
        if state == PhaseState::Passed {
            run.output = Some(Json(plan.phase_output(phase).clone()));
        }
        phases::transition(
            tx,
            spec.project_id,
            &mut run,
            state,
            PhaseVerdict::with_reason("played"),
        )
        .await?;
    }
    for item in plan.phase_items(phase) {
        let new = NewItem {
            spec_id: spec.id,
            project_id: spec.project_id,
            phase,
            attempt_no: 1,
            section: &item.section,
            key: &item.key,
            value: item.value.clone(),
            digest: item.key.clone(),
        };
        phases::append_item(tx, new).await?;
    }
    Ok(())
}

/// A spec whose phases up to `last` have passed, which waits.
pub(crate) async fn add_planned(test: &TestDeployment, plan: &HonestPlan, last: Phase) -> String {
    add_planned_as(test, plan, last, 2).await
}

/// As [`add_planned`], with a number of its own.
pub(crate) async fn add_planned_as(
    test: &TestDeployment,
    plan: &HonestPlan,
    last: Phase,
    number: i64,
) -> String {
    let base_sha = commit_files(test, plan).await;
    let added = test.commit(async |tx| {
        let spec = Spec {
            id: tx.new_id(),
            number,
            status: SpecStatus::Failed,
            current_phase: last.next().unwrap(),
            integration_branch: format!("feature/{number}"),
            base_sha,
            ..test.spec.clone()
        };
        specs::insert(tx, &spec).await?;
        for phase in Phase::ALL_WORKING
            .into_iter()
            .filter(|phase| *phase <= last)
        {
            pass_phase(tx, &spec, plan, phase).await?;
        }
        Ok(spec.id)
    });
    format!("/api/v1/specs/{}", added.await.unwrap())
}

/// The spec of a test at the door of the API.
pub(crate) struct PlanDesk {
    pub(crate) router: Router,
    pub(crate) path: String,
}

impl PlanDesk {
    /// Status, `ETag` and body of the answer to a request below the path of the spec.
    pub(crate) async fn ask(
        &self,
        method: &str,
        below: &str,
        meant: Option<&str>,
        body: &Value,
    ) -> (u16, Option<String>, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{below}", self.path))
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(CONTENT_TYPE, "application/json");
        if let Some(meant) = meant {
            request = request.header(IF_MATCH, meant);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        send(&self.router, request).await
    }

    pub(crate) async fn read(&self, below: &str) -> Value {
        self.ask("GET", below, None, &Value::Null).await.2
    }

    async fn requirements(&self) -> Vec<Value> {
        let told = self.read("/phase-data").await;
        let phases = told["items"].as_array().unwrap();
        let found = phases.iter().find(|run| run["phase"] == "requirements");
        let output = &found.unwrap()["output"];
        output["requirements"].as_array().unwrap().clone()
    }

    pub(crate) async fn version_numbers(&self) -> Vec<i64> {
        let listed = self.read("/versions").await;
        let items = listed["items"].as_array().unwrap().iter();
        items.map(|one| one["number"].as_i64().unwrap()).collect()
    }
}

fn n_criteria(requirement: &Value) -> usize {
    requirement["acceptance_criteria"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_plan_is_edited_through_its_gate_kept_and_taken_back() {
    let (test, router) = bench().await;
    let path = add_planned(&test, &todo_tags(), Phase::Design).await;
    let desk = PlanDesk { router, path };
    let before = desk.requirements().await;
    let first = before[0]["id"].as_str().unwrap().to_owned();
    let one = format!("/requirements/{first}");
    // A criterion more is accepted, and the next phase has to run again.
    let text = json!({ "text": "`todo list` prints a label beside each todo." });
    let (_, read, _) = desk.ask("GET", "", None, &Value::Null).await;
    let criteria = format!("{one}/criteria");
    let (status, tag, spec) = desk.ask("POST", &criteria, read.as_deref(), &text).await;
    assert_eq!(status, 200, "{spec}");
    assert_eq!(spec["current_phase"], "design", "{spec}");
    let after = desk.requirements().await;
    assert_eq!(n_criteria(&after[0]), n_criteria(&before[0]) + 1);
    // Whoever read it before is told, and shown what there is.
    let low = json!({ "priority": "LOW" });
    let (status, current, told) = desk.ask("PATCH", &one, read.as_deref(), &low).await;
    assert_eq!((status, current), (412, tag.clone()), "{told}");
    desk.refuse_all(&first).await;
    assert_eq!(desk.requirements().await, after);
    // Both are versions, and the first one comes back as a third.
    assert_eq!(desk.version_numbers().await, [2, 1]);
    let diff = desk.read("/versions/1/diff/2").await;
    assert_eq!(diff["items"].as_array().unwrap().len(), 1, "{diff}");
    assert_eq!(diff["items"][0]["key"], json!(first), "{diff}");
    let restore = "/versions/1/restore";
    let (status, _, told) = desk
        .ask("POST", restore, tag.as_deref(), &Value::Null)
        .await;
    assert_eq!(status, 200, "{told}");
    let restored = desk.requirements().await;
    assert_eq!(n_criteria(&restored[0]), n_criteria(&before[0]));
    assert_eq!(desk.version_numbers().await, [3, 2, 1]);
    let second = desk.read("/versions/2").await;
    let kept = &second["outputs"]["requirements"]["requirements"];
    assert_eq!(kept, &json!(after));
}

impl PlanDesk {
    /// What the gate refuses, what is not there and what is there already.
    async fn refuse_all(&self, requirement: &str) {
        let one = format!("/requirements/{requirement}");
        let unknown = "/requirements/REQ-NONE-FUNC-001".to_owned();
        let plain = json!({ "text": "Labels are nice." });
        let twice = json!({
            "id": requirement, "title": "Labels", "type": "functional", "priority": "MEDIUM",
            "text": "x", "acceptance_criteria": ["x"],
        });
        let design = ("PUT", "/design".to_owned(), json!({ "sections": {} }));
        for ((method, below, body), expected) in [
            (("PATCH", one.clone(), plain), (422, "refused")),
            (("DELETE", unknown, Value::Null), (404, "not_found")),
            (
                ("DELETE", format!("{one}/criteria/99"), Value::Null),
                (404, "not_found"),
            ),
            (design, (428, "precondition_required")),
            (
                ("POST", "/requirements".to_owned(), twice),
                (409, "conflict"),
            ),
        ] {
            let (status, _, told) = self.ask(method, &below, None, &body).await;
            let code = told["error"].as_str().unwrap_or_default();
            assert_eq!((status, code), expected, "{method} {below}: {told}");
        }
    }
}

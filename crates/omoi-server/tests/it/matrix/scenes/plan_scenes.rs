//! Scenes of specs, their plans and their repositories.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use omoi_domain::approval::ApprovalKind;
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_git::repo::inspect_repository;
use omoi_server::ApiDoor;
use omoi_store::specs::{self, Spec};
use omoi_store::{approvals, deliveries, phases};
use omoi_testkit::plans::todo_tags;

use super::{Scene, Stage, id_of};
use crate::api::TOKEN;
use crate::ask::ask;
use crate::plan_edits::add_planned_as;

/// Parts of paths that name a part of a plan.
const PLAN_PARTS: [&str; 4] = ["req_id", "criterion_id", "number", "other"];

pub(super) async fn set_scene(stage: &Stage<'_>, id: &str, names: &[String]) -> Option<Scene> {
    let spec = stage.world.row_id("spec_id");
    let planned = || Scene::plain().with("spec_id", stage.world.row_id("planned_spec"));
    if id == "delete_requirement" {
        return Some(planned().with("req_id", add_requirement(stage).await));
    }
    if names.iter().any(|name| PLAN_PARTS.contains(&name.as_str())) {
        return Some(planned());
    }
    Some(match id {
        "create_requirement" => planned(),
        "replace_design" => {
            let path = format!("/specs/{}", stage.world.row_id("planned_spec"));
            planned().meant_for(stage.etag_of(&path).await)
        }
        "set_board_columns" => {
            let project = stage.world.row_id("project_id");
            let path = format!("/projects/{project}/board-columns");
            Scene::plain().meant_for(stage.etag_of(&path).await)
        }
        "update_spec" | "execute_spec" => Scene::plain().with("spec_id", add_draft(stage).await),
        "resume_spec" => planned(),
        "execute_tasks" => {
            complete_plan(stage).await;
            Scene::plain()
        }
        "archive_spec" => {
            let cancel = format!("/specs/{spec}/cancel");
            stage.ask_as_owner(Method::POST, &cancel, None).await;
            Scene::plain()
        }
        "approve_requirements" | "reject_requirements" => {
            ask_about(stage, ApprovalKind::SpecRequirements, Phase::Requirements).await;
            planned()
        }
        "approve_design" | "reject_design" => {
            ask_about(stage, ApprovalKind::SpecDesign, Phase::Design).await;
            planned()
        }
        "answer_questions" => {
            ask_openly(stage).await;
            planned()
        }
        "create_planned_task" | "update_planned_task" | "delete_planned_task" => {
            plan_tasks(stage, id).await
        }
        "deliver_spec" => {
            complete_plan(stage).await;
            let landed = "status = 'completed', integration_state = 'merged'";
            for sql in [
                format!("update specs set status = 'working' where id = '{spec}'"),
                format!("update tasks set {landed} where spec_id = '{spec}'"),
            ] {
                stage.write_rows(&sql).await;
            }
            Scene::plain()
        }
        "get_spec_bundle" => {
            deliver(stage).await;
            Scene::plain()
        }
        _ => return set_repository_scene(stage, id).await,
    })
}

/// Scenes of what is shown to strangers, of tickets beside a plan, and of repositories here and elsewhere.
async fn set_repository_scene(stage: &Stage<'_>, id: &str) -> Option<Scene> {
    let spec = stage.world.row_id("spec_id");
    Some(match id {
        "get_showcase" | "unshare_spec" => {
            let share = format!("/public/specs/{spec}/share");
            let told = stage
                .ask_as_owner(Method::POST, &share, Some(json!({ "listed": false })))
                .await;
            let url = told["share_url"].as_str().unwrap();
            Scene::plain().with("share_token", url.rsplit('/').next().unwrap())
        }
        "create_spec" | "launch_spec" | "set_up_repository" | "get_trust" | "resolve_reference" => {
            Scene::plain().asked_in_folder()
        }
        "trust_repository" => {
            let path = format!(
                "/api/v1/trust?repo_path={}",
                stage.world.row_id("repo_path")
            );
            let router = stage.world.router_behind(ApiDoor::Folder);
            let asked = ask(&router, (&Method::GET, &path), Some(TOKEN), Body::empty());
            let told: serde_json::Value = serde_json::from_str(&asked.await.1).unwrap();
            let digest = told["file_digest"].as_str().unwrap();
            Scene::plain().asked_in_folder().with("file_digest", digest)
        }
        "link_tickets" | "unlink_tickets" => {
            let ticket = stage.world.row_id("ticket_id");
            if id == "unlink_tickets" {
                let link = format!("/specs/{spec}/link-tickets");
                let body = json!({ "ticket_ids": [ticket] });
                stage.ask_as_owner(Method::POST, &link, Some(body)).await;
            }
            Scene::plain().with("ticket_ids", ticket)
        }
        "upload_bundle" | "find_missing_commits" | "launch_project_spec" => {
            set_upload(stage, id).await
        }
        _ => return None,
    })
}

/// A spec that nobody had planned.
async fn add_draft(stage: &Stage<'_>) -> String {
    let test = &stage.desk.test;
    let added = test.commit(async |tx| {
        let draft = Spec {
            id: tx.new_id(),
            number: 3,
            status: SpecStatus::Draft,
            current_phase: Phase::Explore,
            integration_branch: "feature/3".to_owned(),
            ..test.spec.clone()
        };
        specs::insert(tx, &draft).await?;
        Ok(draft.id)
    });
    added.await.unwrap().to_string()
}

/// A requirement of the planned spec that nothing builds on.
async fn add_requirement(stage: &Stage<'_>) -> &'static str {
    let id = "REQ-TODO-FUNC-019";
    let path = format!("/specs/{}/requirements", stage.world.row_id("planned_spec"));
    let body = json!({
        "id": id, "title": "Sort todos by label", "type": "functional", "priority": "MEDIUM", "user_stories": ["US-001"],
        "text": "WHEN a user sorts todos, THE SYSTEM SHALL order them by label.",
        "acceptance_criteria": ["`todo list --sort label` prints todos in the order of their labels."],
    });
    stage.ask_as_owner(Method::POST, &path, Some(body)).await;
    id
}

/// Has the whole plan of the spec at work wait for a person.
async fn complete_plan(stage: &Stage<'_>) {
    let test = &stage.desk.test;
    let completed = test.commit(async |tx| {
        for phase in Phase::ALL_WORKING {
            let mut run = phases::ensure(tx, test.spec.id, phase).await?;
            run.state = PhaseState::Passed;
            phases::save(tx, &mut run).await?;
        }
        let mut spec = specs::get(tx, test.spec.id).await?;
        spec.status = SpecStatus::Completed;
        specs::save(tx, &mut spec).await
    });
    completed.await.unwrap();
}

/// Hands the spec at work over.
async fn deliver(stage: &Stage<'_>) {
    let test = &stage.desk.test;
    let head = stage.world.row_id("commit_sha");
    let delivered = test.commit(async |tx| {
        let branch = &test.spec.integration_branch;
        let mut hand_over = deliveries::plan(tx, test.spec.id, head, branch).await?;
        deliveries::confirm(tx, &test.spec, &mut hand_over, branch, None).await
    });
    delivered.await.unwrap();
}

/// A question about what a phase of the planned spec made.
async fn ask_about(stage: &Stage<'_>, kind: ApprovalKind, phase: Phase) {
    let spec = stage.world.row_id("planned_spec").parse().unwrap();
    let asked = stage.desk.test.commit(async |tx| {
        let mut spec = specs::get(tx, spec).await?;
        let mut run = phases::ensure(tx, spec.id, phase).await?;
        let digest = "a digest of it".to_owned();
        run.output_digest = Some(digest.clone());
        phases::save(tx, &mut run).await?;
        // It goes on being planned once that is decided.
        spec.status = SpecStatus::Executing;
        specs::save(tx, &mut spec).await?;
        approvals::ask_about_output(tx, &spec, kind, digest).await
    });
    asked.await.unwrap();
}

/// A question about what exploring for the planned spec left open.
async fn ask_openly(stage: &Stage<'_>) {
    let spec = stage.world.row_id("planned_spec").parse().unwrap();
    let asked = stage.desk.test.commit(async |tx| {
        let mut spec = specs::get(tx, spec).await?;
        let mut run = phases::ensure(tx, spec.id, Phase::Explore).await?;
        let digest = "a digest of it".to_owned();
        run.output_digest = Some(digest.clone());
        phases::save(tx, &mut run).await?;
        spec.status = SpecStatus::Executing;
        specs::save(tx, &mut spec).await?;
        approvals::ask_for_spec(tx, &spec, digest, "1. Who has tags?".to_owned()).await
    });
    asked.await.unwrap();
}

/// A spec whose plan has all its tasks, and one more that nothing needs where `id` is about one.
async fn plan_tasks(stage: &Stage<'_>, id: &str) -> Scene {
    let plan = todo_tags();
    let path = add_planned_as(&stage.desk.test, &plan, Phase::Tasks, 4).await;
    let spec = path.rsplit('/').next().unwrap();
    let scene = Scene::plain().with("spec_id", spec);
    if id == "create_planned_task" {
        return scene.with("requirements_addressed", "REQ-TODOTAGS-FUNC-001");
    }
    let tasks = plan.phase_output(Phase::Tasks)["tasks"].as_array().unwrap();
    let added = format!("TSK-{:03}", tasks.len() + 1);
    let wanted = json!({
        "title": "Describe tags in the manual",
        "description": "Add a chapter on tags to the manual: how they are given, listed and taken away again.",
        "parent_ticket": "TKT-001", "type": "documentation", "priority": "LOW", "estimated_hours": 1.0,
        "files_to_modify": ["README.md"], "acceptance_criteria": ["The manual has a chapter on tags."],
    });
    let path = format!("/specs/{spec}/tasks");
    stage.ask_as_owner(Method::POST, &path, Some(wanted)).await;
    scene.with("planned_task_id", added)
}

/// A project whose repository lies elsewhere, and a commit of it.
async fn set_upload(stage: &Stage<'_>, id: &str) -> Scene {
    let git = &stage.desk.test.deployment.git;
    let repo = &stage.world.repo;
    let head = repo.head();
    let info = inspect_repository(git, repo.path()).await.unwrap();
    let packed = info.bundle_head(git, &[], 1 << 20).await.unwrap();
    let new = json!({ "name": "Elsewhere", "autonomous_execution_enabled": true });
    let made = stage
        .ask_as_owner(Method::POST, "/projects", Some(new))
        .await;
    let project = id_of(&made);
    let bytes = packed.bytes.unwrap();
    if id == "launch_project_spec" {
        let path = format!("/api/v1/projects/{project}/repository/bundle?commit={head}");
        let token = stage.token_of(crate::matrix::world::OWNER).await;
        let request = Request::post(path)
            .header("content-type", "application/octet-stream")
            .header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(bytes.clone())).unwrap();
        let (status, told) = stage.desk.send(request).await;
        assert_eq!(status, 200, "{told}");
    }
    let scene = Scene::plain().with("project_id", project);
    Scene {
        bytes,
        ..scene.with("commit", &head).with("commits", &head)
    }
}

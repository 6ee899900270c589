//! Scenes of tickets, tasks and agents.

use axum::http::Method;
use serde_json::json;

use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::phase::Phase;
use omoi_execution::attempt::insert_attempt;
use omoi_store::{phases, projects};

use super::{Scene, Stage, id_of};
use crate::matrix::world::{MEMBER, OWNER};

/// A form with one file.
const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\na\r\n--x--\r\n";

pub(super) async fn set_scene(stage: &Stage<'_>, id: &str) -> Scene {
    let world = stage.world;
    let ticket = world.row_id("ticket_id");
    match id {
        "create_budget" => {
            let added = stage.desk.test.commit(async |tx| {
                let other = projects::ensure(tx, "todo", "/src/todo").await?;
                Ok(other.id)
            });
            Scene::plain().with("scope_id", added.await.unwrap())
        }
        "approve_ticket" | "reject_ticket" => {
            Scene::plain().with("ticket_id", world.row_id("asked_ticket"))
        }
        "remove_ticket_dependency" => {
            let path = format!("/tickets/{ticket}/dependencies");
            let body = json!({ "depends_on": world.row_id("dependency_id") });
            stage.ask_as_owner(Method::POST, &path, Some(body)).await;
            Scene::plain()
        }
        "add_ticket_dependency" => Scene::plain().with("depends_on", world.row_id("asked_ticket")),
        "upload_file" => Scene {
            bytes: FORM.as_bytes().to_vec(),
            ..Scene::plain()
        },
        "regress_ticket" => {
            let sql = format!(
                "update tickets set status = 'testing', phase_id = 'PHASE_TESTING' where id = '{ticket}'"
            );
            stage.write_rows(&sql).await;
            Scene::plain()
        }
        "complete_ticket" | "auto_transition_ticket" => {
            let ticket = stage.desk.test.ticket.id;
            let sql = format!(
                "update tasks set status = 'completed', integration_state = 'merged' where ticket_id = '{ticket}'"
            );
            stage.write_rows(&sql).await;
            Scene::plain().with("ticket_id", ticket)
        }
        "delete_budget" | "update_budget" => Scene::plain().meant_for("\"1\""),
        "cleanup_timed_out_tasks" => Scene::plain().asked_in_folder(),
        "retry_task" => {
            let fail = format!("/tasks/{}/fail", world.row_id("task_id"));
            let body = json!({ "reason": "wrong idea" });
            stage.ask_as_owner(Method::POST, &fail, Some(body)).await;
            Scene::plain()
        }
        "steer_task" | "register_conversation" => {
            Scene::plain().with("task_id", world.row_id("running_task"))
        }
        "create_task" => Scene::plain().with("ticket_id", stage.desk.test.ticket.id),
        "get_sandbox_phase" => Scene::plain().with("sandbox_id", add_planner(stage).await),
        _ => set_spoken_scene(stage, id).await,
    }
}

/// Scenes of what is said in threads and of results.
async fn set_spoken_scene(stage: &Stage<'_>, id: &str) -> Scene {
    let world = stage.world;
    match id {
        "open_thread" => Scene::plain().with("agents", world.row_id("task_id")),
        "read_thread_message" => {
            let message = json!({
                "thread_id": world.row_id("thread_id"), "message_type": "info", "content": "Look there.",
            });
            let token = stage.token_of(MEMBER).await;
            let said = (Method::POST, "/collaboration/messages");
            let told = stage.ask_as(&token, said, Some(message)).await;
            // Whoever opened the thread is to read it.
            Scene::plain()
                .with("message_id", id_of(&told))
                .asked_by(OWNER)
        }
        "submit_workflow_result" | "get_result_criteria" => {
            set_criteria(stage).await;
            Scene::plain()
        }
        "judge_result" => {
            set_criteria(stage).await;
            let result = json!({
                "workflow_id": world.row_id("workflow_id"), "summary": "Todos are imported", "markdown": "# Import",
            });
            let told = stage.ask_as_owner(Method::POST, "/submit_result", Some(result));
            Scene::plain().with("result_id", id_of(&told.await))
        }
        _ => Scene::plain(),
    }
}

/// What a result of the ticket has to meet.
async fn set_criteria(stage: &Stage<'_>) {
    let ticket = stage.world.row_id("workflow_id");
    let path = format!("/workflows/{ticket}/result-criteria");
    let criteria = json!({ "result_criteria": ["It is fast."], "on_result_found": "do_nothing" });
    stage.ask_as_owner(Method::PUT, &path, Some(criteria)).await;
}

/// An attempt at a phase of planning.
async fn add_planner(stage: &Stage<'_>) -> String {
    let test = &stage.desk.test;
    let subject = AttemptSubject::SpecPhase {
        phase: Phase::Design,
    };
    let added = test.commit(async |tx| {
        phases::ensure(tx, test.spec.id, Phase::Design).await?;
        let new = test.new_attempt(subject, AgentRole::Planner);
        Ok(insert_attempt(tx, &test.build_part(), new).await?.attempt)
    });
    added.await.unwrap().id.to_string()
}

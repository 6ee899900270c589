//! Tasks that people add to a plan, change and take out.

use serde_json::json;

use omoi_domain::block::SpecBlock;
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_planning::commands::{
    self, PlannedTaskEdit, PlannedTaskWish, SpecCommandError, edit_planned_task,
};
use omoi_planning::plan_gate::PlanGate;
use omoi_protocol::api::{CreatePlannedTask, ResumeSpec, UpdatePlannedTask};
use omoi_store::specs::Spec;
use omoi_store::{spec_versions, tasks, tickets};

use crate::desk::Desk;

/// A task that a person plans, which `command` proves, if there is one.
fn wanted(command: Option<&str>) -> CreatePlannedTask {
    let checks = command.map(|command| json!({ "kind": "proof", "command": command }));
    let kind = command.map_or("documentation", |_| "implementation");
    let body = json!({
        "title": "Describe tags in the manual",
        "description": "Add a chapter on tags to the manual: how they are given, listed and taken away again.",
        "parent_ticket": "TKT-001", "type": kind, "priority": "LOW", "estimated_hours": 1.0,
        "files_to_modify": ["README.md"], "acceptance_criteria": ["The manual has a chapter on tags."],
        "checks": checks.into_iter().collect::<Vec<_>>(),
    });
    serde_json::from_value(body).unwrap()
}

async fn edit(desk: &Desk, wish: PlannedTaskWish) -> Result<Spec, SpecCommandError> {
    let gate: PlanGate = desk.it.build_part();
    let edit = PlannedTaskEdit {
        wish,
        versions: None,
    };
    edit_planned_task(&gate, &desk.it.deployment.store, desk.spec.id, edit).await
}

/// Has the plan written again as it is.
async fn resume(desk: &Desk) {
    let policy = desk.it.build_part();
    let tenant = &desk.it.deployment.store;
    commands::resume_spec(&policy, tenant, desk.spec.id, ResumeSpec::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_task_that_comes_and_goes_leaves_the_tickets_as_they_were() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let id = desk.spec.id;
    let output = desk.run(Phase::Tasks).await.output;
    let before = tickets::of_spec(&mut desk.it.read_tx().await, id)
        .await
        .unwrap();
    let planned = tasks::of_spec(&mut desk.it.read_tx().await, id)
        .await
        .unwrap();

    let added = edit(&desk, PlannedTaskWish::Add(wanted(None)))
        .await
        .unwrap();
    assert_eq!(added.current_phase, Phase::Sync);
    resume(&desk).await;
    desk.work_through(Phase::Sync).await;
    let all = tasks::of_spec(&mut desk.it.read_tx().await, id)
        .await
        .unwrap();
    let known: Vec<_> = planned.iter().map(|task| task.id).collect();
    let new: Vec<_> = all
        .iter()
        .filter(|task| !known.contains(&task.id))
        .collect();
    let [task] = new[..] else {
        panic!("{} tasks more", new.len())
    };
    assert_eq!(task.local_id, format!("TSK-{:03}", planned.len() + 1));
    assert_eq!(task.ticket_id, before[0].id);

    let gone = PlannedTaskWish::Remove(task.local_id.clone());
    edit(&desk, gone).await.unwrap();
    assert_eq!(desk.run(Phase::Tasks).await.output, output);
    resume(&desk).await;
    desk.work_through(Phase::Sync).await;
    let now = tickets::of_spec(&mut desk.it.read_tx().await, id)
        .await
        .unwrap();
    assert_eq!(now, before);
    let left = tasks::get(&mut desk.it.read_tx().await, task.id)
        .await
        .unwrap();
    assert_eq!(left.status, TaskStatus::Cancelled);
    // Each change is a version.
    let mut tx = desk.it.read_tx().await;
    let versions = spec_versions::of_spec(&mut tx, id);
    let told: Vec<_> = versions
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.number)
        .collect();
    assert_eq!(told, [3, 2, 1]);
}

#[tokio::test]
async fn what_a_person_plans_is_tried_before_it_stands() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let weak = wanted(Some("sh todo.sh README.md"));
    edit(&desk, PlannedTaskWish::Add(weak)).await.unwrap();
    resume(&desk).await;
    desk.tick().await;
    desk.proofs_ended().await;
    desk.tick().await;
    let spec = desk.spec_now().await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    assert_eq!(spec.blocked_by, Some(SpecBlock::PlanNotReady));
    let reason = spec.last_error.clone().unwrap();
    assert!(
        reason.contains("passes on the base commit already"),
        "{reason}"
    );

    // The task stays as they wrote it until they change it.
    let n_tasks = desk.run(Phase::Tasks).await.output.unwrap().0["tasks"]
        .as_array()
        .unwrap()
        .len();
    let id = format!("TSK-{n_tasks:03}");
    let checks = json!({ "checks": [{ "kind": "proof", "command": "sh todo.sh none || exit 5" }] });
    let body: UpdatePlannedTask = serde_json::from_value(checks).unwrap();
    edit(&desk, PlannedTaskWish::Change(id.clone(), body))
        .await
        .unwrap();
    resume(&desk).await;
    desk.tick().await;
    desk.proofs_ended().await;
    desk.work_through(Phase::Sync).await;
    assert_eq!(desk.spec_now().await.status, SpecStatus::Completed);
    let mut tx = desk.it.read_tx().await;
    let all = tasks::of_spec(&mut tx, desk.spec.id).await.unwrap();
    let task = all.iter().find(|task| task.local_id == id).unwrap();
    let rows = omoi_store::checks::of_spec(&mut tx, desk.spec.id)
        .await
        .unwrap();
    let check = rows.iter().find(|check| check.task_id == Some(task.id));
    assert_eq!(check.unwrap().base_exit, Some(5));
}

#[tokio::test]
async fn a_task_that_fits_no_plan_is_refused_and_changes_nothing() {
    let mut desk = Desk::new().await;
    let early = edit(&desk, PlannedTaskWish::Add(wanted(None))).await;
    assert!(
        matches!(early, Err(SpecCommandError::InvalidEdit(_))),
        "{early:?}"
    );
    desk.plan_from(Phase::Explore).await;
    let output = desk.run(Phase::Tasks).await.output;
    let bent = |field: &str, value: serde_json::Value| {
        let mut body = serde_json::to_value(wanted(None)).unwrap();
        body[field] = value;
        PlannedTaskWish::Add(serde_json::from_value(body).unwrap())
    };
    for (wish, says) in [
        (bent("type", json!("magic")), "magic"),
        (bent("parent_ticket", json!("TKT-099")), "TKT-099"),
        (bent("depends_on", json!(["TSK-099"])), "TSK-099"),
        (bent("type", json!("implementation")), "no check"),
    ] {
        match edit(&desk, wish).await {
            Err(SpecCommandError::InvalidEdit(told)) => assert!(told.contains(says), "{told}"),
            other => panic!("{says}: {other:?}"),
        }
    }
    // Others wait for it.
    let first = edit(&desk, PlannedTaskWish::Remove("TSK-001".to_owned())).await;
    assert!(
        matches!(first, Err(SpecCommandError::InvalidEdit(_))),
        "{first:?}"
    );
    let twice = edit(&desk, bent("id", json!("TSK-001"))).await;
    assert!(
        matches!(twice, Err(SpecCommandError::Store(_))),
        "{twice:?}"
    );
    assert_eq!(desk.run(Phase::Tasks).await.output, output);
}

//! Work that has landed with its checks, and passes of the last proof over it.

use std::collections::BTreeMap;

use omoi_delivery::finisher::Finisher;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::requirement::RequirementType;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::{Priority, TaskStatus};
use omoi_execution::FromParts as _;
use omoi_execution::attempt::insert_attempt;
use omoi_execution::tasks::retry_by_person;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::clock::Clock as _;
use omoi_store::checks::{self, Check};
use omoi_store::requirements::{Criterion, Requirement};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, Tx, attempts, merges};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::sample_rows;

use crate::settle;

pub(crate) async fn spec_now(it: &TestDeployment) -> Spec {
    specs::get(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap()
}

pub(crate) async fn pass(it: &TestDeployment) {
    let mut finisher = Finisher::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut finisher, it.clock.now()).await;
    settle(it).await;
}

/// An attempt at the last proof that ended in `state`.
pub(crate) async fn tried(it: &TestDeployment, state: AttemptState) {
    it.commit(async |tx| {
        let new = it.new_attempt(AttemptSubject::HeadChecks, AgentRole::Platform);
        let mut attempt = insert_attempt(tx, &it.build_part(), new).await?.attempt;
        attempt.error_message = Some("the process that ran it is gone".to_owned());
        attempts::transition(tx, &mut attempt, state).await
    })
    .await
    .unwrap();
}

/// A check of a task.
pub(crate) fn task_check(tx: &Tx, task: &Task) -> Check {
    Check {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: task.spec_id,
        task_id: Some(task.id),
        ordinal: task.ordinal,
        kind: CheckKind::Proof,
        command: "true".to_owned(),
        files: Json(BTreeMap::new()),
        timeout_s: 60,
        base_exit: Some(1),
        is_deploy: false,
    }
}

/// A landed task with a check that needs its work, and a criterion the check proves.
pub(crate) async fn landed(it: &TestDeployment, number: i64, command: &str) -> (Task, Check) {
    let command = format!("test -e done-{number} && ( {command} )");
    let (task, check) = criterion(it, number, &command).await;
    land(it, &task, &format!("done-{number}"), "done\n").await;
    (task, check)
}

/// Lands a commit of `task` that writes one file.
pub(crate) async fn land(it: &TestDeployment, task: &Task, path: &str, text: &str) -> ObjectId {
    let name = &it.spec.integration_branch;
    let head = it
        .branch_head(name)
        .await
        .unwrap_or_else(|| it.base.clone());
    let commit = it.commit_on(&head, path, Some(text)).await;
    landed_by(it, task, &commit, &commit).await;
    commit
}

/// Moves the integration branch to `commit`, by which the work of `task` at `incoming` landed.
pub(crate) async fn landed_by(
    it: &TestDeployment,
    task: &Task,
    incoming: &ObjectId,
    commit: &ObjectId,
) {
    let mirror = it.project_mirror().await;
    let name = RefName::from_branch(&it.spec.integration_branch).unwrap();
    let before = mirror.read_ref(&name).await.unwrap();
    mirror
        .update_ref_cas(&name, commit, before.as_ref(), CrashPoint::RefMoved)
        .await
        .unwrap();
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.head_sha = Some(incoming.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let mut merge = sample_rows::merge(tx, &task, MergeState::Completed, incoming.as_str());
        merge.merged_sha = Some(commit.as_str().to_owned());
        merges::insert(tx, &merge).await
    })
    .await
    .unwrap();
}

/// A completed task with a check, and a criterion the check proves.
pub(crate) async fn criterion(it: &TestDeployment, number: i64, command: &str) -> (Task, Check) {
    let task = it.add_task(number, &[]).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Merged;
        task.base_sha = Some(it.base.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let requirement = Requirement {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: it.spec.id,
            local_id: format!("REQ-{number:03}"),
            ordinal: number,
            title: "Tags".to_owned(),
            r#type: RequirementType::Functional,
            priority: Priority::High,
            body: Json("{}".parse().unwrap()),
            content_hash: String::new(),
        };
        tx.insert(&requirement).await?;
        let criterion = Criterion {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: it.spec.id,
            requirement_id: requirement.id,
            local_id: format!("AC-{number:03}"),
            ordinal: number,
            body: "It works".to_owned(),
            content_hash: String::new(),
        };
        tx.insert(&criterion).await?;
        let check = Check {
            command: command.to_owned(),
            ..task_check(tx, &task)
        };
        checks::insert(tx, &check, &[criterion.id]).await?;
        Ok((task, check))
    })
    .await
    .unwrap()
}

/// The project's own suite.
pub(crate) async fn suite(it: &TestDeployment, command: &str) -> Check {
    it.commit(async |tx| {
        let check = Check {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: it.spec.id,
            task_id: None,
            ordinal: 1_000,
            kind: CheckKind::Suite,
            command: command.to_owned(),
            files: Json(BTreeMap::new()),
            timeout_s: 60,
            base_exit: Some(0),
            is_deploy: false,
        };
        checks::insert(tx, &check, &[]).await?;
        Ok(check)
    })
    .await
    .unwrap()
}

pub(crate) async fn resume(it: &TestDeployment) {
    it.commit(async |tx| {
        let mut spec = specs::get(tx, it.spec.id).await?;
        specs::transition(tx, &mut spec, SpecStatus::Working, None).await
    })
    .await
    .unwrap();
}

/// Puts a task back into the queue as a person does.
pub(crate) async fn tried_again(it: &TestDeployment, task: &Task) {
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        retry_by_person(tx, &mut task).await
    })
    .await
    .unwrap();
}

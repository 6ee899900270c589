//! Changes a person makes to one task of a plan.

use std::collections::BTreeSet;

use omoi_domain::id::SpecId;
use omoi_domain::lifecycle::spec::{SpecRefusal, expect_editable};
use omoi_domain::phase::Phase;
use omoi_plan::outputs::tasks::PlannedTask;
use omoi_plan::task_edits::{PlannedTaskChange, TaskEditFault, next_task_id};
use omoi_protocol::api::{CreatePlannedTask, UpdatePlannedTask};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, Tx, phases, tasks};
use serde::{Deserialize as _, Serialize};
use serde_json::{Map, Value, json};

use super::SpecCommandError;
use super::edit_item::{PhaseEdit, edit_items};
use super::judged_edit::ItemEdit;
use super::spec_changes::{expect_planned, expect_version, explain_refusal};
use crate::plan_gate::PlanGate;

/// What a person wants of a task of a plan.
#[derive(Clone, Debug)]
pub enum PlannedTaskWish {
    /// That it comes in; without an id it gets the next one.
    Add(CreatePlannedTask),
    /// That it becomes another.
    Change(String, UpdatePlannedTask),
    /// That it goes.
    Remove(String),
}

/// A change of one task of a plan, and the versions of the spec that it is meant for; any without them.
#[derive(Clone, Debug)]
pub struct PlannedTaskEdit {
    /// What changes.
    pub wish: PlannedTaskWish,
    /// The versions of the spec.
    pub versions: Option<Vec<i64>>,
}

/// Adds, changes or removes a task of a plan, with what its ticket lists, and keeps a version of the plan. The plan is judged
/// with it; on the next resume its new proofs are tried on the base commit, and sync writes what differs.
///
/// # Errors
/// [`SpecCommandError::InvalidEdit`] when the plan could not be accepted with it, [`SpecCommandError::AtWork`],
/// [`SpecCommandError::StaleVersion`]; [`StoreError::NotFound`] of the task, [`StoreError::Exists`] of a new one, and
/// [`StoreError::Conflict`] when somebody else changed the plan at the same time.
pub async fn edit_planned_task(
    gate: &PlanGate,
    tenant: &Tenant,
    id: SpecId,
    edit: PlannedTaskEdit,
) -> Result<Spec, SpecCommandError> {
    let read = tenant.read(async |tx| {
        let spec = specs::get(tx, id).await?;
        expect_version(&spec, edit.versions.as_deref())?;
        let output = accepted_tasks(tx, &spec).await?;
        let taken = tasks::of_spec(tx, id).await?;
        let taken: BTreeSet<String> = taken.into_iter().map(|task| task.local_id).collect();
        Ok::<_, SpecCommandError>((spec, output, taken))
    });
    let (spec, output, taken) = read.await?;
    let next_id = || next_task_id(&output, taken.iter().map(String::as_str));
    let change = change_of(edit.wish, next_id).map_err(SpecCommandError::InvalidEdit)?;
    let items = change.changed_items(&output).map_err(explain_fault)?;
    let items = items.into_iter().map(|item| ItemEdit {
        section: item.section,
        key: item.key,
        value: item.value,
    });
    let judged = PhaseEdit {
        phase: Phase::Tasks,
        items: items.collect(),
        // What the ticket lists was read with this version.
        versions: Some(vec![spec.state_version]),
        summary: change.task_id().to_owned(),
    };
    match edit_items(gate, tenant, id, &judged).await {
        Err(SpecCommandError::StaleVersion(_)) if edit.versions.is_none() => {
            Err(SpecCommandError::Store(StoreError::Conflict {
                what: "spec",
                key: id.to_string(),
            }))
        }
        edited => edited,
    }
}

/// The change that a wish means, or why it cannot be read.
fn change_of(
    wish: PlannedTaskWish,
    next_id: impl FnOnce() -> String,
) -> Result<PlannedTaskChange, String> {
    Ok(match wish {
        PlannedTaskWish::Add(body) => {
            let id = body.id.clone().unwrap_or_else(next_id);
            let mut fields = fields_of(&body);
            let depends_on = fields.remove("depends_on");
            fields.insert(
                "dependencies".to_owned(),
                json!({ "depends_on": depends_on }),
            );
            fields.insert("id".to_owned(), id.into());
            let task = PlannedTask::deserialize(Value::Object(fields));
            PlannedTaskChange::Add(Box::new(task.map_err(|error| error.to_string())?))
        }
        PlannedTaskWish::Change(id, body) => {
            let mut fields = fields_of(&body);
            if body.estimated_hours.is_some() {
                // Its size follows from its hours.
                fields.insert("estimate".to_owned(), Value::Null);
            }
            PlannedTaskChange::Change { id, fields }
        }
        PlannedTaskWish::Remove(id) => PlannedTaskChange::Remove { id },
    })
}

fn fields_of(body: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(body) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The accepted output of the tasks phase, which a person may change.
async fn accepted_tasks(tx: &mut Tx, spec: &Spec) -> Result<Value, SpecCommandError> {
    expect_planned(spec)?;
    if let Err(refusal) = expect_editable(spec.status, Phase::Tasks) {
        return Err(explain_refusal(tx, spec, refusal).await);
    }
    let run = phases::find(tx, spec.id, Phase::Tasks).await?;
    match run.and_then(|run| run.output) {
        Some(output) => Ok(output.0),
        None => Err(explain_refusal(tx, spec, SpecRefusal::NotPassed(Phase::Tasks)).await),
    }
}

fn explain_fault(fault: TaskEditFault) -> SpecCommandError {
    match fault {
        TaskEditFault::UnknownTask(key) => SpecCommandError::Store(StoreError::NotFound {
            what: "task of the plan",
            key,
        }),
        TaskEditFault::TaskExists(_) => SpecCommandError::Store(StoreError::Exists {
            what: "task of the plan",
        }),
        unknown @ TaskEditFault::UnknownTicket(_) => {
            SpecCommandError::InvalidEdit(unknown.to_string())
        }
    }
}

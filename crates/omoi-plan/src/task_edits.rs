//! What a person changes of the tasks of a plan, as the items of its output that become others.
//!
//! A ticket lists its tasks, so a task that comes, goes or belongs to another ticket changes that, too.

use serde_json::{Map, Value};

use crate::items::OutputItem;
use crate::outputs::tasks::PlannedTask;

const TICKETS: &str = "tickets";
const TASKS: &str = "tasks";

/// Why a task of a plan is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskEditFault {
    /// The plan has no task of that id.
    #[error("the plan has no task `{0}`")]
    UnknownTask(String),
    /// The plan has a task of that id.
    #[error("the plan has a task `{0}` already")]
    TaskExists(String),
    /// The plan has no ticket of that id.
    #[error("the plan has no ticket `{0}`")]
    UnknownTicket(String),
}

/// A change of one task of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlannedTaskChange {
    /// It comes in.
    Add(Box<PlannedTask>),
    /// Fields of it become others; null takes one out, and `depends_on` stands for that of its dependencies.
    Change {
        /// The task.
        id: String,
        /// The fields.
        fields: Map<String, Value>,
    },
    /// It goes.
    Remove {
        /// The task.
        id: String,
    },
}

impl PlannedTaskChange {
    /// The id of the task.
    pub fn task_id(&self) -> &str {
        match self {
            Self::Add(task) => &task.id,
            Self::Change { id, .. } | Self::Remove { id } => id,
        }
    }

    /// The items of `output` that the change makes others.
    ///
    /// # Errors
    /// [`TaskEditFault`].
    pub fn changed_items(&self, output: &Value) -> Result<Vec<OutputItem>, TaskEditFault> {
        let id = self.task_id();
        let before = find_item(output, TASKS, id);
        let parent_before = before.map(parent_of).unwrap_or_default();
        let after = match self {
            Self::Add(_) if before.is_some() => {
                return Err(TaskEditFault::TaskExists(id.to_owned()));
            }
            Self::Add(task) => serde_json::to_value(task).unwrap_or_default(),
            Self::Change { fields, .. } => with_fields(expect_task(before, id)?, fields),
            Self::Remove { .. } => {
                expect_task(before, id)?;
                Value::Null
            }
        };
        let parent_after = parent_of(&after);
        let mut items = Vec::new();
        if parent_before != parent_after {
            items.extend(list_without(output, parent_before, id));
            if !after.is_null() {
                items.push(list_with(output, parent_after, id)?);
            }
        }
        items.push(OutputItem {
            section: TASKS.to_owned(),
            key: id.to_owned(),
            value: after,
        });
        Ok(items)
    }
}

/// The first id of a task that comes after those of `output` and after `taken`.
pub fn next_task_id<'a>(output: &'a Value, taken: impl IntoIterator<Item = &'a str>) -> String {
    let planned = output[TASKS].as_array().into_iter().flatten();
    let planned = planned.filter_map(|task| task["id"].as_str());
    let numbers = planned.chain(taken).filter_map(|id| {
        let number = id.strip_prefix("TSK-")?;
        number.parse::<u32>().ok()
    });
    format!("TSK-{:03}", numbers.max().unwrap_or(0) + 1)
}

fn find_item<'a>(output: &'a Value, section: &str, id: &str) -> Option<&'a Value> {
    let mut items = output[section].as_array()?.iter();
    items.find(|item| item["id"] == id)
}

fn expect_task<'a>(task: Option<&'a Value>, id: &str) -> Result<&'a Value, TaskEditFault> {
    task.ok_or_else(|| TaskEditFault::UnknownTask(id.to_owned()))
}

fn parent_of(task: &Value) -> &str {
    task["parent_ticket"].as_str().unwrap_or_default()
}

fn with_fields(task: &Value, fields: &Map<String, Value>) -> Value {
    let mut task = task.clone();
    for (field, value) in fields {
        let place = match field.as_str() {
            "depends_on" => &mut task["dependencies"]["depends_on"],
            other => &mut task[other],
        };
        *place = value.clone();
    }
    if let Some(all) = task.as_object_mut() {
        all.retain(|_, value| !value.is_null());
    }
    task
}

/// The ticket that lists a task no more; none where there is no such ticket.
fn list_without(output: &Value, ticket: &str, task: &str) -> Option<OutputItem> {
    let mut value = find_item(output, TICKETS, ticket)?.clone();
    let listed = value[TASKS].as_array_mut()?;
    listed.retain(|listed| listed != task);
    Some(ticket_item(ticket, value))
}

/// The ticket that lists a task, too.
fn list_with(output: &Value, ticket: &str, task: &str) -> Result<OutputItem, TaskEditFault> {
    let unknown = || TaskEditFault::UnknownTicket(ticket.to_owned());
    let mut value = find_item(output, TICKETS, ticket)
        .ok_or_else(unknown)?
        .clone();
    let listed = value[TASKS].as_array_mut().ok_or_else(unknown)?;
    if !listed.iter().any(|listed| listed == task) {
        listed.push(task.into());
    }
    Ok(ticket_item(ticket, value))
}

fn ticket_item(ticket: &str, value: Value) -> OutputItem {
    OutputItem {
        section: TICKETS.to_owned(),
        key: ticket.to_owned(),
        value,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use omoi_domain::phase::Phase;
    use omoi_domain::task::Priority;

    use super::*;
    use crate::items::{latest_items, split_output};
    use crate::outputs::tasks::{PlannedTaskType, TaskDependencies};

    fn plan() -> Value {
        json!({
            "tickets": [{ "id": "TKT-001", "tasks": ["TSK-001"] }, { "id": "TKT-002", "tasks": ["TSK-002"] }],
            "tasks": [
                { "id": "TSK-001", "parent_ticket": "TKT-001", "title": "Store", "estimate": "S" },
                { "id": "TSK-002", "parent_ticket": "TKT-002", "title": "List" }
            ],
        })
    }

    fn task(id: &str, ticket: &str) -> PlannedTask {
        PlannedTask {
            id: id.to_owned(),
            title: "Sort".to_owned(),
            description: "Sort them.".to_owned(),
            parent_ticket: ticket.to_owned(),
            kind: PlannedTaskType::Documentation,
            priority: Priority::Low,
            estimate: None,
            estimated_hours: 1.0,
            files_to_create: Vec::new(),
            files_to_modify: vec!["README.md".to_owned()],
            acceptance_criteria: Vec::new(),
            requirements_addressed: Vec::new(),
            checks: Vec::new(),
            dependencies: TaskDependencies::default(),
        }
    }

    fn apply(output: &Value, change: &PlannedTaskChange) -> Value {
        let mut items = split_output(Phase::Tasks, output);
        items.extend(change.changed_items(output).unwrap());
        let (mut tickets, mut tasks) = (Vec::new(), Vec::new());
        for item in latest_items(Phase::Tasks, items) {
            match item.section.as_str() {
                "tickets" => tickets.push(item.value),
                _ => tasks.push(item.value),
            }
        }
        json!({ "tickets": tickets, "tasks": tasks })
    }

    #[test]
    fn a_task_that_comes_and_goes_leaves_the_plan_as_it_was() {
        let add = PlannedTaskChange::Add(Box::new(task("TSK-003", "TKT-001")));
        let with = apply(&plan(), &add);
        assert_eq!(with["tickets"][0]["tasks"], json!(["TSK-001", "TSK-003"]));
        assert_eq!(with["tasks"][2]["title"], "Sort");
        let id = "TSK-003".to_owned();
        let without = apply(&with, &PlannedTaskChange::Remove { id });
        assert_eq!(without, plan());
    }

    #[test]
    fn a_task_changes_its_fields_and_its_ticket() {
        let fields = json!({
            "title": "Keep", "parent_ticket": "TKT-002", "estimate": null, "depends_on": ["TSK-002"],
        });
        let change = PlannedTaskChange::Change {
            id: "TSK-001".to_owned(),
            fields: fields.as_object().unwrap().clone(),
        };
        let changed = apply(&plan(), &change);
        assert_eq!(changed["tickets"][0]["tasks"], json!([]));
        assert_eq!(
            changed["tickets"][1]["tasks"],
            json!(["TSK-002", "TSK-001"])
        );
        let expected = json!({
            "id": "TSK-001", "parent_ticket": "TKT-002", "title": "Keep",
            "dependencies": { "depends_on": ["TSK-002"] },
        });
        assert_eq!(changed["tasks"][0], expected);
    }

    #[test]
    fn what_is_not_there_or_there_already_is_refused() {
        let fault = |change: PlannedTaskChange| change.changed_items(&plan()).unwrap_err();
        let add = |id, ticket| PlannedTaskChange::Add(Box::new(task(id, ticket)));
        let id = || "TSK-009".to_owned();
        assert_eq!(
            fault(add("TSK-001", "TKT-001")),
            TaskEditFault::TaskExists("TSK-001".to_owned())
        );
        assert_eq!(
            fault(add("TSK-003", "TKT-009")),
            TaskEditFault::UnknownTicket("TKT-009".to_owned())
        );
        let unknown = TaskEditFault::UnknownTask(id());
        assert_eq!(fault(PlannedTaskChange::Remove { id: id() }), unknown);
        let change = PlannedTaskChange::Change {
            id: id(),
            fields: Map::new(),
        };
        assert_eq!(fault(change), unknown);
    }

    #[test]
    fn a_new_id_comes_after_all_that_were_ever_taken() {
        assert_eq!(next_task_id(&plan(), []), "TSK-003");
        let taken = ["DIS-020", "TSK-007", "TSK-001"];
        assert_eq!(next_task_id(&plan(), taken), "TSK-008");
    }
}

//! The numbers by which people call what a task belongs to and what it waits for.

use std::collections::BTreeMap;

use omoi_domain::id::TaskId;

use crate::column::{Args, Column};
use crate::error::StoreError;
use crate::tx::Tx;

/// Tasks of one statement.
const ASKED_MAX: usize = 200;

/// The numbers around a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskNumbers {
    /// `n` of its `SPEC-n`.
    pub spec: i64,
    /// `n` of its `TKT-n`.
    pub ticket: i64,
    /// `n` of the `TSK-n` whose agent found it.
    pub found_by: Option<i64>,
    /// `n` of each `TSK-n` that it waits for.
    pub waits_for: Vec<i64>,
}

/// The numbers around each of `tasks`.
///
/// # Errors
/// When the database cannot be read.
pub async fn numbers_around(
    tx: &mut Tx,
    tasks: &[TaskId],
) -> Result<BTreeMap<TaskId, TaskNumbers>, StoreError> {
    let mut found = BTreeMap::new();
    for tasks in tasks.chunks(ASKED_MAX) {
        let marks: Vec<String> = (2..tasks.len() + 2).map(|n| format!("${n}")).collect();
        let marks = marks.join(", ");
        let bind = || {
            let mut args = Args::default();
            tasks.iter().try_for_each(|task| args.push(task))?;
            Ok::<_, StoreError>(args)
        };
        let sql = format!(
            "select t.id as id, s.number as spec_number, k.number as ticket_number, p.number as found_by_number
             from tasks t join specs s on s.id = t.spec_id join tickets k on k.id = t.ticket_id
             left join tasks p on p.id = t.parent_task_id
             where t.org_id = $1 and t.id in ({marks})"
        );
        for row in &tx.built_rows(sql, bind()?).await? {
            let numbers = TaskNumbers {
                spec: i64::read(row, "spec_number")?,
                ticket: i64::read(row, "ticket_number")?,
                found_by: Option::<i64>::read(row, "found_by_number")?,
                waits_for: Vec::new(),
            };
            found.insert(TaskId::read(row, "id")?, numbers);
        }
        let sql = format!(
            "select d.task_id as id, t.number as number
             from task_dependencies d join tasks t on t.id = d.depends_on_id
             where d.org_id = $1 and d.task_id in ({marks}) order by d.task_id, d.depends_on_id"
        );
        for row in &tx.built_rows(sql, bind()?).await? {
            if let Some(numbers) = found.get_mut(&TaskId::read(row, "id")?) {
                numbers.waits_for.push(i64::read(row, "number")?);
            }
        }
    }
    Ok(found)
}

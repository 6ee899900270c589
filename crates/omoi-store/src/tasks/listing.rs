//! Tasks in pages.

use uuid::Uuid;

use omoi_domain::id::{ProjectId, SpecId, TicketId};
use omoi_domain::task::{Priority, TaskStatus, TicketPhase};

use super::Task;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

impl ListedRow for Task {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[
        SortColumn {
            name: "created_at",
            sql: "created_at",
            value: SortValue::Instant,
            of_row: |task| task.created_at.as_micros(),
        },
        SortColumn {
            name: "updated_at",
            sql: "updated_at",
            value: SortValue::Instant,
            of_row: |task| task.updated_at.as_micros(),
        },
        SortColumn {
            name: "number",
            sql: "number",
            value: SortValue::Number,
            of_row: |task| task.number,
        },
        SortColumn {
            name: "priority",
            sql: PRIORITY_RANK,
            value: SortValue::Number,
            of_row: |task| rank_of_priority(task.priority),
        },
        SortColumn {
            name: "level",
            sql: "level",
            value: SortValue::Number,
            of_row: |task| task.level,
        },
        SortColumn {
            name: "ordinal",
            sql: "ordinal",
            value: SortValue::Number,
            of_row: |task| task.ordinal,
        },
    ];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// Sorts by a column `priority`.
pub(crate) const PRIORITY_RANK: &str =
    "case priority when 'CRITICAL' then 3 when 'HIGH' then 2 when 'MEDIUM' then 1 else 0 end";

/// As [`PRIORITY_RANK`] ranks it.
pub(crate) const fn rank_of_priority(priority: Priority) -> i64 {
    match priority {
        Priority::Critical => 3,
        Priority::High => 2,
        Priority::Medium => 1,
        Priority::Low => 0,
    }
}

/// Which tasks are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Those of this spec.
    pub spec: Option<SpecId>,
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those of one of these tickets.
    pub tickets: Vec<TicketId>,
    /// Those in one of these states.
    pub statuses: Vec<TaskStatus>,
    /// Those of one of these phases of their ticket.
    pub phases: Vec<TicketPhase>,
    /// Those of one of these priorities.
    pub priorities: Vec<Priority>,
    /// Those made and changed within this.
    pub window: ListWindow,
    /// Those with this in their title or description.
    pub text: Option<String>,
}

/// A page of the tasks that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &TaskFilter,
    request: &PageRequest<Task>,
) -> Result<RowPage<Task>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("spec_id", filter.spec.as_slice())?;
    conditions.one_of("project_id", &filter.projects)?;
    conditions.one_of("ticket_id", &filter.tickets)?;
    conditions.one_of("status", &filter.statuses)?;
    conditions.one_of("phase_id", &filter.phases)?;
    conditions.one_of("priority", &filter.priorities)?;
    conditions.within_window(&filter.window)?;
    conditions.mentions_text(&["title", "description"], filter.text.as_deref())?;
    conditions.read_page(tx, request).await
}

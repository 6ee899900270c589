//! Entries of the ledger in pages, and what they come to.

use uuid::Uuid;

use omoi_domain::id::{AttemptId, ProjectId, SpecId, TaskId};
use omoi_domain::money::NanoUsd;
use omoi_domain::task::TaskType;

use super::CostEntry;
use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

/// Tasks that tell how much such tasks take, at most.
const TASKS_BEFORE_MAX: i64 = 50;

impl ListedRow for CostEntry {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "created_at",
        sql: "created_at",
        value: SortValue::Instant,
        of_row: |entry| entry.created_at.as_micros(),
    }];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// Which entries are listed or summed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct CostFilter {
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those of one of these specs.
    pub specs: Vec<SpecId>,
    /// Those of attempts at one of these tasks, or their checks.
    pub tasks: Vec<TaskId>,
    /// Those of one of these attempts.
    pub attempts: Vec<AttemptId>,
    /// Those made within this; an entry never changes.
    pub window: ListWindow,
}

/// What one model took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCost {
    /// The model.
    pub model: String,
    /// Whether it was the simulated one.
    pub simulated: bool,
    /// Price in billionths of a dollar.
    pub cost_nanousd: NanoUsd,
    /// Tokens read and written, those of the prompt cache included.
    pub tokens: i64,
    /// Entries.
    pub n_records: i64,
}

impl CostFilter {
    fn conditions(&self) -> Result<ListConditions, StoreError> {
        let mut conditions = ListConditions::default();
        let of_project = "select id from specs where org_id = $1 and project_id";
        conditions.one_related("spec_id", of_project, &self.projects)?;
        conditions.one_of("spec_id", &self.specs)?;
        let of_task = "select id from attempts where org_id = $1 and task_id";
        conditions.one_related("attempt_id", of_task, &self.tasks)?;
        conditions.one_of("attempt_id", &self.attempts)?;
        conditions.within_window(&ListWindow {
            updated_after: None,
            updated_before: None,
            ..self.window
        })?;
        Ok(conditions)
    }
}

/// A page of the entries that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &CostFilter,
    request: &PageRequest<CostEntry>,
) -> Result<RowPage<CostEntry>, StoreError> {
    filter.conditions()?.read_page(tx, request).await
}

/// What the entries that `filter` takes come to, by model.
///
/// # Errors
/// When the database cannot be read.
pub async fn sum_by_model(tx: &mut Tx, filter: &CostFilter) -> Result<Vec<ModelCost>, StoreError> {
    const SELECT: &str = "select model, simulated, cast(sum(cost_nanousd) as bigint) as cost,
            cast(sum(input_tokens + output_tokens + cache_read_tokens
                + cache_write_tokens + cache_write_1h_tokens) as bigint) as tokens,
            count(*) as n from cost_entries";
    let tail = "group by model, simulated order by model, simulated";
    let rows = filter.conditions()?.read_groups(tx, SELECT, tail).await?;
    let costs = rows.iter().map(|row| {
        Ok(ModelCost {
            model: String::read(row, "model")?,
            simulated: bool::read(row, "simulated")?,
            cost_nanousd: NanoUsd::read(row, "cost")?,
            tokens: i64::read(row, "tokens")?,
            n_records: i64::read(row, "n")?,
        })
    });
    costs.collect()
}

/// The tokens that the newest tasks of a type took of a model, at most 50; of every type without one.
///
/// # Errors
/// When the database cannot be read.
pub async fn tokens_of_tasks(
    tx: &mut Tx,
    model: &str,
    task_type: Option<TaskType>,
) -> Result<Vec<u64>, StoreError> {
    const SQL: &str = "select cast(sum(c.input_tokens + c.output_tokens + c.cache_read_tokens
                + c.cache_write_tokens + c.cache_write_1h_tokens) as bigint) as tokens
        from cost_entries c join attempts a on a.id = c.attempt_id join tasks t on t.id = a.task_id
        where c.org_id = $1 and c.model = $2 and ($3 = '' or t.task_type = $3)
        group by t.id order by max(c.created_at) desc, t.id limit $4";
    let task_type = task_type.map_or("", TaskType::as_str).to_owned();
    let rows = tx
        .rows(SQL, args![model.to_owned(), task_type, TASKS_BEFORE_MAX])
        .await?;
    let tokens = rows.iter().map(|row| {
        let tokens = i64::read(row, "tokens")?;
        Ok(u64::try_from(tokens).unwrap_or(0))
    });
    tokens.collect()
}

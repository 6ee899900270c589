//! Attempts in pages, and how many there are.

use std::collections::BTreeMap;

use uuid::Uuid;

use omoi_domain::attempt::{AgentRole, AttemptState};
use omoi_domain::id::{ProjectId, SpecId, TaskId};

use super::{Attempt, all_live};
use crate::column::Column;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

impl ListedRow for Attempt {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "created_at",
        sql: "created_at",
        value: SortValue::Instant,
        of_row: |attempt| attempt.created_at.as_micros(),
    }];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// Which attempts are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those for one of these specs.
    pub specs: Vec<SpecId>,
    /// Those at one of these tasks, or their checks.
    pub tasks: Vec<TaskId>,
    /// Those in one of these states.
    pub states: Vec<AttemptState>,
    /// Those made by one of these roles.
    pub roles: Vec<AgentRole>,
    /// Those made within this; nothing tells when they last changed.
    pub window: ListWindow,
}

/// A page of the attempts that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &AttemptFilter,
    request: &PageRequest<Attempt>,
) -> Result<RowPage<Attempt>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("project_id", &filter.projects)?;
    conditions.one_of("spec_id", &filter.specs)?;
    conditions.one_of("task_id", &filter.tasks)?;
    conditions.one_of("state", &filter.states)?;
    conditions.one_of("role", &filter.roles)?;
    conditions.within_window(&ListWindow {
        updated_after: None,
        updated_before: None,
        ..filter.window
    })?;
    conditions.read_page(tx, request).await
}

/// The attempts of `projects`, or of all where that is empty, that are not over, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn live_of_projects(
    tx: &mut Tx,
    projects: &[ProjectId],
) -> Result<Vec<Attempt>, StoreError> {
    let mut live = all_live(tx).await?;
    live.retain(|attempt| projects.is_empty() || projects.contains(&attempt.project_id));
    Ok(live)
}

/// How many attempts of `projects`, or of all where that is empty, there are by role and state.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_by_role(
    tx: &mut Tx,
    projects: &[ProjectId],
) -> Result<BTreeMap<(AgentRole, AttemptState), i64>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("project_id", projects)?;
    let select = "select role, state, count(*) as n from attempts";
    let rows = conditions
        .read_groups(tx, select, "group by role, state")
        .await?;
    let counts = rows.iter().map(|row| {
        let key = (
            AgentRole::read(row, "role")?,
            AttemptState::read(row, "state")?,
        );
        Ok((key, i64::read(row, "n")?))
    });
    counts.collect()
}

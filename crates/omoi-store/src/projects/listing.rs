//! Projects in pages, and how much there is in them.

use std::collections::BTreeMap;

use uuid::Uuid;

use omoi_domain::id::ProjectId;
use omoi_domain::project::ProjectStatus;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;

use super::Project;
use crate::args;
use crate::column::{Args, Column};
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

impl ListedRow for Project {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[
        SortColumn {
            name: "created_at",
            sql: "created_at",
            value: SortValue::Instant,
            of_row: |project| project.created_at.as_micros(),
        },
        SortColumn {
            name: "updated_at",
            sql: "updated_at",
            value: SortValue::Instant,
            of_row: |project| project.updated_at.as_micros(),
        },
    ];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// Which projects are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct ProjectFilter {
    /// Those in one of these states.
    pub statuses: Vec<ProjectStatus>,
    /// Those made and changed within this.
    pub window: ListWindow,
    /// Those with this in their name or description.
    pub text: Option<String>,
}

/// A page of the projects that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &ProjectFilter,
    request: &PageRequest<Project>,
) -> Result<RowPage<Project>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("status", &filter.statuses)?;
    conditions.within_window(&filter.window)?;
    conditions.mentions_text(&["name", "description"], filter.text.as_deref())?;
    conditions.read_page(tx, request).await
}

/// How many rows a project has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Specs.
    pub specs: u64,
    /// Tickets.
    pub tickets: u64,
    /// Tasks.
    pub tasks: u64,
    /// Tasks at work.
    pub slots_used: u64,
}

/// How many rows each of `projects` has.
///
/// # Errors
/// When the database cannot be read.
pub async fn row_counts(
    tx: &mut Tx,
    projects: &[ProjectId],
) -> Result<BTreeMap<ProjectId, RowCounts>, StoreError> {
    if projects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut args = Args::default();
    let mut marks = Vec::with_capacity(projects.len());
    for (project, mark) in projects.iter().zip(2..) {
        args.push(project)?;
        marks.push(format!("${mark}"));
    }
    let sql = format!(
        "select p.id as id, p.slots_used as slots_used,
             (select count(*) from specs s where s.org_id = $1 and s.project_id = p.id) as n_specs,
             (select count(*) from tickets k where k.project_id = p.id) as n_tickets,
             (select count(*) from tasks t where t.org_id = $1 and t.project_id = p.id) as n_tasks
         from projects p where p.org_id = $1 and p.id in ({})",
        marks.join(", ")
    );
    let rows = tx.built_rows(sql, args).await?;
    let counted = rows.iter().map(|row| {
        let count = |column| i64::read(row, column).map(i64::unsigned_abs);
        let counts = RowCounts {
            specs: count("n_specs")?,
            tickets: count("n_tickets")?,
            tasks: count("n_tasks")?,
            slots_used: count("slots_used")?,
        };
        Ok((Column::read(row, "id")?, counts))
    });
    counted.collect()
}

/// What the rows of a project add up to, by their states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectTallies {
    /// Tickets in each state that any has.
    pub tickets: BTreeMap<TicketStatus, u64>,
    /// Tasks in each state that any has.
    pub tasks: BTreeMap<TaskStatus, u64>,
    /// Specs in each state that any has.
    pub specs: BTreeMap<SpecStatus, u64>,
    /// Commits of tasks that landed on a branch of a spec.
    pub merges: u64,
}

/// Counts the rows of `project` by their states.
///
/// # Errors
/// When the database cannot be read.
pub async fn tally_rows(tx: &mut Tx, project: ProjectId) -> Result<ProjectTallies, StoreError> {
    const TICKETS: &str = "select status, count(*) as n from tickets
         where org_id = $1 and project_id = $2 group by status";
    const TASKS: &str = "select status, count(*) as n from tasks
         where org_id = $1 and project_id = $2 group by status";
    const SPECS: &str = "select status, count(*) as n from specs
         where org_id = $1 and project_id = $2 group by status";
    const MERGES: &str = "select count(*) as n from merges m join specs s on s.id = m.spec_id
         where m.org_id = $1 and s.project_id = $2 and m.state = 'completed'";
    let merges = tx.rows(MERGES, args![project]).await?;
    let merges = merges.first().map_or(Ok(0), |row| i64::read(row, "n"))?;
    Ok(ProjectTallies {
        tickets: tally(tx, TICKETS, project).await?,
        tasks: tally(tx, TASKS, project).await?,
        specs: tally(tx, SPECS, project).await?,
        merges: merges.unsigned_abs(),
    })
}

async fn tally<S: Column + Ord>(
    tx: &mut Tx,
    sql: &'static str,
    project: ProjectId,
) -> Result<BTreeMap<S, u64>, StoreError> {
    let rows = tx.rows(sql, args![project]).await?;
    let counted = rows.iter().map(|row| {
        let n_rows = i64::read(row, "n")?;
        Ok((Column::read(row, "status")?, n_rows.unsigned_abs()))
    });
    counted.collect()
}

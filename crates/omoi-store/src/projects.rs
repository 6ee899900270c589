//! Projects: repositories under work.

mod listing;

use std::collections::BTreeSet;

use omoi_domain::event::{Event, ProjectUpdate};
use omoi_domain::id::{HumanRef, OrgId, ProjectId};
use omoi_domain::project::{ProjectStatus, folder_names, project_name_key};
use omoi_domain::reference::NamedProject;
use omoi_domain::time::Timestamp;
use omoi_domain::workflow::seeded_workflow;

use crate::args;
use crate::board_columns::{self, BoardColumns};
use crate::column::Column;
use crate::error::StoreError;
use crate::phase_definitions;
use crate::row::{row, versioned};
use crate::tx::Tx;

pub use listing::{ProjectFilter, ProjectTallies, RowCounts, list_page, row_counts, tally_rows};

row! {
    /// A repository under work.
    Project in "projects" as "project" {
        /// Its id.
        id: ProjectId,
        /// Its organisation.
        org_id: OrgId,
        /// What people call it; of a folder, the end of its path.
        name: String,
        /// What its name is compared by: two of an organisation have the same only where one is archived.
        name_key: String,
        /// The user's repository on the disk of the server; none where it lies elsewhere.
        repo_path: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Whether work goes on in it.
        status: ProjectStatus,
        /// Whether its tasks may start without a person.
        autonomous: bool,
        /// The command that shows that what was handed over is deployed; none where nobody looks.
        deploy_check: Option<String>,
        /// The next `SPEC-n`.
        next_spec_no: i64,
        /// The next `TKT-n`.
        next_ticket_no: i64,
        /// The next `TSK-n`.
        next_task_no: i64,
        /// When it was first seen.
        created_at: Timestamp,
        /// When a person changed it last.
        updated_at: Timestamp,
        /// When it was put away.
        archived_at: Option<Timestamp>,
        /// Grows with each write of a person.
        state_version: i64,
    }
}

versioned! {
    Project by id in "projects" { name, name_key, description, status, autonomous, deploy_check, updated_at, archived_at }
}

impl Project {
    /// Has work go on in it or not. One that is put away twice keeps the instant of the first time.
    pub fn set_status(&mut self, status: ProjectStatus, now: Timestamp) {
        self.archived_at = match status {
            ProjectStatus::Archived => self.archived_at.or(Some(now)),
            ProjectStatus::Active | ProjectStatus::Paused | ProjectStatus::Completed => None,
        };
        self.status = status;
    }
}

/// A project to begin.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// What people call it.
    pub name: String,
    /// The user's repository on the disk of the server; none where it lies elsewhere.
    pub repo_path: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its tasks may start without a person.
    pub autonomous: bool,
}

/// A counter of human numbers.
#[derive(Clone, Copy, Debug)]
pub enum NumberCounter {
    /// `SPEC-n`
    Spec,
    /// `TKT-n`
    Ticket,
    /// `TSK-n`
    Task,
}

/// Begins a project: the only way in which one comes to be.
///
/// # Errors
/// [`StoreError::Exists`] when another one that is not archived has the name, or one has the repository.
pub async fn create(tx: &mut Tx, new: NewProject) -> Result<Project, StoreError> {
    let project = Project {
        id: tx.new_id(),
        org_id: tx.org(),
        name_key: project_name_key(&new.name),
        name: new.name,
        repo_path: new.repo_path,
        description: new.description,
        status: ProjectStatus::Active,
        autonomous: new.autonomous,
        deploy_check: None,
        next_spec_no: 1,
        next_ticket_no: 1,
        next_task_no: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
        archived_at: None,
        state_version: 0,
    };
    tx.insert(&project).await?;
    seed_workflow(tx, project.id).await?;
    Ok(project)
}

/// The project of `repo_path`, begun when there is none. It is called `name`, or by a longer end of the path where another
/// project is called so. One that is there stays as it is, also where it was put away.
///
/// # Errors
/// When the database cannot be written.
pub async fn ensure(tx: &mut Tx, name: &str, repo_path: &str) -> Result<Project, StoreError> {
    if let Some(found) = find(tx, repo_path).await? {
        return Ok(found);
    }
    let new = NewProject {
        name: free_name(tx, name, repo_path).await?,
        repo_path: Some(repo_path.to_owned()),
        description: None,
        autonomous: true,
    };
    create(tx, new).await
}

/// Has a project work on by itself from now on, also where it was put away: somebody begins something in it. It is called
/// otherwise where another project has its name by now.
///
/// # Errors
/// [`StoreError::NotFound`], [`StoreError::Conflict`].
pub async fn take_up(tx: &mut Tx, id: ProjectId) -> Result<(), StoreError> {
    let mut project = get(tx, id).await?;
    if project.autonomous && project.status == ProjectStatus::Active {
        return Ok(());
    }
    project.autonomous = true;
    if project.status == ProjectStatus::Archived {
        let path = project.repo_path.as_deref().unwrap_or(&project.name);
        project.name = free_name(tx, &project.name, path).await?;
        project.name_key = project_name_key(&project.name);
    }
    project.set_status(ProjectStatus::Active, tx.now());
    save(tx, &mut project).await
}

/// `name` or the shortest end of `repo_path` that names no project that is not archived.
async fn free_name(tx: &mut Tx, name: &str, repo_path: &str) -> Result<String, StoreError> {
    let taken = tx
        .rows(
            "select name_key from projects where org_id = $1 and status <> 'archived'",
            args![],
        )
        .await?;
    let taken: Result<BTreeSet<String>, StoreError> = taken
        .iter()
        .map(|row| Column::read(row, "name_key"))
        .collect();
    let taken = taken?;
    let mut names = std::iter::once(name).chain(folder_names(repo_path));
    let free = names.find(|name| !taken.contains(&project_name_key(name)));
    Ok(free.unwrap_or(repo_path).to_owned())
}

/// Writes what people may change of a project, if nobody changed it since it was read, and tells of it.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody did, [`StoreError::Exists`] when the name is taken.
pub async fn save(tx: &mut Tx, project: &mut Project) -> Result<(), StoreError> {
    project.updated_at = tx.now();
    tx.update(project).await?;
    let updated = ProjectUpdate {
        project_id: project.id,
        name: project.name.clone(),
        status: project.status,
        autonomous: project.autonomous,
    };
    tx.emit(Some(project.id), None, Event::ProjectUpdated(updated));
    Ok(())
}

/// Gives a new project the phases of its tickets and the columns of its board.
async fn seed_workflow(tx: &mut Tx, project: ProjectId) -> Result<(), StoreError> {
    let seeded = seeded_workflow();
    phase_definitions::seed_phases(tx, project, &seeded.phases).await?;
    let board = BoardColumns {
        version: 0,
        columns: seeded.columns.clone(),
    };
    board_columns::write_columns(tx, project, &board).await
}

/// The project of `repo_path`, where there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, repo_path: &str) -> Result<Option<Project>, StoreError> {
    tx.find("repo_path = $2", args![repo_path]).await
}

/// The project with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: ProjectId) -> Result<Project, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Every project, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(tx: &mut Tx) -> Result<Vec<Project>, StoreError> {
    tx.all("1 = 1 order by created_at, id", args![]).await
}

/// The id of every project.
///
/// # Errors
/// When the database cannot be read.
pub async fn project_ids(tx: &mut Tx) -> Result<BTreeSet<ProjectId>, StoreError> {
    let rows = tx
        .rows("select id from projects where org_id = $1", args![])
        .await?;
    rows.iter().map(|row| Column::read(row, "id")).collect()
}

/// What people call the rows of every project.
#[derive(Clone, Debug)]
pub struct ProjectNames(Vec<ProjectPlace>);

/// What tells a project from every other: the path of its repository, or its name without one.
#[derive(Clone, Debug)]
struct ProjectPlace {
    id: ProjectId,
    place: String,
}

impl ProjectPlace {
    fn new(project: Project) -> Self {
        let place = match project.repo_path {
            Some(path) => path,
            // Its name may be that of another one by now.
            None if project.status == ProjectStatus::Archived => {
                format!("{} {}", project.name_key, project.id.short())
            }
            None => project.name_key,
        };
        Self {
            id: project.id,
            place,
        }
    }
}

/// The names of every project.
///
/// # Errors
/// When the database cannot be read.
pub async fn names(tx: &mut Tx) -> Result<ProjectNames, StoreError> {
    let all = list(tx).await?;
    Ok(ProjectNames(
        all.into_iter().map(ProjectPlace::new).collect(),
    ))
}

impl ProjectNames {
    /// The project of the repository at `path`.
    pub fn at(&self, path: &str) -> Option<ProjectId> {
        let found = self.0.iter().find(|project| project.place == path);
        found.map(|project| project.id)
    }

    /// The repository of a project; its name where it has none on the disk of the server.
    pub fn repo(&self, project: ProjectId) -> &str {
        let found = self.0.iter().find(|known| known.id == project);
        found.map_or("", |found| found.place.as_str())
    }

    /// A project among all the others.
    pub fn named_project(&self, project: ProjectId) -> NamedProject {
        let places = self.0.iter().map(|known| known.place.as_str());
        NamedProject::among_paths(self.repo(project), &places.collect::<Vec<_>>())
    }

    /// `item` with its project, as every command takes it from anywhere.
    pub fn reference(&self, project: ProjectId, item: HumanRef) -> String {
        match self.named_project(project).unique_name() {
            "" => item.to_string(),
            name => format!("{name}/{item}"),
        }
    }
}

/// A project as configuration may name it.
///
/// # Errors
/// When the database cannot be read.
pub async fn named_project(tx: &mut Tx, project: ProjectId) -> Result<NamedProject, StoreError> {
    Ok(names(tx).await?.named_project(project))
}

/// What people call one row of a project, wherever they are.
///
/// # Errors
/// When the database cannot be read.
pub async fn reference(
    tx: &mut Tx,
    project: ProjectId,
    item: HumanRef,
) -> Result<String, StoreError> {
    Ok(names(tx).await?.reference(project, item))
}

/// Lets nobody else number tasks of a project until the transaction ends: what is counted after this
/// stays so. Tasks and tickets that the transaction changes are locked before it, as a commit that moves
/// slots locks them.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold(tx: &mut Tx, id: ProjectId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from projects where org_id = $1 and id = $2",
        args![id],
    )
    .await?;
    Ok(())
}

/// Takes `n` numbers of a counter; the first is returned. Never reused, gaps allowed. What [`hold`] says
/// of the order of locks holds here too.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn take_numbers(
    tx: &mut Tx,
    project: ProjectId,
    counter: NumberCounter,
    n: i64,
) -> Result<i64, StoreError> {
    let sql = match counter {
        NumberCounter::Spec => {
            "update projects set next_spec_no = next_spec_no + $3
             where org_id = $1 and id = $2 returning next_spec_no as value"
        }
        NumberCounter::Ticket => {
            "update projects set next_ticket_no = next_ticket_no + $3
             where org_id = $1 and id = $2 returning next_ticket_no as value"
        }
        NumberCounter::Task => {
            "update projects set next_task_no = next_task_no + $3
             where org_id = $1 and id = $2 returning next_task_no as value"
        }
    };
    let rows = tx.rows(sql, args![project, n]).await?;
    let row = rows.first().ok_or_else(|| StoreError::NotFound {
        what: "project",
        key: project.to_string(),
    })?;
    Ok(i64::read(row, "value")? - n)
}

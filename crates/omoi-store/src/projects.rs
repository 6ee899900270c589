//! Projects: repositories under work.

use omoi_domain::id::{HumanRef, OrgId, ProjectId};
use omoi_domain::reference::NamedProject;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A repository under work.
    Project in "projects" as "project" {
        /// Its id.
        id: ProjectId,
        /// Its organisation.
        org_id: OrgId,
        /// The folder's name.
        name: String,
        /// The user's repository.
        repo_path: String,
        /// Whether its tasks may start without a person.
        autonomous: bool,
        /// The next `SPEC-n`.
        next_spec_no: i64,
        /// The next `TKT-n`.
        next_ticket_no: i64,
        /// The next `TSK-n`.
        next_task_no: i64,
        /// When it was first seen.
        created_at: Timestamp,
    }
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

/// The project of `repo_path`, made when there is none. Switches its autonomy on.
///
/// # Errors
/// When the database cannot be written.
pub async fn ensure(tx: &mut Tx, name: &str, repo_path: &str) -> Result<Project, StoreError> {
    if let Some(mut found) = find(tx, repo_path).await? {
        tx.execute(
            "update projects set autonomous = true where org_id = $1 and id = $2",
            args![found.id],
        )
        .await?;
        found.autonomous = true;
        return Ok(found);
    }
    let project = Project {
        id: tx.new_id(),
        org_id: tx.org(),
        name: name.to_owned(),
        repo_path: repo_path.to_owned(),
        autonomous: true,
        next_spec_no: 1,
        next_ticket_no: 1,
        next_task_no: 1,
        created_at: tx.now(),
    };
    tx.insert(&project).await?;
    Ok(project)
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

/// What people call the rows of every project.
#[derive(Clone, Debug)]
pub struct ProjectNames(Vec<Project>);

/// The names of every project.
///
/// # Errors
/// When the database cannot be read.
pub async fn names(tx: &mut Tx) -> Result<ProjectNames, StoreError> {
    Ok(ProjectNames(list(tx).await?))
}

impl ProjectNames {
    /// The project of the repository at `path`.
    pub fn at(&self, path: &str) -> Option<&Project> {
        self.0.iter().find(|project| project.repo_path == path)
    }

    /// The repository of a project.
    pub fn repo(&self, project: ProjectId) -> &str {
        let found = self.0.iter().find(|known| known.id == project);
        found.map_or("", |found| found.repo_path.as_str())
    }

    /// A project among all the others.
    pub fn named_project(&self, project: ProjectId) -> NamedProject {
        let paths = self.0.iter().map(|known| known.repo_path.as_str());
        NamedProject::among_paths(self.repo(project), &paths.collect::<Vec<_>>())
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

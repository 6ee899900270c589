//! Finds rows by what people type: `SPEC-1`, `todo/TSK-003`, or a row id.

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{HumanRef, ProjectId, RefKind, SpecId, TaskId, TicketId};
use omoi_domain::reference::{LookupResult, LookupUse, ProjectRef, look_up};
use omoi_domain::spec::SpecKind;
use omoi_store::projects::{self, ProjectNames};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tx};

use crate::error::ApiError;

/// What a person typed, where, and what for.
#[derive(Clone, Copy)]
pub(super) struct AskedReference<'a> {
    pub(super) text: &'a str,
    /// The repository it was typed in.
    pub(super) here: Option<&'a str>,
    /// The project whose numbers are meant.
    pub(super) project: Option<ProjectId>,
    pub(super) usage: LookupUse,
}

impl<'a> AskedReference<'a> {
    /// What a path names; of one project where that is given.
    pub(super) fn of_path(text: &'a str, project: Option<ProjectId>) -> Self {
        Self {
            text,
            here: None,
            project,
            usage: LookupUse::Read,
        }
    }

    fn takes(&self, project: ProjectId) -> bool {
        self.project.is_none_or(|only| only == project)
    }
}

/// The spec people mean.
pub(super) async fn spec(tx: &mut Tx, asked: AskedReference<'_>) -> Result<Spec, ApiError> {
    const HINT: &str = "`omoi spec list` shows what there is";
    if let Ok(id) = asked.text.parse::<SpecId>() {
        let spec = specs::get(tx, id).await?;
        return match asked.takes(spec.project_id) {
            true => Ok(spec),
            false => Err(missing("spec", &asked, HINT)),
        };
    }
    let named = reference(asked.text, RefKind::Spec)?;
    let mut found = specs::numbered(tx, named.item.number).await?;
    found.retain(|spec| asked.takes(spec.project_id));
    let rows: Vec<Hit<'_>> = found
        .iter()
        .map(|spec| (spec.project_id, spec.title.as_str()))
        .collect();
    let at = which(tx, &asked, &named, &rows).await?;
    at.map(|at| found.swap_remove(at))
        .ok_or_else(|| missing("spec", &asked, HINT))
}

/// The spec that a list is of, where one is named: by id, or by its number in the one project of `projects`.
pub(super) async fn listed_spec(
    tx: &mut Tx,
    named: Option<&str>,
    projects: &[ProjectId],
) -> Result<Option<SpecId>, ApiError> {
    let Some(text) = named else {
        return Ok(None);
    };
    let project = match projects {
        [only] => Some(*only),
        _ => None,
    };
    let found = spec(tx, AskedReference::of_path(text, project)).await?;
    Ok(Some(found.id))
}

/// The task people mean.
pub(super) async fn task(tx: &mut Tx, asked: AskedReference<'_>) -> Result<Task, ApiError> {
    const HINT: &str = "`omoi task list` shows what there is";
    if let Ok(id) = asked.text.parse::<TaskId>() {
        let task = tasks::get(tx, id).await?;
        return match asked.takes(task.project_id) {
            true => Ok(task),
            false => Err(missing("task", &asked, HINT)),
        };
    }
    let named = reference(asked.text, RefKind::Task)?;
    let mut found = tasks::numbered(tx, named.item.number).await?;
    found.retain(|task| asked.takes(task.project_id));
    let rows: Vec<Hit<'_>> = found
        .iter()
        .map(|task| (task.project_id, task.title.as_str()))
        .collect();
    let at = which(tx, &asked, &named, &rows).await?;
    at.map(|at| found.swap_remove(at))
        .ok_or_else(|| missing("task", &asked, HINT))
}

/// The ticket people mean.
pub(super) async fn find_ticket(
    tx: &mut Tx,
    asked: AskedReference<'_>,
) -> Result<Ticket, ApiError> {
    const HINT: &str = "`omoi ticket list` shows what there is";
    if let Ok(id) = asked.text.parse::<TicketId>() {
        let ticket = tickets::get(tx, id).await?;
        return match asked.takes(ticket.project_id) {
            true => Ok(ticket),
            false => Err(missing("ticket", &asked, HINT)),
        };
    }
    let named = reference(asked.text, RefKind::Ticket)?;
    let mut found = tickets::with_number(tx, named.item.number).await?;
    found.retain(|ticket| asked.takes(ticket.project_id));
    let rows: Vec<Hit<'_>> = found
        .iter()
        .map(|ticket| (ticket.project_id, ticket.title.as_str()))
        .collect();
    let at = which(tx, &asked, &named, &rows).await?;
    at.map(|at| found.swap_remove(at))
        .ok_or_else(|| missing("ticket", &asked, HINT))
}

/// The project that a request names, the one that its caller reaches, or the only one there is.
pub(super) async fn find_project(
    tx: &mut Tx,
    asked: Option<ProjectId>,
) -> Result<ProjectId, ApiError> {
    if let Some(id) = asked {
        return Ok(projects::get(tx, id).await?.id);
    }
    match projects::list(tx).await?.as_slice() {
        [only] => Ok(only.id),
        [] => Err(ApiError::from(StoreError::NotFound {
            what: "project",
            key: "the only one".to_owned(),
        })),
        _ => {
            let says = "there are several projects, and the request names none";
            Err(ApiError::invalid_value(says)
                .with_field("project_id")
                .hint("say which by `project_id`"))
        }
    }
}

/// The newest spec of the repository a command was typed in; outside of one, of the only one there
/// is.
pub(super) async fn newest_spec(tx: &mut Tx, here: Option<&str>) -> Result<Option<Spec>, ApiError> {
    let names = projects::names(tx).await?;
    let mut found = specs::list(tx, i64::MAX).await?;
    found.retain(|spec| spec.kind == SpecKind::Planned && spec.archived_at.is_none());
    if let Some(project) = here.and_then(|path| names.at(path)) {
        return Ok(found.into_iter().find(|spec| spec.project_id == project));
    }
    let Some(newest) = found.first() else {
        return Ok(None);
    };
    let project = newest.project_id;
    if found.iter().all(|spec| spec.project_id == project) {
        return Ok(Some(found.swap_remove(0)));
    }
    let mut seen = Vec::new();
    found.retain(|spec| {
        let is_new = !seen.contains(&spec.project_id);
        seen.push(spec.project_id);
        is_new
    });
    let lines = found.iter().map(|spec| {
        let name = names.reference(spec.project_id, HumanRef::spec(spec.number));
        format!("{name}  {}", spec.title)
    });
    Err(unclear("there is more than one project", lines.collect()))
}

/// Project and title of a row with the wanted number.
type Hit<'a> = (ProjectId, &'a str);

fn reference(text: &str, kind: RefKind) -> Result<ProjectRef, ApiError> {
    let (wanted, place) = match kind {
        RefKind::Spec => ("a spec such as SPEC-1", "spec_id"),
        RefKind::Ticket => ("a ticket such as TKT-2", "ticket_id"),
        RefKind::Task => ("a task such as TSK-003", "task_id"),
    };
    match text.parse::<ProjectRef>() {
        Ok(named) if named.item.kind == kind => Ok(named),
        _ => {
            let says = format!("`{text}` is not {wanted}");
            Err(ApiError::invalid_value(says).with_field(place))
        }
    }
}

async fn which(
    tx: &mut Tx,
    asked: &AskedReference<'_>,
    named: &ProjectRef,
    rows: &[Hit<'_>],
) -> Result<Option<usize>, ApiError> {
    let names = projects::names(tx).await?;
    let here = asked.here;
    // A repository that nobody worked on yet decides nothing.
    let here = here.filter(|path| names.at(path).is_some());
    let repos: Vec<&str> = rows.iter().map(|(of, _)| names.repo(*of)).collect();
    match look_up(named.project.as_deref(), here, &repos, asked.usage) {
        LookupResult::One(at) => Ok(Some(at)),
        LookupResult::Missing => Ok(None),
        LookupResult::Unclear(places) => {
            let lines = places
                .into_iter()
                .map(|at| candidate(&names, named.item, rows[at]));
            let says = match here {
                Some(_) if named.project.is_none() => {
                    format!("this repository has no {}", named.item)
                }
                // What acts does not guess, however few there are.
                _ if rows.len() == 1 => {
                    format!("`{}` does not say in which project it is", asked.text)
                }
                _ => format!("it is not clear which `{}` is meant", asked.text),
            };
            Err(unclear(&says, lines.collect()))
        }
    }
}

fn candidate(names: &ProjectNames, item: HumanRef, (project, title): Hit<'_>) -> String {
    let name = names.reference(project, item);
    format!("{name}  {title}  ({})", names.repo(project))
}

fn unclear(says: &str, lines: Vec<String>) -> ApiError {
    let message = format!("{says}; there is:\n{}", lines.join("\n"));
    let names = lines.iter().filter_map(|line| line.split(' ').next());
    let names = names.collect::<Vec<_>>();
    ApiError::new(ErrorCode::UnclearReference, message)
        .with_context("candidates", names.into())
        .hint("say which by the first word of its line, or go to its repository")
}

fn missing(what: &'static str, asked: &AskedReference<'_>, hint: &str) -> ApiError {
    let missing = StoreError::NotFound {
        what,
        key: asked.text.to_owned(),
    };
    ApiError::from(missing).hint(hint)
}

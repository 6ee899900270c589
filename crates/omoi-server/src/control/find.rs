//! Finds rows by what people type: `SPEC-1`, `todo/TSK-003`, or a row id.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{HumanRef, ProjectId, RefKind, SpecId, TaskId};
use omoi_domain::reference::{LookupResult, LookupUse, ProjectRef, look_up};
use omoi_protocol::api::HERE;
use omoi_store::projects::{self, ProjectNames};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx};

use crate::error::ApiError;

/// The repository a command was typed in, if it was in one.
#[derive(Clone, Debug, Default)]
pub(super) struct CallerRepository(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for CallerRepository {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let named = parts.headers.get(HERE);
        let path = named.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        Ok(Self(path.map(ToOwned::to_owned)))
    }
}

/// What a person typed, where, and what for.
pub(super) struct AskedReference<'a> {
    pub(super) text: &'a str,
    pub(super) here: &'a CallerRepository,
    pub(super) usage: LookupUse,
}

impl<'a> AskedReference<'a> {
    /// To be shown.
    pub(super) fn to_read(text: &'a str, here: &'a CallerRepository) -> Self {
        let usage = LookupUse::Read;
        Self { text, here, usage }
    }

    /// To be changed.
    pub(super) fn to_act(text: &'a str, here: &'a CallerRepository) -> Self {
        let usage = LookupUse::Act;
        Self { text, here, usage }
    }
}

/// The spec people mean.
pub(super) async fn spec(tx: &mut Tx, asked: AskedReference<'_>) -> Result<Spec, ApiError> {
    if let Ok(id) = asked.text.parse::<SpecId>() {
        return Ok(specs::get(tx, id).await?);
    }
    let named = reference(asked.text, RefKind::Spec, "a spec such as SPEC-1")?;
    let mut found = specs::numbered(tx, named.item.number).await?;
    let rows: Vec<Hit<'_>> = found
        .iter()
        .map(|spec| (spec.project_id, spec.title.as_str()))
        .collect();
    let at = which(tx, &asked, &named, &rows).await?;
    at.map(|at| found.swap_remove(at))
        .ok_or_else(|| missing("spec", &asked, "`omoi spec list` shows what there is"))
}

/// The task people mean.
pub(super) async fn task(tx: &mut Tx, asked: AskedReference<'_>) -> Result<Task, ApiError> {
    if let Ok(id) = asked.text.parse::<TaskId>() {
        return Ok(tasks::get(tx, id).await?);
    }
    let named = reference(asked.text, RefKind::Task, "a task such as TSK-003")?;
    let mut found = tasks::numbered(tx, named.item.number).await?;
    let rows: Vec<Hit<'_>> = found
        .iter()
        .map(|task| (task.project_id, task.title.as_str()))
        .collect();
    let at = which(tx, &asked, &named, &rows).await?;
    at.map(|at| found.swap_remove(at))
        .ok_or_else(|| missing("task", &asked, "`omoi task list` shows what there is"))
}

/// The newest spec of the repository a command was typed in; outside of one, of the only one there
/// is.
pub(super) async fn newest_spec(
    tx: &mut Tx,
    here: &CallerRepository,
) -> Result<Option<Spec>, ApiError> {
    let names = projects::names(tx).await?;
    let mut found = specs::list(tx, i64::MAX).await?;
    if let Some(project) = here.0.as_deref().and_then(|path| names.at(path)) {
        return Ok(found.into_iter().find(|spec| spec.project_id == project.id));
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

fn reference(text: &str, kind: RefKind, wanted: &str) -> Result<ProjectRef, ApiError> {
    match text.parse::<ProjectRef>() {
        Ok(named) if named.item.kind == kind => Ok(named),
        _ => Err(ApiError::invalid_value(format!("`{text}` is not {wanted}"))),
    }
}

async fn which(
    tx: &mut Tx,
    asked: &AskedReference<'_>,
    named: &ProjectRef,
    rows: &[Hit<'_>],
) -> Result<Option<usize>, ApiError> {
    let names = projects::names(tx).await?;
    let here = asked.here.0.as_deref();
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

//! The files under `.omoi_os/`: rendered from accepted outputs, and read back.
//!
//! Rendering is deterministic. [`documents`] projects outputs onto what the files hold,
//! [`Documents::render`] writes them, [`parse`] reads them; parsing what was rendered gives the
//! same documents again.

mod body;
mod documents;
mod file;
mod frontmatter;
mod parse_error;
mod render;

use std::collections::BTreeMap;

use crate::ids::{IdKind, PlanId};
use crate::outputs::{DesignOutput, PrdOutput, RequirementsOutput, SyncOutput, TasksOutput};

pub use documents::{
    DesignFront, DocumentCategory, DocumentStatus, IndexFront, ModelFront, PrdFront,
    RequirementsFront, SummaryFront, TaskFileStatus, TaskFront, TicketFileStatus, TicketFront,
};
pub use frontmatter::Front;

pub use body::Criterion;
pub use file::{FEATURE_CHARS_MAX, File, Meta, feature_slug};
pub use parse_error::{ParseError, Problem};

/// The folder that holds all files, at the root of the spec's branch.
pub const ROOT: &str = ".omoi_os";
/// Files by path from the root of the repository.
pub type Files = BTreeMap<String, String>;

/// The accepted outputs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// Product requirements.
    pub prd: Option<&'a PrdOutput>,
    /// Requirements.
    pub requirements: Option<&'a RequirementsOutput>,
    /// Design.
    pub design: Option<&'a DesignOutput>,
    /// Tickets and tasks.
    pub tasks: Option<&'a TasksOutput>,
    /// The verdict.
    pub sync: Option<&'a SyncOutput>,
}

/// Everything under `.omoi_os/`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    /// `docs/prd-<feature>.md`.
    pub prd: Option<File<PrdFront>>,
    /// `requirements/<feature>.md`.
    pub requirements: Option<File<RequirementsFront>>,
    /// `designs/<feature>.md`.
    pub design: Option<File<DesignFront>>,
    /// `tickets/TKT-NNN.md`, by id.
    pub tickets: Vec<File<TicketFront>>,
    /// `tasks/TSK-NNN.md`, by id.
    pub tasks: Vec<File<TaskFront>>,
    /// `tasks/index.md`.
    pub index: Option<File<IndexFront>>,
    /// `SPEC_SUMMARY.md`.
    pub summary: Option<File<SummaryFront>>,
}

/// An id that cannot name a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{id}` does not have the form {form}, so no file can be named after it")]
pub struct RenderError {
    /// The id.
    pub id: String,
    /// What it should look like.
    pub form: &'static str,
}

/// What the files say, projected from the outputs accepted so far.
///
/// # Errors
/// [`RenderError`] when a ticket or task has an id that cannot name a file.
pub fn documents(meta: &Meta, sources: Sources<'_>) -> Result<Documents, RenderError> {
    let mut documents = Documents {
        prd: sources.prd.map(|prd| render::prd(meta, prd)),
        requirements: sources.requirements.map(|r| render::requirements(meta, r)),
        design: sources.design.map(|design| render::design(meta, design)),
        index: sources.tasks.map(|tasks| render::index(meta, tasks)),
        summary: sources.sync.map(|sync| render::summary(meta, sync)),
        ..Documents::default()
    };
    if let Some(plan) = sources.tasks {
        for ticket in &plan.tickets {
            nameable(IdKind::Ticket, &ticket.id)?;
            documents.tickets.push(render::ticket(meta, ticket, plan));
        }
        for task in &plan.tasks {
            nameable(IdKind::Task, &task.id)?;
            documents.tasks.push(render::task(meta, task));
        }
        documents
            .tickets
            .sort_by(|a, b| a.front.id.cmp(&b.front.id));
        documents.tasks.sort_by(|a, b| a.front.id.cmp(&b.front.id));
    }
    Ok(documents)
}

fn nameable(kind: IdKind, id: &str) -> Result<(), RenderError> {
    let error = RenderError {
        id: id.to_owned(),
        form: kind.form(),
    };
    PlanId::parse(kind, id).map(|_| ()).ok_or(error)
}

/// Renders the files of the outputs accepted so far.
///
/// # Errors
/// [`RenderError`] when a ticket or task has an id that cannot name a file.
pub fn render(meta: &Meta, sources: Sources<'_>) -> Result<Files, RenderError> {
    Ok(documents(meta, sources)?.render())
}

impl Documents {
    /// Writes every document.
    pub fn render(&self) -> Files {
        let mut files = Files::new();
        let mut put = |path: String, text| files.insert(format!("{ROOT}/{path}"), text);
        if let Some(f) = &self.prd {
            put(format!("docs/prd-{}.md", f.front.feature), f.write());
        }
        if let Some(f) = &self.requirements {
            put(format!("requirements/{}.md", f.front.feature), f.write());
        }
        if let Some(f) = &self.design {
            put(format!("designs/{}.md", f.front.feature), f.write());
        }
        for f in &self.tickets {
            put(format!("tickets/{}.md", f.front.id), f.write());
        }
        for f in &self.tasks {
            put(format!("tasks/{}.md", f.front.id), f.write());
        }
        if let Some(f) = &self.index {
            put("tasks/index.md".to_owned(), f.write());
        }
        if let Some(f) = &self.summary {
            put("SPEC_SUMMARY.md".to_owned(), f.write());
        }
        files
    }
}

/// Reads `files` back. Every file that can be read is in the documents, every other one is an
/// error; files outside [`ROOT`] and those that are not documents are passed over.
pub fn parse(files: &Files) -> (Documents, Vec<ParseError>) {
    let mut documents = Documents::default();
    let mut errors = Vec::new();
    for (path, text) in files {
        if let Err(error) = parse_file(path, text, &mut documents) {
            errors.push(error);
        }
    }
    (documents, errors)
}

fn parse_file(path: &str, text: &str, documents: &mut Documents) -> Result<(), ParseError> {
    let inside = path.strip_prefix(ROOT).and_then(|p| p.strip_prefix('/'));
    let Some(inside) = inside.and_then(|p| p.strip_suffix(".md")) else {
        return Ok(());
    };
    match inside.split_once('/').unwrap_or(("", inside)) {
        ("docs", name) if name.starts_with("prd-") => {
            documents.prd = Some(File::read(path, text)?);
        }
        ("requirements", _) => documents.requirements = Some(File::read(path, text)?),
        ("designs", _) => documents.design = Some(File::read(path, text)?),
        ("tickets", name) => {
            let file: File<TicketFront> = File::read(path, text)?;
            named(path, name, IdKind::Ticket, &file.front.id)?;
            documents.tickets.push(file);
        }
        ("tasks", "index") => documents.index = Some(File::read(path, text)?),
        ("tasks", name) => {
            let file: File<TaskFront> = File::read(path, text)?;
            named(path, name, IdKind::Task, &file.front.id)?;
            documents.tasks.push(file);
        }
        ("", "SPEC_SUMMARY") => documents.summary = Some(File::read(path, text)?),
        _ => {}
    }
    Ok(())
}

/// The id in a file must have its form and give the file its name.
fn named(path: &str, name: &str, kind: IdKind, id: &str) -> Result<(), ParseError> {
    let error = |problem| ParseError {
        file: path.to_owned(),
        line: 2,
        field: Some("id".to_owned()),
        problem,
    };
    if PlanId::parse(kind, id).is_none() {
        let form = kind.form();
        return Err(error(Problem::BadId { form }));
    }
    if name != id {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let expected = format!("{folder}/{id}.md");
        return Err(error(Problem::Misnamed { expected }));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

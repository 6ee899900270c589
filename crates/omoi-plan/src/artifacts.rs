//! The files under `.omoi_os/`: rendered from accepted outputs, and read back.
//!
//! Rendering is deterministic. [`spec_documents`] projects outputs onto what the files hold,
//! [`SpecDocuments::render`] writes them, [`parse_files`] reads them; parsing what was rendered gives the
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
pub use frontmatter::FrontMatter;

pub use body::ChecklistItem;
pub use file::{FEATURE_CHARS_MAX, SpecFile, SpecFileMeta, feature_slug};
pub use parse_error::{FileProblem, ParseError};

/// The folder that holds all files, at the root of the spec's branch.
pub const SPEC_FILES_ROOT: &str = ".omoi_os";
/// Files by path from the root of the repository.
pub type Files = BTreeMap<String, String>;

/// The accepted outputs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentSources<'a> {
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
pub struct SpecDocuments {
    /// `docs/prd-<feature>.md`.
    pub prd: Option<SpecFile<PrdFront>>,
    /// `requirements/<feature>.md`.
    pub requirements: Option<SpecFile<RequirementsFront>>,
    /// `designs/<feature>.md`.
    pub design: Option<SpecFile<DesignFront>>,
    /// `tickets/TKT-NNN.md`, by id.
    pub tickets: Vec<SpecFile<TicketFront>>,
    /// `tasks/TSK-NNN.md`, by id.
    pub tasks: Vec<SpecFile<TaskFront>>,
    /// `tasks/index.md`.
    pub index: Option<SpecFile<IndexFront>>,
    /// `SPEC_SUMMARY.md`.
    pub summary: Option<SpecFile<SummaryFront>>,
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
pub fn spec_documents(
    meta: &SpecFileMeta,
    sources: DocumentSources<'_>,
) -> Result<SpecDocuments, RenderError> {
    let mut documents = SpecDocuments {
        prd: sources.prd.map(|prd| render::render_prd(meta, prd)),
        requirements: sources
            .requirements
            .map(|r| render::render_requirements(meta, r)),
        design: sources
            .design
            .map(|design| render::render_design(meta, design)),
        index: sources.tasks.map(|tasks| render::render_index(meta, tasks)),
        summary: sources.sync.map(|sync| render::render_summary(meta, sync)),
        ..SpecDocuments::default()
    };
    if let Some(plan) = sources.tasks {
        for ticket in &plan.tickets {
            check_nameable(IdKind::Ticket, &ticket.id)?;
            documents
                .tickets
                .push(render::render_ticket(meta, ticket, plan));
        }
        for task in &plan.tasks {
            check_nameable(IdKind::Task, &task.id)?;
            documents.tasks.push(render::render_task(meta, task));
        }
        documents
            .tickets
            .sort_by(|a, b| a.front.id.cmp(&b.front.id));
        documents.tasks.sort_by(|a, b| a.front.id.cmp(&b.front.id));
    }
    Ok(documents)
}

fn check_nameable(kind: IdKind, id: &str) -> Result<(), RenderError> {
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
pub fn render_files(
    meta: &SpecFileMeta,
    sources: DocumentSources<'_>,
) -> Result<Files, RenderError> {
    Ok(spec_documents(meta, sources)?.render())
}

impl SpecDocuments {
    /// Writes every document.
    pub fn render(&self) -> Files {
        let mut files = Files::new();
        let mut put = |path: String, text| files.insert(format!("{SPEC_FILES_ROOT}/{path}"), text);
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
/// error; files outside [`SPEC_FILES_ROOT`] and those that are not documents are passed over.
pub fn parse_files(files: &Files) -> (SpecDocuments, Vec<ParseError>) {
    let mut documents = SpecDocuments::default();
    let mut errors = Vec::new();
    for (path, text) in files {
        if let Err(error) = parse_file(path, text, &mut documents) {
            errors.push(error);
        }
    }
    (documents, errors)
}

fn parse_file(path: &str, text: &str, documents: &mut SpecDocuments) -> Result<(), ParseError> {
    let inside = path
        .strip_prefix(SPEC_FILES_ROOT)
        .and_then(|p| p.strip_prefix('/'));
    let Some(inside) = inside.and_then(|p| p.strip_suffix(".md")) else {
        return Ok(());
    };
    match inside.split_once('/').unwrap_or(("", inside)) {
        ("docs", name) if name.starts_with("prd-") => {
            documents.prd = Some(SpecFile::read(path, text)?);
        }
        ("requirements", _) => documents.requirements = Some(SpecFile::read(path, text)?),
        ("designs", _) => documents.design = Some(SpecFile::read(path, text)?),
        ("tickets", name) => {
            let file: SpecFile<TicketFront> = SpecFile::read(path, text)?;
            check_file_name(path, name, IdKind::Ticket, &file.front.id)?;
            documents.tickets.push(file);
        }
        ("tasks", "index") => documents.index = Some(SpecFile::read(path, text)?),
        ("tasks", name) => {
            let file: SpecFile<TaskFront> = SpecFile::read(path, text)?;
            check_file_name(path, name, IdKind::Task, &file.front.id)?;
            documents.tasks.push(file);
        }
        ("", "SPEC_SUMMARY") => documents.summary = Some(SpecFile::read(path, text)?),
        _ => {}
    }
    Ok(())
}

/// The id in a file must have its form and give the file its name.
fn check_file_name(path: &str, name: &str, kind: IdKind, id: &str) -> Result<(), ParseError> {
    let error = |problem| ParseError {
        file: path.to_owned(),
        line: 2,
        field: Some("id".to_owned()),
        problem,
    };
    if PlanId::parse(kind, id).is_none() {
        let form = kind.form();
        return Err(error(FileProblem::BadId { form }));
    }
    if name != id {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let expected = format!("{folder}/{id}.md");
        return Err(error(FileProblem::Misnamed { expected }));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

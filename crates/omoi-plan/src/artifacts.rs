//! The files under `.omoi_os/`: rendered from accepted outputs, and read back.
//!
//! Rendering is deterministic. [`documents`] projects outputs onto what the files hold,
//! [`Documents::render`] writes them, [`parse`] reads them; parsing what was rendered gives the
//! same documents again.

mod body;
mod documents;
mod frontmatter;
mod render;

use std::collections::BTreeMap;

use crate::id::SpecId;
use crate::plan::ids::{IdKind, PlanId};
use crate::plan::outputs::{DesignOutput, PrdOutput, RequirementsOutput, SyncOutput, TasksOutput};
use crate::time::Timestamp;

pub use documents::{
    DesignFront, DocumentCategory, DocumentStatus, IndexFront, ModelFront, PrdFront,
    RequirementsFront, SummaryFront, TaskFileStatus, TaskFront, TicketFileStatus, TicketFront,
};
pub use frontmatter::Front;

/// The folder that holds all files, at the root of the spec's branch.
pub const ROOT: &str = ".omoi_os";
/// Longest name of a feature in file names, in characters.
pub const FEATURE_CHARS_MAX: usize = 50;

/// Files by path from the root of the repository.
pub type Files = BTreeMap<String, String>;

/// What every file says about its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The spec's row.
    pub spec_id: SpecId,
    /// `n` of `SPEC-n`.
    pub number: i64,
    /// Name of the feature; its [`feature_slug`] goes into file names.
    pub feature: String,
    /// When the spec was made.
    pub created_at: Timestamp,
    /// When the newest output was accepted.
    pub updated_at: Timestamp,
}

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

/// A checkbox line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// The ticket, task or requirement it belongs to.
    pub owner: String,
    /// What must hold.
    pub text: String,
    /// Whether it is ticked.
    pub done: bool,
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct File<F> {
    /// Its frontmatter.
    pub front: F,
    /// The markdown below.
    pub body: String,
    /// The checkbox lines of the markdown.
    pub criteria: Vec<Criterion>,
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

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {}{problem}", self.field.as_ref().map(|f| format!("`{f}`: ")).unwrap_or_default())]
pub struct ParseError {
    /// Path of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The field of the frontmatter, where one is at fault.
    pub field: Option<String>,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The first line is not `---`.
    #[error("the file does not open with a `---` line")]
    NoFrontmatter,
    /// The second `---` line is missing.
    #[error("the frontmatter is not closed by a `---` line")]
    Unclosed,
    /// The frontmatter is not YAML.
    #[error("the frontmatter is not valid YAML: {source}")]
    NotYaml {
        /// What the reader says.
        source: Box<serde_saphyr::Error>,
    },
    /// The frontmatter holds no fields.
    #[error("the frontmatter is not a list of fields")]
    NotAMapping,
    /// A needed field is not there.
    #[error("the field is missing")]
    Missing,
    /// A field holds something else than it should, or is unknown.
    #[error("{source}")]
    Wrong {
        /// What the reader says.
        source: serde_json::Error,
    },
    /// An id does not have its form.
    #[error("the id does not have the form {form}")]
    BadId {
        /// What it should look like.
        form: &'static str,
    },
    /// The file is named after something else.
    #[error("the file must be called `{expected}`")]
    Misnamed {
        /// The right path.
        expected: String,
    },
}

/// `name` in kebab case: lower-case letters, digits and single hyphens.
pub fn feature_slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-");
    slug.truncate(FEATURE_CHARS_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "feature" } else { slug }.to_owned()
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

impl<F: Front> File<F> {
    fn new(front: F, body: String) -> Self {
        let criteria = body::criteria_in(&body, front.id());
        Self {
            front,
            body,
            criteria,
        }
    }

    fn write(&self) -> String {
        frontmatter::write(&self.front, &self.body)
    }

    fn read(path: &str, text: &str) -> Result<Self, ParseError> {
        let (front, body) = frontmatter::read(path, text)?;
        Ok(Self::new(front, body))
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

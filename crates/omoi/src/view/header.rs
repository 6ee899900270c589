//! What stands above a run: the program, the idea, the repository.

use std::path::Path;

use omoi_domain::model_kind::ModelKind;
use omoi_protocol::api::{ProcessStatus, SpecView};

use super::progress::{INDENT, labelled_lines};
use super::text_layout::{
    OutputPage, clean_line, fit_columns, flow_cells, short_sha, tilde_path, wrap_text,
};

/// Lines an idea may take.
const IDEA_LINES_MAX: usize = 3;

/// Where a run happens.
pub(crate) struct HeaderFacts<'a> {
    /// The process that does the work.
    pub(crate) status: &'a ProcessStatus,
    pub(crate) data: &'a Path,
    /// The person's home folder, shown as `~`.
    pub(crate) home: Option<&'a Path>,
}

/// The model in words: what is scripted says so.
pub(crate) fn model_label(kind: ModelKind, name: &str) -> String {
    match kind {
        ModelKind::Simulated => "simulated (scripted answers, no key, no cost)".to_owned(),
        ModelKind::Missing | ModelKind::Live => clean_line(name),
    }
}

/// Program, model, sandbox, data.
pub(crate) fn render_header(facts: &HeaderFacts<'_>, page: OutputPage) -> Vec<String> {
    let ProcessStatus {
        version,
        model: name,
        model_kind,
        sandbox,
        model_notes,
        ..
    } = facts.status;
    let sandbox = match sandbox.as_deref() {
        Some("process") => "process (unsafe: no isolation)",
        Some(rung) => rung,
        None => "elsewhere",
    };
    let cells = [
        format!("OmoiOS {version}"),
        format!("model: {}", model_label(*model_kind, name)),
        format!("sandbox: {sandbox}"),
        format!("data: {}", tilde_path(facts.data, facts.home)),
    ];
    let mut lines = flow_cells(&cells, page.width);
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    for note in model_notes {
        lines.extend(wrap_text(
            &format!("note: {}", clean_line(note)),
            page.width,
        ));
    }
    lines
}

/// Idea, repository and what the person should know about it.
pub(crate) fn render_subject(
    spec: &SpecView,
    idea: &str,
    home: Option<&Path>,
    page: OutputPage,
) -> Vec<String> {
    let columns = page.width - INDENT;
    let mut idea = wrap_text(&clean_line(idea), columns);
    if idea.len() > IDEA_LINES_MAX {
        let last = idea[IDEA_LINES_MAX - 1..=IDEA_LINES_MAX].join(" ");
        idea.truncate(IDEA_LINES_MAX - 1);
        idea.push(fit_columns(&last, columns).into_owned());
    }
    let survey = spec.survey.get("survey");
    let files = survey
        .and_then(|s| s.get("files"))
        .and_then(serde_json::Value::as_u64);
    let tests = survey
        .and_then(|s| s.pointer("/test/0/command"))
        .and_then(serde_json::Value::as_str);
    let base = spec.base_branch.as_deref().unwrap_or("HEAD");
    let cells = [
        tilde_path(Path::new(&spec.repo), home),
        format!("{}@{}", clean_line(base), short_sha(&spec.base_sha)),
        files.map_or(String::new(), |n| super::text_layout::count_noun(n, "file")),
        tests.map_or("no test command".to_owned(), |t| {
            format!("tests: {}", clean_line(t))
        }),
    ];
    let mut repo = flow_cells(&cells, columns);
    for note in &spec.notes {
        repo.extend(wrap_text(&format!("note: {}", clean_line(note)), columns));
    }
    if !spec.mounts.is_empty() {
        let mounts = spec.mounts.iter();
        let mounts = mounts.map(|path| tilde_path(Path::new(path), home));
        let read = mounts.collect::<Vec<_>>().join(", ");
        repo.extend(wrap_text(&format!("sandboxes read: {read}"), columns));
    }
    let mut lines = labelled_lines(page, "idea", &idea);
    lines.extend(labelled_lines(page, "repo", &repo));
    lines
}

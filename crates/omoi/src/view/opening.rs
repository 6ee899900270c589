//! What stands above a run: the program, the idea, the repository.

use std::path::Path;

use omoi_protocol::control::{SpecView, Status};

use super::block::{INDENT, labelled};
use super::text::{Page, clean, fit, flow, short, tilde, wrap};

/// Lines an idea may take.
const IDEA_LINES_MAX: usize = 3;

/// Where a run happens.
pub(crate) struct Scene<'a> {
    /// The process that does the work.
    pub(crate) status: &'a Status,
    /// The data folder.
    pub(crate) data: &'a Path,
    /// The person's home.
    pub(crate) home: Option<&'a Path>,
}

/// The model in words: what is scripted says so.
pub(crate) fn model(name: &str) -> String {
    match name {
        "simulated" => "simulated (scripted answers, no key, no cost)".to_owned(),
        other => clean(other),
    }
}

/// Program, model, sandbox, data.
pub(crate) fn header(scene: &Scene<'_>, page: Page) -> Vec<String> {
    let Status {
        version,
        model: name,
        sandbox,
        model_notes,
        ..
    } = scene.status;
    let sandbox = match sandbox.as_deref() {
        Some("process") => "process (unsafe: no isolation)",
        Some(rung) => rung,
        None => "elsewhere",
    };
    let cells = [
        format!("OmoiOS {version}"),
        format!("model: {}", model(name.as_deref().unwrap_or("none"))),
        format!("sandbox: {sandbox}"),
        format!("data: {}", tilde(scene.data, scene.home)),
    ];
    let mut lines = flow(&cells, page.width);
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    for note in model_notes {
        lines.extend(wrap(&format!("note: {}", clean(note)), page.width));
    }
    lines
}

/// Idea, repository and what the person should know about it.
pub(crate) fn subject(spec: &SpecView, idea: &str, home: Option<&Path>, page: Page) -> Vec<String> {
    let columns = page.width - INDENT;
    let mut idea = wrap(&clean(idea), columns);
    if idea.len() > IDEA_LINES_MAX {
        let last = idea[IDEA_LINES_MAX - 1..=IDEA_LINES_MAX].join(" ");
        idea.truncate(IDEA_LINES_MAX - 1);
        idea.push(fit(&last, columns).into_owned());
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
        tilde(Path::new(&spec.repo), home),
        format!("{}@{}", clean(base), short(&spec.base_sha)),
        files.map_or(String::new(), |n| super::text::count(n, "file")),
        tests.map_or("no test command".to_owned(), |t| {
            format!("tests: {}", clean(t))
        }),
    ];
    let mut repo = flow(&cells, columns);
    for note in &spec.notes {
        repo.extend(wrap(&format!("note: {}", clean(note)), columns));
    }
    if !spec.mounts.is_empty() {
        let mounts = spec.mounts.iter();
        let mounts = mounts.map(|path| tilde(Path::new(path), home));
        let read = mounts.collect::<Vec<_>>().join(", ");
        repo.extend(wrap(&format!("sandboxes read: {read}"), columns));
    }
    let mut lines = labelled(page, "idea", &idea);
    lines.extend(labelled(page, "repo", &repo));
    lines
}

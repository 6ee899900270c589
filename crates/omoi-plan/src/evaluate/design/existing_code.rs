//! Where the design joins the code that is there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::claims::{CodeMentions, KnownNames, check_claims, has_file, has_name};
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, texts_at};
use crate::evaluate::sheet::MarkSheet;
use crate::repository::{clean_path, names_in};
use crate::wording::split_words;

/// Made-up names from which the overview describes something else, where they outnumber the true ones.
const MADE_UP_MIN: usize = 3;

/// Checks what `output` calls existing and where it says it joins.
pub(super) fn check_existing_code(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    if !facts.repo.names.is_complete() || facts.repo.names.is_empty() {
        return;
    }
    let called = list_at(output, "components")
        .iter()
        .enumerate()
        .flat_map(|(n, component)| {
            let needed = texts_at(component, "dependencies").into_iter();
            let existing = needed.filter_map(|n| n.trim().strip_prefix("existing:"));
            existing.map(move |name| (n, name.trim()))
        });
    let called: Vec<(usize, &str)> = called.collect();
    let made_up: Vec<&(usize, &str)> = called
        .iter()
        .filter(|(_, existing)| !is_there(existing, facts))
        .collect();
    // A word may be a module that comes with the language and was not used yet.
    let all = made_up.len() == called.len() || made_up.len() > 1;
    for (n, existing) in made_up {
        let message = format!(
            "`{existing}` is called existing, but nothing in the repository has this name; make it \
             a component of this design, name what is there, or write `external:{existing}`"
        );
        let path = format!("components[{n}].dependencies");
        if all || !CodeMentions::in_texts([*existing]).names.is_empty() {
            sheet.add_blocker("existing_made_up", path, message);
        } else {
            sheet.add_warning("existing_made_up", path, message);
        }
    }
    integration_points(output, facts, sheet);
    check_overview(output, facts, sheet);
    check_part_places(output, facts, sheet);
}

/// Names of the overview are in the repository, were spoken of before, or are those of parts that this
/// design describes.
fn check_overview(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let mut known = KnownNames::default();
    known.add_text(&facts.request);
    let earlier = [
        facts.explore.as_ref().map(serde_json::to_string),
        facts.prd.as_ref().map(serde_json::to_string),
        facts.requirements.as_ref().map(serde_json::to_string),
    ];
    earlier
        .into_iter()
        .flatten()
        .flatten()
        .for_each(|text| known.add_text(&text));
    let fields = output.as_object().into_iter().flatten();
    for (_, value) in fields.filter(|(name, _)| *name != "architecture_overview") {
        known.add_text(&value.to_string());
    }
    let mut mentions = CodeMentions::in_texts([text_at(output, "architecture_overview")]);
    mentions.paths.clear();
    let found = check_claims(&mentions, &known, facts);
    if found.made_up.len() >= MADE_UP_MIN && found.made_up.len() > found.n_true {
        let message = format!(
            "nothing in the repository, the phases before or the parts of this design is called {}; \
             describe how this feature is built on what is there",
            found.made_up.join(", ")
        );
        sheet.add_blocker("made_up_names", "architecture_overview", message);
    }
}

/// Some part lies where the project's code is, or is written in a language that it has or was asked
/// for.
fn check_part_places(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let files = list_at(output, "components")
        .iter()
        .filter_map(|c| clean_path(text_at(c, "file_path")));
    let files: Vec<String> = files.filter(|file| is_code(file)).collect();
    let has_code = facts.repo.paths.files().any(is_code);
    let is_foreign = |file: &String| {
        let folder = file.split('/').next().unwrap_or_default();
        let ending = file_ending(file);
        let is_language = facts.repo.paths.files().any(|f| file_ending(f) == ending);
        let has_folder = file.contains('/') && facts.repo.paths.locate(folder).exists();
        !is_language && !has_folder && !facts.request.contains(ending)
    };
    if let [first, ..] = files.as_slice()
        && has_code
        && files.iter().all(is_foreign)
        && !asks_for_language(facts)
    {
        let message = format!(
            "`{first}` and all other parts are written in a language that the project does not use, \
             in folders that it does not have; place the parts where the project's code is"
        );
        sheet.add_blocker("parts_elsewhere", "components[0].file_path", message);
    }
}

/// Whether the request speaks of a language or a user interface, so that a new one may come in.
fn asks_for_language(facts: &EvaluationFacts) -> bool {
    const LANGUAGES: &[&str] = &[
        "bindings",
        "browser",
        "client",
        "dashboard",
        "frontend",
        "java",
        "javascript",
        "kotlin",
        "language",
        "page",
        "plugin",
        "port",
        "python",
        "ruby",
        "rust",
        "swift",
        "typescript",
        "ui",
        "web",
        "website",
        "wrapper",
    ];
    split_words(&facts.request)
        .iter()
        .any(|word| LANGUAGES.contains(&word.as_str()))
}

fn file_ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn is_code(path: &str) -> bool {
    const CODE: &[&str] = &[
        "c", "cc", "cpp", "cs", "ex", "go", "java", "js", "jsx", "kt", "mjs", "php", "py", "rb",
        "rs", "scala", "swift", "ts", "tsx", "zig",
    ];
    CODE.contains(&file_ending(path))
}

/// Whether `existing` names something in the repository: a file, or names that occur there.
fn is_there(existing: &str, facts: &EvaluationFacts) -> bool {
    if existing.contains(['/', '.']) && has_file(&facts.repo, existing) {
        return true;
    }
    if facts.repo.paths.locate(existing).exists() {
        return true;
    }
    if existing.contains(' ') {
        let mentions = CodeMentions::in_texts([existing]);
        return mentions
            .names
            .iter()
            .all(|name| has_name(&facts.repo, name))
            && mentions
                .paths
                .iter()
                .all(|path| has_file(&facts.repo, path));
    }
    let called = existing.split('(').next().unwrap_or_default();
    names_in(called).all(|name| has_name(&facts.repo, name))
}

/// Files that a point names are there, or are those of a component.
fn integration_points(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let planned: BTreeSet<String> = list_at(output, "components")
        .iter()
        .filter_map(|c| clean_path(text_at(c, "file_path")))
        .collect();
    let is_known = |path: &String| {
        has_file(&facts.repo, path)
            || facts.request.contains(path.as_str())
            || planned
                .iter()
                .any(|p| p == path || p.ends_with(&format!("/{path}")))
    };
    let points = texts_at(output, "integration_points");
    let at_nothing: Vec<(usize, String)> = points
        .iter()
        .enumerate()
        .filter_map(|(n, point)| {
            let mentions = CodeMentions::in_texts([*point]);
            let called = point.trim().strip_prefix("existing:").map(str::trim_start);
            let called = called.and_then(|rest| rest.split_whitespace().next());
            let is_code = |name: &&str| !CodeMentions::in_texts([*name]).names.is_empty();
            let none_there = called
                .filter(is_code)
                .is_some_and(|name| !is_there(name.trim_matches(['`', ',', ';']), facts));
            let unknown = mentions.paths.into_iter().find(|p| !is_known(p));
            let unknown = unknown.or_else(|| none_there.then(|| (*point).to_owned()));
            unknown.map(|path| (n, path))
        })
        .collect();
    if let [(n, path), ..] = at_nothing.as_slice()
        && at_nothing.len() * 2 >= points.len()
    {
        let message = format!(
            "{} of {} points are neither there nor part of this design, `{path}` for one; name where \
             the feature meets the code",
            at_nothing.len(),
            points.len()
        );
        sheet.add_blocker("joint_made_up", format!("integration_points[{n}]"), message);
    }
}

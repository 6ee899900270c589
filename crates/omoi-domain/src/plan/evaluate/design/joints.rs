//! Where the design joins the code that is there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::plan::evaluate::Facts;
use crate::plan::evaluate::claims::{Mentions, has_file, has_name};
use crate::plan::evaluate::read::{list, text, texts};
use crate::plan::evaluate::sheet::Sheet;
use crate::plan::outputs::paths::clean;
use crate::plan::repository::names_in;

/// Checks what `output` calls existing and where it says it joins.
pub(super) fn check(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    if !facts.repo.names.is_complete() || facts.repo.names.is_empty() {
        return;
    }
    let called = list(output, "components")
        .iter()
        .enumerate()
        .flat_map(|(n, component)| {
            let needed = texts(component, "dependencies").into_iter();
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
        if all || !Mentions::of([*existing]).names.is_empty() {
            sheet.block("existing_made_up", path, message);
        } else {
            sheet.warn("existing_made_up", path, message);
        }
    }
    integration_points(output, facts, sheet);
}

/// Whether `existing` names something in the repository: a file, or names that occur there.
fn is_there(existing: &str, facts: &Facts) -> bool {
    if existing.contains(['/', '.']) && has_file(&facts.repo, existing) {
        return true;
    }
    if facts.repo.paths.locate(existing).exists() {
        return true;
    }
    if existing.contains(' ') {
        let mentions = Mentions::of([existing]);
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
fn integration_points(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let planned: BTreeSet<String> = list(output, "components")
        .iter()
        .filter_map(|c| clean(text(c, "file_path")))
        .collect();
    let is_known = |path: &String| {
        has_file(&facts.repo, path)
            || facts.request.contains(path.as_str())
            || planned
                .iter()
                .any(|p| p == path || p.ends_with(&format!("/{path}")))
    };
    let points = texts(output, "integration_points");
    let at_nothing: Vec<(usize, String)> = points
        .iter()
        .enumerate()
        .filter_map(|(n, point)| {
            let unknown = Mentions::of([*point])
                .paths
                .into_iter()
                .find(|p| !is_known(p));
            unknown.map(|path| (n, path))
        })
        .collect();
    if let [(n, path), ..] = at_nothing.as_slice()
        && at_nothing.len() * 2 >= points.len()
    {
        let message = format!(
            "{} of {} points lie in files that are neither there nor part of this design, `{path}` \
             for one; name where the feature meets the code",
            at_nothing.len(),
            points.len()
        );
        sheet.block("joint_made_up", format!("integration_points[{n}]"), message);
    }
}

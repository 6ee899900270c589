//! Rules for every phase: the output fits its type, and no text in it is blank or a placeholder.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sheet::Sheet;
use super::text::{fold, is_placeholder};
use super::{Facts, Finding};
use crate::phase::Phase;
use crate::plan::outputs::items::misfits;
use crate::plan::outputs::paths::{Location, RepoPaths};

/// Fields whose content is code, data or a shape rather than text for people.
const FREE_FORM: &[&str] = &[
    "architecture_diagram",
    "command",
    "default",
    "error_responses",
    "files",
    "indexes",
    "inputs",
    "outputs",
    "path_params",
    "query_params",
    "relationships",
    "request_schema",
    "response_schema",
];

/// Deepest nesting that is looked into; phase outputs nest six deep.
const DEPTH_MAX: usize = 24;

/// Checks the type and every text of `output`, and that what it is compared with is there.
pub(super) fn check(phase: Phase, output: &Value, facts: &Facts, sheet: &mut Sheet) {
    if phase == Phase::Complete {
        sheet.block("nothing_to_judge", "", "the phase `complete` has no output");
        return;
    }
    for (path, expected) in misfits(phase, output) {
        sheet.block("invalid_output", path, expected);
    }
    for (earlier, given) in [
        (Phase::Explore, facts.explore.is_some()),
        (Phase::Prd, facts.prd.is_some()),
        (Phase::Requirements, facts.requirements.is_some()),
        (Phase::Design, facts.design.is_some()),
        (Phase::Tasks, facts.tasks.is_some()),
    ] {
        if !given && phase.inputs().contains(&earlier) {
            let message = format!("the output of `{earlier}` is not at hand to compare with");
            sheet.warn("not_checked", "", message);
        }
    }
    for finding in empty_texts(output) {
        sheet.block(&finding.code, finding.path, finding.message);
    }
}

/// Every text in `value` that is blank or a placeholder. Code, data and shapes are not looked at.
pub fn empty_texts(value: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<Finding>) {
    if path.len() > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) if text.trim().is_empty() => found.push(Finding {
            code: "blank_text".to_owned(),
            message: "blank; leave the field out or fill it".to_owned(),
            path: join(path),
        }),
        Value::String(text) if is_placeholder(text) => {
            let shown: String = text.chars().take(40).collect();
            found.push(Finding {
                code: "placeholder_text".to_owned(),
                message: format!("`{shown}` is a placeholder; write the content"),
                path: join(path),
            });
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                path.push(format!("[{n}]"));
                walk(item, path, found);
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if FREE_FORM.contains(&name.as_str()) {
                    continue;
                }
                path.push(name.clone());
                walk(field, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn join(path: &[String]) -> String {
    path.join(".").replace(".[", "[")
}

/// Blocks with `code` every text that repeats an earlier one. Pairs are (path, text).
pub(super) fn refuse_repeats<'a>(
    code: &str,
    texts: impl IntoIterator<Item = (String, &'a str)>,
    sheet: &mut Sheet,
) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in texts {
        if text.trim().is_empty() {
            continue;
        }
        let folded = if code == "duplicate_id" {
            text.to_owned()
        } else {
            fold(text)
        };
        if let Some(first) = seen.get(&folded) {
            sheet.block(code, path, format!("the same as `{first}`"));
        } else {
            seen.insert(folded, path);
        }
    }
}

/// Blocks `path` when it leaves the repository; true when it stays inside.
pub(super) fn inside(repo: &RepoPaths, path: &str, field: &str, sheet: &mut Sheet) -> bool {
    let stays = path.trim().is_empty() || repo.locate(path) != Location::Outside;
    if !stays {
        let message = format!("`{path}` is no path inside the repository, relative to its root");
        sheet.block("path_outside_repo", field, message);
    }
    stays
}

//! Rules for every phase: the output fits its type, and no text in it is blank or a placeholder.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::sheet::MarkSheet;
use crate::repository::{PathLocation, RepoPaths};
use crate::sections::type_misfits;
use crate::wording::blank_texts::find_blank_texts;
use crate::wording::fold_text;

/// Checks the type and every text of `output`, and that what it is compared with is there.
pub(super) fn check_common(
    phase: Phase,
    output: &Value,
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    if phase == Phase::Complete {
        sheet.add_blocker("nothing_to_judge", "", "the phase `complete` has no output");
        return;
    }
    for (path, expected) in type_misfits(phase, output) {
        sheet.add_blocker("invalid_output", path, expected);
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
            sheet.add_warning("not_checked", "", message);
        }
    }
    for finding in find_blank_texts(output) {
        sheet.add_blocker(&finding.code, finding.path, finding.message);
    }
}

/// Blocks with `code` every text that repeats an earlier one. Pairs are (path, text).
pub(super) fn refuse_repeats<'a>(
    code: &str,
    texts: impl IntoIterator<Item = (String, &'a str)>,
    sheet: &mut MarkSheet,
) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in texts {
        if text.trim().is_empty() {
            continue;
        }
        let folded = if code == "duplicate_id" {
            text.to_owned()
        } else {
            fold_text(text)
        };
        if let Some(first) = seen.get(&folded) {
            sheet.add_blocker(code, path, format!("the same as `{first}`"));
        } else {
            seen.insert(folded, path);
        }
    }
}

/// Blocks `path` when it leaves the repository; true when it stays inside.
pub(super) fn check_inside(
    repo: &RepoPaths,
    path: &str,
    field: &str,
    sheet: &mut MarkSheet,
) -> bool {
    let stays = path.trim().is_empty() || repo.locate(path) != PathLocation::Outside;
    if !stays {
        let message = format!("`{path}` is no path inside the repository, relative to its root");
        sheet.add_blocker("path_outside_repo", field, message);
    }
    stays
}

//! Whether a check could show what it is there to show: something of the project is run, and what it
//! does decides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;

use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, texts_at, value_at};
use crate::evaluate::sheet::MarkSheet;
use crate::evaluate::tasks::command::{CommandBasis, basis_of};
use crate::evaluate::tasks::test_files::{ProjectNames, TestFileFault, is_code, test_file_fault};
use crate::outputs::requirements::PlannedRequirement;
use crate::outputs::tasks::PlannedTaskType;

/// Checks every check of `tasks`.
pub(super) fn check_proofs(tasks: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let planned = tasks.iter().flat_map(|task| {
        let mut files = texts_at(task, "files_to_create");
        files.extend(texts_at(task, "files_to_modify"));
        files
    });
    let names = ProjectNames::new(facts, planned);
    for (n, task) in tasks.iter().enumerate() {
        for (k, check) in list_at(task, "checks").iter().enumerate() {
            let laid: BTreeMap<&str, &str> = value_at(check, "files")
                .as_object()
                .into_iter()
                .flatten()
                .map(|(path, text)| (path.as_str(), text.as_str().unwrap_or_default()))
                .collect();
            let basis = basis_of(text_at(check, "command"), &laid);
            let path = |field: &str| format!("tasks[{n}].checks[{k}].{field}");
            let is_proof = CheckKind::parse(text_at(check, "kind")) == Some(CheckKind::Proof);
            if let Some((code, message)) = command_fault(&basis, is_proof, task) {
                sheet.add_blocker(code, path("command"), message);
            }
            if let Some(fault) =
                test_file_fault(&laid, &basis.inline, &names, facts).filter(|_| is_proof)
            {
                let (code, message) = test_file_message(&fault);
                sheet.add_blocker(code, path("files"), message);
            }
        }
    }
}

/// What is wrong with a command that rests on `basis`.
fn command_fault(
    basis: &CommandBasis,
    is_proof: bool,
    task: &Value,
) -> Option<(&'static str, String)> {
    let does_anything = basis.n_runs + basis.n_builds + basis.n_looks + basis.n_thrown_away > 0;
    if !does_anything {
        let message = "the command runs nothing, so it says nothing about the work; run the \
                       program or its tests";
        return Some(("check_runs_nothing", message.to_owned()));
    }
    if !is_proof {
        return None;
    }
    if let Some(arm) = &basis.second_arm {
        let message = format!(
            "`{arm}` makes good a program that failed; let the end of the program decide alone"
        );
        return Some(("check_second_arm", message));
    }
    if basis.ends_early {
        let message = "the script ends as passed before it ran anything; let it fail where it \
                       cannot show what it should";
        return Some(("check_steps_aside", message.to_owned()));
    }
    if basis.n_runs > 0 {
        return None;
    }
    let kind = PlannedTaskType::parse(text_at(task, "type"));
    let is_setup = matches!(
        kind,
        Some(PlannedTaskType::Configuration | PlannedTaskType::Infrastructure)
    );
    let looks_suffice = basis.n_looks > 0 && basis.reads_text && is_paperwork(task);
    if looks_suffice || basis.n_builds > 0 && is_setup && basis.n_thrown_away == 0 {
        return None;
    }
    let message = if basis.n_thrown_away > 0 {
        "the result of the program is thrown away; let its exit code or its output decide"
    } else if basis.n_builds > 0 {
        "that it compiles does not show what it does; run it and look at the result"
    } else {
        "the command only looks at files and runs nothing of the project; run the program or a \
         test that uses it, and look at what it does"
    };
    Some(("check_shows_nothing", message.to_owned()))
}

/// Whether the task changes texts and settings only, which are looked at and not run.
fn is_paperwork(task: &Value) -> bool {
    let mut files = texts_at(task, "files_to_create");
    files.extend(texts_at(task, "files_to_modify"));
    !files.is_empty() && !files.iter().any(|file| is_code(file))
}

fn test_file_message(fault: &TestFileFault) -> (&'static str, String) {
    match fault {
        TestFileFault::AssertsNothing => (
            "check_asserts_nothing",
            "no line of its test files compares anything, so it is green as soon as the names \
             exist; assert what the criteria ask"
                .to_owned(),
        ),
        TestFileFault::TouchesNothing => (
            "check_tests_itself",
            "its test files use nothing of the project and test only what they bring along; take \
             in the part under test, or start the program"
                .to_owned(),
        ),
        TestFileFault::Skips(found) => (
            "check_steps_aside",
            format!("`{found}` lets the test step aside; a proof must fail where it cannot show"),
        ),
        TestFileFault::BringsWork(path) => (
            "check_brings_work",
            format!(
                "`{path}` is a file of the program and not of a test; the task builds it, and the \
                 check must not bring it along"
            ),
        ),
    }
}

/// Requirements are served by tasks that build something.
pub(super) fn check_builders(tasks: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let Some(known) = &facts.requirements else {
        return;
    };
    let is_building = |task: &&Value| {
        PlannedTaskType::parse(text_at(task, "type"))
            .is_none_or(|kind| kind.is_building() || kind == PlannedTaskType::Documentation)
    };
    let built: BTreeSet<&str> = tasks
        .iter()
        .filter(is_building)
        .flat_map(|task| texts_at(task, "requirements_addressed"))
        .collect();
    let covered: BTreeSet<&str> = tasks
        .iter()
        .flat_map(|task| texts_at(task, "requirements_addressed"))
        .collect();
    let only_covered =
        |r: &&PlannedRequirement| covered.contains(r.id.as_str()) && !built.contains(r.id.as_str());
    let nothing_built = built.is_empty();
    for requirement in known.requirements.iter().filter(only_covered) {
        let urgent = Priority::is_urgent(requirement.priority);
        let message = format!(
            "`{}` is addressed only by tasks that test or look into it; name the task that builds \
             it",
            requirement.id
        );
        if urgent || nothing_built {
            sheet.add_blocker("requirement_not_built", "tasks", message);
        } else {
            sheet.add_warning("requirement_not_built", "tasks", message);
        }
    }
}

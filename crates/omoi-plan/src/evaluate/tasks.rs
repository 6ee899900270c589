//! Criteria of the tasks phase.

mod command;
mod links;
mod proof;
mod purpose;
mod shell;
mod skeleton;
mod test_files;

use std::collections::BTreeSet;

use serde_json::Value;

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;

use crate::coverage::{PlanFault, PlanOrder, plan_order};
use crate::evaluate::common::{check_inside, refuse_repeats};
use crate::evaluate::evaluation::ScoreCriterion;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, texts_at, value_at};
use crate::evaluate::sheet::{MarkSheet, one_if, share_of};
use crate::ids::{IdKind, PlanId};
use crate::outputs::TasksOutput;
use crate::outputs::tasks::PlannedTaskType;
use crate::wording::{char_count, is_label, is_prose, split_words};

/// What the tasks are judged by.
pub(super) const CRITERIA: &[ScoreCriterion] = &[
    ScoreCriterion {
        name: "feature_name",
        weight: 0.03,
        paths: &["feature_name"],
        asks: "the name of the feature",
    },
    ScoreCriterion {
        name: "tickets",
        weight: 0.12,
        paths: &[
            "tickets",
            "tickets[].id",
            "tickets[].title",
            "tickets[].description",
            "tickets[].priority",
            "tickets[].tasks",
        ],
        asks: "tickets with id, title, description, priority and at least one task",
    },
    ScoreCriterion {
        name: "structure",
        weight: 0.15,
        paths: &[
            "tasks",
            "tasks[].id",
            "tasks[].title",
            "tasks[].description",
            "tasks[].type",
        ],
        asks: "tasks with id, title, description and type",
    },
    ScoreCriterion {
        name: "atomicity",
        weight: 0.12,
        paths: &["tasks[].estimated_hours"],
        asks: "tasks of more than 0 and at most 4 hours",
    },
    ScoreCriterion {
        name: "id_format",
        weight: 0.05,
        paths: &["tasks[].id"],
        asks: "task ids of the form TSK-NNN",
    },
    ScoreCriterion {
        name: "files_specified",
        weight: 0.08,
        paths: &["tasks[].files_to_create", "tasks[].files_to_modify"],
        asks: "at least one file to create or modify for every task",
    },
    ScoreCriterion {
        name: "parent_tickets",
        weight: 0.12,
        paths: &["tasks[].parent_ticket"],
        asks: "a parent ticket that exists for every task",
    },
    ScoreCriterion {
        name: "circular_deps",
        weight: 0.15,
        paths: &["tasks[].dependencies.depends_on"],
        asks: "no task or ticket that waits for itself, directly or through others",
    },
    ScoreCriterion {
        name: "dependencies",
        weight: 0.08,
        paths: &["tasks[].dependencies.depends_on"],
        asks: "dependencies that exist",
    },
    ScoreCriterion {
        name: "critical_path",
        weight: 0.05,
        paths: &["critical_path"],
        asks: "the longest chain of known task ids",
    },
    ScoreCriterion {
        name: "total_hours",
        weight: 0.05,
        paths: &["total_estimated_hours"],
        asks: "the sum of the task hours, within 10 %",
    },
];

pub(super) fn judge_tasks(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let (tickets, tasks) = (list_at(output, "tickets"), list_at(output, "tasks"));
    if tickets.is_empty() {
        sheet.add_blocker(
            "no_tickets",
            "tickets",
            "there is no ticket; every task needs a parent",
        );
    }
    if tasks.is_empty() {
        // Without tasks nothing here is worth a point.
        sheet.add_blocker("no_tasks", "tasks", "there is no task");
        return;
    }
    let named = is_label(text_at(output, "feature_name"));
    sheet.set_mark("feature_name", if named { 1.0 } else { 0.5 }, "");
    ticket_marks(tickets, sheet);
    task_marks(tasks, tickets, sheet);
    mark_totals(output, tasks, sheet);
    check_repeats(tickets, tasks, sheet);
    let plan = skeleton::plan_skeleton(output);
    let order = plan_order(&plan);
    order_marks(&plan, &order, sheet);
    links::check_ticket_links(&plan, sheet);
    links::check_requirement_links(&plan, facts, sheet);
    links::check_planned_files(&plan, &order, facts, sheet);
    check_task_checks(tasks, facts, sheet);
    proof::check_proofs(tasks, facts, sheet);
    proof::check_builders(tasks, facts, sheet);
    links::warn_of_readiness(output, facts, sheet);
}

fn has_title(item: &Value) -> bool {
    let title = text_at(item, "title");
    is_label(title) && char_count(title) <= 200
}

fn ticket_marks(tickets: &[Value], sheet: &mut MarkSheet) {
    let whole = |ticket: &&Value| {
        is_label(text_at(ticket, "id"))
            && has_title(ticket)
            && is_prose(text_at(ticket, "description"))
            && Priority::parse(text_at(ticket, "priority")).is_some()
            && !texts_at(ticket, "tasks").is_empty()
    };
    let held = tickets.iter().filter(whole).count();
    let value = if tickets.is_empty() {
        0.5
    } else {
        share_of(held, tickets.len())
    };
    let lost = format!("{held} of {} are complete", tickets.len());
    sheet.set_mark("tickets", value, lost);
    for (n, ticket) in tickets.iter().enumerate() {
        let path = |field: &str| format!("tickets[{n}].{field}");
        let n_tasks = texts_at(ticket, "tasks").len();
        if n_tasks == 0 {
            sheet.add_blocker(
                "ticket_without_tasks",
                path("tasks"),
                "a ticket needs a task",
            );
        }
        if n_tasks > 5 {
            let message = format!("{n_tasks} tasks; split the ticket");
            sheet.add_warning("ticket_too_large", path("tasks"), message);
        }
        if text_at(ticket, "estimate") == "XL" {
            sheet.add_warning("ticket_too_large", path("estimate"), "XL should be split");
        }
        if is_thin(ticket, 150) {
            let message = "150 words or more let an agent work from it";
            sheet.add_warning("thin_description", path("description"), message);
        }
        if PlanId::parse(IdKind::Ticket, text_at(ticket, "id")).is_none() {
            sheet.add_blocker("invalid_id", path("id"), "ticket ids have the form TKT-NNN");
        }
    }
}

/// Whether a description has less than half of the `words_min` words it should have.
fn is_thin(item: &Value, words_min: usize) -> bool {
    split_words(text_at(item, "description")).len() < words_min / 2
}

fn task_marks(tasks: &[Value], tickets: &[Value], sheet: &mut MarkSheet) {
    let of = tasks.len();
    let parents: BTreeSet<&str> = tickets.iter().map(|t| text_at(t, "id")).collect();
    let mut counts = [0_usize; 5];
    for (n, task) in tasks.iter().enumerate() {
        let hours = value_at(task, "estimated_hours").as_f64().unwrap_or(0.0);
        let has_file = ["files_to_create", "files_to_modify"].iter().any(|field| {
            texts_at(task, field)
                .iter()
                .any(|path| !path.trim().is_empty())
        });
        let marks = [
            is_label(text_at(task, "id"))
                && has_title(task)
                && is_prose(text_at(task, "description"))
                && PlannedTaskType::parse(text_at(task, "type")).is_some(),
            hours > 0.0 && hours <= 4.0,
            PlanId::parse(IdKind::Task, text_at(task, "id")).is_some(),
            has_file,
            parents.contains(text_at(task, "parent_ticket")),
        ];
        for (count, held) in counts.iter_mut().zip(marks) {
            *count += usize::from(held);
        }
        if is_thin(task, 200) {
            let message = "200 words or more let an agent work from it";
            sheet.add_warning(
                "thin_description",
                format!("tasks[{n}].description"),
                message,
            );
        }
    }
    let names = [
        "structure",
        "atomicity",
        "id_format",
        "files_specified",
        "parent_tickets",
    ];
    for (name, count) in names.into_iter().zip(counts) {
        sheet.set_mark(name, share_of(count, of), format!("{count} of {of}"));
    }
    if tickets.is_empty() {
        sheet.set_mark("parent_tickets", 0.5, "there is no ticket");
    }
}

fn mark_totals(output: &Value, tasks: &[Value], sheet: &mut MarkSheet) {
    let ids: BTreeSet<&str> = tasks.iter().map(|t| text_at(t, "id")).collect();
    let path = list_at(output, "critical_path");
    let known = |id: &Value| id.as_str().is_some_and(|id| ids.contains(id));
    let whole = !path.is_empty() && path.iter().all(known);
    sheet.set_mark("critical_path", if whole { 1.0 } else { 0.5 }, "");
    let hours = |t: &Value| value_at(t, "estimated_hours").as_f64().unwrap_or(0.0);
    let sum: f64 = tasks.iter().map(hours).sum();
    let total = value_at(output, "total_estimated_hours")
        .as_f64()
        .unwrap_or(0.0);
    let close = total > 0.0 && (total - sum).abs() <= 0.1 * sum;
    let lost = format!("{total} given, the tasks sum to {sum}");
    sheet.set_mark("total_hours", if close { 1.0 } else { 0.5 }, lost);
    if sum >= 80.0 {
        let message = format!("{sum} hours; below 80 a feature stays manageable");
        sheet.add_warning("too_many_hours", "total_estimated_hours", message);
    }
}

fn check_repeats(tickets: &[Value], tasks: &[Value], sheet: &mut MarkSheet) {
    for (section, items) in [("tickets", tickets), ("tasks", tasks)] {
        for (code, field) in [
            ("duplicate_id", "id"),
            ("duplicate_text", "title"),
            ("duplicate_text", "description"),
        ] {
            let texts = items.iter().enumerate();
            let texts = texts.map(|(n, i)| (format!("{section}[{n}].{field}"), text_at(i, field)));
            refuse_repeats(code, texts, sheet);
        }
    }
}

/// Cycles and references to nothing.
fn order_marks(plan: &TasksOutput, order: &PlanOrder, sheet: &mut MarkSheet) {
    let cycles = order.all_cycles();
    sheet.set_mark("circular_deps", one_if(cycles.is_empty()), "");
    sheet.allow_zero("circular_deps");
    for cycle in cycles {
        let message = format!("these wait for each other: {}", cycle.path.join(" → "));
        sheet.add_blocker("dependency_cycle", "tasks", message);
    }
    let mut n_dangling = 0;
    for fault in &order.faults {
        let code = match fault {
            // The first is named with its paths already, the second is no fault of the order.
            PlanFault::DuplicateId { .. } | PlanFault::NoProof { .. } => continue,
            PlanFault::SelfDependency { .. } => "self_dependency",
            PlanFault::Dangling { field, .. } => match *field {
                "parent_ticket" => "dangling_parent",
                "tasks" => "dangling_task",
                _ => {
                    n_dangling += 1;
                    "dangling_dependency"
                }
            },
        };
        sheet.add_blocker(code, skeleton::fault_path(plan, fault), fault.to_string());
    }
    let value = f64::max(0.0, 1.0 - 0.2 * f64::from(n_dangling));
    sheet.set_mark("dependencies", value, "");
    sheet.allow_zero("dependencies");
}

/// Every task that must bring checks does, each check can run, and a proof fails before the work.
fn check_task_checks(tasks: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    for (n, task) in tasks.iter().enumerate() {
        let id = text_at(task, "id");
        let checks = list_at(task, "checks");
        let needs =
            PlannedTaskType::parse(text_at(task, "type")).is_none_or(PlannedTaskType::needs_checks);
        if needs && checks.is_empty() {
            let message = format!("`{id}` has no check; name a command that proves it");
            sheet.add_blocker("no_checks", format!("tasks[{n}].checks"), message);
        }
        for (k, check) in checks.iter().enumerate() {
            let path = |field: &str| format!("tasks[{n}].checks[{k}].{field}");
            let is_proof = CheckKind::parse(text_at(check, "kind")) == Some(CheckKind::Proof);
            if !is_label(text_at(check, "command")) {
                sheet.add_blocker("no_command", path("command"), "a check needs a command");
            }
            for file in value_at(check, "files").as_object().into_iter().flatten() {
                check_inside(&facts.repo.paths, file.0, &path("files"), sheet);
            }
            if is_proof && texts_at(check, "criteria").is_empty() {
                let message = "a proof should name the criteria it proves";
                sheet.add_warning("proof_of_nothing", path("criteria"), message);
            }
            if !is_proof {
                continue;
            }
            match facts.base_exits.get(&(id.to_owned(), k)) {
                None => {
                    let message = "this proof was not tried on the base commit yet";
                    sheet.add_warning("check_not_tried", path("command"), message);
                }
                Some(None) => {
                    let message = "this proof did not end by itself on the base commit: its time \
                                   limit or a signal ended it, so nobody knows what it shows; make \
                                   it fail there quickly";
                    sheet.add_blocker("check_unfinished", path("command"), message);
                }
                Some(Some(0)) => {
                    let message = "this proof passes on the base commit already, so it shows \
                                   nothing; test what the task adds, or make it a regression check";
                    sheet.add_blocker("check_proves_nothing", path("command"), message);
                }
                Some(Some(_)) => {}
            }
        }
    }
}

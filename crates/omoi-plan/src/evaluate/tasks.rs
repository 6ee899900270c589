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

use crate::coverage::{Combined, PlanFault, combined};
use crate::evaluate::common::{inside, refuse_repeats};
use crate::evaluate::evaluation::Criterion;
use crate::evaluate::facts::Facts;
use crate::evaluate::read::{at, list, text, texts};
use crate::evaluate::sheet::{Sheet, one_if, share};
use crate::ids::{IdKind, PlanId};
use crate::outputs::TasksOutput;
use crate::outputs::tasks::PlannedTaskType;
use crate::wording::{label, length, prose, words};

/// What the tasks are judged by.
pub(super) const CRITERIA: &[Criterion] = &[
    Criterion {
        name: "feature_name",
        weight: 0.03,
        paths: &["feature_name"],
        asks: "the name of the feature",
    },
    Criterion {
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
    Criterion {
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
    Criterion {
        name: "atomicity",
        weight: 0.12,
        paths: &["tasks[].estimated_hours"],
        asks: "tasks of more than 0 and at most 4 hours",
    },
    Criterion {
        name: "id_format",
        weight: 0.05,
        paths: &["tasks[].id"],
        asks: "task ids of the form TSK-NNN",
    },
    Criterion {
        name: "files_specified",
        weight: 0.08,
        paths: &["tasks[].files_to_create", "tasks[].files_to_modify"],
        asks: "at least one file to create or modify for every task",
    },
    Criterion {
        name: "parent_tickets",
        weight: 0.12,
        paths: &["tasks[].parent_ticket"],
        asks: "a parent ticket that exists for every task",
    },
    Criterion {
        name: "circular_deps",
        weight: 0.15,
        paths: &["tasks[].dependencies.depends_on"],
        asks: "no task or ticket that waits for itself, directly or through others",
    },
    Criterion {
        name: "dependencies",
        weight: 0.08,
        paths: &["tasks[].dependencies.depends_on"],
        asks: "dependencies that exist",
    },
    Criterion {
        name: "critical_path",
        weight: 0.05,
        paths: &["critical_path"],
        asks: "the longest chain of known task ids",
    },
    Criterion {
        name: "total_hours",
        weight: 0.05,
        paths: &["total_estimated_hours"],
        asks: "the sum of the task hours, within 10 %",
    },
];

pub(super) fn judge(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let (tickets, tasks) = (list(output, "tickets"), list(output, "tasks"));
    if tickets.is_empty() {
        sheet.block(
            "no_tickets",
            "tickets",
            "there is no ticket; every task needs a parent",
        );
    }
    if tasks.is_empty() {
        // Without tasks nothing here is worth a point.
        sheet.block("no_tasks", "tasks", "there is no task");
        return;
    }
    let named = label(text(output, "feature_name"));
    sheet.mark("feature_name", if named { 1.0 } else { 0.5 }, "");
    ticket_marks(tickets, sheet);
    task_marks(tasks, tickets, sheet);
    totals(output, tasks, sheet);
    repeats(tickets, tasks, sheet);
    let plan = skeleton::skeleton(output);
    let order = combined(&plan);
    order_marks(&plan, &order, sheet);
    links::tickets_and_tasks(&plan, sheet);
    links::requirements(&plan, facts, sheet);
    links::files(&plan, &order, facts, sheet);
    checks(tasks, facts, sheet);
    proof::check(tasks, facts, sheet);
    proof::builders(tasks, facts, sheet);
    links::readiness(output, facts, sheet);
}

fn titled(item: &Value) -> bool {
    let title = text(item, "title");
    label(title) && length(title) <= 200
}

fn ticket_marks(tickets: &[Value], sheet: &mut Sheet) {
    let whole = |ticket: &&Value| {
        label(text(ticket, "id"))
            && titled(ticket)
            && prose(text(ticket, "description"))
            && Priority::parse(text(ticket, "priority")).is_some()
            && !texts(ticket, "tasks").is_empty()
    };
    let held = tickets.iter().filter(whole).count();
    let value = if tickets.is_empty() {
        0.5
    } else {
        share(held, tickets.len())
    };
    let lost = format!("{held} of {} are complete", tickets.len());
    sheet.mark("tickets", value, lost);
    for (n, ticket) in tickets.iter().enumerate() {
        let path = |field: &str| format!("tickets[{n}].{field}");
        let n_tasks = texts(ticket, "tasks").len();
        if n_tasks == 0 {
            sheet.block(
                "ticket_without_tasks",
                path("tasks"),
                "a ticket needs a task",
            );
        }
        if n_tasks > 5 {
            let message = format!("{n_tasks} tasks; split the ticket");
            sheet.warn("ticket_too_large", path("tasks"), message);
        }
        if text(ticket, "estimate") == "XL" {
            sheet.warn("ticket_too_large", path("estimate"), "XL should be split");
        }
        if is_thin(ticket, 150) {
            let message = "150 words or more let an agent work from it";
            sheet.warn("thin_description", path("description"), message);
        }
        if PlanId::parse(IdKind::Ticket, text(ticket, "id")).is_none() {
            sheet.block("invalid_id", path("id"), "ticket ids have the form TKT-NNN");
        }
    }
}

/// Whether a description has less than half of the `words_min` words it should have.
fn is_thin(item: &Value, words_min: usize) -> bool {
    words(text(item, "description")).len() < words_min / 2
}

fn task_marks(tasks: &[Value], tickets: &[Value], sheet: &mut Sheet) {
    let of = tasks.len();
    let parents: BTreeSet<&str> = tickets.iter().map(|t| text(t, "id")).collect();
    let mut counts = [0_usize; 5];
    for (n, task) in tasks.iter().enumerate() {
        let hours = at(task, "estimated_hours").as_f64().unwrap_or(0.0);
        let has_file = ["files_to_create", "files_to_modify"].iter().any(|field| {
            texts(task, field)
                .iter()
                .any(|path| !path.trim().is_empty())
        });
        let marks = [
            label(text(task, "id"))
                && titled(task)
                && prose(text(task, "description"))
                && PlannedTaskType::parse(text(task, "type")).is_some(),
            hours > 0.0 && hours <= 4.0,
            PlanId::parse(IdKind::Task, text(task, "id")).is_some(),
            has_file,
            parents.contains(text(task, "parent_ticket")),
        ];
        for (count, held) in counts.iter_mut().zip(marks) {
            *count += usize::from(held);
        }
        if is_thin(task, 200) {
            let message = "200 words or more let an agent work from it";
            sheet.warn(
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
        sheet.mark(name, share(count, of), format!("{count} of {of}"));
    }
    if tickets.is_empty() {
        sheet.mark("parent_tickets", 0.5, "there is no ticket");
    }
}

fn totals(output: &Value, tasks: &[Value], sheet: &mut Sheet) {
    let ids: BTreeSet<&str> = tasks.iter().map(|t| text(t, "id")).collect();
    let path = list(output, "critical_path");
    let known = |id: &Value| id.as_str().is_some_and(|id| ids.contains(id));
    let whole = !path.is_empty() && path.iter().all(known);
    sheet.mark("critical_path", if whole { 1.0 } else { 0.5 }, "");
    let hours = |t: &Value| at(t, "estimated_hours").as_f64().unwrap_or(0.0);
    let sum: f64 = tasks.iter().map(hours).sum();
    let total = at(output, "total_estimated_hours").as_f64().unwrap_or(0.0);
    let close = total > 0.0 && (total - sum).abs() <= 0.1 * sum;
    let lost = format!("{total} given, the tasks sum to {sum}");
    sheet.mark("total_hours", if close { 1.0 } else { 0.5 }, lost);
    if sum >= 80.0 {
        let message = format!("{sum} hours; below 80 a feature stays manageable");
        sheet.warn("too_many_hours", "total_estimated_hours", message);
    }
}

fn repeats(tickets: &[Value], tasks: &[Value], sheet: &mut Sheet) {
    for (section, items) in [("tickets", tickets), ("tasks", tasks)] {
        for (code, field) in [
            ("duplicate_id", "id"),
            ("duplicate_text", "title"),
            ("duplicate_text", "description"),
        ] {
            let texts = items.iter().enumerate();
            let texts = texts.map(|(n, i)| (format!("{section}[{n}].{field}"), text(i, field)));
            refuse_repeats(code, texts, sheet);
        }
    }
}

/// Cycles and references to nothing.
fn order_marks(plan: &TasksOutput, order: &Combined, sheet: &mut Sheet) {
    let cycles = order.cycles();
    sheet.mark("circular_deps", one_if(cycles.is_empty()), "");
    sheet.allow_zero("circular_deps");
    for cycle in cycles {
        let message = format!("these wait for each other: {}", cycle.path.join(" → "));
        sheet.block("dependency_cycle", "tasks", message);
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
        sheet.block(code, skeleton::path_of(plan, fault), fault.to_string());
    }
    let value = f64::max(0.0, 1.0 - 0.2 * f64::from(n_dangling));
    sheet.mark("dependencies", value, "");
    sheet.allow_zero("dependencies");
}

/// Every task that must bring checks does, each check can run, and a proof fails before the work.
fn checks(tasks: &[Value], facts: &Facts, sheet: &mut Sheet) {
    for (n, task) in tasks.iter().enumerate() {
        let id = text(task, "id");
        let checks = list(task, "checks");
        let needs =
            PlannedTaskType::parse(text(task, "type")).is_none_or(PlannedTaskType::needs_checks);
        if needs && checks.is_empty() {
            let message = format!("`{id}` has no check; name a command that proves it");
            sheet.block("no_checks", format!("tasks[{n}].checks"), message);
        }
        for (k, check) in checks.iter().enumerate() {
            let path = |field: &str| format!("tasks[{n}].checks[{k}].{field}");
            let is_proof = CheckKind::parse(text(check, "kind")) == Some(CheckKind::Proof);
            if !label(text(check, "command")) {
                sheet.block("no_command", path("command"), "a check needs a command");
            }
            for file in at(check, "files").as_object().into_iter().flatten() {
                inside(&facts.repo.paths, file.0, &path("files"), sheet);
            }
            if is_proof && texts(check, "criteria").is_empty() {
                let message = "a proof should name the criteria it proves";
                sheet.warn("proof_of_nothing", path("criteria"), message);
            }
            if !is_proof {
                continue;
            }
            match facts.base_exits.get(&(id.to_owned(), k)) {
                None => {
                    let message = "this proof was not tried on the base commit yet";
                    sheet.warn("check_not_tried", path("command"), message);
                }
                Some(None) => {
                    let message = "this proof did not end by itself on the base commit: its time \
                                   limit or a signal ended it, so nobody knows what it shows; make \
                                   it fail there quickly";
                    sheet.block("check_unfinished", path("command"), message);
                }
                Some(Some(0)) => {
                    let message = "this proof passes on the base commit already, so it shows \
                                   nothing; test what the task adds, or make it a regression check";
                    sheet.block("check_proves_nothing", path("command"), message);
                }
                Some(Some(_)) => {}
            }
        }
    }
}

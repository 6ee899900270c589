#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use serde_json::json;

use omoi_domain::check::CheckKind;
use omoi_domain::graph;
use omoi_domain::task::Priority;

use super::*;
use crate::coverage::fixtures::{PlanSample, check, planned_sample, requirement, s, task, ticket};

fn planned(sample: &PlanSample, existing: &[ExistingRow]) -> SyncPlan {
    plan_sync(sample.planned(), &BTreeMap::new(), existing).unwrap()
}

/// What a store would read back after applying `plan` to an empty database.
fn stored(plan: &SyncPlan) -> Vec<ExistingRow> {
    let read_back = |row: &PlanRow| ExistingRow {
        key: row.key(),
        fields: row.fields(),
        progress: RowProgress::Open,
    };
    plan.create.iter().map(read_back).collect()
}

fn progress(existing: &mut [ExistingRow], local_id: &str, progress: RowProgress) {
    existing
        .iter_mut()
        .find(|e| e.key.local_id == local_id)
        .unwrap()
        .progress = progress;
}

/// 50 requirements, 20 tickets in four rows of five, 100 tasks in chains of five.
fn large() -> PlanSample {
    let mut sample = planned_sample();
    let id = |n: usize| format!("REQ-TAGS-FUNC-{:03}", n + 1);
    sample.requirements.requirements = (0..50)
        .map(|n| requirement(&id(n), Priority::High))
        .collect();
    sample.tasks.tickets.clear();
    sample.tasks.tasks.clear();
    for t in 0..20 {
        let mut ticket = ticket(&format!("TKT-{:03}", t + 1));
        if t >= 5 {
            ticket.dependencies.blocked_by = vec![format!("TKT-{:03}", t - 4)];
        }
        for n in t * 5..t * 5 + 5 {
            let mut task = task(&format!("TSK-{:03}", n + 1), &ticket.id);
            if n % 5 > 0 {
                task.dependencies.depends_on = vec![format!("TSK-{n:03}")];
            }
            let criterion = format!("{}#{}", id(n / 2), n % 2 + 1);
            task.requirements_addressed = vec![id(n / 2)];
            task.checks = vec![check(CheckKind::Proof, &[&criterion])];
            ticket.tasks.push(task.id.clone());
            sample.tasks.tasks.push(task);
        }
        sample.tasks.tickets.push(ticket);
    }
    sample
}

#[test]
fn a_large_plan_is_written_once() {
    let sample = large();
    let first = planned(&sample, &[]);
    let counts: Vec<usize> = [
        RowKind::Requirement,
        RowKind::Criterion,
        RowKind::Ticket,
        RowKind::TicketEdge,
        RowKind::Task,
        RowKind::TaskEdge,
        RowKind::Check,
        RowKind::CheckCriterion,
    ]
    .into_iter()
    .map(|kind| first.n_created(kind))
    .collect();
    // 80 edges inside tickets and one lifted edge for each of the 15 ticket edges.
    assert_eq!(counts, [50, 100, 20, 15, 100, 95, 100, 100]);
    assert_eq!(first.n_writes(), first.create.len());
    let second = planned(&sample, &stored(&first));
    assert_eq!(second.n_writes(), 0);
    assert_eq!((second.skip.len(), second.conflict.len()), (580, 0));
    assert_eq!(second.digest, first.digest);
}

#[test]
fn rows_are_ordered_so_that_references_exist_and_the_queue_can_finish() {
    let first = planned(&large(), &[]);
    let mut known = BTreeSet::new();
    let mut edges = Vec::new();
    for row in &first.create {
        let needs = match row {
            PlanRow::Criterion(c) => vec![c.requirement.clone()],
            PlanRow::Task(t) => t
                .requirements
                .iter()
                .cloned()
                .chain([t.ticket.clone()])
                .collect(),
            PlanRow::TicketEdge(e) => vec![e.dependent.clone(), e.prerequisite.clone()],
            PlanRow::TaskEdge(e) => {
                edges.push(graph::Edge::new(
                    e.prerequisite.clone(),
                    e.dependent.clone(),
                ));
                vec![e.dependent.clone(), e.prerequisite.clone()]
            }
            PlanRow::Check(c) => vec![c.task.clone()],
            PlanRow::CheckCriterion(l) => vec![l.check.clone(), l.criterion.clone()],
            PlanRow::Requirement(_) | PlanRow::Ticket(_) => vec![],
        };
        for id in needs {
            assert!(known.contains(&id), "{row:?} comes before {id}");
        }
        known.insert(row.key().local_id);
    }
    let tasks = first.create.iter().filter_map(|r| match r {
        PlanRow::Task(t) => Some(t),
        _ => None,
    });
    let levels: BTreeMap<String, u32> = tasks.map(|t| (t.local_id.clone(), t.level)).collect();
    let (graph, problems) = graph::Graph::build(levels.keys().cloned(), edges);
    assert_eq!(problems, []);
    let mut run = graph::DagProgress::new(graph.into_dag().unwrap(), |_| false);
    let mut finished = 0;
    loop {
        let Some(next) = run.ready_nodes().next().cloned() else {
            break;
        };
        assert_eq!(run.dag().node_level(&next), Some(levels[&next]));
        run.complete(&next).unwrap();
        finished += 1;
    }
    assert_eq!(finished, 100);
    assert_eq!(levels["TSK-100"], 19);
}

#[test]
fn titles_of_rows_are_one_line_of_plain_text() {
    let mut sample = planned_sample();
    let title = "Add\ntags \u{1b}[31mnow\u{1b}[0m";
    sample.requirements.requirements[0].title = s(title);
    sample.tasks.tickets[0].title = s(title);
    sample.tasks.tasks[0].title = s(title);
    let titles: Vec<_> = stored(&planned(&sample, &[]))
        .into_iter()
        .filter_map(|row| row.fields.get("title").cloned())
        .filter(|title| title.as_str().is_some_and(|text| text.contains("tags now")))
        .collect();
    assert_eq!(titles, ["Add tags now"; 3]);
}

#[test]
fn a_new_title_changes_one_row() {
    let mut sample = planned_sample();
    let existing = stored(&planned(&sample, &[]));
    sample.tasks.tasks[1].title = s("A better name");
    let second = planned(&sample, &existing);
    assert_eq!(second.n_writes(), 1);
    assert_eq!(
        second.update[0].row.key(),
        RowKey::new(RowKind::Task, "TSK-002")
    );
    assert_eq!(
        second.update[0].changed,
        BTreeMap::from([(
            s("title"),
            FieldChange {
                old: json!("Task TSK-002"),
                new: json!("A better name")
            }
        )])
    );
}

#[test]
fn begun_work_is_never_touched() {
    let mut sample = planned_sample();
    let mut existing = stored(&planned(&sample, &[]));
    progress(&mut existing, "TSK-001", RowProgress::Started);
    progress(&mut existing, "TSK-002", RowProgress::Done);
    assert_eq!(planned(&sample, &existing).skip.len(), existing.len());
    sample.tasks.tasks[0].title = s("Changed under way");
    sample.tasks.tasks[1].checks[0].command = s("true");
    sample.tasks.tasks[1].dependencies.depends_on.clear();
    let changed = planned(&sample, &existing);
    let found: Vec<_> = changed
        .conflict
        .iter()
        .map(|c| (c.key.local_id.as_str(), c.progress))
        .collect();
    assert_eq!(
        found,
        [
            ("TSK-001", RowProgress::Started),
            ("TSK-002", RowProgress::Done),
            ("TSK-002/1", RowProgress::Done),
            ("TSK-002 TSK-001", RowProgress::Done),
        ]
    );
    assert!(changed.conflict[0].changed.contains_key("title"));
    // Without TSK-002's edge, TKT-001 has two last tasks: one more lifted edge for each open task.
    assert_eq!(changed.n_created(RowKind::TaskEdge), 2);
    assert!(
        changed
            .update
            .iter()
            .all(|u| !["TSK-001", "TSK-002"].contains(&&*u.row.key().local_id))
    );
}

#[test]
fn what_vanishes_is_retired_unless_begun_and_stays_away() {
    let mut sample = planned_sample();
    let mut existing = stored(&planned(&sample, &[]));
    progress(&mut existing, "TSK-003", RowProgress::Started);
    let gone = sample.tasks.tasks.split_off(2);
    sample.tasks.tickets[1].tasks.clear();
    let changed = planned(&sample, &existing);
    let retired: Vec<_> = changed.retire.iter().map(|k| k.local_id.as_str()).collect();
    assert_eq!(
        retired,
        [
            "TSK-004",
            "TSK-004 TSK-002",
            "TSK-004/1",
            "TSK-004/1 REQ-TAGS-SEC-001#1",
            "TSK-004/1 REQ-TAGS-SEC-001#2"
        ]
    );
    let kept: Vec<_> = changed
        .conflict
        .iter()
        .map(|c| c.key.local_id.as_str())
        .collect();
    assert_eq!(
        kept,
        [
            "TSK-003",
            "TSK-003 TSK-002",
            "TSK-003/1",
            "TSK-003/1 REQ-TAGS-FUNC-003#1",
            "TSK-003/1 REQ-TAGS-FUNC-003#2"
        ]
    );
    assert_eq!(changed.create, []);
    // A retired id is not given again without a person.
    progress(&mut existing, "TSK-004", RowProgress::Retired);
    assert!(planned(&sample, &existing).retire.is_empty());
    sample.tasks.tickets[1].tasks = vec![s("TSK-003"), s("TSK-004")];
    sample.tasks.tasks.extend(gone);
    let back = planned(&sample, &existing);
    assert_eq!(back.conflict[0].progress, RowProgress::Retired);
    assert_eq!(back.n_writes(), 0);
}

#[test]
fn unresolved_references_stop_everything_and_are_all_listed() {
    let mut sample = planned_sample();
    sample.tasks.tasks[0].dependencies.depends_on = vec![s("TSK-777")];
    sample.tasks.tasks[1].requirements_addressed = vec![s("REQ-NO-FUNC-001")];
    sample.tasks.tasks[2].parent_ticket = s("TKT-009");
    let error = plan_sync(sample.planned(), &BTreeMap::new(), &[]).unwrap_err();
    let SyncError::Unresolved(faults) = &error else {
        panic!("{error}")
    };
    assert_eq!(faults.len(), 3);
    for missing in ["TSK-777", "REQ-NO-FUNC-001", "TKT-009"] {
        assert!(error.to_string().contains(missing), "{error}");
    }
    let mut cyclic = planned_sample();
    cyclic.tasks.tickets[0].dependencies.blocked_by = vec![s("TKT-002")];
    let error = plan_sync(cyclic.planned(), &BTreeMap::new(), &[]).unwrap_err();
    assert!(matches!(error, SyncError::Order(_)));
}

#[test]
fn rows_carry_what_the_outputs_say() {
    let mut sample = planned_sample();
    sample.requirements.requirements[0].title = s(" ");
    sample.requirements.requirements[0].text = format!(
        "WHILE online, WHEN a note is saved, THE SYSTEM SHALL {} at once.",
        "store every tag of the note".repeat(3)
    );
    sample.tasks.tasks[1].kind = PlannedTaskType::Test;
    sample.tasks.tasks[1].estimated_hours = 3.0;
    sample.tasks.tasks[0].checks[0].timeout_s = Some(9);
    let exits = BTreeMap::from([(check_id("TSK-001", 1), 4)]);
    let rows = plan_rows(sample.planned(), &exits).unwrap();
    let fields = |id: &str| {
        rows.iter()
            .find(|r| r.key().local_id == id)
            .unwrap()
            .fields()
    };
    let requirement = fields("REQ-TAGS-FUNC-001");
    assert_eq!(
        requirement["condition"],
        "WHILE online, WHEN a note is saved"
    );
    assert_eq!(requirement["clauses"].as_array().unwrap().len(), 2);
    assert_eq!(requirement["linked_design"], json!(["Tag store"]));
    assert_eq!(
        requirement["title"],
        "store every tag of the notestore every tag of the notestore"
    );
    assert_eq!(
        fields("REQ-TAGS-FUNC-002#2")["body"],
        "Tags survive a restart."
    );
    let task = fields("TSK-002");
    assert_eq!(task["task_type"], "write_tests");
    assert_eq!(
        (&task["estimate"], &task["level"]),
        (&json!("M"), &json!(1))
    );
    assert_eq!(fields("TSK-001")["task_type"], "implement_feature");
    let check = fields("TSK-001/1");
    assert_eq!(
        (&check["base_exit"], &check["timeout_s"]),
        (&json!(4), &json!(9))
    );
    assert_eq!(fields("TSK-002/1")["base_exit"], Value::Null);
}

#[test]
fn content_hashes_ignore_case_and_spacing_and_never_cover_nothing() {
    assert_eq!(
        content_hash("The  System\nSHALL"),
        content_hash(" the system shall ")
    );
    assert_ne!(content_hash("a"), content_hash("b"));
    assert_eq!(content_hash(" \n"), "");
    assert_eq!(cut_text("one two three", 7), "one two");
    assert_eq!(cut_text("one two three", 9), "one two");
    assert_eq!(cut_text("ünïcödé", 3), "ünï");
}

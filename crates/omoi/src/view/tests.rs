#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
//! One recorded run, told in every way it can be told.

mod costs;
mod rare_events;
mod recorded_run;
mod trace;

use insta::assert_snapshot;
use serde_json::{Value, json};

use omoi_domain::block::{SpecBlock, TaskBlock};
use omoi_domain::event::{Event, EventKind, StoredEvent};
use omoi_domain::model_kind::ModelKind;
use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{ProcessStatus, SpecView, TaskView};
use omoi_protocol::summary::RunSummary;

use super::header::HeaderFacts;
use super::run_view::RunView;
use super::summary::{StoppedTask, SummaryFacts};
use super::text_layout::OutputPage;
use super::{header, log_line, progress, summary};
use recorded_run::*;

#[test]
fn planning_is_shown_as_it_goes() {
    let mut log = log();
    log.0.truncate(11);
    let view = view(&log);
    assert_snapshot!(shown(&progress::render_progress(
        &view,
        at(2_000),
        OutputPage::new(100, false),
        6
    )));
}

#[test]
fn work_is_shown_as_it_goes() {
    let view = view(&log());
    for width in [80, 120] {
        let lines = progress::render_progress(&view, at(14_000), OutputPage::new(width, false), 6);
        assert!(
            lines
                .iter()
                .all(|line| super::text_layout::display_width(line) <= width),
            "{lines:#?}"
        );
        assert_snapshot!(format!("work_at_{width}"), shown(&lines));
    }
}

#[test]
fn notes_that_do_not_fit_are_counted() {
    let view = view(&log());
    let lines = progress::render_progress(&view, at(14_000), OutputPage::new(100, false), 1);
    let notes: Vec<_> = lines.iter().filter(|line| line.contains('·')).collect();
    assert_eq!(notes.len(), 2, "{lines:#?}");
    assert!(notes[0].contains("2 notes before these"), "{notes:#?}");
}

#[test]
fn the_whole_picture_stays_when_the_run_is_over() {
    let view = view(&finished());
    assert_eq!(view.elapsed_ms(at(99_000)), 17_600);
    assert_snapshot!(shown(&progress::render_progress(
        &view,
        at(99_000),
        OutputPage::new(100, false),
        99
    )));
}

#[test]
fn a_pipe_gets_one_line_per_event() {
    let mut view = RunView {
        estimate: Some(estimate()),
        ..RunView::default()
    };
    let mut lines = Vec::new();
    for event in &finished().0 {
        view.apply(event);
        lines.extend(log_line::event_line(&view, event));
    }
    assert_snapshot!(shown(&lines));
}

/// A conflict that comes again is told again, whatever was said of the task in between.
#[test]
fn each_conflict_is_told_with_its_paths() {
    let mut view = RunView::default();
    let log = finished().0;
    let is_conflict = |event: &&StoredEvent| matches!(event.event, Event::MergeConflict(_));
    let conflict = log.iter().find(is_conflict).unwrap();
    let is_refused = |event: &&StoredEvent| matches!(event.event, Event::TaskValidationFailed(_));
    let between: Vec<_> = log.iter().filter(is_refused).collect();
    assert!(!between.is_empty());
    for event in &log {
        view.apply(event);
    }
    for event in between {
        view.apply(event);
    }
    view.apply(conflict);
    let line = log_line::event_line(&view, conflict).unwrap();
    assert!(line.contains("both changed todo/model.py"), "{line}");
}

#[test]
fn colour_only_adds_codes() {
    let view = view(&log());
    let [with, without] = [true, false].map(|colour| {
        shown(&progress::render_progress(
            &view,
            at(14_000),
            OutputPage::new(100, colour),
            6,
        ))
    });
    assert_ne!(with, without);
    let mut bare = String::new();
    let mut rest = with.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        bare.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    bare.push_str(rest);
    let trimmed = |text: &str| {
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(trimmed(&bare), trimmed(&without));
}

#[test]
fn replayed_events_give_the_same_picture() {
    let log = finished();
    let once = progress::render_progress(&view(&log), at(0), OutputPage::new(100, false), 99);
    let again = progress::render_progress(&view(&log), at(0), OutputPage::new(100, false), 99);
    assert_eq!(once, again);
    let seen: std::collections::BTreeSet<EventKind> =
        log.0.iter().map(|e| e.event.kind()).collect();
    assert!(
        seen.len() > 20,
        "the recorded run shows too little: {seen:?}"
    );
}

#[test]
fn a_run_begins_with_what_and_where() {
    let status = ProcessStatus {
        version: "0.1.0".to_owned(),
        pid: 7,
        roles: Vec::new(),
        database: "sqlite".to_owned(),
        bus: "in-process".to_owned(),
        sandbox: Some("bubblewrap".to_owned()),
        model: "simulated".to_owned(),
        model_kind: ModelKind::Simulated,
        model_missing: None,
        loops: Vec::new(),
        stall: None,
        model_notes: Vec::new(),
    };
    let home = std::path::Path::new("/home/ada");
    let data = home.join(".local/share/omoios");
    let scene = HeaderFacts {
        status: &status,
        data: &data,
        home: Some(home),
    };
    let spec: SpecView = serde_json::from_value(json!({
        "id": SPEC, "spec_ref": "SPEC-1", "name": "todo/SPEC-1", "title": "Tags", "status": "executing",
        "current_phase": "explore", "model": "simulated", "model_kind": "simulated",
        "agents": ["native"], "repo": "/home/ada/src/todo",
        "base_sha": "1c9e2b4ffff", "base_branch": "main", "branch": "omoi/tags",
        "last_error": null, "created_at": "1970-01-01T00:00:00.000Z", "ended_at": null,
        "notes": ["the work tree has uncommitted changes; HEAD is used without them"],
        "mounts": ["/home/ada/.rustup", "/opt/node"],
        "survey": { "survey": { "files": 14, "test": [{ "command": "python3 -m unittest" }] } },
    }))
    .unwrap();
    let idea = "Give every todo tags\nand a due date. ".repeat(12);
    let mut lines = Vec::new();
    for width in [80, 120] {
        let page = OutputPage::new(width, false);
        lines.extend(header::render_header(&scene, page));
        lines.extend(header::render_subject(&spec, &idea, Some(home), page));
        lines.push("----".to_owned());
    }
    assert_snapshot!(shown(&lines));
}

fn summary(outcome: &str) -> RunSummary {
    serde_json::from_value(json!({
        "type": "summary", "outcome": outcome, "reason": null, "model": "simulated", "model_kind": "simulated",
        "spec_id": SPEC, "spec_ref": "SPEC-1", "spec_name": "todo/SPEC-1", "tickets": 3,
        "tasks": { "completed": 8, "failed": 0, "cancelled": 0 }, "max_parallel": 4, "phases": {},
        "discoveries": 1, "conflicts": { "found": 1, "resolved": 1 },
        "receipts": { "passed": 40, "failed": 1 },
        "criteria": { "proven": 12, "total": 12, "self_tested": 2, "weak": 0, "unknown": 0,
            "not_tried": 0 },
        "repo": "/home/ada/src/todo", "branch": "omoi/tags",
        "head": if outcome == "succeeded" { Some("9a9a9a9bbbb") } else { None },
        "cost_nanousd": 0, "tokens": 84_321, "wall_ms": 38_200, "model_ms": 900, "notes": [],
    }))
    .unwrap()
}

#[test]
fn a_run_ends_with_what_to_do_next() {
    let home = std::path::Path::new("/home/ada");
    let page = OutputPage::new(100, false);
    let task: TaskView = serde_json::from_value(json!({
        "id": task_id(4), "task_ref": "TSK-004", "name": "todo/TSK-004", "needed": true, "ticket_ref": "TKT-001", "spec_ref": "SPEC-1",
        "spec_name": "todo/SPEC-1",
        "title": "parse dates", "task_type": "implement_feature", "phase": "PHASE_IMPLEMENTATION", "priority": "HIGH",
        "status": "failed", "integration_state": "none", "round": 3, "depends_on": [],
        "found_by": null, "branch": "task/4", "head_sha": null, "requirements": [],
        "problem": "no round left after 3: 1 of 3 checks failed; first `python3 -m unittest` (exit 1):",
        "summary": null,
    }))
    .unwrap();
    let stopped = [StoppedTask {
        task,
        wip_ref: Some("refs/omoios/wip/7f3a".to_owned()),
    }];
    let mut waits = stopped[0].task.clone();
    waits.problem = Some("dependency_failed:TSK-003".to_owned());
    waits.blocked_by = Some(TaskBlock::Prerequisite {
        task_id: task_id(3).parse().unwrap(),
    });
    waits.round = 0;
    let waits = [StoppedTask {
        task: waits,
        wip_ref: None,
    }];
    let mut blocked = summary("blocked");
    blocked.reason = Some("not ready for execution: REQ-X has no task".to_owned());
    let mut refused = summary("blocked");
    refused.blocked_by = Some(SpecBlock::WeakProof);
    refused.reason = Some("weak_proof: REQ-X#1 is proven, but not by this work".to_owned());
    let mut weak = summary("succeeded");
    (
        weak.criteria.weak,
        weak.criteria.unknown,
        weak.criteria.not_tried,
    ) = (1, 2, 1);
    let mut lines = Vec::new();
    for (summary, stopped) in [
        (summary("succeeded"), &[][..]),
        (weak, &[]),
        (summary("failed"), &stopped),
        (summary("failed"), &waits),
        (blocked, &[]),
        (refused, &[]),
    ] {
        let is_weak = summary.blocked_by == Some(SpecBlock::WeakProof);
        let next = match is_weak {
            true => "Accept: omoi spec resume todo/SPEC-1 --data-dir d --accept-weak",
            false => "Resume: omoi spec resume todo/SPEC-1 --data-dir d",
        };
        let told = SummaryFacts {
            summary: &summary,
            stopped,
            home: Some(home),
            again: " --data-dir d",
            next: &[next.to_owned()],
        };
        lines.extend(summary::render_summary(&told, page));
        lines.push("----".to_owned());
    }
    assert_snapshot!(shown(&lines));
}

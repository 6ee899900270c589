#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
//! One recorded run, told in every way it can be told.

mod costs;
mod rare_events;
mod trace;

use insta::assert_snapshot;
use serde_json::{Value, json};

use omoi_domain::block::{SpecBlock, TaskBlock};
use omoi_domain::check::CheckStage;
use omoi_domain::event::{Event, EventKind, StoredEvent};
use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use omoi_protocol::control::{Estimate, SpecView, Status, TaskView};
use omoi_protocol::summary::RunSummary;

use super::ending::{Ending, Stopped};
use super::opening::Scene;
use super::state::RunView;
use super::text::Page;
use super::{block, ending, opening, plain};

const SPEC: &str = "01930000-0000-7000-8000-00000000aaaa";
const TICKET: &str = "01930000-0000-7000-8000-00000000bbbb";
const ATTEMPT: &str = "01930000-0000-7000-8000-00000000cccc";

/// Events by hand, each a number of milliseconds after the start.
#[derive(Default)]
struct Log(Vec<StoredEvent>);

impl Log {
    fn push(&mut self, ms: i64, event_type: &str, payload: Value) -> &mut Self {
        let event = json!({
            "seq": self.0.len() as i64 + 1,
            "event_id": SPEC,
            "spec_id": SPEC,
            "occurred_at": ms * 1000,
            "event_type": event_type,
            "actor": "system",
            "payload": payload,
        });
        self.0
            .push(serde_json::from_value(event).expect(event_type));
        self
    }

    fn spec(&mut self, ms: i64, event_type: &str, to: &str) -> &mut Self {
        let payload = json!({ "spec_id": SPEC, "number": 1, "title": "Tags", "from": null, "to": to,
            "reason": null });
        self.push(ms, event_type, payload)
    }

    fn phase(&mut self, ms: i64, event_type: &str, phase: &str, more: Value) -> &mut Self {
        let mut payload = json!({ "spec_id": SPEC, "phase": phase, "attempt": 1, "score": null,
            "passed": null, "blockers": [], "reason": null, "feedback": null, "took_ms": null });
        merge(&mut payload, more);
        self.push(ms, event_type, payload)
    }

    /// A phase that passes at once.
    fn passes(&mut self, ms: i64, phase: &str, score: f64) -> &mut Self {
        self.phase(ms, "spec.phase_started", phase, json!({}))
            .phase(
                ms + 500,
                "spec.eval_result",
                phase,
                json!({ "score": score, "passed": true }),
            )
            .phase(
                ms + 500,
                "spec.phase_completed",
                phase,
                json!({ "score": score, "took_ms": 500 }),
            )
    }

    fn task(&mut self, ms: i64, event_type: &str, number: i64, more: Value) -> &mut Self {
        let (title, task_type) = match number {
            4 => ("fix: due in past", "implement_feature"),
            5 => ("resolve: export todos", "resolve_conflict"),
            3 => ("export todos", "implement_feature"),
            2 => ("keep due dates with every todo", "implement_feature"),
            _ => ("keep tags with every todo", "implement_feature"),
        };
        let mut payload = json!({ "task_id": task_id(number), "ticket_id": TICKET, "number": number,
            "title": title, "task_type": task_type, "from": null,
            "to": "pending", "attempt_id": null, "round": 0, "reason": null });
        merge(&mut payload, more);
        self.push(ms, event_type, payload)
    }

    /// A task whose agent is at work.
    fn works(&mut self, ms: i64, number: i64, round: u32) -> &mut Self {
        let moved = |to: &str| json!({ "to": to, "round": round });
        self.task(ms, "TASK_CLAIMED", number, moved("claiming"))
            .task(ms + 100, "TASK_ASSIGNED", number, moved("assigned"))
            .task(ms + 300, "TASK_STARTED", number, moved("running"))
    }

    fn edits(&mut self, ms: i64, number: i64, what: &str) -> &mut Self {
        self.push(
            ms,
            "agent.activity",
            json!({ "attempt_id": ATTEMPT, "subject": "task",
            "task_id": task_id(number), "kind": "agent.file_edited", "summary": what,
            "lines_added": 38, "lines_removed": 2 }),
        )
    }

    fn receipt(&mut self, ms: i64, number: Option<i64>, passed: bool) -> &mut Self {
        self.push(
            ms,
            "receipt.stored",
            json!({ "receipt_id": SPEC, "check_id": SPEC,
            "task_id": number.map(task_id), "kind": "proof",
            "stage": if number.is_some() { "task" } else { "head" }, "commit": "1c9e2b4000",
            "passed": passed, "exit_code": i32::from(!passed),
            "command": "python3 -m unittest tests.test_dates", "took_ms": 312 }),
        )
    }

    /// A task's check at the head of the branch.
    fn head_receipt(&mut self, ms: i64, number: i64) -> &mut Self {
        self.receipt(ms, Some(number), true);
        let Some(Event::ReceiptStored(receipt)) = self.0.last_mut().map(|last| &mut last.event)
        else {
            panic!("no receipt")
        };
        receipt.stage = CheckStage::Head;
        self
    }

    /// A task whose checks pass.
    fn proves(&mut self, ms: i64, number: i64, checks: u32) -> &mut Self {
        self.task(
            ms,
            "TASK_VALIDATION_REQUESTED",
            number,
            json!({ "to": "pending_validation" }),
        )
        .task(
            ms + 50,
            "validation_started",
            number,
            json!({ "to": "validating" }),
        );
        for _ in 0..checks {
            self.receipt(ms + 400, Some(number), true);
        }
        self.task(
            ms + 500,
            "TASK_COMPLETED",
            number,
            json!({ "to": "completed" }),
        )
    }

    fn merge(&mut self, ms: i64, event_type: &str, number: i64, more: Value) -> &mut Self {
        let mut payload = json!({ "merge_id": SPEC, "task_id": task_id(number), "number": number,
            "target_branch": "omoi/tags", "merge_state": null, "state": "queued", "conflicts": [], "result_sha": null,
            "resolve_task": null, "forecast": [], "reason": null });
        merge(&mut payload, more);
        self.push(ms, event_type, payload)
    }

    fn lands(&mut self, ms: i64, number: i64, more: Value) -> &mut Self {
        let mut landed = json!({ "state": "merged", "result_sha": "5e5e5e5aaaa" });
        merge(&mut landed, more);
        self.merge(ms, "merge.queued", number, json!({}))
            .merge(
                ms + 50,
                "merge.started",
                number,
                json!({ "state": "merging" }),
            )
            .merge(ms + 200, "merge.completed", number, landed)
    }
}

fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else {
        return;
    };
    into.extend(more);
}

fn task_id(number: i64) -> String {
    format!("01930000-0000-7000-8000-{number:012}")
}

/// A run in which everything happens that a picture tells of.
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn log() -> Log {
    let mut log = Log::default();
    log.spec(0, "spec.created", "draft")
        .spec(0, "spec.execution_started", "executing")
        .passes(10, "explore", 0.92)
        .passes(600, "prd", 0.88)
        .phase(1200, "spec.phase_started", "requirements", json!({}))
        .push(
            1300,
            "spec.progress",
            json!({ "spec_id": SPEC, "phase": "requirements",
            "section": "requirements", "key": "REQ-TAGS-001", "seq": 1 }),
        )
        .phase(
            1500,
            "spec.eval_result",
            "requirements",
            json!({ "score": 0.61, "passed": false, "blockers": ["no_criteria"] }),
        )
        .phase(1500, "spec.phase_retry", "requirements", json!({}))
        .phase(
            3500,
            "spec.phase_started",
            "requirements",
            json!({ "attempt": 2 }),
        )
        .phase(
            3900,
            "spec.eval_result",
            "requirements",
            json!({ "attempt": 2, "score": 0.93, "passed": true }),
        )
        .phase(
            3900,
            "spec.phase_completed",
            "requirements",
            json!({ "attempt": 2, "score": 0.93, "took_ms": 2700 }),
        )
        .passes(4000, "design", 0.9)
        .passes(4600, "tasks", 0.95)
        .passes(5200, "sync", 1.0)
        .push(
            5700,
            "spec.sync_completed",
            json!({ "spec_id": SPEC, "tickets": 3, "tasks": 3,
            "requirements": 9, "criteria": 12, "checks": 14, "coverage_percent": 100.0 }),
        );
    for number in 1..=3 {
        log.task(5700, "TASK_CREATED", number, json!({}));
    }
    log.spec(6100, "spec.execution_completed", "completed")
        .spec(6100, "spec.work_started", "working")
        .works(6200, 1, 0)
        .works(6200, 2, 0)
        .works(6300, 3, 0)
        .push(7000, "cost.recorded", json!({ "purpose": "attempt", "attempt_id": ATTEMPT,
            "role": "implementer", "model": "simulated", "tokens": 84_321, "cost_nanousd": 0,
            "latency_ms": 40, "estimated": false }))
        .edits(8000, 1, "editing todo/export.py")
        .task(8500, "TASK_CREATED", 4, json!({}))
        .push(8500, "discovery.recorded", json!({ "discovery_id": SPEC, "discovery_type": "bug",
            "source_task_id": task_id(1), "source_number": 1, "task_id": task_id(4), "number": 4,
            "title": "due dates in the past are refused", "refused": null }))
        .task(9000, "TASK_VALIDATION_REQUESTED", 2, json!({ "to": "pending_validation" }))
        .task(9100, "validation_started", 2, json!({ "to": "validating" }))
        .receipt(9400, Some(2), true)
        .receipt(9500, Some(2), false)
        .task(9600, "TASK_VALIDATION_FAILED", 2, json!({ "to": "needs_revision",
            "reason": "checks_failed: 1 of 2 checks failed; first `python3 -m unittest` (exit 1):" }))
        .task(9600, "TASK_STATUS_CHANGED", 2, json!({ "from": "needs_revision",
            "to": "pending", "round": 1, "reason": "reset_for_revision" }))
        .proves(10_000, 1, 2)
        .lands(10_600, 1, json!({}))
        .works(11_000, 2, 1)
        .works(11_200, 4, 0)
        .proves(12_000, 3, 1)
        .merge(12_600, "merge.queued", 3, json!({}))
        .task(12_700, "TASK_CREATED", 5,
            json!({}))
        .merge(12_700, "merge.conflict", 3, json!({ "state": "conflict",
            "conflicts": ["todo/model.py"], "resolve_task": task_id(5) }))
        .works(13_000, 5, 0)
        .edits(13_500, 4, "running python3 -m unittest\u{1b}[2J");
    log
}

fn finished() -> Log {
    let mut log = log();
    let conflict = json!({ "conflicts": ["todo/model.py"], "resolve_task": task_id(5) });
    log.proves(14_000, 5, 4).lands(14_600, 5, json!({}));
    let mut landed = json!({ "state": "merged", "result_sha": "5e5e5e5aaaa" });
    merge(&mut landed, conflict);
    log.merge(14_800, "merge.completed", 3, landed)
        .proves(15_000, 2, 2)
        .lands(15_600, 2, json!({}))
        .proves(16_000, 4, 1)
        .lands(16_600, 4, json!({}))
        .receipt(17_000, None, true)
        .head_receipt(17_100, 2)
        .push(
            17_500,
            "hand_over.completed",
            json!({ "hand_over_id": SPEC, "spec_id": SPEC,
            "branch": "omoi/tags", "head": "9a9a9a9bbbb", "note": null }),
        )
        .spec(17_600, "spec.delivered", "delivered");
    log
}

fn estimate() -> Estimate {
    Estimate {
        tickets: 3,
        tasks: 3,
        criteria: 12,
        longest_chain: 2,
        width: 3,
        hours: 6.5,
        cost_cap_nanousd: NanoUsd::from_dollars(50),
        coverage_percent: 100.0,
    }
}

fn view(log: &Log) -> RunView {
    let mut view = RunView {
        estimate: Some(estimate()),
        ..RunView::default()
    };
    for event in &log.0 {
        view.apply(event);
    }
    view
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(ms * 1000)
}

fn shown(lines: &[String]) -> String {
    lines.join("\n")
}

#[test]
fn planning_is_shown_as_it_goes() {
    let mut log = log();
    log.0.truncate(11);
    let view = view(&log);
    assert_snapshot!(shown(&block::render(
        &view,
        at(2_000),
        Page::new(100, false),
        6
    )));
}

#[test]
fn work_is_shown_as_it_goes() {
    let view = view(&log());
    for width in [80, 120] {
        let lines = block::render(&view, at(14_000), Page::new(width, false), 6);
        assert!(
            lines.iter().all(|line| super::text::width(line) <= width),
            "{lines:#?}"
        );
        assert_snapshot!(format!("work_at_{width}"), shown(&lines));
    }
}

#[test]
fn notes_that_do_not_fit_are_counted() {
    let view = view(&log());
    let lines = block::render(&view, at(14_000), Page::new(100, false), 1);
    let notes: Vec<_> = lines.iter().filter(|line| line.contains('·')).collect();
    assert_eq!(notes.len(), 2, "{lines:#?}");
    assert!(notes[0].contains("2 notes before these"), "{notes:#?}");
}

#[test]
fn the_whole_picture_stays_when_the_run_is_over() {
    let view = view(&finished());
    assert_eq!(view.elapsed_ms(at(99_000)), 17_600);
    assert_snapshot!(shown(&block::render(
        &view,
        at(99_000),
        Page::new(100, false),
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
        lines.extend(plain::line(&view, event));
    }
    assert_snapshot!(shown(&lines));
}

#[test]
fn colour_only_adds_codes() {
    let view = view(&log());
    let [with, without] = [true, false]
        .map(|colour| shown(&block::render(&view, at(14_000), Page::new(100, colour), 6)));
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
    let once = block::render(&view(&log), at(0), Page::new(100, false), 99);
    let again = block::render(&view(&log), at(0), Page::new(100, false), 99);
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
    let status = Status {
        version: "0.1.0".to_owned(),
        pid: 7,
        roles: Vec::new(),
        database: "sqlite".to_owned(),
        bus: "in-process".to_owned(),
        sandbox: Some("bubblewrap".to_owned()),
        model: Some("simulated".to_owned()),
        model_missing: None,
        loops: Vec::new(),
        stall: None,
        model_notes: Vec::new(),
    };
    let home = std::path::Path::new("/home/ada");
    let data = home.join(".local/share/omoios");
    let scene = Scene {
        status: &status,
        data: &data,
        home: Some(home),
    };
    let spec: SpecView = serde_json::from_value(json!({
        "id": SPEC, "spec_ref": "SPEC-1", "name": "todo/SPEC-1", "title": "Tags", "status": "executing",
        "current_phase": "explore", "model": "simulated", "repo": "/home/ada/src/todo",
        "base_sha": "1c9e2b4ffff", "base_branch": "main", "branch": "omoi/tags",
        "last_error": null, "created_at": 0, "ended_at": null,
        "notes": ["the work tree has uncommitted changes; HEAD is used without them"],
        "mounts": ["/home/ada/.rustup", "/opt/node"],
        "survey": { "survey": { "files": 14, "test": [{ "command": "python3 -m unittest" }] } },
    }))
    .unwrap();
    let idea = "Give every todo tags\nand a due date. ".repeat(12);
    let mut lines = Vec::new();
    for width in [80, 120] {
        let page = Page::new(width, false);
        lines.extend(opening::header(&scene, page));
        lines.extend(opening::subject(&spec, &idea, Some(home), page));
        lines.push("----".to_owned());
    }
    assert_snapshot!(shown(&lines));
}

fn summary(outcome: &str) -> RunSummary {
    serde_json::from_value(json!({
        "type": "summary", "outcome": outcome, "reason": null, "model": "simulated",
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
    let page = Page::new(100, false);
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
    let stopped = [Stopped {
        task,
        wip_ref: Some("refs/omoios/wip/7f3a".to_owned()),
    }];
    let mut waits = stopped[0].task.clone();
    waits.problem = Some("dependency_failed:TSK-003".to_owned());
    waits.blocked_by = Some(TaskBlock::Prerequisite {
        task_id: task_id(3).parse().unwrap(),
    });
    waits.round = 0;
    let waits = [Stopped {
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
        let told = Ending {
            summary: &summary,
            stopped,
            home: Some(home),
            again: " --data-dir d",
            next: &[next.to_owned()],
        };
        lines.extend(ending::render(&told, page));
        lines.push("----".to_owned());
    }
    assert_snapshot!(shown(&lines));
}

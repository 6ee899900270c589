//! The recorded run that the tests of the view tell, and the builders of its events.

use serde_json::{Value, json};

use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::check::CheckStage;
use omoi_domain::event::{Event, StoredEvent};
use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{GuardedCost, PlanEstimate};

use crate::view::run_view::RunView;

pub(super) const SPEC: &str = "01930000-0000-7000-8000-00000000aaaa";
pub(super) const TICKET: &str = "01930000-0000-7000-8000-00000000bbbb";
pub(super) const ATTEMPT: &str = "01930000-0000-7000-8000-00000000cccc";

/// Events by hand, each a number of milliseconds after the start.
#[derive(Default)]
pub(super) struct Log(pub(super) Vec<StoredEvent>);

impl Log {
    pub(super) fn push(&mut self, ms: i64, event_type: &str, payload: Value) -> &mut Self {
        let event = json!({
            "seq": self.0.len() as i64 + 1,
            "event_id": SPEC,
            "spec_id": SPEC,
            "occurred_at": ms * 1000,
            "event_type": event_type,
            "actor": { "kind": "system" },
            "payload": payload,
        });
        self.0
            .push(serde_json::from_value(event).expect(event_type));
        self
    }

    pub(super) fn spec(&mut self, ms: i64, event_type: &str, to: &str) -> &mut Self {
        let payload = json!({ "spec_id": SPEC, "number": 1, "title": "Tags", "from": null, "to": to,
            "reason": null });
        self.push(ms, event_type, payload)
    }

    pub(super) fn phase(
        &mut self,
        ms: i64,
        event_type: &str,
        phase: &str,
        more: Value,
    ) -> &mut Self {
        let mut payload = json!({ "spec_id": SPEC, "phase": phase, "attempt": 1, "score": null,
            "passed": null, "blockers": [], "reason": null, "feedback": null, "took_ms": null });
        merge(&mut payload, more);
        self.push(ms, event_type, payload)
    }

    /// A phase that passes at once.
    pub(super) fn passes(&mut self, ms: i64, phase: &str, score: f64) -> &mut Self {
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

    pub(super) fn task(
        &mut self,
        ms: i64,
        event_type: &str,
        number: i64,
        more: Value,
    ) -> &mut Self {
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
    pub(super) fn works(&mut self, ms: i64, number: i64, round: u32) -> &mut Self {
        let moved = |to: &str| json!({ "to": to, "round": round });
        self.task(ms, "task.claimed", number, moved("claiming"))
            .task(ms + 100, "task.assigned", number, moved("assigned"))
            .task(ms + 300, "task.started", number, moved("running"))
    }

    pub(super) fn edits(&mut self, ms: i64, number: i64, what: &str) -> &mut Self {
        self.push(
            ms,
            "agent.activity",
            json!({ "attempt_id": ATTEMPT, "subject": "task",
            "task_id": task_id(number), "kind": "agent.file_edited", "summary": what,
            "lines_added": 38, "lines_removed": 2 }),
        )
    }

    pub(super) fn receipt(&mut self, ms: i64, number: Option<i64>, passed: bool) -> &mut Self {
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
    pub(super) fn head_receipt(&mut self, ms: i64, number: i64) -> &mut Self {
        self.receipt(ms, Some(number), true);
        let Some(Event::ReceiptStored(receipt)) = self.0.last_mut().map(|last| &mut last.event)
        else {
            panic!("no receipt")
        };
        receipt.stage = CheckStage::Head;
        self
    }

    /// A task whose checks pass.
    pub(super) fn proves(&mut self, ms: i64, number: i64, checks: u32) -> &mut Self {
        self.task(
            ms,
            "task.validation_requested",
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
            "task.completed",
            number,
            json!({ "to": "completed" }),
        )
    }

    pub(super) fn merge(
        &mut self,
        ms: i64,
        event_type: &str,
        number: i64,
        more: Value,
    ) -> &mut Self {
        let mut payload = json!({ "merge_id": SPEC, "task_id": task_id(number), "number": number,
            "target_branch": "omoi/tags", "merge_state": null, "state": "queued", "conflicts": [], "result_sha": null,
            "resolve_task": null, "forecast": [], "reason": null });
        merge(&mut payload, more);
        self.push(ms, event_type, payload)
    }

    pub(super) fn lands(&mut self, ms: i64, number: i64, more: Value) -> &mut Self {
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

pub(super) fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else {
        return;
    };
    into.extend(more);
}

pub(super) fn task_id(number: i64) -> String {
    format!("01930000-0000-7000-8000-{number:012}")
}

/// A run in which everything happens that a picture tells of.
pub(super) fn log() -> Log {
    let mut log = planned();
    for number in 1..=3 {
        log.task(5700, "task.created", number, json!({}));
    }
    work(&mut log);
    log
}

/// Its planning, with one phase that is refused once.
fn planned() -> Log {
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
    log
}

/// Its work up to a conflict, with a round, a discovery and a landing.
fn work(log: &mut Log) {
    log.spec(6100, "spec.execution_completed", "completed")
        .spec(6100, "spec.work_started", "working")
        .works(6200, 1, 0)
        .works(6200, 2, 0)
        .works(6300, 3, 0)
        .push(7000, "cost.recorded", json!({ "purpose": "attempt", "attempt_id": ATTEMPT,
            "role": "implementer", "model": "simulated", "tokens": 84_321, "cost_nanousd": 0,
            "latency_ms": 40, "estimated": false, "unrecorded": false }))
        .edits(8000, 1, "editing todo/export.py")
        .task(8500, "task.created", 4, json!({}))
        .push(8500, "discovery.recorded", json!({ "discovery_id": SPEC, "discovery_type": "bug",
            "source_task_id": task_id(1), "source_number": 1, "task_id": task_id(4), "number": 4,
            "title": "due dates in the past are refused", "refused": null }))
        .task(9000, "task.validation_requested", 2, json!({ "to": "pending_validation" }))
        .task(9100, "validation_started", 2, json!({ "to": "validating" }))
        .receipt(9400, Some(2), true)
        .receipt(9500, Some(2), false)
        .task(9600, "task.validation_failed", 2, json!({ "to": "needs_revision",
            "reason": "checks_failed: 1 of 2 checks failed; first `python3 -m unittest` (exit 1):" }))
        .task(9600, "task.status_changed", 2, json!({ "from": "needs_revision",
            "to": "pending", "round": 1, "reason": "reset_for_revision" }))
        .proves(10_000, 1, 2)
        .lands(10_600, 1, json!({}))
        .works(11_000, 2, 1)
        .works(11_200, 4, 0)
        .proves(12_000, 3, 1)
        .merge(12_600, "merge.queued", 3, json!({}))
        .task(12_700, "task.created", 5,
            json!({}))
        .merge(12_700, "merge.conflict", 3, json!({ "state": "conflict",
            "conflicts": ["todo/model.py"], "resolve_task": task_id(5) }))
        .works(13_000, 5, 0)
        .edits(13_500, 4, "running python3 -m unittest\u{1b}[2J");
}

pub(super) fn finished() -> Log {
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

pub(super) fn estimate() -> PlanEstimate {
    PlanEstimate {
        tickets: 3,
        tasks: 3,
        criteria: 12,
        longest_chain: 2,
        width: 3,
        hours: 6.5,
        cost_cap_usd: GuardedCost::seen_by(CostSight::Shown, NanoUsd::from_dollars(50)),
        coverage_percent: 100.0,
    }
}

pub(super) fn view(log: &Log) -> RunView {
    let mut view = RunView {
        estimate: Some(estimate()),
        ..RunView::default()
    };
    for event in &log.0 {
        view.apply(event);
    }
    view
}

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(ms * 1000)
}

pub(super) fn shown(lines: &[String]) -> String {
    lines.join("\n")
}

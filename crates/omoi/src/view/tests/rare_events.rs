//! Events that a usual run does not have, and those of an agent's start.

use omoi_protocol::api::LogLine;

use super::*;

#[test]
fn rare_events_have_a_line_of_their_own() {
    let ended = |failed: Option<&str>| {
        json!({ "spec_id": SPEC, "success": failed.is_none(),
            "phases_completed": ["explore", "prd"], "failed_phase": failed })
    };
    let because = json!({ "reason": "the target moved" });
    let mut log = Log::default();
    log.spec(0, "spec.created", "draft")
        .task(0, "task.created", 3, json!({}))
        .push(0, "agent.completed", ended(None))
        .push(0, "agent.completed", ended(Some("requirements")))
        .push(
            0,
            "ticket.created",
            json!({ "ticket_id": TICKET, "number": 2, "title": "Tags", "from": null, "to": "backlog" }),
        )
        .push(
            0,
            "message.queued",
            json!({ "message_id": SPEC, "task_id": task_id(3), "message_type": "user_message",
                "content": "Use tabs." }),
        )
        .merge(0, "merge.verifying", 3, json!({ "state": "merging" }))
        .merge(0, "merge.restarted", 3, because.clone())
        .merge(0, "merge.cancelled", 3, because)
        .merge(
            0,
            "merge.completed",
            3,
            json!({ "state": "merged", "result_sha": "5e5e5e5aaaa", "forecast": [[3, 0], [4, 2], [5, 0]] }),
        );
    let view = view(&log);
    let lines: Vec<String> = log
        .0
        .iter()
        .filter_map(|stored| log_line::event_line(&view, stored))
        .collect();
    let want = [
        "planning ended, 2 phases passed",
        "planning ended at requirements, 2 phases passed before",
        "TKT-002 planned: Tags",
        "TSK-003 has a message: Use tabs.",
        "TSK-003 is checked on the merged tree",
        "TSK-003 is merged again: the target moved",
        "TSK-003 merge cancelled: the target moved",
        "TSK-003 merged 5e5e5e5, conflicts expected: TSK-004 in 2 files",
    ];
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_start().trim_start_matches("0:00  "))
        .collect();
    assert_eq!(lines, want);
}

#[test]
fn the_start_of_an_agent_is_shown() {
    let starting = json!({ "attempt_id": ATTEMPT, "subject": "task", "task_id": task_id(3),
        "round": 0, "fence": 1, "from": "pending", "to": "starting", "stop_reason": null,
        "rung": null });
    let mut log = Log::default();
    log.spec(0, "spec.created", "draft")
        .task(0, "task.created", 3, json!({}))
        .push(0, "attempt.starting", starting.clone());
    assert_eq!(view(&log).tasks[&3].doing, "starting its sandbox");
    log.push(0, "agent.started", starting);
    assert_eq!(view(&log).tasks[&3].doing, "reading its task");
}

#[test]
fn a_failed_model_call_is_told_with_what_follows() {
    let failed = |subject: Value, next_at: Value| {
        let mut failed = json!({ "attempt_id": ATTEMPT, "role": "planner",
            "provider": "api.example", "model": "m", "status": 529, "message": "Overloaded",
            "n_calls": 1, "calls_max": 12, "next_at": next_at, "until": 120_000_000 });
        let fields = subject.as_object().unwrap().clone();
        failed.as_object_mut().unwrap().extend(fields);
        failed
    };
    let task = || json!({ "subject": "task", "task_id": task_id(3) });
    let waits =
        json!({ "reason": "provider_unavailable: Overloaded; at 00:00:05, until 00:15:00" });
    let mut log = Log::default();
    log.spec(0, "spec.created", "draft")
        .task(0, "task.created", 3, json!({}))
        .push(
            0,
            "model.call_failed",
            failed(
                json!({ "subject": "spec_phase", "phase": "explore" }),
                json!(1_000_000),
            ),
        )
        .push(0, "model.call_failed", failed(task(), json!(null)))
        .push(
            0,
            "model.call_failed",
            failed(json!({ "subject": "plan_opinion" }), json!(null)),
        )
        .phase(0, "spec.phase_retry", "explore", waits)
        .phase(
            0,
            "spec.phase_retry",
            "prd",
            json!({ "reason": "evaluation_failed" }),
        );
    let view = view(&log);
    let lines: Vec<String> = lines_without_time(&view, &log);
    let told = "api.example answered 529: Overloaded;";
    assert_eq!(
        lines,
        [
            format!("explore: {told} try 2 of 12 at 00:00:01, until 00:02:00"),
            format!("TSK-003: {told} not tried again by this call"),
            format!("planner: {told} not tried again by this call"),
            "explore waits: provider_unavailable: Overloaded; at 00:00:05, until 00:15:00"
                .to_owned(),
            "prd is tried again".to_owned(),
        ]
    );
    // The live picture keeps it as a note, the log of the task as an entry.
    assert!(
        view.notes
            .iter()
            .any(|note| note.text.starts_with("explore: api.example"))
    );
    let entry = LogLine {
        attempt_no: 1,
        at: Timestamp::from_micros(0).into(),
        event_type: "model.call_failed".to_owned(),
        data: failed(task(), json!(null)),
    };
    let shown = crate::view::task_log::render_entry(&entry, OutputPage::new(80, false)).join("\n");
    assert!(
        shown.contains("api.example answered 529: Overloaded"),
        "{shown}"
    );
}

#[test]
fn a_saved_attempt_and_a_model_that_is_passed_over_are_told() {
    let with = |mut payload: Value, subject: &Value| {
        let fields = subject.as_object().unwrap().clone();
        payload.as_object_mut().unwrap().extend(fields);
        payload
    };
    let task = json!({ "subject": "task", "task_id": task_id(3) });
    let attempt_id = "01890000-0000-7000-8000-000000000001";
    let saved = json!({ "attempt_id": attempt_id, "role": "implementer", "provider": "api.example",
        "status": 429, "message": "used up", "wakes_at": 90_000_000_000_i64 });
    let fallback = json!({ "attempt_id": attempt_id, "role": "implementer", "route": "agent",
        "from_model": "first", "to_model": "second", "class": "limited", "message": "used up" });
    let mut log = Log::default();
    log.spec(0, "spec.created", "draft")
        .task(0, "task.created", 3, json!({}))
        .push(0, "attempt.saved", with(saved.clone(), &task))
        .push(0, "model.fell_back", with(fallback.clone(), &task));
    let view = view(&log);
    let lines = [
        "api.example answered 429: used up; the work is saved and goes on at 1970-01-02 01:00:00",
        "asks second in the place of first: it is limited (used up)",
    ];
    let expected = lines.map(|line| format!("TSK-003: {line}"));
    assert_eq!(lines_without_time(&view, &log), expected);
    let notes: Vec<_> = view.notes.iter().map(|note| note.text.clone()).collect();
    assert_eq!(notes, expected);
    for (kind, data, line) in [
        ("attempt.saved", with(saved, &task), lines[0]),
        ("model.fell_back", with(fallback, &task), lines[1]),
    ] {
        let entry = LogLine {
            attempt_no: 1,
            at: Timestamp::from_micros(0).into(),
            event_type: kind.to_owned(),
            data,
        };
        let page = OutputPage::new(200, false);
        let shown = crate::view::task_log::render_entry(&entry, page).join("\n");
        assert!(shown.contains(line), "{shown}");
    }
}

/// The line of each event that has one, without the time in front.
fn lines_without_time(view: &RunView, log: &Log) -> Vec<String> {
    let events = log.0.iter();
    let lines = events.filter_map(|stored| log_line::event_line(view, stored));
    lines
        .map(|line| line.trim_start()[6..].to_owned())
        .collect()
}

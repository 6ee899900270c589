//! The worker against a platform and a scripted model on a Unix socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod acp;
mod bench;
mod claude_code;
mod codex;
mod compaction;
mod lost_programs;
mod program_starts;
mod round_commit;
mod saved_work;
mod scripted_program;

use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::message::MessageType;
use omoi_domain::retry::ErrorClass;
use omoi_protocol::worker::TurnRecord;

use crate::bench::{Bench, git};

const WRITE_AND_FINISH: &str = r#"
  - when: {turn: 0}
    reply:
      - text: I write it.
      - tool: {name: write, input: {path: src/a.txt, content: "one\n"}}
  - when: {turn: 1}
    reply:
      - tool: {name: shell, input: {command: "echo two >> src/a.txt; cat src/a.txt"}}
  - when: {turn: 2}
    reply: [{text: "Wrote the file.\n\nTASK_COMPLETE"}]
"#;

#[tokio::test]
async fn a_task_is_done_committed_and_reported() {
    let bench = Bench::new(WRITE_AND_FINISH).await;
    assert!(bench.run().await);
    let seen = bench.seen();
    let turns: Vec<u32> = seen.turns.iter().map(|t| t.turn.n).collect();
    assert_eq!(turns, [0, 1, 2]);
    let snapshots: Vec<bool> = seen.turns.iter().map(|t| t.snapshot.is_some()).collect();
    assert_eq!(snapshots, [true, true, false]);
    assert_eq!(seen.turns[2].turn.tool_results, json!([]));
    assert_eq!(seen.turns[0].turn.request_digest.len(), 64);

    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded);
    assert_eq!(complete.stop_reason, AttemptStopReason::CompletionSignal);
    assert_eq!(complete.summary.as_deref(), Some("Wrote the file."));
    assert_eq!((complete.turns, complete.refused_paths.len()), (3, 0));
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let shown = git(
        &bench.mirror(),
        &["show", "-s", "--format=%an|%P|%B", &head],
    );
    let want = format!(
        "Agent|{}|feat: Do it\n\nWrote the file.\n\nOmoiOS-Task: TSK-001",
        bench.base()
    );
    assert_eq!(shown, want);
    assert_eq!(
        git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]),
        "one\ntwo"
    );

    let kinds: Vec<&str> = seen.events.iter().map(|e| e.event_type.as_str()).collect();
    let want = [
        "agent.assistant_message",
        "agent.tool_use",
        "agent.file_edited",
        "agent.tool_result",
        "agent.assistant_message",
        "agent.tool_use",
        "command.started",
        "command.completed",
        "agent.tool_result",
        "agent.assistant_message",
    ];
    assert_eq!(kinds, want);
    assert!(seen.heartbeats > 0);
}

#[tokio::test]
async fn a_resumed_attempt_goes_on_at_the_next_turn() {
    let first = Bench::new(WRITE_AND_FINISH).await;
    assert!(first.run().await);
    let all: Vec<TurnRecord> = first.seen().turns.iter().map(|t| t.turn.clone()).collect();

    // As after a loss between the turns 0 and 1.
    let mut bench = Bench::new(WRITE_AND_FINISH).await;
    bench.context.resume = all[..1].to_vec();
    std::fs::create_dir_all(bench.work().join("src")).unwrap();
    std::fs::write(bench.work().join("src/a.txt"), "one\n").unwrap();
    assert!(bench.run().await);
    let turns: Vec<u32> = bench.seen().turns.iter().map(|t| t.turn.n).collect();
    assert_eq!(turns, [1, 2]);
    assert!(bench.seen().started[0].is_resuming);
    let digests = |turns: &[TurnRecord]| -> Vec<String> {
        turns.iter().map(|t| t.request_digest.clone()).collect()
    };
    let again: Vec<TurnRecord> = bench.seen().turns.iter().map(|t| t.turn.clone()).collect();
    assert_eq!(
        digests(&again),
        digests(&all[1..]),
        "the model is asked the same"
    );
    assert_eq!(bench.complete().turns, 3);
    let head = bench.take_in(bench.complete().bundle.as_ref().unwrap());
    assert_eq!(
        git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]),
        "one\ntwo"
    );

    // As after a loss between the last turn and the report: the model is not asked at all.
    let mut bench = Bench::new("\n  - when: {role: nobody}\n    reply: []\n").await;
    bench.context.resume = all;
    assert!(bench.run().await);
    assert!(bench.seen().turns.is_empty());
    assert_eq!(bench.complete().outcome, AttemptOutcome::Succeeded);
    assert_eq!(bench.complete().summary.as_deref(), Some("Wrote the file."));
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn ends_are_named() {
    let chatter = "\n  - when: {turn: 0..}\n    reply: [{text: Hm.}]\n";
    let busy =
        "\n  - when: {turn: 0..}\n    reply: [{tool: {name: shell, input: {command: echo x}}}]\n";
    let fault = |fault: &str| {
        let reply = if fault.contains("status") {
            ""
        } else {
            "    reply: [{text: TASK_COMPLETE}]\n"
        };
        format!(
            "\n  - when: {turn_0}\n    fault: {fault}\n{reply}",
            turn_0 = "{turn: 0}"
        )
    };
    // The rules, and outcome, stop reason, error class, turns.
    let cases: [(String, AttemptOutcome, &str, Option<&str>, usize); 11] = [
        (
            chatter.to_owned(),
            AttemptOutcome::Incomplete,
            "no_completion_signal",
            None,
            4,
        ),
        (
            "\n  - when: {turn: 0..}\n    reply: [{tool: {name: shell, in_words: true, input: {command: echo x}}}]\n"
                .to_owned(),
            AttemptOutcome::Failed,
            "error",
            Some("tools_in_words"),
            4,
        ),
        (
            busy.to_owned(),
            AttemptOutcome::Incomplete,
            "max_turns_reached",
            None,
            6,
        ),
        (
            fault("{cut_after_bytes: 40, times: 2}"),
            AttemptOutcome::Succeeded,
            "completion_signal",
            None,
            1,
        ),
        (
            fault("{cut_after_bytes: 40, times: always}"),
            AttemptOutcome::Failed,
            "error",
            Some("network"),
            0,
        ),
        (
            fault("{broken_json: body, times: 2}"),
            AttemptOutcome::Succeeded,
            "completion_signal",
            None,
            1,
        ),
        (
            fault("{broken_json: body, times: always}"),
            AttemptOutcome::Failed,
            "error",
            Some("agent_error"),
            0,
        ),
        (
            fault("{stream_error: overloaded_error, times: 3}"),
            AttemptOutcome::Succeeded,
            "completion_signal",
            None,
            1,
        ),
        (
            fault("{status: 529, times: always}"),
            AttemptOutcome::Failed,
            "error",
            Some("upstream_5xx"),
            0,
        ),
        (
            fault("{status: 429, times: always}"),
            AttemptOutcome::Failed,
            "error",
            Some("rate_limited"),
            0,
        ),
        (
            "\n  - when: {turn: 7}\n    reply: []\n".to_owned(),
            AttemptOutcome::Failed,
            "error",
            Some("upstream_refused"),
            0,
        ),
    ];
    for (rules, outcome, stop_reason, class, turns) in cases {
        let bench = Bench::new(&rules).await;
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, outcome, "{rules}\n{complete:?}");
        assert_eq!(complete.stop_reason.as_str(), stop_reason, "{rules}");
        assert_eq!(
            complete.error_class.map(ErrorClass::as_str),
            class,
            "{rules}\n{complete:?}"
        );
        assert_eq!(bench.seen().turns.len(), turns, "{rules}");
        assert_eq!(complete.turns as usize, turns, "{rules}");
        assert!(complete.bundle.is_none(), "nothing changed: {rules}");
    }
}

#[tokio::test]
async fn a_spent_budget_a_useless_key_a_superseded_attempt_and_an_abort() {
    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| s.model_status = Some(402));
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Incomplete);
    assert_eq!(complete.stop_reason, AttemptStopReason::MaxCostReached);

    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| s.model_status = Some(403));
    assert!(bench.run().await);
    assert_eq!(bench.complete().error_class, Some(ErrorClass::AuthFailed));

    // What the gateway says after its pings means what it would have meant in the head, at once.
    for (late, class) in [
        ("rate_limit_error", "rate_limited"),
        ("overloaded_error", "upstream_5xx"),
        ("timeout_error", "upstream_5xx"),
        ("permission_error", "auth_failed"),
        ("invalid_request_error", "upstream_refused"),
        ("model_declined", "model_declined"),
    ] {
        let bench = Bench::new(WRITE_AND_FINISH).await;
        bench.set(|s| s.late_error = Some(late));
        assert!(bench.run().await);
        assert_eq!(
            bench.complete().error_class.map(ErrorClass::as_str),
            Some(class)
        );
        assert_eq!(bench.seen().asked, 1, "{late}");
    }

    // The gateway, the turn and the heartbeat each may be the first to know.
    let slow = "\n  - when: {turn: 0}\n    reply: [{delay_ms: 30000}, {text: TASK_COMPLETE}]\n";
    for (rules, set) in [
        (
            WRITE_AND_FINISH,
            (|s| s.model_status = Some(401)) as fn(&mut bench::Seen),
        ),
        (WRITE_AND_FINISH, |s| s.turns_superseded = true),
        (slow, |s| s.abort = true),
    ] {
        let bench = Bench::new(rules).await;
        bench.set(set);
        assert!(bench.run().await, "a clean exit");
        assert!(bench.seen().completes.is_empty());
    }
}

#[tokio::test]
async fn an_interrupt_stops_a_running_command_at_once() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"echo $$ > pid; sleep 60\"}}}]\n";
    let bench = Bench::new(rules).await;
    let worker = bench.run();
    let interrupt = async {
        bench.until(|_| bench.work().join("pid").exists()).await;
        bench.post_message(MessageType::Interrupt, "stop");
        bench.until(|s| !s.completes.is_empty()).await;
    };
    let (clean, ()) = tokio::join!(worker, interrupt);
    assert!(clean);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Interrupted);
    assert_eq!(complete.stop_reason, AttemptStopReason::Interrupt);
    assert!(complete.bundle.is_none());
    let seen = bench.seen();
    assert!(seen.turns.is_empty(), "the cut turn did not happen");
    assert_eq!(seen.acked.len(), 1);
    let pid = std::fs::read_to_string(bench.work().join("pid")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[tokio::test]
async fn a_message_reaches_the_model_at_the_next_turn() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "until test -e go; do sleep 0.05; done; rm go"}}}]
  - when: {turn: 1}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    bench.post_message(MessageType::UserMessage, "Use tabs.");
    let worker = bench.run();
    let go = async {
        bench
            .until(|s| {
                s.polls > 0
                    && s.events
                        .iter()
                        .any(|e| e.event_type == AgentEventKind::CommandStarted)
            })
            .await;
        std::fs::write(bench.work().join("go"), "").unwrap();
    };
    let (clean, ()) = tokio::join!(worker, go);
    assert!(clean);
    let seen = bench.seen();
    let results = seen.turns[0].turn.tool_results.as_array().unwrap().clone();
    assert_eq!(results[0]["type"], "tool_result");
    assert!(results[1]["text"].as_str().unwrap().contains("Use tabs."));
    // Read is what a committed turn holds, and nothing else says so.
    assert_eq!(seen.turns[0].messages.len(), 1);
    assert!(seen.turns[1].messages.is_empty() && seen.acked.is_empty());
    assert!(
        seen.events
            .iter()
            .any(|e| e.event_type == AgentEventKind::MessageInjected)
    );
    assert_eq!(bench.complete().outcome, AttemptOutcome::Succeeded);
}

#[tokio::test]
async fn the_wall_limit_saves_what_there_is() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"echo x > half; sleep 60\"}}}]\n";
    let mut bench = Bench::new(rules).await;
    bench.context.limits.wall_s = 2;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Incomplete);
    assert_eq!(complete.stop_reason, AttemptStopReason::MaxDurationReached);
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    assert_eq!(
        git(&bench.mirror(), &["show", &format!("{head}:half")]),
        "x"
    );
}

#[tokio::test]
async fn the_platform_may_be_away_for_a_moment() {
    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| s.failures_left = 6);
    assert!(bench.run().await);
    assert_eq!(bench.complete().outcome, AttemptOutcome::Succeeded);
    assert_eq!(bench.seen().turns.len(), 3);
}

#[tokio::test]
async fn items_of_one_answer_go_in_one_report() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - items:
          - {section: goals, key: G1, value: {text: fast}}
          - {section: refused, key: X, value: {text: odd}}
          - {section: goals, key: G2, value: {text: small}}
      - tool: {name: glob, unoffered: true, input: {pattern: "*.md"}}
      - items: [{section: risks, key: R1, value: {text: none}}]
      - done: true
"#;
    let mut bench = Bench::new(rules).await;
    bench.plan_phase(3);
    assert!(bench.run().await);
    let seen = bench.seen();
    assert_eq!(seen.item_reports, [3, 1]);
    let keys: Vec<_> = seen.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["G1", "G2", "R1"]);
    let results = seen.turns[0].turn.tool_results.as_array().unwrap();
    let told = |n: usize| {
        (
            results[n]["content"].as_str().unwrap(),
            &results[n]["is_error"],
        )
    };
    assert_eq!(told(0), ("accepted as item 1", &Value::Null));
    assert_eq!(told(1), ("no section for `X`", &json!(true)));
    assert_eq!(told(2), ("accepted as item 2", &Value::Null));
    assert_eq!(told(4), ("accepted as item 3", &Value::Null));
    // Each call is reported with what became of it.
    let kinds = seen.events.iter().map(|event| event.event_type);
    let of_calls = kinds.filter(|kind| *kind == AgentEventKind::ToolResult);
    assert_eq!(of_calls.count(), 6);
}

#[tokio::test]
async fn a_phase_ends_when_its_output_is_accepted() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - items: [{section: goals, key: G1, value: {text: fast}}]
      - done: true
  - when: {turn: 1}
    reply: [{text: "I think that is all.\n\nTASK_COMPLETE"}]
  - when: {turn: 2}
    reply:
      - items: [{section: risks, key: R1, value: {text: none}}]
      - done: true
"#;
    let mut bench = Bench::new(rules).await;
    bench.plan_phase(2);
    assert!(bench.run().await);
    let seen = bench.seen();
    assert_eq!(seen.items.len(), 2);
    let results: Vec<&Value> = seen.turns.iter().map(|t| &t.turn.tool_results).collect();
    assert_eq!(results[0][1]["is_error"], true);
    assert_eq!(results[0][1]["content"], "1 of 2 items");
    assert_eq!(results[1][0]["type"], "text", "words do not end a phase");
    assert_eq!(results[2][1]["is_error"], Value::Null);
    let complete = bench.complete();
    assert_eq!(
        (complete.outcome, complete.stop_reason.as_str()),
        (AttemptOutcome::Succeeded, "submit_done")
    );
    assert!(complete.bundle.is_none());
}

#[tokio::test]
async fn the_same_refusal_three_times_ends_the_attempt() {
    let rules = "\n  - when: {turn: 0..}\n    reply: [{done: true}]\n";
    let bench = async || {
        let mut bench = Bench::new(rules).await;
        bench.plan_phase(2);
        bench
    };
    let first = bench().await;
    assert!(first.run().await);
    let complete = first.complete();
    assert_eq!(
        (complete.outcome, complete.turns),
        (AttemptOutcome::Failed, 3)
    );
    let says = "the output was refused 3 times: 0 of 2 items";
    assert_eq!(complete.error_message.as_deref(), Some(says));
    // People are told each time, at once.
    let events = first.seen().events;
    let told = events
        .iter()
        .filter(|e| e.event_type == AgentEventKind::ItemRefused);
    let told: Vec<&str> = told.filter_map(|e| e.summary.as_deref()).collect();
    assert_eq!(told, ["the output refused: 0 of 2 items"; 3]);

    // Whoever goes on from there counts on.
    let mut second = bench().await;
    let turns = first.seen().turns;
    second.context.resume = turns[..2].iter().map(|t| t.turn.clone()).collect();
    assert!(second.run().await);
    assert_eq!(second.seen().turns.len(), 1);
    assert_eq!(second.complete().outcome, AttemptOutcome::Failed);
}

#[tokio::test]
async fn protected_paths_are_put_back_and_undone_work_is_known() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "echo bad > .omoi_os/plan.md; echo new > .omoi_os/new.md; echo x > kept"}}}]
  - when: {turn: 1}
    reply: [{tool: {name: write, input: {path: ../../escape.txt, content: x}}}]
  - when: {turn: 2}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(
        complete.refused_paths,
        ["../../escape.txt", ".omoi_os/new.md", ".omoi_os/plan.md"]
    );
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let changed = git(
        &bench.mirror(),
        &["diff", "--name-only", bench.base(), &head],
    );
    assert_eq!(changed, "kept");
    assert!(!bench.work().join(".omoi_os/new.md").exists());

    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "echo x > a"}}}]
  - when: {turn: 1}
    reply: [{tool: {name: shell, input: {command: "rm a"}}}]
  - when: {turn: 2}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    assert!(bench.run().await);
    let snapshots: Vec<String> = bench
        .seen()
        .turns
        .iter()
        .filter_map(|t| t.snapshot.as_ref().map(|b| bench.take_in(b)))
        .map(|sha| {
            git(
                &bench.mirror(),
                &["diff", "--name-only", bench.base(), &sha],
            )
        })
        .collect();
    assert_eq!(snapshots, ["a", ""]);
    assert!(bench.complete().bundle.is_none());
}

#[tokio::test]
async fn a_begun_merge_gets_both_parents() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: write, input: {path: readme, content: \"both\\n\"}}}]\n  - when: {turn: 1}\n    reply: [{text: TASK_COMPLETE}]\n";
    let bench = Bench::new(rules).await;
    let theirs = bench.begin_merge();
    assert!(bench.run().await);
    let head = bench.take_in(bench.complete().bundle.as_ref().unwrap());
    let parents = git(&bench.mirror(), &["show", "-s", "--format=%P", &head]);
    assert_eq!(parents, format!("{} {theirs}", bench.base()));
}

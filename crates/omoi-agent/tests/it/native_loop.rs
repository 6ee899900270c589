//! The native loop at a task: begun, resumed, told something, interrupted.

use std::time::Duration;

use serde_json::json;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::message::MessageType;
use omoi_protocol::worker::TurnRecord;

use crate::bench::{Bench, git};
use crate::scripted_program::{interrupt_once, is_gone};

pub(crate) const WRITE_AND_FINISH: &str = r#"
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

const ASK_AND_FINISH: &str = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: write, input: {path: src/a.txt, content: "one\n"}}
      - tool: {name: ask_person, input: {question: "Which port?", choices: ["4317", "8080"]}}
  - when: {turn: 1}
    reply: [{text: "It is 4317.\n\nTASK_COMPLETE"}]
"#;

#[tokio::test]
async fn a_question_ends_the_attempt_and_its_answer_is_the_next_message() {
    let first = Bench::new(ASK_AND_FINISH).await;
    first.post_message(MessageType::UserMessage, "Use tabs.");
    assert!(first.run().await);
    let complete = first.complete();
    let ended = (complete.outcome, complete.stop_reason);
    let expected = (
        AttemptOutcome::Interrupted,
        AttemptStopReason::QuestionAsked,
    );
    assert_eq!(ended, expected);
    let asked = complete.question.unwrap();
    assert_eq!(asked.question, "Which port?");
    assert_eq!(asked.choices, ["4317", "8080"]);
    let seen = first.seen();
    assert_eq!(seen.turns.len(), 1);
    assert!(seen.turns[0].snapshot.is_some(), "the work is saved");
    assert!(seen.turns[0].messages.is_empty(), "what others say waits");

    // As after a loss between the turn and the report: it asks the same, and no model is asked.
    let mut lost = Bench::new("\n  - when: {role: nobody}\n    reply: []\n").await;
    lost.context.resume = vec![seen.turns[0].turn.clone()];
    assert!(lost.run().await);
    assert_eq!(lost.complete().question, Some(asked));
    assert!(lost.seen().turns.is_empty());

    let mut answered = Bench::new(ASK_AND_FINISH).await;
    let mut turn = seen.turns[0].turn.clone();
    let told = json!({ "type": "text", "text": "Message from user (user_message):\n4317" });
    turn.tool_results.as_array_mut().unwrap().push(told);
    answered.context.resume = vec![turn];
    std::fs::create_dir_all(answered.work().join("src")).unwrap();
    std::fs::write(answered.work().join("src/a.txt"), "one\n").unwrap();
    assert!(answered.run().await);
    assert_eq!(answered.complete().outcome, AttemptOutcome::Succeeded);
    let turns: Vec<u32> = answered.seen().turns.iter().map(|t| t.turn.n).collect();
    assert_eq!(turns, [1]);
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
    bench.run_past_command().await;
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
async fn an_interrupt_stops_a_running_command_at_once() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"echo $$ > pid; sleep 60\"}}}]\n";
    let bench = Bench::new(rules).await;
    let pid = bench.work().join("pid");
    // The end does not wait for events that the platform does not take.
    bench.set(|s| s.holds_events = true);
    interrupt_once(&bench, |_| pid.exists()).await;
    let complete = bench.complete();
    assert_eq!(complete.stop_reason, AttemptStopReason::Interrupt);
    assert!(complete.bundle.is_none());
    let seen = bench.seen();
    assert_eq!(seen.acked.len(), 1);
    assert!(!seen.events.is_empty() && !seen.waited_for_events);
    assert!(is_gone(&pid));
}

#[tokio::test]
async fn an_interrupt_right_behind_a_message_is_asked_for_without_a_pause() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"touch begun; sleep 60\"}}}]\n";
    let mut bench = Bench::new(rules).await;
    // As long as the pause between polls that bring nothing.
    bench.stop_pauses_of(Duration::from_secs(1));
    bench.post_message(MessageType::UserMessage, "Use tabs.");
    let begun = bench.work().join("begun");
    interrupt_once(&bench, |s| s.polls > 1 && begun.exists()).await;
    assert_eq!(bench.complete().stop_reason, AttemptStopReason::Interrupt);
}

#[tokio::test]
async fn the_platform_may_be_away_for_a_moment() {
    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| s.failures_left = 6);
    assert!(bench.run().await);
    assert_eq!(bench.complete().outcome, AttemptOutcome::Succeeded);
    assert_eq!(bench.seen().turns.len(), 3);
}

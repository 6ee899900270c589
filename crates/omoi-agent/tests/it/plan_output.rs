//! The output that an attempt of the native loop hands in for a phase.

use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::AttemptOutcome;

use crate::bench::Bench;

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

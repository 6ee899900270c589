//! The driver of Codex, against a program that speaks its app-server protocol.

use serde_json::json;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;

use crate::bench::{Bench, git};
use crate::scripted_program::{VERSION, event_kinds, scripted_bench};

/// A bench whose agent is the scripted program, with a quirk.
pub(crate) async fn bench(rules: &str, quirk: &str) -> Bench {
    scripted_bench(AgentProgram::Codex, rules, quirk).await
}

const WRITE_AND_FINISH: &str = r#"
  - when: {turn: 0}
    reply:
      - text: I write it.
      - tool: {name: shell, input: {command: "mkdir -p src; echo one > src/a.txt", timeout_s: 5}}
  - when: {turn: 1}
    reply:
      - tool: {name: shell, input: {command: "echo two >> src/a.txt; cat src/a.txt"}}
  - when: {turn: 2}
    reply: [{text: "Wrote the file.\n\nTASK_COMPLETE"}]
"#;

#[tokio::test]
async fn codex_does_a_task_round_by_round() {
    let bench = bench(WRITE_AND_FINISH, "").await;
    assert!(bench.run().await);
    let seen = bench.seen();
    let turns: Vec<_> = seen
        .turns
        .iter()
        .map(|t| (t.turn.n, t.snapshot.is_some()))
        .collect();
    assert_eq!(
        turns,
        [(0, true), (1, true), (2, false)],
        "{:?}",
        bench.complete()
    );
    let told = seen.turns[1].turn.tool_results.to_string();
    assert!(told.contains("exited with code 0"), "{told}");
    assert_eq!(seen.turns[2].turn.tool_results, json!([]));
    let started = &seen.started[0];
    assert_eq!(
        (started.agent, started.version.as_str()),
        (AgentProgram::Codex, VERSION)
    );

    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    assert_eq!(complete.summary.as_deref(), Some("Wrote the file."));
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let file = git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]);
    assert_eq!(file, "one\ntwo");

    // The events of a native attempt; an answer is read once its tools have run.
    let command = [
        "agent.tool_use",
        "command.started",
        "command.completed",
        "agent.tool_result",
    ];
    let words = ["agent.assistant_message"];
    let want = [
        &command[..],
        &words[..],
        &command[..],
        &words[..],
        &words[..],
    ];
    assert_eq!(event_kinds(&bench), want.concat());
    assert_eq!(seen.events[2].event_data["exit_code"], 0);
}

#[tokio::test]
async fn a_planner_hands_in_items_before_it_is_done_and_changes_nothing() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: shell, input: {command: "echo x > stray", timeout_s: 5}}
      - tool: {name: shell, input: {command: "cat readme", timeout_s: 5}}
  - when: {turn: 1}
    reply: [{text: "That is all.\n\nTASK_COMPLETE"}]
  - when: {turn: 2}
    reply:
      - tool: {name: submit_item, input: {section: goals, key: G1, value: {text: fast}}}
      - tool: {name: submit_item, input: {section: risks, key: R1, value: {text: none}}}
      - tool: {name: submit_done, input: {}}
"#;
    let mut bench = bench(rules, "").await;
    bench.plan_phase(2);
    assert!(bench.run().await);
    let seen = bench.seen();
    let complete = bench.complete();
    assert_eq!(
        seen.asked, 3,
        "once the output is accepted, the model is not asked again: {complete:?}"
    );
    // The program says that it is done before it hands anything in; its calls wait for their turn.
    let keys: Vec<_> = seen.items.iter().map(|item| item.key.clone()).collect();
    assert_eq!(keys, ["G1", "R1"], "{complete:?}");
    assert!(!bench.work().join("stray").exists());
    let results: Vec<_> = seen
        .turns
        .iter()
        .map(|t| t.turn.tool_results.to_string())
        .collect();
    assert!(results[0].contains("rejected"), "{}", results[0]);
    assert!(results[0].contains("base"), "{}", results[0]);
    let refused = seen.events.iter().map(|e| e.event_data.to_string());
    assert!(
        refused
            .into_iter()
            .any(|data| data.contains("read-only for you"))
    );
    let names = &seen.turns[2].turn.response;
    assert_eq!(
        names[2]["name"], "submit_done",
        "the platform's own names are stored"
    );
    let session = seen.turns[0].turn.session.clone().unwrap().added;
    assert!(session.contains("You are an agent."), "{session}");
    assert!(session.contains("workspace is read-only"), "{session}");
    let end = (complete.outcome, complete.stop_reason.as_str());
    assert_eq!(end, (AttemptOutcome::Succeeded, "submit_done"));
}

#[tokio::test]
async fn what_a_command_did_to_protected_paths_is_put_back() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "echo x > .omoi_os/new.md; echo x > kept; exit 3"}}}]
  - when: {turn: 1}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = bench(rules, "").await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.refused_paths, [".omoi_os/new.md"], "{complete:?}");
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let changed = git(
        &bench.mirror(),
        &["diff", "--name-only", bench.base(), &head],
    );
    assert_eq!(changed, "kept");
    let seen = bench.seen();
    assert_eq!(seen.turns[0].turn.tool_results[0]["is_error"], true);
    let command = seen
        .events
        .iter()
        .find(|e| e.event_type == AgentEventKind::CommandCompleted);
    assert_eq!(command.unwrap().event_data["exit_code"], 3);
}

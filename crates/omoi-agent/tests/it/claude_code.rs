//! The driver of Claude Code, against a program that speaks its line protocol.

use serde_json::json;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_domain::retry::ErrorClass;

use crate::bench::{Bench, git};
use crate::scripted_program::{VERSION, event_kinds, scripted_bench};

/// A bench whose agent is the scripted program, with a quirk.
pub(crate) async fn bench(rules: &str, quirk: &str) -> Bench {
    scripted_bench(AgentProgram::ClaudeCode, rules, quirk).await
}

const WRITE_AND_FINISH: &str = r#"
  - when: {turn: 0}
    reply:
      - text: I write it.
      - tool: {name: Write, input: {file_path: src/a.txt, content: "one\n"}}
  - when: {turn: 1}
    reply:
      - tool: {name: Bash, input: {command: "echo two >> src/a.txt; cat src/a.txt"}}
  - when: {turn: 2}
    reply: [{text: "Wrote the file.\n\nTASK_COMPLETE"}]
"#;

#[tokio::test]
async fn a_program_does_a_task_round_by_round() {
    let bench = bench(WRITE_AND_FINISH, "").await;
    assert!(bench.run().await);
    let seen = bench.seen();
    let turns: Vec<_> = seen
        .turns
        .iter()
        .map(|t| (t.turn.n, t.snapshot.is_some()))
        .collect();
    assert_eq!(turns, [(0, true), (1, true), (2, false)]);
    assert_eq!(seen.turns[0].turn.tool_results[0]["content"], "written");
    assert_eq!(seen.turns[2].turn.tool_results, json!([]));
    let started = &seen.started[0];
    assert_eq!(
        (started.agent, started.version.as_str()),
        (AgentProgram::ClaudeCode, VERSION)
    );

    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    assert_eq!(complete.summary.as_deref(), Some("Wrote the file."));
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let file = git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]);
    assert_eq!(file, "one\ntwo");

    // The events of a native attempt.
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
    assert_eq!(event_kinds(&bench), want);
    let edited = &seen.events[2].event_data;
    assert_eq!(
        (&edited["file_path"], &edited["lines_added"]),
        (&json!("src/a.txt"), &json!(1))
    );
    assert_eq!(seen.events[7].event_data["exit_code"], 0);
}

#[tokio::test]
async fn a_planner_hands_in_items_and_changes_nothing() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: Bash, input: {command: "echo x > stray"}}
      - tool: {name: mcp__omoi__submit_item, input: {section: goals, key: G1, value: {text: fast}}}
      - tool: {name: mcp__omoi__submit_done, input: {}}
  - when: {turn: 1}
    reply: [{text: "That is all.\n\nTASK_COMPLETE"}]
  - when: {turn: 2}
    reply:
      - tool: {name: mcp__omoi__submit_item, input: {section: risks, key: R1, value: {text: none}}}
      - tool: {name: mcp__omoi__submit_done, input: {}}
"#;
    let mut bench = bench(rules, "offers-bash").await;
    // The program is asked to refuse what it would offer by itself.
    bench.plan_phase(2);
    assert!(bench.run().await);
    let seen = bench.seen();
    assert_eq!(
        seen.asked, 3,
        "once the output is accepted, the model is not asked again"
    );
    assert_eq!(seen.items.len(), 2, "{:?}", bench.complete());
    assert!(!bench.work().join("stray").exists());
    let results: Vec<_> = seen
        .turns
        .iter()
        .map(|t| t.turn.tool_results.to_string())
        .collect();
    assert!(results[0].contains("read-only for you"), "{}", results[0]);
    assert!(results[0].contains("1 of 2 items"), "{}", results[0]);
    assert!(
        results[1].contains("only that ends the phase"),
        "{}",
        results[1]
    );
    let names = &seen.turns[2].turn.response;
    assert_eq!(
        names[1]["name"], "submit_done",
        "the platform's own names are stored"
    );
    let complete = bench.complete();
    let end = (complete.outcome, complete.stop_reason.as_str());
    assert_eq!(end, (AttemptOutcome::Succeeded, "submit_done"));
}

#[tokio::test]
async fn a_program_writes_no_protected_path_and_nothing_outside() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: Write, input: {file_path: ../escape.txt, content: x}}
      - tool: {name: Write, input: {file_path: .omoi_os/plan.md, content: x}}
      - tool: {name: Bash, input: {command: "echo x > .omoi_os/new.md; echo x > kept; exit 3"}}
  - when: {turn: 1}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = bench(rules, "").await;
    assert!(bench.run().await);
    let results = bench.seen().turns[0].turn.tool_results.to_string();
    assert!(results.contains("outside the workspace"), "{results}");
    assert!(results.contains("is protected"), "{results}");
    let violations = event_kinds(&bench)
        .iter()
        .filter(|k| *k == "agent.policy_violation")
        .count();
    assert_eq!(violations, 3, "two tools, and what the command did");
    let complete = bench.complete();
    assert_eq!(complete.refused_paths, ["../escape.txt", ".omoi_os/new.md"]);
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let changed = git(
        &bench.mirror(),
        &["diff", "--name-only", bench.base(), &head],
    );
    assert_eq!(changed, "kept");
    let seen = bench.seen();
    let command = seen
        .events
        .iter()
        .find(|e| e.event_type == AgentEventKind::CommandCompleted);
    assert_eq!(command.unwrap().event_data["exit_code"], 3);
}

#[tokio::test]
async fn a_fenced_program_that_ignores_it_is_ended_at_once() {
    let bench = bench(WRITE_AND_FINISH, "ignores-refusals").await;
    bench.set(|s| {
        s.model_status = Some(403);
        s.model_kind = Some("superseded_attempt");
    });
    assert!(bench.run().await);
    assert!(bench.seen().completes.is_empty());
}

#[tokio::test]
async fn a_refusal_within_a_turn_that_is_called_a_success_fails_it() {
    let bench = bench(WRITE_AND_FINISH, "calm").await;
    bench.set(|s| s.model_status = Some(400));
    assert!(bench.run().await);
    let class = bench.complete().error_class;
    assert_eq!(class, Some(ErrorClass::UpstreamRefused));
    assert_eq!(bench.seen().asked, 1);
}

#[tokio::test]
async fn other_callers_of_the_port_are_refused_and_the_attempt_goes_on() {
    for quirk in ["stranger", "odd-request"] {
        let bench = bench(WRITE_AND_FINISH, quirk).await;
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
        assert_eq!(bench.seen().asked, 3, "{quirk}");
        if quirk == "stranger" {
            let told = std::fs::read_to_string(bench.work().join("refused-401")).unwrap();
            assert!(told.contains("authentication_error"), "{told}");
            assert!(bench.work().join("refused-404").exists());
        }
    }
}

#[tokio::test]
async fn a_program_reads_nothing_outside() {
    let mut bench = bench("\n  - when: {turn: 0}\n    reply: [{tool: {name: Read, input: {file_path: ../context.json}}}]\n  - when: {turn: 1}\n    reply: [{text: TASK_COMPLETE}]\n", "").await;
    bench.context.limits.turns_max = 3;
    assert!(bench.run().await);
    let results = bench.seen().turns[0].turn.tool_results.to_string();
    assert!(results.contains("outside the workspace"), "{results}");
}

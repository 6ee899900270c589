//! The driver of the Agent Client Protocol, against a program that speaks it as opencode, the bridge to
//! Claude Code and Qwen Code do.

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;

use crate::bench::{Bench, git};
use crate::scripted_program::{
    BRIDGE, OPENCODE, QWEN, VERSION, conversation, program_failure, scripted_bench,
};

/// The programs of the protocol.
const PROGRAMS: [AgentProgram; 3] = [OPENCODE, BRIDGE, QWEN];

/// A bench whose agent is the scripted program as opencode, with a quirk.
async fn bench(rules: &str, quirk: &str) -> Bench {
    scripted_bench(OPENCODE, rules, quirk).await
}

/// Whether results tell of a call that was not allowed: by an answer to its question, or by a rule of opencode's settings
/// or its tool of ours.
fn tells_refusal(results: &str) -> bool {
    let words = ["rejected", "a rule which prevents", "outside the workspace"];
    words.iter().any(|word| results.contains(word))
}

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
async fn an_acp_agent_does_a_task_round_by_round() {
    for (agent, quirk) in [
        (OPENCODE, ""),
        // It asks before it tells the arguments, or writes more than the protocol.
        (OPENCODE, "early"),
        (OPENCODE, "noise"),
        // It asks what its client does not know.
        (BRIDGE, "asks-more"),
        (QWEN, "asks-more"),
    ] {
        let bench = scripted_bench(agent, WRITE_AND_FINISH, quirk).await;
        assert!(bench.run().await);
        let seen = bench.seen();
        let turns: Vec<_> = seen
            .turns
            .iter()
            .map(|t| (t.turn.n, t.snapshot.is_some()))
            .collect();
        let complete = bench.complete();
        assert_eq!(turns, [(0, true), (1, true), (2, false)], "{complete:?}");
        let told = seen.turns[1].turn.tool_results.to_string();
        assert!(told.contains("one\\ntwo"), "{told}");
        let started = &seen.started[0];
        assert_eq!((started.agent, started.version.as_str()), (agent, VERSION));
        let session = seen.turns[0].turn.session.clone().unwrap();
        match agent {
            // Its conversation stands in the turns.
            OPENCODE => assert_eq!((session.session_id.as_str(), session.end), ("ses_1", 0)),
            _ => assert!(session.added.contains("I write it."), "{session:?}"),
        }

        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
        assert_eq!(complete.summary.as_deref(), Some("Wrote the file."));
        let head = bench.take_in(complete.bundle.as_ref().unwrap());
        let file = git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]);
        assert_eq!(file, "one\ntwo");

        // The events of a native attempt; an answer is known once its calls have run.
        let kinds: Vec<_> = seen
            .events
            .iter()
            .map(|e| e.event_type.to_string())
            .collect();
        let want = [
            "agent.tool_use",
            "agent.file_edited",
            "agent.tool_result",
            "agent.assistant_message",
            "agent.tool_use",
            "command.started",
            "command.completed",
            "agent.tool_result",
            "agent.assistant_message",
            "agent.assistant_message",
        ];
        assert_eq!(kinds, want, "{agent}");
        assert_eq!(seen.events[6].event_data["exit_code"], 0);
    }
}

#[tokio::test]
async fn an_acp_planner_hands_in_items_in_order_and_reads_nothing_outside() {
    for agent in PROGRAMS {
        plans_within_the_workspace(agent).await;
    }
}

async fn plans_within_the_workspace(agent: AgentProgram) {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: read, input: {path: /etc/hostname}}
      - tool: {name: read, input: {path: readme}}
  - when: {turn: 1}
    reply: [{text: "That is all.\n\nTASK_COMPLETE"}]
  - when: {turn: 2}
    reply:
      - tool: {name: submit_item, input: {section: goals, key: G1, value: {text: fast}}}
      - tool: {name: submit_item, input: {section: risks, key: R1, value: {text: none}}}
      - tool: {name: submit_done, input: {}}
"#;
    let mut bench = scripted_bench(agent, rules, "").await;
    bench.plan_phase(2);
    assert!(bench.run().await);
    let seen = bench.seen();
    let complete = bench.complete();
    assert_eq!(
        seen.asked, 3,
        "once the output is accepted, the model is not asked again: {complete:?}"
    );
    let keys: Vec<_> = seen.items.iter().map(|item| item.key.clone()).collect();
    assert_eq!(keys, ["G1", "R1"], "{complete:?}");
    let results = seen.turns[0].turn.tool_results.to_string();
    assert!(tells_refusal(&results), "{results}");
    assert!(results.contains("base"), "{results}");
    let events = seen.events.iter().map(|e| e.event_data.to_string());
    let mut events = events.filter(|data| data.contains("outside the workspace"));
    assert!(events.next().is_some(), "the event says why");
    let names = &seen.turns[2].turn.response;
    assert_eq!(
        names[2]["name"], "submit_done",
        "the platform's own names are stored"
    );
    let end = (complete.outcome, complete.stop_reason.as_str());
    assert_eq!(end, (AttemptOutcome::Succeeded, "submit_done"));
}

#[tokio::test]
async fn an_acp_agent_cannot_change_protected_paths() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: write, input: {path: .omoi_os/plan.md, content: "mine\n"}}
      - tool: {name: shell, input: {command: "echo x > .omoi_os/new.md; echo x > kept; exit 3"}}
  - when: {turn: 1}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = bench(rules, "").await;
    assert!(bench.run().await);
    let complete = bench.complete();
    // The write was refused before it ran; what the command did was put back.
    assert_eq!(complete.refused_paths, [".omoi_os/new.md"], "{complete:?}");
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let changed = git(
        &bench.mirror(),
        &["diff", "--name-only", bench.base(), &head],
    );
    assert_eq!(changed, "kept");
    let seen = bench.seen();
    let results = seen.turns[0].turn.tool_results.to_string();
    assert!(tells_refusal(&results), "{results}");
    let mut commands = seen
        .events
        .iter()
        .filter(|e| e.event_type == AgentEventKind::CommandCompleted);
    assert_eq!(commands.next().unwrap().event_data["exit_code"], 3);
}

#[tokio::test]
async fn a_refused_call_takes_no_other_of_its_answer_with_it() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: write, input: {path: .omoi_os/plan.md, content: "mine\n"}}
      - tool: {name: write, input: {path: src/a.txt, content: "one\n"}}
  - when: {turn: 1}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = bench(rules, "").await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let file = git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]);
    assert_eq!(file, "one");
    let results = bench.seen().turns[0].turn.tool_results.to_string();
    assert!(tells_refusal(&results), "{results}");
}

#[tokio::test]
async fn an_acp_agent_that_would_run_plugins_of_the_repository_is_refused() {
    for (agent, path) in [(OPENCODE, ".opencode"), (QWEN, ".qwen")] {
        let bench = scripted_bench(agent, WRITE_AND_FINISH, "").await;
        std::fs::create_dir_all(bench.work().join(path).join("plugin")).unwrap();
        assert!(bench.run().await);
        let message = program_failure(&bench);
        let want = format!("it would run what `{path}` of this repository says");
        assert!(message.contains(&want), "{message}");
        assert_eq!(bench.seen().asked, 0);
    }
}

#[tokio::test]
async fn a_program_whose_turn_ends_with_a_refusal_hears_of_it_and_goes_on() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: write, input: {path: .omoi_os/plan.md, content: "mine\n"}}}]
  - when: {turn: 1}
    reply: [{text: "Not that then.\n\nTASK_COMPLETE"}]
"#;
    let bench = scripted_bench(QWEN, rules, "").await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    assert_eq!(bench.seen().turns.len(), 2);
    let told = conversation(&bench);
    assert!(told.contains("A call was not allowed: "), "{told}");
    assert!(told.contains("Go on with the task"), "{told}");
}

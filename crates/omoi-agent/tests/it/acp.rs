//! The driver of the Agent Client Protocol, against a program that speaks it as opencode, the bridge to
//! Claude Code and Qwen Code do.

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_domain::message::MessageType;
use omoi_domain::retry::ErrorClass;

use crate::bench::{Bench, git};
use crate::scripted_program::{VERSION, conversation, interrupt_once, is_gone, scripted_bench};

/// The programs of the protocol.
const PROGRAMS: [AgentProgram; 3] = [OPENCODE, BRIDGE, QWEN];
const OPENCODE: AgentProgram = AgentProgram::AcpOpenCode;
const BRIDGE: AgentProgram = AgentProgram::AcpClaude;
const QWEN: AgentProgram = AgentProgram::AcpQwen;

/// A bench whose agent is the scripted program as opencode, with a quirk.
async fn bench(rules: &str, quirk: &str) -> Bench {
    scripted_bench(OPENCODE, rules, quirk).await
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
    assert!(results.contains("rejected"), "{results}");
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
    assert!(results.contains("rejected"), "{results}");
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
    // It asks for both before it tells what either is made with.
    let bench = bench(rules, "early").await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let file = git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")]);
    assert_eq!(file, "one");
    let results = bench.seen().turns[0].turn.tool_results.to_string();
    assert!(results.contains("rejected"), "{results}");
}

#[tokio::test]
async fn an_interrupt_stops_an_acp_agent_and_leaves_nothing_running() {
    let words = "\n  - when: {turn: 0}\n    reply: [{delay_ms: 30000}, {text: TASK_COMPLETE}]\n";
    let command = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"echo $$ > pid; sleep 60\"}}}]\n";
    for (agent, rules, quirk, file) in [
        (OPENCODE, words, "daemon", "daemon"),
        (OPENCODE, command, "", "pid"),
        (OPENCODE, command, "deaf", "pid"),
        (BRIDGE, command, "", "pid"),
        (QWEN, command, "", "pid"),
    ] {
        let bench = scripted_bench(agent, rules, quirk).await;
        let file = bench.work().join(file);
        interrupt_once(&bench, |s| s.asked > 0 && file.exists()).await;
        assert!(is_gone(&file), "{rules}");
        for name in [".aws", ".agents"] {
            assert!(!bench.work().join(name).exists(), "`{name}` is swept");
        }
    }
}

#[tokio::test]
async fn a_message_goes_to_an_acp_agent_at_the_end_of_its_turn_and_a_nudge_as_well() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "until test -e go; do sleep 0.05; done; rm go"}}}]
  - when: {turn: 1}
    reply: [{text: "Done.\n\nTASK_COMPLETE"}]
  - when: {turn: 2}
    reply: [{text: "Tabs it is."}]
  - when: {turn: 3}
    reply: [{text: "TASK_COMPLETE"}]
"#;
    let bench = bench(rules, "").await;
    bench.post_message(MessageType::UserMessage, "Use tabs.");
    let go = async {
        let began = |kind: AgentEventKind| kind == AgentEventKind::CommandStarted;
        bench
            .until(|s| s.polls > 0 && s.events.iter().any(|e| began(e.event_type)))
            .await;
        std::fs::write(bench.work().join("go"), "").unwrap();
    };
    let (clean, ()) = tokio::join!(bench.run(), go);
    assert!(clean);
    let seen = bench.seen();
    let read: Vec<usize> = seen.turns.iter().map(|t| t.messages.len()).collect();
    assert_eq!(read, [0, 1, 0, 0], "{:?}", bench.complete());
    let told = conversation(&bench);
    assert!(told.contains("Use tabs."), "{told}");
    assert!(told.contains("No tool was called"), "{told}");
    assert_eq!(bench.complete().outcome, AttemptOutcome::Succeeded);
}

#[tokio::test]
async fn a_refusal_of_the_gateway_ends_an_acp_agent_whatever_it_says_or_does() {
    for (agent, status, quirk, outcome, class) in [
        (
            OPENCODE,
            429,
            "",
            AttemptOutcome::Failed,
            Some(ErrorClass::RateLimited),
        ),
        (
            QWEN,
            500,
            "retries",
            AttemptOutcome::Failed,
            Some(ErrorClass::Upstream5xx),
        ),
        (
            BRIDGE,
            400,
            "success",
            AttemptOutcome::Failed,
            Some(ErrorClass::UpstreamRefused),
        ),
        (OPENCODE, 402, "", AttemptOutcome::Incomplete, None),
    ] {
        let bench = scripted_bench(agent, WRITE_AND_FINISH, quirk).await;
        bench.set(|s| s.model_status = Some(status));
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(
            (complete.outcome, complete.error_class),
            (outcome, class),
            "{complete:?}"
        );
    }
    // One that the gateway does not know any more is ended at once and says nothing.
    let bench = bench(WRITE_AND_FINISH, "deaf").await;
    bench.set(|s| s.model_status = Some(401));
    assert!(bench.run().await);
    assert!(bench.seen().completes.is_empty());
}

#[tokio::test]
async fn an_acp_agent_that_is_not_what_it_should_be_is_named() {
    for (quirk, words) in [
        ("log-in", "it refused a request: Authentication required"),
        (
            "other-version",
            "it says it is version 9.9.9, but 1.2.3 was installed",
        ),
    ] {
        let bench = bench(WRITE_AND_FINISH, quirk).await;
        assert!(bench.run().await);
        let message = bench.complete().error_message.unwrap_or_default();
        assert!(message.contains(words), "{message}");
    }
    // It would run the plugins of a repository, whatever its settings say.
    for (agent, path) in [(OPENCODE, ".opencode"), (QWEN, ".qwen")] {
        let bench = scripted_bench(agent, WRITE_AND_FINISH, "").await;
        std::fs::create_dir_all(bench.work().join(path).join("plugin")).unwrap();
        assert!(bench.run().await);
        let message = bench.complete().error_message.unwrap_or_default();
        let want = format!("it would run what `{path}` of this repository says");
        assert!(message.contains(&want), "{message}");
        assert_eq!(bench.seen().asked, 0);
    }
}

#[tokio::test]
async fn the_turns_of_an_acp_agent_are_limited_as_ours_are() {
    let busy =
        "\n  - when: {turn: 0..}\n    reply: [{tool: {name: shell, input: {command: echo x}}}]\n";
    let bench = bench(busy, "").await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Incomplete);
    assert_eq!(
        (complete.stop_reason.as_str(), complete.turns),
        ("max_turns_reached", 6)
    );
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

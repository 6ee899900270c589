//! Programs that are lost: with their sandbox, or alone in the middle of an attempt.

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_domain::retry::ErrorClass;
use omoi_protocol::worker::TurnRecord;
use serde_json::Value;

use crate::bench::{Bench, git};
use crate::scripted_program::{conversation, event_kinds, scripted_bench};

const CLAUDE: AgentProgram = AgentProgram::ClaudeCode;
const CODEX: AgentProgram = AgentProgram::Codex;
const OPENCODE: AgentProgram = AgentProgram::AcpOpenCode;
const BRIDGE: AgentProgram = AgentProgram::AcpClaude;
const QWEN: AgentProgram = AgentProgram::AcpQwen;
const PROGRAMS: [AgentProgram; 5] = [CLAUDE, CODEX, OPENCODE, BRIDGE, QWEN];

const TWO_COMMANDS: &str = r#"
  - when: {turn: 0}
    reply:
      - text: I write it.
      - tool: {name: shell, input: {command: "mkdir -p src; echo one > src/a.txt"}}
  - when: {turn: 1}
    reply: [{tool: {name: shell, input: {command: "echo two >> src/a.txt; cat src/a.txt"}}}]
  - when: {turn: 2}
    reply: [{text: "Wrote the file.\n\nTASK_COMPLETE"}]
"#;
const DONE_AT_ONCE: &str = "\n  - when: {turn: 0}\n    reply: [{text: TASK_COMPLETE}]\n";

fn turns_of(bench: &Bench) -> Vec<TurnRecord> {
    let seen = bench.seen();
    seen.turns.iter().map(|t| t.turn.clone()).collect()
}

/// What its commit has in the file that the commands write.
fn file_of(bench: &Bench) -> String {
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    git(&bench.mirror(), &["show", &format!("{head}:src/a.txt")])
}

/// What a program was told: its session file, or its conversation where our turns hold that.
fn told_to(bench: &Bench) -> String {
    let turns = turns_of(bench);
    let added = turns.iter().filter_map(|turn| turn.session.as_ref());
    let added: String = added.map(|part| part.added.as_str()).collect();
    match added.is_empty() {
        true => conversation(bench),
        false => added,
    }
}

#[tokio::test]
async fn a_lost_sandbox_is_resumed_within_its_turn_and_nothing_is_done_twice() {
    for agent in PROGRAMS {
        let first = scripted_bench(agent, TWO_COMMANDS, "").await;
        assert!(first.run().await);
        let all = turns_of(&first);
        let parts: Vec<_> = all.iter().filter_map(|t| t.session.as_ref()).collect();
        assert_eq!(parts.len(), 3, "{agent}");
        assert_eq!(parts[1].offset, parts[0].added.len() as u64, "{agent}");

        // As after a loss between the rounds 0 and 1, in a new sandbox.
        let mut second = scripted_bench(agent, TWO_COMMANDS, "").await;
        second.context.resume = all[..1].to_vec();
        std::fs::create_dir_all(second.work().join("src")).unwrap();
        std::fs::write(second.work().join("src/a.txt"), "one\n").unwrap();
        assert!(second.run().await);
        let turns = turns_of(&second);
        let numbers: Vec<u32> = turns.iter().map(|turn| turn.n).collect();
        assert_eq!(numbers, [1, 2], "{agent}: {:?}", second.complete());
        let part = turns[0].session.clone().unwrap();
        assert_eq!(
            (&part.session_id, part.offset),
            (&parts[0].session_id, parts[1].offset),
            "{agent}"
        );
        assert_eq!(file_of(&second), "one\ntwo", "{agent}");

        // Without its session it begins anew in what the workspace holds; so with a gap in it.
        let mut third = scripted_bench(agent, DONE_AT_ONCE, "").await;
        third.context.resume = all[..2].to_vec();
        third.context.resume[0].session = None;
        if agent == OPENCODE {
            third.context.resume[1].session = None;
        }
        assert!(third.run().await);
        let complete = third.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
        let told = told_to(&third);
        assert!(told.contains("its conversation is lost"), "{agent}: {told}");
    }
}

#[tokio::test]
async fn a_resumed_acp_agent_is_told_its_conversation_up_to_the_loss() {
    for agent in [OPENCODE, BRIDGE, QWEN] {
        let first = scripted_bench(agent, TWO_COMMANDS, "").await;
        assert!(first.run().await);
        let mut second = scripted_bench(agent, TWO_COMMANDS, "").await;
        second.context.resume = turns_of(&first)[..1].to_vec();
        assert!(second.run().await);
        let words =
            |bench: &Bench| -> Vec<Value> { serde_json::from_str(&conversation(bench)).unwrap() };
        let (before, after) = (words(&first), words(&second));
        assert_eq!(before[0], after[0], "{agent}");
        // What else a program says of its calls is its own.
        let (content, id) = match agent {
            OPENCODE => ("/content", "/tool_calls/0/id"),
            _ => ("/content/0", "/content/1/id"),
        };
        for part in [content, id] {
            assert!(before[1].pointer(part).is_some(), "{agent}: {before:?}");
            assert_eq!(before[1].pointer(part), after[1].pointer(part), "{agent}");
        }
        let result = match agent {
            OPENCODE => "/content",
            _ => "/content/0/tool_use_id",
        };
        assert_eq!(before[2].pointer(result), after[2].pointer(result));
        assert_eq!(after[3]["role"], "user", "{after:?}");
        assert!(after[3].to_string().contains("Go on"), "{after:?}");
    }
}

#[tokio::test]
async fn a_program_that_crashes_between_calls_goes_on_in_its_attempt() {
    for agent in PROGRAMS {
        let bench = scripted_bench(agent, TWO_COMMANDS, "dies-asking").await;
        assert!(bench.run().await);
        assert_eq!(file_of(&bench), "one\ntwo", "{agent}");
        let numbers: Vec<u32> = turns_of(&bench).iter().map(|turn| turn.n).collect();
        assert_eq!(numbers, [0, 1, 2], "{agent}");
        let seen = bench.seen();
        let restarts = seen.events.iter();
        let restarts = restarts.filter(|e| e.event_type == AgentEventKind::ProgramRestarted);
        let reasons: Vec<_> = restarts
            .map(|e| e.event_data["reason"].to_string())
            .collect();
        assert_eq!(reasons.len(), 1, "{agent}: {reasons:?}");
        assert!(reasons[0].contains("SIGSEGV"), "{reasons:?}");
        let commands = event_kinds(&bench);
        let commands = commands.iter().filter(|kind| *kind == "command.started");
        assert_eq!(commands.count(), 2, "{agent}");
    }
}

#[tokio::test]
async fn a_program_that_is_killed_after_it_acted_is_left_to_the_next_attempt() {
    for agent in PROGRAMS {
        let bench = scripted_bench(agent, TWO_COMMANDS, "dies-acting").await;
        assert!(bench.run().await);
        let complete = bench.complete();
        let end = (complete.outcome, complete.error_class);
        let want = (AttemptOutcome::Failed, Some(ErrorClass::AgentError));
        assert_eq!(end, want, "{agent}: {complete:?}");
        let message = complete.error_message.unwrap_or_default();
        assert!(message.contains("SIGKILL"), "{agent}: {message}");
        assert!(turns_of(&bench).is_empty(), "{agent}");
        let kinds = event_kinds(&bench);
        assert!(!kinds.contains(&"agent.program_restarted".to_owned()));
        assert!(kinds.contains(&"agent.error".to_owned()), "{kinds:?}");
    }
}

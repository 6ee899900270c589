//! Programs that are lost: with their sandbox, alone in the middle of an attempt, or to a newer version of themselves.

use std::path::Path;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_domain::message::MessageType;
use omoi_protocol::worker::TurnRecord;
use serde_json::Value;

use crate::bench::{Bench, git};
use crate::program_starts::declared_bench;
use crate::scripted_program::{
    BRIDGE, CLAUDE, CODEX, DONE_AT_ONCE, OPENCODE, QWEN, conversation, event_kinds, interrupt_once,
    program_failure, scripted_bench,
};

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
        is_left_to_the_next(&bench, 0).await;
        // Neither after turns that are committed.
        let bench = scripted_bench(agent, TWO_COMMANDS, "dies-acting-later").await;
        is_left_to_the_next(&bench, 1).await;
    }
    // One that need not ask is judged by the first word of a call, whatever it says that the call is.
    for manner in ["declared", "unasked", "misnamed"] {
        let bench = declared_bench(TWO_COMMANDS, manner, "dies-acting-later").await;
        is_left_to_the_next(&bench, 1).await;
    }
}

/// The program is killed after `n_turns`, in a call that may have done something: its attempt fails.
async fn is_left_to_the_next(bench: &Bench, n_turns: usize) {
    let agent = bench.context.agent.program;
    assert!(bench.run().await);
    let message = program_failure(bench);
    assert!(message.contains("SIGKILL"), "{agent}: {message}");
    assert_eq!(turns_of(bench).len(), n_turns, "{agent}");
    let kinds = event_kinds(bench);
    assert!(!kinds.contains(&"agent.program_restarted".to_owned()));
    assert!(kinds.contains(&"agent.error".to_owned()), "{kinds:?}");
}

#[tokio::test]
async fn a_declared_agent_that_crashed_begins_anew_with_the_messages_that_it_was_told() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "until test -e go; do sleep 0.05; done"}}}]
  - when: {turn: 1}
    reply: [{text: "Done.\n\nTASK_COMPLETE"}]
  - when: {turn: 2}
    reply: [{text: "Tabs it is."}]
"#;
    let bench = declared_bench(rules, "declared", "dies-told").await;
    bench.post_message(MessageType::UserMessage, "Use tabs.");
    bench.run_past_command().await;
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    let seen = bench.seen();
    let read: Vec<_> = seen
        .turns
        .iter()
        .map(|t| (t.turn.n, t.messages.len()))
        .collect();
    assert_eq!(read, [(0, 0), (1, 1), (2, 0), (3, 0)]);
    let restarts = event_kinds(&bench);
    let restarts = restarts
        .iter()
        .filter(|kind| *kind == "agent.program_restarted");
    assert_eq!(restarts.count(), 1);
    // All that the second one is told.
    let told = conversation(&bench);
    assert!(told.contains("its conversation is lost"), "{told}");
    assert_eq!(told.matches("Use tabs.").count(), 1, "{told}");
    // What was said of an answer that it has not given is not for it.
    assert!(!told.contains("Before you finish"), "{told}");
}

#[tokio::test]
async fn a_program_that_updates_itself_is_refused_by_its_version() {
    for agent in PROGRAMS {
        let bench = scripted_bench(agent, DONE_AT_ONCE, "updates-itself").await;
        is_of_another_version(&bench).await;
    }
    let bench = declared_bench(DONE_AT_ONCE, "declared", "updates-itself").await;
    is_of_another_version(&bench).await;
}

async fn is_of_another_version(bench: &Bench) {
    assert!(bench.run().await);
    let message = program_failure(bench);
    let words = "it says it is version 9.9.9, but 1.2.3 was installed";
    assert!(message.contains(words), "{message}");
}

#[tokio::test]
async fn nothing_is_left_of_a_program_that_forks_after_the_stop() {
    let words = "\n  - when: {turn: 0}\n    reply: [{delay_ms: 30000}, {text: TASK_COMPLETE}]\n";
    for agent in [CLAUDE, CODEX, OPENCODE] {
        let bench = scripted_bench(agent, words, "forks").await;
        interrupt_once(&bench, |s| s.asked > 0).await;
        assert!(bench.work().join("links").exists(), "{agent} did not fork");
        let left = processes_naming(&bench.work());
        assert!(left.is_empty(), "{agent}: {left:?}");
    }
}

/// The command lines of processes that name `folder`.
fn processes_naming(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(folder)).collect()
}

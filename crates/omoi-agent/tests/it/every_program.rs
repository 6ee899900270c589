//! What holds for every program, whatever protocol it speaks.

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::message::MessageType;
use omoi_domain::retry::ErrorClass;

use crate::scripted_program::{
    BRIDGE, CLAUDE, CODEX, DONE_AT_ONCE, OPENCODE, QWEN, conversation, interrupt_once, is_gone,
    program_failure, scripted_bench,
};

/// One of each protocol.
const PROTOCOLS: [AgentProgram; 3] = [CLAUDE, CODEX, OPENCODE];

#[tokio::test]
async fn an_interrupt_stops_words_and_commands_and_leaves_nothing_running() {
    let words = "\n  - when: {turn: 0}\n    reply: [{delay_ms: 30000}, {text: TASK_COMPLETE}]\n";
    let command = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"echo $$ > pid; sleep 60\"}}}]\n";
    for (agents, rules, quirk, file) in [
        (&PROTOCOLS[..], words, "daemon", "daemon"),
        (&[CLAUDE, CODEX, OPENCODE, BRIDGE, QWEN], command, "", "pid"),
        (&PROTOCOLS, command, "deaf", "pid"),
    ] {
        for agent in agents {
            let bench = scripted_bench(*agent, rules, quirk).await;
            let file = bench.work().join(file);
            interrupt_once(&bench, |s| s.asked > 0 && file.exists()).await;
            assert!(is_gone(&file), "{agent}: {rules}");
            for name in [".codex", ".aws", ".agents"] {
                let is_left = bench.work().join(name).exists();
                assert!(!is_left, "{agent}: `{name}` is swept");
            }
        }
    }
}

#[tokio::test]
async fn a_message_goes_in_at_the_end_of_the_programs_turn_and_a_nudge_as_well() {
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
    for agent in PROTOCOLS {
        let bench = scripted_bench(agent, rules, "").await;
        bench.post_message(MessageType::UserMessage, "Use tabs.");
        bench.run_past_command().await;
        let seen = bench.seen();
        let complete = bench.complete();
        let read: Vec<usize> = seen.turns.iter().map(|t| t.messages.len()).collect();
        assert_eq!(read, [0, 1, 0, 0], "{agent}: {complete:?}");
        let told = seen.turns[1].turn.tool_results.to_string();
        assert!(told.contains("Use tabs."), "{agent}: {told}");
        let session = match agent {
            OPENCODE => conversation(&bench),
            _ => seen.turns[2].turn.session.clone().unwrap().added,
        };
        assert!(session.contains("Use tabs."), "{agent}: {session}");
        let nudge = seen.turns[2].turn.tool_results.to_string();
        assert!(nudge.contains("No tool was called"), "{agent}: {nudge}");
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_gateway_decides_whatever_the_program_calls_it() {
    let named = &[CLAUDE, CODEX];
    let budget = Some("budget_exhausted");
    for (agents, (status, kind), quirk, class) in [
        (&PROTOCOLS[..], (429, None), "", ErrorClass::RateLimited),
        (named, (500, None), "", ErrorClass::Upstream5xx),
        (&[QWEN], (500, None), "retries", ErrorClass::Upstream5xx),
        (named, (403, None), "", ErrorClass::AuthFailed),
        (named, (400, None), "", ErrorClass::UpstreamRefused),
        (
            &[BRIDGE],
            (400, None),
            "success",
            ErrorClass::UpstreamRefused,
        ),
        // The credit at the provider, and a budget of ours.
        (named, (402, None), "", ErrorClass::UpstreamRefused),
        (&PROTOCOLS, (402, budget), "", ErrorClass::QuotaExceeded),
    ] {
        for agent in agents {
            let bench = scripted_bench(*agent, DONE_AT_ONCE, quirk).await;
            bench.set(|s| (s.model_status, s.model_kind) = (Some(status), kind));
            assert!(bench.run().await);
            let complete = bench.complete();
            let found = (complete.outcome, complete.error_class);
            let end = (AttemptOutcome::Failed, Some(class));
            assert_eq!(found, end, "{agent} {status}: {complete:?}");
            let is_over_budget = complete.stop_reason == AttemptStopReason::MaxCostReached;
            assert_eq!(is_over_budget, kind.is_some(), "{agent}: {complete:?}");
        }
    }
    // One that the gateway does not know any more is ended at once and says nothing.
    for agent in PROTOCOLS {
        let bench = scripted_bench(agent, DONE_AT_ONCE, "deaf").await;
        bench.set(|s| s.model_status = Some(401));
        assert!(bench.run().await);
        assert!(bench.seen().completes.is_empty(), "{agent}");
    }
}

/// What the platform cannot take in for a moment is asked again by whoever forwards it: the program does not hear of it.
#[tokio::test]
async fn a_platform_that_is_busy_for_a_moment_ends_no_attempt() {
    for agent in PROTOCOLS {
        let bench = scripted_bench(agent, DONE_AT_ONCE, "").await;
        bench.set(|s| s.busy_statuses = vec![503, 429]);
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
        assert!(bench.seen().busy_statuses.is_empty(), "{agent}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_what_it_should_be_is_named() {
    let other = "it says it is version 9.9.9, but 1.2.3 was installed";
    for (agent, quirk, words) in [
        (CLAUDE, "log-in", "its last words: Please run /login"),
        (CODEX, "log-in", "its last words: Please run codex login"),
        (
            OPENCODE,
            "log-in",
            "it refused a request: Authentication required",
        ),
        (CLAUDE, "other-version", other),
        (CODEX, "other-version", other),
        (OPENCODE, "other-version", other),
    ] {
        let bench = scripted_bench(agent, DONE_AT_ONCE, quirk).await;
        assert!(bench.run().await);
        let message = program_failure(&bench);
        assert!(message.contains(words), "{agent}: {message}");
    }
    for agent in PROTOCOLS {
        let mut bench = scripted_bench(agent, DONE_AT_ONCE, "").await;
        bench.context.agent.installed.as_mut().unwrap().command = vec!["/nothing".to_owned()];
        assert!(bench.run().await);
        let message = program_failure(&bench);
        let want = "install it again: omoi agents install";
        assert!(message.contains(want), "{agent}: {message}");
    }
}

#[tokio::test]
async fn the_turns_of_a_program_are_limited_as_ours_are() {
    let busy =
        "\n  - when: {turn: 0..}\n    reply: [{tool: {name: shell, input: {command: echo x}}}]\n";
    for agent in PROTOCOLS {
        let bench = scripted_bench(agent, busy, "").await;
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Incomplete, "{agent}");
        let end = (complete.stop_reason.as_str(), complete.turns);
        assert_eq!(end, ("max_turns_reached", 6), "{agent}");
    }
}

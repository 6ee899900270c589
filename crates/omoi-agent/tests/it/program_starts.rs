//! What every program is told at its start.

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_domain::dialect::Dialect;
use omoi_protocol::worker::DeclaredProgram;

use crate::bench::{Bench, git};
use crate::scripted_program::{conversation, event_kinds, scripted_bench};

/// A bench whose agent is the scripted program as a person declares it, with this first argument and a quirk.
pub(crate) async fn declared_bench(rules: &str, manner: &str, quirk: &str) -> Bench {
    let agent = AgentProgram::parse("acp:tool").unwrap();
    let mut bench = scripted_bench(agent, rules, quirk).await;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    bench.context.agent.installed.as_mut().unwrap().declared = Some(DeclaredProgram {
        arguments: words(&[manner, "--model", "{model}"]),
        variables: vec![
            variable("ANTHROPIC_BASE_URL", "{address}"),
            variable("ANTHROPIC_API_KEY", "{token}"),
            variable("ANTHROPIC_MODEL", "{model}"),
            variable("TOOL_TOKEN", "{token}"),
        ],
        dialect: Dialect::Messages,
    });
    bench
}

#[tokio::test]
async fn a_program_is_told_the_window_of_its_model() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{text: TASK_COMPLETE}]\n";
    let programs = AgentProgram::BUILT_IN.iter().copied();
    for agent in programs.filter(|agent| !agent.is_native()) {
        // It ends with an error where it is told none, or another one.
        let mut bench = scripted_bench(agent, rules, "window").await;
        bench.context.limits.window_tokens = Some(50_000);
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    }
}

#[tokio::test]
async fn a_declared_agent_works_whether_it_asks_or_not() {
    let rules = r#"
  - when: {turn: 0}
    reply:
      - tool: {name: write, input: {path: src/a.txt, content: "one\n"}}
      - tool: {name: shell, input: {command: "echo x > .omoi_os/new.md; echo two > kept"}}
  - when: {turn: 1}
    reply: [{text: "Wrote it.\n\nTASK_COMPLETE"}]
"#;
    for manner in ["declared", "unasked"] {
        let bench = declared_bench(rules, manner, "").await;
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
        assert_eq!(complete.refused_paths, [".omoi_os/new.md"], "{manner}");
        let head = bench.take_in(complete.bundle.as_ref().unwrap());
        let changed = git(
            &bench.mirror(),
            &["diff", "--name-only", bench.base(), &head],
        );
        assert_eq!(changed, "kept\nsrc/a.txt", "{manner}");
        let told = conversation(&bench);
        assert!(told.contains("You are an agent."), "{manner}: {told}");
        let kinds = event_kinds(&bench);
        let n_uses = kinds
            .iter()
            .filter(|kind| *kind == "agent.tool_use")
            .count();
        assert_eq!(n_uses, 2, "{manner}: {kinds:?}");
        let seen = bench.seen();
        assert!(seen.turns[0].snapshot.is_some(), "{manner}");
    }
}

#[tokio::test]
async fn a_declared_agent_of_an_attempt_that_only_reads_is_refused_what_it_asks_for() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: run_shell_command, input: {command: "echo x > stray"}}}]
  - when: {turn: 1}
    reply: [{tool: {name: submit_item, input: {section: goals, key: G1, value: {text: fast}}}}, {tool: {name: submit_done, input: {}}}]
"#;
    let mut bench = declared_bench(rules, "declared", "").await;
    bench.plan_phase(1);
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    assert!(!bench.work().join("stray").exists());
    let keys: Vec<_> = bench.seen().items.iter().map(|i| i.key.clone()).collect();
    assert_eq!(keys, ["G1"]);
}

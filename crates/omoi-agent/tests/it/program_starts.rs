//! What every program is told at its start.

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;

use crate::scripted_program::scripted_bench;

#[tokio::test]
async fn a_program_is_told_the_window_of_its_model() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{text: TASK_COMPLETE}]\n";
    let programs = AgentProgram::ALL.iter().copied();
    for agent in programs.filter(|agent| !agent.is_native()) {
        // It ends with an error where it is told none, or another one.
        let mut bench = scripted_bench(agent, rules, "window").await;
        bench.context.limits.window_tokens = Some(50_000);
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    }
}

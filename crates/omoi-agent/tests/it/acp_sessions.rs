//! The manners of single programs of the Agent Client Protocol: sessions in files, turns that a refusal ends.

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::AttemptOutcome;
use omoi_protocol::worker::TurnRecord;

use crate::acp::WRITE_AND_FINISH;
use crate::bench::git;
use crate::scripted_program::{conversation, scripted_bench};

const BRIDGE: AgentProgram = AgentProgram::AcpClaude;
const QWEN: AgentProgram = AgentProgram::AcpQwen;

#[tokio::test]
async fn a_lost_program_with_session_files_goes_on_and_does_nothing_twice() {
    for agent in [BRIDGE, QWEN] {
        let first = scripted_bench(agent, WRITE_AND_FINISH, "").await;
        assert!(first.run().await);
        let all: Vec<TurnRecord> = first.seen().turns.iter().map(|t| t.turn.clone()).collect();

        let mut second = scripted_bench(agent, WRITE_AND_FINISH, "").await;
        second.context.resume = all[..1].to_vec();
        std::fs::create_dir_all(second.work().join("src")).unwrap();
        std::fs::write(second.work().join("src/a.txt"), "one\n").unwrap();
        assert!(second.run().await);
        let seen = second.seen();
        let turns: Vec<u32> = seen.turns.iter().map(|t| t.turn.n).collect();
        assert_eq!(turns, [1, 2], "{:?}", second.complete());
        let head = second.take_in(second.complete().bundle.as_ref().unwrap());
        let file = git(&second.mirror(), &["show", &format!("{head}:src/a.txt")]);
        assert_eq!(file, "one\ntwo", "{agent}");
        // The conversation is the same up to the loss.
        let words = |told: &str| -> Vec<serde_json::Value> { serde_json::from_str(told).unwrap() };
        let before = words(&conversation(&first));
        let after = words(&conversation(&second));
        assert_eq!(before[..2], after[..2], "{agent}");
        let result = "/content/0/tool_use_id";
        assert_eq!(before[2].pointer(result), after[2].pointer(result));
        assert!(after[3].to_string().contains("Go on"), "{after:?}");

        // A session with a gap is none.
        let mut third = scripted_bench(agent, WRITE_AND_FINISH, "").await;
        third.context.resume = all[..2].to_vec();
        third.context.resume[0].session = None;
        assert!(third.run().await);
        let told = conversation(&third);
        assert!(told.contains("its conversation is lost"), "{told}");
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

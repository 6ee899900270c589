//! The measure of `cargo xtask agent-quality --model NAME`, with a script in place of a model: it begins at a request and
//! ends at the hidden check.

use std::path::Path;

use omoi_testkit::agent_tasks::{TaskAgent, agent_tasks, render_results};

use crate::binary::omoi;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// One script answers both: what it writes does what the first task asks for, and not what the second does.
#[test]
fn a_task_counts_as_solved_by_its_hidden_check_alone() {
    let home = tempfile::tempdir().unwrap();
    let top = Path::new(TOP);
    let agent = TaskAgent {
        omoi: &|| omoi(home.path()),
        agent: "native".to_owned(),
        model: "simulated".to_owned(),
        scenario: Some(top.join("crates/omoi/tests/assets/two-tasks/scenario.yaml")),
    };
    let tasks = agent_tasks(&top.join("corpus/agent-quality/simulated")).unwrap();
    let results: Vec<_> = tasks
        .iter()
        .map(|task| agent.attempt_task(task).unwrap())
        .collect();
    let told: Vec<_> = results
        .iter()
        .map(|result| {
            (
                result.task.as_str(),
                result.is_solved,
                result.outcome.as_str(),
            )
        })
        .collect();
    let expected = [
        ("1-says-goodbye", true, "succeeded"),
        ("2-strips-names", false, "succeeded"),
    ];
    assert_eq!(told, expected);
    for result in &results {
        assert!(
            result.turns > 6 && result.tokens > 0 && result.is_simulated,
            "{result:?}"
        );
    }
    assert!(render_results(&results).contains("these figures say nothing about any model"));

    // Nobody answers without a key, and that is no result.
    let keyless = TaskAgent {
        model: "claude-sonnet-5-5".to_owned(),
        scenario: None,
        ..agent
    };
    let says = keyless.attempt_task(&tasks[0]).unwrap_err().to_string();
    assert!(says.contains("ANTHROPIC_API_KEY"), "{says}");
}

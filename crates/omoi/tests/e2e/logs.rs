//! What `omoi logs` alone tells about an agent.

use serde_json::Value;

use crate::world::World;

/// The first task's agent writes the wrong function, sees that it is wrong, and says it is done.
fn wrong(scenario: String) -> String {
    let rule = "  - when: {role: implementer, task: TSK-001, turn: 0}\n    reply:\n";
    let other = r#"  - when: {role: implementer, task: TSK-001, turn: 0}
    reply:
      - text: I will use a shorter word.
      - tool:
          name: write
          input:
            path: bye.py
            content: |
              def bye(name):
                  return f"Bye, {name}."
      - tool:
          name: shell
          input:
            command: python3 -S -c "from bye import bye; print(bye('Ann')); assert 'Good' in bye('Ann')"
  - when: {role: nobody}
    reply:
"#;
    assert!(scenario.contains(rule));
    scenario.replacen(rule, other, 1)
}

#[test]
fn a_stranger_learns_why_a_scripted_agent_failed() {
    let world = World::two_tasks_with(wrong);
    world.start(world.run(&[])).wait().exited(3);
    let steer = world.command(&["steer", "TSK-001", "keep it short"]);
    world.start(steer).wait().exited(0);
    let approve = world.command(&["spec", "approve", "SPEC-1"]);
    world.start(approve).wait().exited(1);

    let logs = |more: &[&str]| {
        let logs = world.command(&[&["logs", "TSK-001"], more].concat());
        world.start(logs).wait().exited(0).stdout
    };
    let told = logs(&[]);
    for says in [
        // The model's words, and a person's.
        "| I will use a shorter word.",
        "told by user:",
        "| keep it short",
        // What was changed.
        "created bye.py +2 −0",
        "| +    return f\"Bye, {name}.\"",
        // What was run, and what it said.
        "$ python3 -S -c",
        "| Bye, Ann.",
        "AssertionError",
        "exit code 1 after ",
        // What the platform found, in the check's own words, and what became of it.
        "check (proof, task) failed (exit 1) at ",
        "the task is sent back: checks_failed",
        "the task is failed: no round left after 3",
    ] {
        assert!(told.contains(says), "no `{says}` in\n{told}");
    }
    assert!(logs(&["--since", "1d"]) == told);
    let raw = logs(&["--raw"]);
    assert!(
        raw.contains("agent.tool_use  {") && raw.contains("receipt.stored  {"),
        "{raw}"
    );
    for line in logs(&["--json"]).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(
            line["event_type"].is_string() && line["data"].is_object(),
            "{line}"
        );
    }
}

//! An agent that a person declares, from the idea to the proven merge.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{is_proven, worked_alone};
use crate::world::World;

/// A program that speaks the protocol by a script, declared as a person does it.
fn declare_tool(world: &World) -> String {
    let folder = world.beside("tool");
    fs::create_dir_all(&folder).unwrap();
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../omoi-agent/tests/it");
    for name in ["fake_acp.py", "fake_acp_manners.py", "fake_program.py"] {
        let path = folder.join(name);
        fs::copy(format!("{scripts}/{name}"), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    format!(
        "name=tool; folder={}; command=fake_acp.py --quirk updates-itself declared --model {{model}}; version=1.2.3; \
         dialect=messages; env=TOOL_TOKEN={{token}}",
        folder.display()
    )
}

#[test]
fn a_declared_agent_does_a_run() {
    let world = World::two_tasks("scenario.yaml");
    let mut run = world.run(&["--yes", "--agent", "acp:tool"]);
    run.env("AGENTS_ACP", declare_tool(&world));
    let said = world.start(run).wait().exited(0);
    is_proven(&said.summary());
    worked_alone(&world.database(), "acp:tool", "1.2.3");
    // It looked for a newer version of itself at each start.
    let original = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../omoi-agent/tests/it/fake_acp.py"
    );
    let kept = fs::read(world.beside("tool/fake_acp.py")).unwrap();
    assert!(kept == fs::read(original).unwrap(), "it has updated itself");

    let undeclared = world.start(world.run(&["--yes", "--agent", "acp:tool"]));
    let said = undeclared.wait();
    assert!(!said.status.success(), "{said:?}");
    assert!(
        said.stdout.contains("no agent `acp:tool` is declared"),
        "{said:?}"
    );
    assert!(said.stdout.contains("agents.acp"), "{said:?}");
}

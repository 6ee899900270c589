//! What a repository asks for beyond the work, put to a person on the command line.

use serde_json::Value;

use crate::adversity::with_fault;
use crate::binary::Said;
use crate::interrupt::until_asked;
use crate::story;
use crate::world::World;

/// A `.omoi.yaml` that asks for a folder of the machine.
const ASKS: &str = "sandbox: {read_only: [/srv]}\n";
const QUESTION: &str = "Allow this, for this text of the file? [y/N]";

/// Answers the question of `command` on a terminal.
fn answered(world: &World, command: std::process::Command, answer: &str) -> Said {
    let mut asked = world.start_on_terminal(&command);
    until_asked(&mut asked, QUESTION);
    asked.types(answer);
    asked.wait()
}

fn seen(world: &World, repo: &std::path::Path) -> Value {
    let mut command = world.command(&["trust", "--json", "--repo"]);
    command.arg(repo);
    let said = world.start(command).wait().exited(0);
    said.lines().remove(0)
}

#[test]
fn only_a_person_at_a_terminal_trusts_a_repository() {
    // The provider refuses: a run that may begin ends with another code than one that may not.
    let world = World::two_tasks_with(|scenario| {
        let when = "role: planner, phase: explore";
        with_fault(&scenario, when, "{status: 401, times: 100}")
    });
    let write = |text: &str| {
        world.repo.write(".omoi.yaml", text);
        world.repo.commit("Ask for a folder");
    };
    write(ASKS);

    // `--yes` is no answer, neither of a script nor on a terminal.
    let refused = || {
        let said = world.start(world.run(&["--yes"])).wait().exited(2);
        for part in ["/srv", "omoi trust --repo "] {
            assert!(said.stdout.contains(part), "{part}: {said:?}");
        }
    };
    refused();
    let for_people = || world.simulated(world.ask_for_people(&["--yes"]));
    let said = answered(&world, for_people(), "n\n").exited(2);
    assert!(
        said.stdout.contains("nothing was allowed"),
        "{}",
        said.stdout
    );
    let specs = "select cast(count(*) as text) from specs";
    assert_eq!(story::one(&world.database(), specs).as_deref(), Some("0"));

    // Nobody at a terminal: it is shown, and not allowed.
    let said = world.start(world.command(&["trust"])).wait().exited(2);
    assert!(
        said.stdout.contains("let sandboxes read `/srv`"),
        "{said:?}"
    );
    let what = "only a person at a terminal can allow this";
    assert!(said.stderr.contains(what), "{said:?}");
    assert_eq!(seen(&world, world.repo.path())["is_trusted"], false);

    // A person's yes is kept.
    let said = answered(&world, world.command(&["trust"]), "y\n").exited(0);
    assert!(
        said.stdout.contains("let sandboxes read `/srv`"),
        "{}",
        said.stdout
    );
    let said = world.start(world.command(&["trust"])).wait().exited(0);
    assert!(said.stdout.contains("You allowed this text."), "{said:?}");
    let first = seen(&world, world.repo.path());
    assert_eq!(first["is_trusted"], true);
    world.start(world.run(&["--yes"])).wait().exited(3);

    // It holds for this project and this text alone.
    let other = World::second_repo();
    other.write(".omoi.yaml", ASKS);
    other.commit("Ask for a folder");
    let elsewhere = seen(&world, other.path());
    assert_eq!(elsewhere["file_digest"], first["file_digest"]);
    assert_eq!(elsewhere["is_trusted"], false);
    write(&format!("{ASKS}agent: {{max_turns: 3}}\n"));
    let again = seen(&world, world.repo.path());
    assert_ne!(again["file_digest"], first["file_digest"]);
    assert_eq!(
        (&again["asks"], &again["is_trusted"]),
        (&first["asks"], &Value::Bool(false))
    );
    refused();
}

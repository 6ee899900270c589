//! The same work comes out of whatever a sandbox is made of.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use omoi_testkit::podman::PodmanService;

use crate::elsewhere::{SOMEBODY, somebodys_program};
use crate::story;
use crate::world::World;

/// What a check saw and said, without instants, ids and lengths of time.
const RECEIPTS: &str =
    "select r.stage || ' ' || coalesce(t.local_id, '-') || ' ' || c.command || ' '
    || r.passed || ' ' || coalesce(r.exit_code, '-') || ' ' || r.exercised || ' '
    || r.self_tested || ' ' || r.tests as line
    from receipts r join checks c on c.id = r.check_id left join tasks t on t.id = r.task_id";

/// What came of a run.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// What each commit of the branch says and changes, but for the spec's own files, which name its id.
    commits: String,
    receipts: String,
    done: Vec<String>,
}

fn lines(database: &str, query: &str) -> String {
    let joined = format!("select group_concat(line, char(10)) from ({query} order by line)");
    story::one(database, &joined).unwrap()
}

/// Does the run that `command` asks for, whose checks ran on `rung` in workspaces of `origin`.
fn outcome(world: &World, command: Command, [rung, origin]: [&str; 2]) -> Outcome {
    let said = world.start(command).wait().exited(0);
    println!("{rung}, {origin}: {:?}", said.took);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded", "{summary:#}");
    let database = world.database();
    let others = format!(
        "select count(*) || '' from receipts where rung <> '{rung}' or conditions not like '%\"{origin}%'"
    );
    assert_eq!(
        story::one(&database, &others).as_deref(),
        Some("0"),
        "{rung}"
    );
    let mut log = Command::new("git");
    log.arg("-C").arg(world.repo.path());
    log.args(["-c", "safe.directory=*", "log", "--format=%s", "--patch"]);
    log.arg(summary["branch"].as_str().unwrap());
    let log = log.args(["--", ".", ":!.omoi_os"]).output().unwrap();
    assert!(log.status.success(), "{log:?}");
    let story = story::read(&database);
    assert_eq!((story.repeated(), &story.left), (vec![], &vec![]));
    Outcome {
        commits: String::from_utf8(log.stdout).unwrap(),
        receipts: lines(&database, RECEIPTS),
        done: story.done,
    }
}

#[test]
fn the_same_work_comes_out_of_overlay_clone_and_container() {
    let world = World::two_tasks("scenario.yaml");
    if fs::metadata(world.home()).unwrap().uid() != 0 {
        println!("an ordinary user has clones alone: nothing to compare");
        return;
    }
    let overlay = "overlay on a prepared checkout";
    let laid_over = outcome(&world, world.run(&["--yes"]), ["bubblewrap", overlay]);
    assert!(laid_over.receipts.contains("greet.py"), "{laid_over:#?}");
    assert!(laid_over.commits.contains("\n+def "), "{laid_over:#?}");

    let engine = PodmanService::start();
    let world = World::two_tasks("scenario.yaml");
    let mut run = world.run(&["--yes"]);
    run.env("SANDBOX_PROVIDER", "container")
        .env("SANDBOX_CONTAINER_SOCKETS", engine.engine_socket());
    let contained = outcome(&world, run, ["container", overlay]);
    assert_eq!(engine.container_names(), "");
    assert_eq!(contained, laid_over);

    let world = World::two_tasks("scenario.yaml");
    let cloned = outcome(&world, as_somebody(&world), ["bubblewrap", "clone: "]);
    assert_eq!(cloned, laid_over);
}

/// The run of `world` by a user without rights, who owns all of it.
fn as_somebody(world: &World) -> Command {
    let run = world.run(&["--yes"]);
    let data = world.data();
    let folder = data.parent().unwrap();
    let mut somebody = somebodys_program(folder);
    somebody.args(run.get_args()).env_clear();
    somebody.envs(
        run.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    somebody.current_dir(world.home());
    for owned in [folder, world.repo.path()] {
        let user = format!("{SOMEBODY}:{SOMEBODY}");
        let owner = Command::new("chown")
            .arg("-R")
            .arg(&user)
            .arg(owned)
            .status();
        assert!(owner.unwrap().success());
        fs::set_permissions(owned, fs::Permissions::from_mode(0o755)).unwrap();
    }
    somebody
}

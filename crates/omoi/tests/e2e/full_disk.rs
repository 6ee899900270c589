//! A run whose data folder lies on a file system that becomes full.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::interrupt::slow;
use crate::world::World;

/// Gives what follows mounts of its own. Who is no superuser may mount in a namespace of his own only,
/// and what runs there keeps nothing of that right.
const OWN_MOUNTS: &str = r#"
small_disk=$1
shift
if [ "$(id -u)" = 0 ]; then
    exec unshare --mount sh -c "$small_disk" sh env "$@"
fi
exec unshare --mount --map-current-user --keep-caps sh -c "$small_disk" sh \
    "setpriv --inh-caps=-all --ambient-caps=-all" "$@"
"#;

/// Mounts a small file system at `$2`, then fills it when the file `$3` is there and frees it when `$4`
/// is, while the rest runs as `$1` does it.
const SMALL_DISK: &str = r#"
set -e
as=$1 disk=$2 fill=$3 free=$4
shift 4
mount -t tmpfs -o size=64m omoi "$disk"
wait_for() {
    until [ -e "$1" ]; do
        kill -0 $$ || exit
        sleep 0.02
    done
}
(
    wait_for "$fill"
    cat /dev/zero > "$disk/ballast" || true
    wait_for "$free"
    rm "$disk/ballast"
) 2>/dev/null &
exec $as "$@"
"#;

/// `run` with its data folder on a disk that is full from when there is a file `fill` beside it until
/// there is one named `free`.
fn on_small_disk(world: &World, run: &Command) -> Command {
    fs::create_dir(world.data()).unwrap();
    let mut small = Command::new("sh");
    small.args(["-c", OWN_MOUNTS, "sh", SMALL_DISK]);
    small.arg(world.data());
    small.args(["fill", "free"].map(|name| world.beside(name)));
    small.arg(run.get_program()).args(run.get_args());
    small.env_clear();
    small.envs(
        run.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    small.current_dir(run.get_current_dir().unwrap());
    small
}

#[test]
fn a_run_outlasts_a_full_disk() {
    let world = World::two_tasks_with(slow);
    let mut run = world.start(on_small_disk(&world, &world.run(&["--yes"])));
    let told = "Work waits: the disk ";
    let wrote = |line: &str| line.contains("agent.file_edited") && line.contains("\"task\"");
    while !run.stdout().lines().any(wrote) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
    fs::write(world.beside("fill"), "").unwrap();
    while !run.stderr().contains(told) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
    fs::write(world.beside("free"), "").unwrap();
    let said = run.wait().exited(0);
    assert_eq!(said.summary()["criteria"]["proven"], 4, "{said:?}");
    // It was no fault of the work: nothing was counted against it.
    let events = said.events();
    let kinds = ["task.failed", "task.retry_scheduled"].map(Value::from);
    let failed = events.iter().find(|e| kinds.contains(&e["event_type"]));
    assert_eq!(failed, None);
}

#[test]
fn a_disk_that_stays_full_ends_the_run_with_the_line_that_resumes_it() {
    let world = World::two_tasks("scenario.yaml");
    let mut run = world.run(&["--yes"]);
    run.env("DATA_DISK_WAIT", "1");
    let mut run = world.start(on_small_disk(&world, &run));
    while !run.stdout().contains("event_type") {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
    fs::write(world.beside("fill"), "").unwrap();
    let said = run.wait().exited(3);
    let (_, end) = said.stderr.split_once("Given up: the disk ").unwrap();
    let next = "Free some space, then resume: omoi spec resume ";
    assert!(end.contains(next) && end.contains("/SPEC-1"), "{said:?}");
}

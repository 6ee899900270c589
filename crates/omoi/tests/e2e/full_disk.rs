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

#[test]
fn a_run_outlasts_a_full_disk() {
    let world = World::two_tasks_with(slow);
    fs::create_dir(world.data()).unwrap();
    let (fill, free) = (world.beside("fill"), world.beside("free"));
    let run = world.run(&["--yes"]);
    let mut small = Command::new("sh");
    small.args(["-c", OWN_MOUNTS, "sh", SMALL_DISK]);
    small.arg(world.data()).args([&fill, &free]);
    small.arg(run.get_program()).args(run.get_args());
    small.env_clear();
    small.envs(
        run.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    small.current_dir(run.get_current_dir().unwrap());
    let mut run = world.start(small);

    let told = "Work waits: the disk ";
    let wrote = |line: &str| line.contains("agent.file_edited") && line.contains("\"task\"");
    while !run.stdout().lines().any(wrote) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
    fs::write(&fill, "").unwrap();
    while !run.stderr().contains(told) {
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "{}",
            run.stderr()
        );
    }
    fs::write(&free, "").unwrap();
    let said = run.wait().exited(0);
    assert_eq!(said.summary()["criteria"]["proven"], 4, "{said:?}");
    // It was no fault of the work: nothing was counted against it.
    let events = said.events();
    let kinds = ["TASK_FAILED", "TASK_RETRY_SCHEDULED"].map(Value::from);
    let failed = events.iter().find(|e| kinds.contains(&e["event_type"]));
    assert_eq!(failed, None);
}

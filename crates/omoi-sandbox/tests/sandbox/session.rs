//! The rung `landlock`: when it is chosen, and how its programs live and end.

use std::fs;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{
    ExhaustedLimit, ProgramEnd, Property, SandboxFloor, SandboxLaunch, SandboxLimits, WaitError,
    probe_host,
};

use crate::support::{Platform, probe_config};

const MIB: u64 = 1 << 20;

async fn landlock() -> Platform {
    Platform::with_rung(SandboxRung::Landlock, &SandboxFloor::none()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn landlock_alone_is_chosen_where_the_floor_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = probe_config(&dir.path().join("state"));
    config.bubblewrap = "/nonexistent/bwrap".into();
    config.container_sockets.clear();
    let probe = probe_host(&config).await.unwrap();
    assert_eq!(probe.active, Some(SandboxRung::Landlock));
    let refused = probe
        .select_provider(&SandboxFloor::default(), None)
        .unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("landlock lacks"), "{text}");
    assert!(text.contains("processes (no process space"), "{text}");
    let lower = SandboxFloor([Property::Identity, Property::Kernel, Property::Landlock].into());
    let chosen = probe.select_provider(&lower, None).unwrap();
    assert_eq!(chosen.rung(), SandboxRung::Landlock);
    // Without what applies it there is no such rung, and nothing is run in its place.
    config.entry = None;
    config.state_dir = dir.path().join("other");
    let probe = probe_host(&config).await.unwrap();
    assert!(probe.select_provider(&lower, None).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn landlocked_programs_end_and_leave_nothing() {
    let platform = landlock().await;
    let exit = platform
        .run(platform.shell("echo out; echo kept >file; sleep 60 & exit 3"))
        .await;
    assert_eq!(
        (exit.ended, exit.stdout.to_text().as_str()),
        (ProgramEnd::Code(3), "out\n")
    );
    let missing = platform.launch(["/usr/bin/no-such-program"]);
    let running = platform.provider.launch(missing).await.unwrap();
    let WaitError::NotStarted { message } = running.wait().await.unwrap_err() else {
        panic!("it is not there");
    };
    assert!(message.contains("no-such-program"), "{message}");
    let deaf = platform.shell("trap '' TERM; while :; do sleep 0.01; done");
    let launch = SandboxLaunch {
        wall_timeout: std::time::Duration::from_millis(300),
        grace: std::time::Duration::from_millis(100),
        ..deaf
    };
    let workspace = launch.workspace.clone();
    let exit = platform.run(launch).await;
    assert!(exit.timed_out && exit.ended == ProgramEnd::Signal(libc::SIGKILL));
    platform.provider.remove_workspace(&workspace).unwrap();
    let state = platform.path("state");
    crate::support::until("nothing is left in the state folder", || {
        fs::read_dir(&state).unwrap().count() == 0
    })
    .await;
}

/// Leaves its session and its parents, after it tried to end whoever follows it from outside.
const DAEMON: &str = "kill -KILL $PPID; kill -STOP $PPID; prlimit --pid $PPID --cpu=1:1; \
    setsid -f sh -c 'setsid -f sh -c \"echo \\$\\$ >pid; exec sleep 600\"'; \
    while ! [ -s pid ]; do sleep 0.01; done";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_does_not_outlive_its_sandbox() {
    let platform = landlock().await;
    for (then, has_succeeded) in [("exit 0", true), ("exec sleep 600", false)] {
        let launch = platform.shell(&format!("{DAEMON}; {then}"));
        let launch = SandboxLaunch {
            wall_timeout: std::time::Duration::from_secs(3),
            ..launch
        };
        let workspace = launch.workspace.clone();
        let exit = platform.run(launch).await;
        assert_eq!(exit.has_succeeded(), has_succeeded, "{exit:?}");
        let pid = fs::read_to_string(workspace.join("pid")).unwrap();
        let process = std::path::Path::new("/proc").join(pid.trim());
        assert!(!process.exists(), "the daemon lives after {then}: {exit:?}");
        platform.provider.remove_workspace(&workspace).unwrap();
    }
}

/// Each generation starts the next one in a session of its own and ends, so that no list of processes has it for long.
/// All of them hold the lock.
const HOPPERS: &str = r#"
import fcntl, os, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
for n in range(8):
    if os.fork() == 0:
        for generation in range(20000):
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
time.sleep(0.2)
if os.path.exists("stay"):
    time.sleep(600)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_another_and_ends_does_not_outlive_its_sandbox() {
    let platform = landlock().await;
    for name in ["go", "stay"] {
        let mut launch = platform.python(HOPPERS);
        fs::write(launch.workspace.join(name), "").unwrap();
        launch.wall_timeout = std::time::Duration::from_secs(3);
        let lock = launch.workspace.join("lock");
        let exit = platform.run(launch).await;
        assert_eq!(exit.has_succeeded(), name == "go", "{exit:?}");
        let lock = fs::File::open(lock).unwrap();
        assert!(lock.try_lock().is_ok(), "one lives after {name}");
    }
}

/// A sandbox that nobody waits for any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_does_not_outlive_the_handle_of_its_sandbox() {
    let platform = landlock().await;
    let launch = platform.shell(&format!("{DAEMON}; exec sleep 600"));
    let pidfile = launch.workspace.join("pid");
    let running = platform.provider.launch(launch).await.unwrap();
    let read = || fs::read_to_string(&pidfile).unwrap_or_default();
    crate::support::until("the daemon runs", || read().ends_with('\n')).await;
    let process = std::path::Path::new("/proc").join(read().trim());
    assert!(process.exists());
    drop(running);
    crate::support::until("the daemon is gone", || !process.exists()).await;
}

/// What left its session and its parents counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watcher_counts_what_left_the_session() {
    let platform = landlock().await;
    // Each for itself is below the limit. Where the kernel ends one of them, the shell ends too.
    let launch = platform.shell(
        "exec python3 -c 'import os, time\n\
         for n in range(3):\n\
         \x20   if not os.fork(): os.setsid(); kept = b\"x\" * (80 << 20); time.sleep(60)\n\
         os.wait()'",
    );
    let limits = SandboxLimits {
        memory_bytes: 150 * MIB,
        ..SandboxLimits::default()
    };
    let exit = platform.run(SandboxLaunch { limits, ..launch }).await;
    // Where the host has limit groups the kernel is faster.
    let watched = matches!(exit.exhausted, Some(ExhaustedLimit::Memory { .. }));
    assert!(watched || exit.out_of_memory, "{exit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watcher_stops_scratch_space_that_grows() {
    let platform = landlock().await;
    let launch = platform.shell(
        "trap 'echo saved; exit 7' TERM; head -c 9000000 /dev/zero >$TMPDIR/big; \
         while :; do sleep 0.01; done",
    );
    let limits = SandboxLimits {
        temp_bytes: 4 * MIB,
        ..SandboxLimits::default()
    };
    let exit = platform.run(SandboxLaunch { limits, ..launch }).await;
    let Some(ExhaustedLimit::Scratch { limit_bytes, .. }) = exit.exhausted else {
        panic!("{exit:?}");
    };
    assert_eq!(limit_bytes, 8 * MIB);
    assert_eq!(exit.stdout.to_text(), "saved\n", "it could save its work");
}

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

/// As root its user tells it apart; for an ordinary user a daemon is a stranger where no limit group has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_does_not_outlive_its_sandbox() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let platform = landlock().await;
    let script =
        "setsid -f sh -c 'echo $$ >pid; exec sleep 600'; while ! [ -s pid ]; do sleep 0.01; done";
    let launch = platform.shell(script);
    let workspace = launch.workspace.clone();
    assert!(platform.run(launch).await.has_succeeded());
    let pid = fs::read_to_string(workspace.join("pid")).unwrap();
    let process = std::path::Path::new("/proc").join(pid.trim());
    crate::support::until("the daemon is gone", || !process.exists()).await;
    platform.provider.remove_workspace(&workspace).unwrap();
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

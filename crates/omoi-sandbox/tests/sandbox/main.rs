//! The sandbox from outside: what a hostile program inside can do, and how sandboxes live and die.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod escape;
mod life;
mod limits;
mod second_wall;
mod start_up;
mod support;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Everything again, started by an ordinary user. Where the tests run as one already, that was it.
#[test]
fn as_an_ordinary_user() {
    if !rustix_is_root() {
        return;
    }
    // The build folder may lie where an ordinary user cannot go.
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let copy = dir.path().join("tests");
    // By another process: a descriptor of ours, inherited by a program that another test starts at this
    // moment, would keep the copy from being run.
    let entry = PathBuf::from(env!("CARGO_BIN_EXE_omoi-sandbox-entry"));
    for (from, to) in [
        (std::env::current_exe().unwrap(), copy.clone()),
        (entry, dir.path().join(support::ENTRY_COPY)),
    ] {
        let copied = Command::new("cp").arg(from).arg(to).status();
        assert!(copied.unwrap().success());
    }
    let output = Command::new(&copy)
        .args([
            "--skip",
            "as_an_ordinary_user",
            "--nocapture",
            "--test-threads",
            "2",
        ])
        .uid(54_321)
        .gid(54_321)
        .current_dir("/")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as an ordinary user:\n{complaint}");
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

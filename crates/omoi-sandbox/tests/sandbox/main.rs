//! The sandbox from outside: what a hostile program inside can do, and how sandboxes live and die.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod container;
mod escape;
mod life;
mod limits;
mod overlay;
mod own_image;
mod second_wall;
mod session;
mod start_up;
mod support;
mod walls;

/// Everything again, started by an ordinary user. Where the tests run as one already, that was it.
#[test]
fn as_an_ordinary_user() {
    if !rustix_is_root() {
        return;
    }
    let copy = support::UserCopy::new();
    let output = copy
        .command(&[
            "--skip",
            "as_an_ordinary_user",
            // It sees to that itself.
            "--skip",
            "escape_table",
            "--nocapture",
            "--test-threads",
            "2",
        ])
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

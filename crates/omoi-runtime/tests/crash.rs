//! A process told to die at a durable write dies there, and the file is whole on either side.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::{CRASH_AT, CRASH_TRACE, install_from_env};
use omoi_runtime::files;

/// Tells this program to be the process under test, working in the folder named.
const CHILD: &str = "OMOI_TEST_CRASH_CHILD";

/// Replaces one file three times.
fn child(folder: &Path) {
    install_from_env().unwrap();
    for text in ["one", "two", "three"] {
        let path = folder.join("file");
        files::replace_file(CrashPoint::FileReplaced, &path, text.as_bytes(), 0o600).unwrap();
    }
}

/// Starts this very test as the child.
fn run(folder: &Path, crash_at: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "a_process_dies_where_it_is_told"])
        .env(CHILD, folder)
        .env(CRASH_TRACE, folder.join("trace"));
    if let Some(at) = crash_at {
        command.env(CRASH_AT, at);
    }
    command.output().unwrap()
}

#[test]
fn a_process_dies_where_it_is_told() {
    if let Some(folder) = std::env::var_os(CHILD) {
        child(Path::new(&folder));
        return;
    }
    for (at, content, passes) in [
        (None, Some("three"), 6),
        (Some("file_replaced:before:1"), None, 1),
        (Some("file_replaced:after:1"), Some("one"), 2),
        (Some("file_replaced:before:3"), Some("two"), 5),
        (Some("file_replaced:after:3"), Some("three"), 6),
        (Some("file_replaced:after:4"), Some("three"), 6),
        (Some("ref_moved:after:1"), Some("three"), 6),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run(folder.path(), at);
        let dies = at.is_some_and(|at| at.starts_with("file_replaced") && !at.ends_with('4'));
        assert_eq!(
            output.status.signal(),
            dies.then_some(9),
            "{at:?}: {output:?}"
        );
        assert_eq!(output.status.success(), !dies);
        let found = fs::read_to_string(folder.path().join("file")).ok();
        assert_eq!(found.as_deref(), content, "{at:?}");
        let trace = fs::read_to_string(folder.path().join("trace")).unwrap();
        let pair = ["file_replaced before", "file_replaced after"];
        let expected: Vec<_> = pair.into_iter().cycle().take(passes).collect();
        assert_eq!(trace.lines().collect::<Vec<_>>(), expected, "{at:?}");
    }
}

#[test]
fn a_wrong_target_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), Some("file_replacd:after:1"));
    assert!(!output.status.success());
    assert!(
        !folder.path().join("file").exists(),
        "it must not run on without the crash"
    );
}

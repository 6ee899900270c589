//! An account is made or not, wherever the program dies.

use std::process::Stdio;

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::CRASH_AT;

use crate::binary::{self, Said, omoi};

const MAIL: &str = "ada@example.org";

#[test]
fn a_death_leaves_an_account_or_none() {
    let home = tempfile::tempdir().unwrap();
    let password = home.path().join("password");
    std::fs::write(&password, "Opal-Harbour-7\n").unwrap();
    let run = |words: &[&str], death: Option<&str>| -> Said {
        let mut command = omoi(home.path());
        command.arg("admin").args(words);
        if let Some(side) = death {
            let point = CrashPoint::AccountChanged.as_str();
            command.env(CRASH_AT, format!("{point}:{side}:1"));
        }
        command.stdin(Stdio::from(std::fs::File::open(&password).unwrap()));
        binary::start_reading(command, home.path().join("said")).wait()
    };
    // Accounts are looked at and changed in a schema that is up to date.
    let mut migrate = omoi(home.path());
    migrate.args(["db", "migrate"]);
    binary::start(migrate, home.path().join("said"))
        .wait()
        .exited(0);
    let has_account = || run(&["users"], None).stdout.contains(MAIL);
    for side in ["before", "after"] {
        assert!(!has_account());
        assert!(run(&["add-user", MAIL], Some(side)).was_killed());
        assert_eq!(has_account(), side == "after");
    }
    // What is there already is told, and nothing is changed.
    let again = run(&["add-user", MAIL], None);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("omoi admin users"), "{again:?}");
    for (words, told) in [
        (["disable-user", MAIL], "may not sign in any more"),
        (["enable-user", MAIL], "may sign in"),
        (["sign-out", MAIL], "Ended 0 sessions"),
        (["add-member", MAIL], "is a member, as member"),
    ] {
        let done = run(&words, None);
        assert!(
            done.status.success() && done.stderr.contains(told),
            "{done:?}"
        );
    }
    assert!(
        run(&["members"], None)
            .stdout
            .contains("ada@example.org  member")
    );
    let removed = run(&["remove-member", MAIL], Some("after"));
    assert!(removed.was_killed());
    assert!(!run(&["members"], None).stdout.contains(MAIL));
    assert!(run(&["keys"], None).stdout.is_empty());
    let unknown = run(&["sessions", "eve@example.org"], None);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

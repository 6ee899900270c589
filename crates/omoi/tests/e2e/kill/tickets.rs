//! A ticket is written, moved and commented on, or not, wherever the program dies.

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::CRASH_AT;
use omoi_testkit::repo::TestRepo;
use serde_json::Value;

use crate::binary::{self, Said, omoi};

#[test]
fn a_death_leaves_a_change_of_a_ticket_or_none() {
    let home = tempfile::tempdir().unwrap();
    let repo = TestRepo::with_files(&[("README.md", "todo\n")]);
    let run_until = |words: &[&str], death: Option<String>| -> Said {
        let mut command = omoi(home.path());
        command.args(words).current_dir(repo.path());
        if let Some(death) = death {
            command.env(CRASH_AT, death);
        }
        binary::start(command, home.path().join("said")).wait()
    };
    let run = |words: &[&str], death: Option<&str>| -> Said {
        let point = CrashPoint::TicketChanged.as_str();
        run_until(words, death.map(|side| format!("{point}:{side}:1")))
    };
    // A project begins with what is done in its repository first.
    let early = run(&["ticket", "list"], None);
    assert!(early.stderr.contains("omoi setup"), "{early:?}");
    // A set-up whose process dies as it begins or ends is asked for again, whatever became of the first one.
    let operation = CrashPoint::OperationMoved.as_str();
    for pass in ["before:1", "after:1", "before:2", "after:2"] {
        let died = run_until(&["setup"], Some(format!("{operation}:{pass}")));
        assert!(died.was_killed(), "{pass}: {died:?}");
    }
    run(&["setup"], None).exited(0);
    let listed = || -> Vec<Value> {
        let said = run(&["ticket", "list", "--json"], None);
        serde_json::from_str(&said.stdout).unwrap()
    };
    for side in ["before", "after"] {
        assert!(listed().is_empty());
        assert!(run(&["ticket", "create", "Export"], Some(side)).was_killed());
        assert_eq!(listed().len(), usize::from(side == "after"));
    }
    let again = run(&["ticket", "create", "EXPORT"], None);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("says the same"), "{again:?}");
    // Status, phase and history are of one move.
    let reference = listed()[0]["ticket_ref"].as_str().unwrap().to_owned();
    for (side, status) in [("before", "backlog"), ("after", "analyzing")] {
        let moved = run(&["ticket", "move", &reference, "analyzing"], Some(side));
        assert!(moved.was_killed());
        assert_eq!(listed()[0]["status"], status);
    }
    let commented = run(
        &["ticket", "comment", &reference, "Which separator?"],
        Some("after"),
    );
    assert!(commented.was_killed());
    for (words, told) in [
        (
            vec!["ticket", "show", reference.as_str()],
            "Which separator?",
        ),
        (
            vec!["ticket", "block", reference.as_str(), "dependency"],
            "held up",
        ),
        (vec!["board"], "Blocked  1"),
        (vec!["ticket", "unblock", reference.as_str()], "goes on"),
        (vec!["board"], "Analyzing  1 of 5"),
    ] {
        let said = run(&words, None);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(
            said.status.success() && all.contains(told),
            "{words:?}: {all}"
        );
    }
}

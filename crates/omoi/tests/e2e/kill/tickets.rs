//! A ticket is written, moved and commented on, or not, wherever the program dies.

use std::process::Command;

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::CRASH_AT;
use omoi_testkit::database::TestDatabase;
use omoi_testkit::postgres;
use omoi_testkit::repo::TestRepo;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{self, Said, omoi};

/// A repository whose tickets are written without a server.
struct TicketDesk {
    home: TempDir,
    repo: TestRepo,
    /// The database, where it is no file in the data folder.
    database: Option<TestDatabase>,
}

impl TicketDesk {
    fn on(database: Option<TestDatabase>) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            repo: TestRepo::with_files(&[("README.md", "todo\n")]),
            database,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = omoi(self.home.path());
        command.args(words).current_dir(self.repo.path());
        if let Some(database) = &self.database {
            command.env("DATABASE_URL", database.url());
        }
        command
    }

    /// What the program says, or how it dies at `death`.
    fn run_until(&self, words: &[&str], death: Option<String>) -> Said {
        let mut command = self.command(words);
        if let Some(death) = death {
            command.env(CRASH_AT, death);
        }
        binary::start(command, self.home.path().join("said")).wait()
    }

    /// The same at one side of the write of a ticket.
    fn run(&self, words: &[&str], death: Option<&str>) -> Said {
        let point = CrashPoint::TicketChanged.as_str();
        self.run_until(words, death.map(|side| format!("{point}:{side}:1")))
    }

    fn listed(&self) -> Vec<Value> {
        let said = self.run(&["ticket", "list", "--json"], None);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// Dies around the first ticket, and around its first move; gives its name.
    fn dies_around_a_ticket(&self) -> String {
        for side in ["before", "after"] {
            assert!(self.listed().is_empty());
            let created = self.run(&["ticket", "create", "Export"], Some(side));
            assert!(created.was_killed());
            assert_eq!(self.listed().len(), usize::from(side == "after"));
        }
        let again = self.run(&["ticket", "create", "EXPORT"], None).exited(1);
        assert!(again.stderr.contains("says the same"), "{again:?}");
        // Status, phase and history are of one move.
        let reference = self.listed()[0]["ticket_ref"].as_str().unwrap().to_owned();
        for (side, status) in [("before", "backlog"), ("after", "analyzing")] {
            let words = ["ticket", "move", &reference, "analyzing"];
            assert!(self.run(&words, Some(side)).was_killed());
            assert_eq!(self.listed()[0]["status"], status);
        }
        reference
    }
}

#[test]
fn a_death_leaves_a_change_of_a_ticket_or_none() {
    let desk = TicketDesk::on(None);
    // A project begins with what is done in its repository first.
    let early = desk.run(&["ticket", "list"], None);
    assert!(early.stderr.contains("omoi setup"), "{early:?}");
    // A set-up whose process dies as it begins or ends is asked for again, whatever became of the first one.
    let operation = CrashPoint::OperationMoved.as_str();
    for pass in ["before:1", "after:1", "before:2", "after:2"] {
        let died = desk.run_until(&["setup"], Some(format!("{operation}:{pass}")));
        assert!(died.was_killed(), "{pass}: {died:?}");
    }
    desk.run(&["setup"], None).exited(0);
    let reference = desk.dies_around_a_ticket();
    let commented = desk.run(
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
        let said = desk.run(&words, None);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(
            said.status.success() && all.contains(told),
            "{words:?}: {all}"
        );
    }
}

#[test]
fn a_death_leaves_a_change_of_a_ticket_or_none_on_postgres() {
    let desk = TicketDesk::on(Some(postgres::database()));
    let operation = CrashPoint::OperationMoved.as_str();
    let died = desk.run_until(&["setup"], Some(format!("{operation}:after:1")));
    assert!(died.was_killed(), "{died:?}");
    desk.run(&["setup"], None).exited(0);
    desk.dies_around_a_ticket();
}

//! An account is made or not, wherever the program dies.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::CRASH_AT;
use omoi_testkit::database::TestDatabase;
use omoi_testkit::postgres;
use tempfile::TempDir;

use crate::binary::{self, Said, omoi};

const MAIL: &str = "ada@example.org";

/// The machine of whoever looks after accounts.
struct OperatorMachine {
    home: TempDir,
    /// The database, where it is no file in the data folder.
    database: Option<TestDatabase>,
}

impl OperatorMachine {
    /// A machine whose schema is up to date: without that no account is looked at or changed.
    fn migrated(database: Option<TestDatabase>) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("password"), "Opal-Harbour-7\n").unwrap();
        let machine = Self { home, database };
        let migrate = machine.command(&["db", "migrate"]);
        machine.said(migrate).exited(0);
        machine
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = omoi(self.home.path());
        command.args(words);
        if let Some(database) = &self.database {
            command.env("DATABASE_URL", database.url());
        }
        command
    }

    fn said(&self, mut command: Command) -> Said {
        let password = File::open(self.home.path().join("password")).unwrap();
        command.stdin(Stdio::from(password));
        binary::start_reading(command, self.home.path().join("said")).wait()
    }

    /// What `omoi admin` says, or how it dies at one side of the write of an account.
    fn run(&self, words: &[&str], death: Option<&str>) -> Said {
        let mut command = self.command(&[&["admin"], words].concat());
        if let Some(side) = death {
            let point = CrashPoint::AccountChanged.as_str();
            command.env(CRASH_AT, format!("{point}:{side}:1"));
        }
        self.said(command)
    }

    fn has_account(&self) -> bool {
        self.run(&["users"], None).stdout.contains(MAIL)
    }

    /// Dies before an account is made, and after; then it is there.
    fn dies_around_an_account(&self) {
        for side in ["before", "after"] {
            assert!(!self.has_account());
            assert!(self.run(&["add-user", MAIL], Some(side)).was_killed());
            assert_eq!(self.has_account(), side == "after");
        }
        // What is there already is told, and nothing is changed.
        let again = self.run(&["add-user", MAIL], None).exited(1);
        assert!(again.stderr.contains("omoi admin users"), "{again:?}");
    }
}

#[test]
fn a_death_leaves_an_account_or_none() {
    let machine = OperatorMachine::migrated(None);
    machine.dies_around_an_account();
    let run = |words: &[&str], death: Option<&str>| machine.run(words, death);
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
    run(&["sessions", "eve@example.org"], None).exited(2);
}

#[test]
fn a_death_leaves_an_account_or_none_on_postgres() {
    OperatorMachine::migrated(Some(postgres::database())).dies_around_an_account();
}

//! What an operator does at the machine for people who cannot get in.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::binary::{self, Said, omoi};
use crate::interrupt::until_asked;

const MAIL: &str = "ada@example.org";

/// Runs `omoi` with `words`; what it reads is in the file `typed`.
fn run(home: &Path, words: &[&str], typed: &str) -> Said {
    let input = home.join("typed");
    fs::write(&input, typed).unwrap();
    let mut command = omoi(home);
    command.args(words);
    command.stdin(Stdio::from(File::open(&input).unwrap()));
    binary::start_reading(command, home.join("said")).wait()
}

/// Types the same new password twice, or another one the second time.
fn add_at_terminal(home: &Path, first: &str, second: &str) -> Said {
    let mut command = omoi(home);
    command.args(["admin", "add-user", MAIL]);
    let mut asked = binary::start_on_terminal(&command, home.join("said"));
    until_asked(&mut asked, "Password: ");
    asked.types(&format!("{first}\n"));
    until_asked(&mut asked, "The same again: ");
    asked.types(&format!("{second}\n"));
    asked.wait()
}

#[test]
fn an_operator_lets_people_in_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let admin = |words: &[&str]| run(home, &[&["admin"], words].concat(), "Kettle-Meadow-9\n");
    // A list changes no schema, and makes no keys.
    let pending = admin(&["users"]).exited(2);
    assert!(pending.stderr.contains("omoi db migrate"), "{pending:?}");
    run(home, &["db", "migrate"], "").exited(0);
    admin(&["users"]).exited(0);
    let keys = home.join(".local/share/omoios/keys");
    assert!(!keys.exists());

    let differ = add_at_terminal(home, "Opal-Harbour-7", "Opal-Harbour-8").exited(2);
    assert!(differ.stdout.contains("differ"), "{differ:?}");
    assert!(!admin(&["users"]).stdout.contains(MAIL));
    add_at_terminal(home, "Opal-Harbour-7", "Opal-Harbour-7").exited(0);
    assert!(admin(&["users"]).stdout.contains(MAIL) && keys.exists());

    let invited = admin(&["make-owner", MAIL]).exited(0);
    assert_eq!(invited.stdout.trim_end().len(), 43);
    admin(&["add-member", MAIL, "--role", "owner"]).exited(0);
    let owned = admin(&["make-owner", "bob@example.org"]).exited(2);
    assert!(
        owned
            .stderr
            .contains("omoi admin invite bob@example.org --role owner"),
        "{owned:?}"
    );
    for words in [["disable-user", MAIL], ["remove-member", MAIL]] {
        let refused = admin(&words).exited(1);
        assert!(refused.stderr.contains("--role owner"), "{refused:?}");
    }
    for purpose in ["reset", "unlock", "verify"] {
        let link = admin(&["link", MAIL, "--for", purpose, "--json"]).exited(0);
        let link: Value = serde_json::from_str(&link.stdout).unwrap();
        assert_eq!(link["purpose"], purpose);
        assert_eq!(link["token"].as_str().unwrap().len(), 43);
    }
    let link = admin(&["link", MAIL, "--for", "reset"]).exited(0);
    assert_eq!(link.stdout.trim_end().len(), 43);
    assert!(link.stderr.contains("Good once"), "{link:?}");
    let set = admin(&["set-password", MAIL]).exited(0);
    assert!(set.stderr.contains("has a new password"), "{set:?}");
    let weak = run(home, &["admin", "set-password", MAIL], "short\n").exited(1);
    assert!(weak.stderr.contains("hint:"), "{weak:?}");
    let unknown = admin(&["revoke-key", "01930000-0000-7000-8000-000000000009"]).exited(2);
    assert!(unknown.stderr.contains("omoi admin keys"), "{unknown:?}");

    let acme = ["add-organisation", "acme", "--owner", MAIL];
    admin(&acme).exited(0);
    let taken = admin(&acme).exited(1);
    assert!(taken.stderr.contains("acme is taken"), "{taken:?}");
    admin(&["limit-organisation", "acme", "--agents", "20"]).exited(0);
    let listed = admin(&["organisations"]).exited(0);
    assert_eq!(
        listed.stdout,
        "acme  acme  at most 20 at work\nlocal  local  at work as the deployment allows\n"
    );
}

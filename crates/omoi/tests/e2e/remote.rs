//! A server that does not see the repository: commits are sent to it, and the branch is fetched, from a clone elsewhere.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use omoi_testkit::repo::TestRepo;
use serde_json::Value;

use crate::binary::{Running, Said, omoi, start_reading};
use crate::processes::address;
use crate::read_answers::ReadPlace;
use crate::world::World;

const MAIL: &str = "ada@example.org";
const VIEWER: &str = "vic@example.org";
const PASSWORD: &str = "Opal-Harbour-7";
const IDEA: &str = "Say goodbye, also loudly.";

/// A server with accounts, and a person with a clone who signed in to it.
struct Remote {
    world: World,
    clone: PathBuf,
    url: String,
    password: PathBuf,
    server: Running,
}

impl Remote {
    fn start() -> Self {
        let world = World::two_tasks("scenario.yaml");
        let password = world.beside("password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        for words in [
            &["db", "migrate"][..],
            &["admin", "add-user", MAIL],
            &["admin", "add-member", MAIL],
            &["admin", "add-user", VIEWER],
            &["admin", "add-member", VIEWER, "--role", "viewer"],
        ] {
            let mut command = world.command(words);
            command.stdin(Stdio::from(File::open(&password).unwrap()));
            start_reading(command, world.beside("admin"))
                .wait()
                .exited(0);
        }
        let up = world.simulated(world.command(&["up", "--port", "0", "--json"]));
        let mut server = world.start(up);
        let url = address(&mut server).unwrap();
        let clone = world.beside("clones/todo");
        let from = world.repo.path().to_str().unwrap();
        let cloned = Command::new("git")
            .args(["clone", "--quiet", from])
            .arg(&clone)
            .status();
        assert!(cloned.unwrap().success());
        let remote = Self {
            world,
            clone,
            url,
            password,
            server,
        };
        for (mail, name) in [(VIEWER, "viewer"), (MAIL, "team")] {
            let words = ["login", &remote.url, "--email", mail, "--name", name];
            remote.omoi(&remote.clone, &words).exited(0);
        }
        remote
    }

    /// The program on the person's machine, typed in `folder`: no flag names a data folder.
    fn omoi(&self, folder: &Path, words: &[&str]) -> Said {
        let mut command = omoi(&self.world.home());
        command.args(words).current_dir(folder);
        command.stdin(Stdio::from(File::open(&self.password).unwrap()));
        start_reading(command, self.world.beside("client")).wait()
    }
}

pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let said = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(words)
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_run_sends_what_is_missing_and_fetches_the_branch() {
    let remote = Remote::start();
    let clone = remote.clone.clone();
    let before = git(&clone, &["rev-parse", "HEAD"]);
    let said = remote
        .omoi(&clone, &["run", IDEA, "--yes", "--json"])
        .exited(0);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded", "{summary}");
    let branch = summary["branch"].as_str().unwrap();
    let head = git(&clone, &["rev-parse", branch]);
    git(&clone, &["merge-base", "--is-ancestor", &before, &head]);
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), before);
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    // The repository that the clone came from was no part of it.
    let origin = remote.world.repo.git(&["branch", "--list", branch]);
    assert_eq!(origin, "");
    let cache = remote.world.home().join(".cache/omoios");
    assert_eq!(
        fs::read_dir(cache).unwrap().count(),
        0,
        "something was left"
    );
    reads_as_on_a_laptop(&remote);

    // A second run has nothing to send.
    let again = remote.omoi(&clone, &["run", IDEA]);
    assert!(again.stderr.contains("Sent 0 commits"), "{}", again.stderr);
    let fetch = ["spec", "fetch", "SPEC-1", "--json"];
    let told = remote.omoi(&clone, &fetch).exited(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(
        (&told["existed"], &told["commit"]),
        (&true.into(), &Value::from(head.clone()))
    );
    // Where the branch was moved on, what is fetched gets a name of its own.
    let moved = git(
        &clone,
        &[
            "commit-tree",
            &format!("{head}^{{tree}}"),
            "-p",
            &head,
            "-m",
            "Mine",
        ],
    );
    git(&clone, &["branch", "--force", branch, &moved]);
    let told = remote.omoi(&clone, &["spec", "fetch", "SPEC-1"]).exited(0);
    assert!(
        told.stderr.contains(&format!("`{branch}-2`")),
        "{}",
        told.stderr
    );
    assert_eq!(git(&clone, &["rev-parse", &format!("{branch}-2")]), head);
    assert_eq!(git(&clone, &["rev-parse", branch]), moved);
    is_told_what_is_wrong(remote);
}

/// What is asked of a server elsewhere reads as on the machine that did the work; accounts are for that machine alone.
fn reads_as_on_a_laptop(remote: &Remote) {
    let place = ReadPlace {
        world: &remote.world,
        repo: "todo",
        project: "todo",
        run: &|words| remote.omoi(&remote.clone, words),
    };
    place.reads_as_everywhere();
    place.reads("whoami_of_server", &["whoami"]);
    place.reads("profiles_of_servers", &["profile", "list"]);
    let verify = ["admin", "audit", "verify"];
    let refused = remote.omoi(&remote.clone, &verify).exited(2);
    assert!(refused.stderr.contains("omoi db migrate"), "{refused:?}");
    let of_server = remote.world.command(&verify);
    let verified = remote.world.start(of_server).wait().exited(0);
    let told = format!("organisation {}: ", omoi_domain::id::OrgId::LOCAL);
    assert!(
        verified.stdout.contains(&told) && !verified.stdout.contains(&format!("{told}0 rows")),
        "{verified:?}"
    );
}

/// Wrong repository, no permission, nobody there: each says what it is and what to do.
fn is_told_what_is_wrong(remote: Remote) {
    let other = TestRepo::empty();
    other.write("a", "another project\n");
    other.commit("Start");
    let path = other.path();
    let run = ["run", IDEA, "--project", "todo"];
    let refused = remote.omoi(path, &run).exited(2);
    assert!(
        refused.stderr.contains("it is another repository's")
            && refused.stderr.contains("--project NAME"),
        "{}",
        refused.stderr
    );
    let refused = remote.omoi(path, &["spec", "fetch", "SPEC-1"]).exited(2);
    assert!(
        refused.stderr.contains("does not have commit") && refused.stderr.contains("--repo PATH"),
        "{}",
        refused.stderr
    );
    let refused = remote.omoi(
        path,
        &["run", IDEA, "--project", "new", "--profile", "viewer"],
    );
    assert!(
        refused.status.code() == Some(1) && refused.stderr.contains("`project:write`"),
        "{}",
        refused.stderr
    );
    let clone = remote.clone.clone();
    let refused = remote.omoi(&clone, &["run", IDEA, "--profile", "viewer"]);
    assert!(
        refused.status.code() == Some(1) && refused.stderr.contains("`spec:execute`"),
        "{}",
        refused.stderr
    );
    let Remote {
        world,
        server,
        password,
        ..
    } = remote;
    server.interrupt();
    server.wait();
    let mut command = omoi(&world.home());
    command.args(["run", IDEA]).current_dir(&clone);
    command.stdin(Stdio::from(File::open(&password).unwrap()));
    let refused = start_reading(command, world.beside("client"))
        .wait()
        .exited(1);
    assert!(
        refused.stderr.contains("cannot be asked"),
        "{}",
        refused.stderr
    );
}

//! A repository of very many files: a run on it ends as one on few files does, or says by name what it left out.
//!
//! `OMOI_TEST_FILES=500000 cargo test -p omoi --all-features --test e2e many_files` makes it as large as one can be
//! expected to be, and takes longer than a test may.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::world::World;

const FILES: usize = 3_000;
const FILES_OF_A_FOLDER: usize = 50;
/// A run takes at most this long, and more for each file.
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_PER_FILE: Duration = Duration::from_millis(10);

fn wanted_files() -> usize {
    let wanted = std::env::var("OMOI_TEST_FILES").ok();
    wanted.map_or(FILES, |n| n.parse().expect("a number of files"))
}

/// A commit of `count` sources in folders of fifty, without writing one of them into a work tree.
fn commit_files(world: &World, count: usize) {
    let mut stream = String::from(
        "commit refs/heads/main\ncommitter Test Author <author@example.com> 1767225600 +0000\ndata 4\nMany\n\
         from refs/heads/main^0\n",
    );
    for n in 0..count {
        let text = format!("def unit_{n}(value):\n    return value + {n}\n");
        let folder = n / FILES_OF_A_FOLDER;
        let _ = write!(
            stream,
            "M 100644 inline lib/part_{}/unit_{folder}/file_{n}.py\ndata {}\n{text}\n",
            folder / FILES_OF_A_FOLDER,
            text.len()
        );
    }
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(world.repo.path())
        .args(["fast-import", "--quiet"]);
    let mut importing = git.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = importing.stdin.take().unwrap();
    input.write_all(stream.as_bytes()).unwrap();
    drop(input);
    assert!(importing.wait().unwrap().success());
    world.repo.git(&["reset", "--quiet", "--hard"]);
}

#[test]
fn a_run_on_very_many_files_does_its_work() {
    let count = wanted_files();
    let world = World::two_tasks("scenario.yaml");
    commit_files(&world, count);
    let patience = PATIENCE + PATIENCE_PER_FILE * u32::try_from(count).unwrap();
    let mut running = world.start(world.run(&["--yes"]));
    assert!(running.ends_within(patience), "{count} files take too long");
    let said = running.wait().exited(0);
    println!("{count} files: {:.1?}", said.took);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded", "{summary:#}");
    let criteria = &summary["criteria"];
    assert_eq!(criteria["proven"], criteria["total"], "{summary:#}");
    let branch = summary["branch"].as_str().unwrap();
    let files = world.tree(branch).lines().count();
    // What the repository had, and the two modules.
    assert_eq!(files, count + 5);
}

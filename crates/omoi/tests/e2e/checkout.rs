//! What a person sees in a repository, and what tests must pass there.

use std::fs;
use std::path::Path;
use std::process::Command;

use omoi_testkit::repo::TestRepo;

use crate::world::files_below;

/// HEAD, index, work tree and branches of `repo`.
#[derive(Debug, PartialEq)]
pub(crate) struct Checkout {
    head: String,
    index: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
    refs: Vec<String>,
}

impl Checkout {
    /// As it is now. Nothing that might refresh the index runs.
    pub(crate) fn of(repo: &TestRepo) -> Self {
        let read = |path: &str| fs::read(repo.path().join(path)).unwrap();
        let files = files_below(repo.path()).into_iter().map(|path| {
            let path = path.to_str().unwrap().to_owned();
            let bytes = read(&path);
            (path, bytes)
        });
        let refs = repo.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        Self {
            head: String::from_utf8(read(".git/HEAD")).unwrap(),
            index: read(".git/index"),
            files: files.collect(),
            refs: refs.lines().map(ToOwned::to_owned).collect(),
        }
    }

    /// The same repository with `branch` at `head` beside what it had.
    pub(crate) fn with_branch(mut self, branch: &str, head: &str) -> Self {
        self.refs.push(format!("refs/heads/{branch} {head}"));
        self.refs.sort();
        self
    }
}

/// Runs the tests of a Python project by hand on a fresh clone of `branch`.
pub(crate) fn tests_pass(repo: &Path, branch: &str) {
    let said = tested(repo, branch, &["python3", "-m", "unittest"]);
    assert!(said.contains("\nOK"), "{said}");
}

/// What `command` says when it passes on a fresh clone of `branch`.
pub(crate) fn tested(repo: &Path, branch: &str, command: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--branch", branch])
        .args([repo, folder.path()])
        .status();
    assert!(cloned.unwrap().success());
    let tested = Command::new(command[0])
        .args(&command[1..])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = [tested.stdout, tested.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(tested.status.success(), "{said}");
    said
}

/// The plan's files in `branch`.
pub(crate) fn plan_files(repo: &Path, branch: &str) -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-tree", "-r", "--name-only", branch, ".omoi_os/"])
        .current_dir(repo)
        .output()
        .unwrap();
    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().map(ToOwned::to_owned).collect()
}

//! A repository, a scenario and a data folder of their own for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use omoi_testkit::database::TestDatabase;
use omoi_testkit::repo::TestRepo;
use tempfile::TempDir;

use crate::binary::{self, Running, omoi};

/// What is needed to run the program; gone with this value.
pub(crate) struct World {
    pub(crate) repo: TestRepo,
    folder: TempDir,
    scenario: PathBuf,
    idea: String,
    runs: AtomicU32,
    /// The database, where it is no file in the data folder.
    on_server: Mutex<Option<TestDatabase>>,
}

impl World {
    /// The repository and the scenario of `omoi demo`, or the variation in `scenario`.
    pub(crate) fn demo(scenario: &str) -> Self {
        let assets = asset("assets/demo");
        let idea = fs::read_to_string(assets.join("idea.txt")).unwrap();
        Self::new(&assets.join("repo"), assets.join(scenario), idea)
    }

    /// A repository and a scenario with two tasks, the second of which needs the first.
    pub(crate) fn two_tasks(scenario: &str) -> Self {
        let assets = asset("tests/assets/two-tasks");
        Self::new(
            &assets.join("repo"),
            assets.join(scenario),
            "Say goodbye, also loudly.".to_owned(),
        )
    }

    /// A project of `kind`, `node`, `rust` or `python`, that needs packages, and a scenario in which one is raised.
    pub(crate) fn with_packages(kind: &str) -> Self {
        let assets = asset("tests/assets/packages");
        Self::new(
            &assets.join(kind),
            assets.join(format!("{kind}.yaml")),
            "Say the first word loudly, and say the last word.".to_owned(),
        )
    }

    /// A crate and a scenario with two tasks.
    pub(crate) fn rust_crate() -> Self {
        let assets = asset("tests/assets/rust-crate");
        Self::new(
            &assets.join("repo"),
            assets.join("scenario.yaml"),
            "Say goodbye, also loudly.".to_owned(),
        )
    }

    /// As [`two_tasks`](Self::two_tasks), with the scenario's text changed.
    pub(crate) fn two_tasks_with(change: impl FnOnce(String) -> String) -> Self {
        let mut world = Self::two_tasks("scenario.yaml");
        world.change_scenario(change);
        world
    }

    /// Has the next run follow a scenario whose text is changed.
    pub(crate) fn change_scenario(&mut self, change: impl FnOnce(String) -> String) {
        let text = change(fs::read_to_string(&self.scenario).unwrap());
        self.scenario = self.folder.path().join("scenario.yaml");
        fs::write(&self.scenario, text).unwrap();
    }

    /// Another repository with the same files, for the same data folder.
    pub(crate) fn second_repo() -> TestRepo {
        repo_of(&asset("tests/assets/two-tasks/repo"))
    }

    /// The scenario's file.
    pub(crate) fn scenario(&self) -> &Path {
        &self.scenario
    }

    fn new(files: &Path, scenario: PathBuf, idea: String) -> Self {
        let repo = repo_of(files);
        let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        Self {
            repo,
            folder,
            scenario,
            idea,
            runs: AtomicU32::new(0),
            on_server: Mutex::new(None),
        }
    }

    /// Works on a database of a server from now on; gives back the one before.
    pub(crate) fn move_to(&self, database: TestDatabase) -> Option<TestDatabase> {
        let mut on_server = self
            .on_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        on_server.replace(database)
    }

    fn server_url(&self) -> Option<String> {
        let on_server = self
            .on_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        on_server.as_ref().map(|database| database.url().to_owned())
    }

    /// How the project of the repository is called.
    pub(crate) fn repo_name(&self) -> String {
        let name = self.repo.path().file_name().unwrap();
        name.to_str().unwrap().to_owned()
    }

    /// The home folder of the person.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The address of the database.
    pub(crate) fn database(&self) -> String {
        let in_folder = || {
            let file = self.data().join("omoios.db");
            format!("sqlite://{}?mode=ro", file.display())
        };
        self.server_url().unwrap_or_else(in_folder)
    }

    /// The program with `arguments` on this data folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = omoi(&self.home());
        // A number means the spec of the repository it is typed in.
        command.current_dir(self.repo.path());
        if let Some(url) = self.server_url() {
            command.env("DATABASE_URL", url);
        }
        command.arg("--data-dir").arg(self.data()).args(arguments);
        command
    }

    /// A run of the idea, whoever does the work.
    pub(crate) fn ask(&self, more: &[&str]) -> Command {
        let mut run = self.ask_for_people(more);
        run.arg("--json");
        run
    }

    /// The same, of whichever server is chosen: no flag names a data folder.
    pub(crate) fn ask_server(&self, more: &[&str]) -> Command {
        let mut run = omoi(&self.home());
        run.current_dir(self.repo.path());
        run.args(["run", &self.idea, "--repo"])
            .arg(self.repo.path());
        run.args(more).arg("--json");
        run
    }

    /// The same, told in words.
    pub(crate) fn ask_for_people(&self, more: &[&str]) -> Command {
        let mut run = self.command(&["run", &self.idea, "--repo"]);
        run.arg(self.repo.path()).args(more);
        run
    }

    /// A run of the idea with this world's scenario.
    pub(crate) fn run(&self, more: &[&str]) -> Command {
        self.simulated(self.ask(more))
    }

    /// Goes on with the first spec.
    pub(crate) fn go_on(&self, how: &str) -> Command {
        self.simulated(self.command(&["spec", how, "SPEC-1", "--json"]))
    }

    /// `command` with this world's scenario.
    pub(crate) fn simulated(&self, mut command: Command) -> Command {
        command
            .args(["--model", "simulated", "--scenario"])
            .arg(&self.scenario);
        command
    }

    /// Starts `command`.
    pub(crate) fn start(&self, command: Command) -> Running {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        binary::start(command, self.folder.path().join(format!("run{number}")))
    }

    /// Starts `command` with a person at its terminal.
    pub(crate) fn start_on_terminal(&self, command: &Command) -> Running {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        binary::start_on_terminal(command, self.folder.path().join(format!("run{number}")))
    }

    /// `branch` of the repository without the plan's files: one line per file.
    pub(crate) fn tree(&self, branch: &str) -> String {
        let tree = self.repo.git(&["ls-tree", "-r", branch]);
        let kept = tree.lines().filter(|line| !line.contains("\t.omoi_os/"));
        kept.collect::<Vec<_>>().join("\n")
    }
}

/// A repository with one commit of `files`.
fn repo_of(files: &Path) -> TestRepo {
    let repo = TestRepo::empty();
    for path in files_below(files) {
        repo.write(path.to_str().unwrap(), fs::read(files.join(&path)).unwrap());
    }
    repo.commit("Start");
    repo
}

/// A file or folder of this crate.
pub(crate) fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every file below `root` but git's own, relative to it.
pub(crate) fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with(".git") {
                open.push(path);
            } else if !path.is_dir() {
                found.push(path.strip_prefix(root).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

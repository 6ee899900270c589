//! A spec that an earlier release left half done ends well with this one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use omoi_testkit::database::TestDatabase;
use omoi_testkit::earlier_release::ReleasedData;
use serde_json::{Value, json};

use crate::binary::{self, omoi};
use crate::story;

/// Where data folder, repository and scenario lay.
const RELEASED_FOLDER: &str = "/srv/omoios";
/// Where Python lay.
const RELEASED_PYTHON: &str = "/opt/python";
/// Where the repository of the demo lies below that folder, under a name that each backend's data drew.
const REPOSITORIES: &str = "cache/omoios";

/// The phases that had ended before the release was killed: none is run again.
const PHASES: &str = "select cast(count(*) as text) || ' until ' || max(cast(id as text))
    from attempts where subject = 'spec_phase' and state = 'succeeded'";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Lays the files of the release below `folder`; gives the repository.
fn lay_files(database: &TestDatabase, folder: &Path) -> PathBuf {
    let archive = ReleasedData::HalfDone.folder_archive(database);
    run(Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(folder));
    fs::set_permissions(folder.join("data"), Permissions::from_mode(0o700)).unwrap();
    let mut repositories = fs::read_dir(folder.join(REPOSITORIES))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    // The scenario that the spec was begun with lies beside it.
    let repository = repositories
        .find(|path| path.extension().is_none())
        .unwrap();
    run(Command::new("git")
        .arg("-C")
        .arg(&repository)
        .args(["reset", "--quiet", "--hard"]));
    repository
}

fn ends_well(database: &TestDatabase) {
    let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
    let folder = folder.path();
    let repository = lay_files(database, folder);
    let python = run(Command::new("python3").args(["-c", "import sys; print(sys.prefix)"]));
    let moves = [
        (RELEASED_FOLDER, folder.to_str().unwrap()),
        (RELEASED_PYTHON, python.as_str()),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ReleasedData::HalfDone.restore_moved(database, &moves));
    let phases = story::one(database.url(), PHASES);

    let mut resume = omoi(folder);
    resume.args(["spec", "resume", "SPEC-1", "--json", "--model", "simulated"]);
    let scenario = repository.with_extension("script").join("scenario.yaml");
    resume.arg("--scenario").arg(scenario);
    resume.arg("--data-dir").arg(folder.join("data"));
    resume.args(["--database", database.url()]);
    resume.current_dir(&repository);
    let said = binary::start(resume, folder.join("said")).wait().exited(0);
    let summary: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (
            &summary["outcome"],
            &summary["tasks"],
            &summary["criteria"]["proven"]
        ),
        (
            &json!("succeeded"),
            &json!({ "completed": 9, "failed": 0, "cancelled": 0 }),
            &json!(15),
        ),
        "{summary}"
    );
    let told = story::read(database.url());
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    assert_eq!(story::one(database.url(), PHASES), phases);
    let branch = summary["branch"].as_str().unwrap();
    let head = run(Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["rev-parse", branch]));
    assert_eq!(json!(head), summary["head"]);
}

#[test]
fn a_spec_of_an_earlier_release_ends_well_on_sqlite() {
    ends_well(&omoi_testkit::sqlite::empty_database());
}

#[test]
fn a_spec_of_an_earlier_release_ends_well_on_postgres() {
    ends_well(&omoi_testkit::postgres::empty_database());
}

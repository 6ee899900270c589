//! Other languages, other users.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::{omoi, start};
use crate::checkout::{tested, tests_pass};
use crate::scenarios::is_the_demo;
use crate::world::World;

/// Folders every sandbox shows.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/sbin", "/lib"];
/// Any user that is not root, and none of those that sandboxes get; files of nobody else belong to it.
pub(crate) const SOMEBODY: u32 = 63_321;

/// Where the toolchain that builds this test lies.
pub(crate) fn toolchain() -> PathBuf {
    let said = Command::new("rustc").args(["--print", "sysroot"]).output();
    PathBuf::from(String::from_utf8(said.unwrap().stdout).unwrap().trim())
}

/// `first`, then what the tests themselves search.
pub(crate) fn path_with(first: &Path) -> OsString {
    let others = env::var_os("PATH").unwrap_or_default();
    let all = [first.to_path_buf()];
    env::join_paths(all.into_iter().chain(env::split_paths(&others))).unwrap()
}

#[test]
fn a_crate_is_built_with_its_toolchain() {
    let toolchain = toolchain();
    assert!(
        !SYSTEM.iter().any(|folder| toolchain.starts_with(folder)),
        "{} is in every sandbox: this shows nothing",
        toolchain.display()
    );
    let world = World::rust_crate();
    let mut run = world.run(&["--yes"]);
    run.env("PATH", path_with(&toolchain.join("bin")));
    let said = world.start(run).wait().exited(0);
    println!("{:?}", said.took);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded", "{summary:#}");
    assert_eq!(summary["criteria"]["proven"], 4, "{summary:#}");
    assert_eq!(summary["criteria"]["total"], 4, "{summary:#}");
    let branch = summary["branch"].as_str().unwrap();
    let tests = ["cargo", "test", "--quiet", "--offline"];
    let said = tested(world.repo.path(), branch, &tests);
    assert!(said.contains("test result: ok"), "{said}");
}

#[test]
fn the_demo_needs_no_root() {
    let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let mut demo = omoi(&home);
    if fs::metadata(&home).unwrap().uid() == 0 {
        demo = as_somebody(folder.path(), &home);
    }
    demo.args(["demo", "--json", "--data-dir"]);
    demo.arg(home.join("data"));
    let said = start(demo, folder.path().join("demo")).wait().exited(0);
    println!("{:?}", said.took);
    let summary = said.summary();
    is_the_demo(&summary);
    let repo = Path::new(summary["repo"].as_str().unwrap());
    let copy = folder.path().join("copy");
    let copied = Command::new("cp").arg("-r").args([repo, &copy]).status();
    assert!(copied.unwrap().success());
    tests_pass(&copy, summary["branch"].as_str().unwrap());
}

/// The program as a user who may read nothing of whoever runs the tests.
pub(crate) fn as_somebody(folder: &Path, home: &Path) -> Command {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(home, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let mut demo = somebodys_program(folder);
    demo.env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .current_dir(home);
    demo
}

/// The program, copied into `folder`, as started by that user.
pub(crate) fn somebodys_program(folder: &Path) -> Command {
    let program = folder.join("omoi");
    fs::copy(env!("CARGO_BIN_EXE_omoi"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &SOMEBODY.to_string()])
        .args(["--regid", &SOMEBODY.to_string()])
        .args(["--clear-groups", "--"])
        .arg(program);
    command
}

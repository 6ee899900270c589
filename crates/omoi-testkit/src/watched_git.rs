//! A git whose every start waits until the test has looked around.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "it stands in for the git that a test finds"
)]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// What ends the watch.
const STOP: u8 = b's';

/// A folder with a `git` that asks before it becomes the real one.
pub(crate) struct WatchedGit {
    folder: TempDir,
    watch: Option<JoinHandle<u32>>,
}

impl WatchedGit {
    /// Calls `look` before each start of git, from a thread of its own.
    pub(crate) fn new(mut look: impl FnMut() + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("no temporary folder");
        let (asked, answered) = (folder.path().join("asked"), folder.path().join("answered"));
        for pipe in [&asked, &answered] {
            let made = Command::new("mkfifo").arg(pipe).status();
            assert!(made.is_ok_and(|status| status.success()), "no mkfifo");
        }
        let script = format!(
            "#!/bin/sh\nprintf c > '{}'\nread -r _ < '{}'\nexec '{}' \"$@\"\n",
            asked.display(),
            answered.display(),
            real_git().display()
        );
        let program = folder.path().join("git");
        fs::write(&program, script).expect("could not write the script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .expect("could not make it a program");
        let (mut asked, mut answered) = (open(&asked), open(&answered));
        let watch = thread::spawn(move || {
            let mut calls = 0;
            loop {
                let mut said = [0];
                asked.read_exact(&mut said).expect("the pipe broke");
                if said == [STOP] {
                    return calls;
                }
                calls += 1;
                look();
                answered.write_all(b"\n").expect("the pipe broke");
            }
        });
        Self {
            folder,
            watch: Some(watch),
        }
    }

    /// A `PATH` with this git first.
    pub(crate) fn search_path(&self) -> OsString {
        let mut path = self.folder.path().as_os_str().to_owned();
        path.push(":/usr/local/bin:/usr/bin:/bin");
        path
    }

    /// Ends the watch; says how often git was started. Panics if a look did.
    pub(crate) fn finish_watch(mut self) -> u32 {
        open(&self.folder.path().join("asked"))
            .write_all(&[STOP])
            .expect("the pipe broke");
        let watch = self.watch.take().expect("ended twice");
        watch.join().expect("a look failed")
    }
}

/// For both ends, so that neither waits for the other to open it.
fn open(pipe: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.open(pipe).expect("could not open the pipe")
}

fn real_git() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("git"));
    let found = found.find(|program| program.is_file());
    found.expect("no git: install the package `git`")
}

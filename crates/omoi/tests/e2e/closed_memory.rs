//! What the process holds, for other programs of whoever started it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use crate::binary::{omoi, start};
use crate::elsewhere::{SOMEBODY, as_somebody};
use crate::processes::address;

const KEY: &str = "sk-ant-this-is-nobodys-business";

/// What a program of the same user gets of the process `pid`.
fn look_at(pid: u32, is_root: bool) -> Output {
    let words = [
        "cat /proc/$0/environ; readlink /proc/$0/exe; ls /proc/$0/fd; cat /proc/$0/maps; head -c 1 /proc/$0/mem",
        &pid.to_string(),
    ];
    let mut shell = Command::new("sh");
    if is_root {
        shell = Command::new("setpriv");
        let user = SOMEBODY.to_string();
        shell.args(["--reuid", &user, "--regid", &user]);
        shell.args(["--clear-groups", "--", "sh"]);
    }
    shell.arg("-c").args(words).output().unwrap()
}

#[test]
fn other_programs_of_the_user_read_nothing_of_the_platform() {
    let folder = tempfile::Builder::new().prefix("omoi").tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let is_root = fs::metadata(&home).unwrap().uid() == 0;
    let mut up = match is_root {
        true => as_somebody(folder.path(), &home),
        false => omoi(&home),
    };
    up.env("ANTHROPIC_API_KEY", KEY);
    up.args(["up", "--port", "0", "--json", "--data-dir"]);
    up.arg(home.join("data"));
    let mut up = start(up, folder.path().join("up"));
    address(&mut up).expect("no address");

    let got = look_at(up.process_id(), is_root);
    let got = String::from_utf8_lossy(&got.stdout).into_owned();
    assert!(got.is_empty(), "{got}");
    let limits = fs::read_to_string(format!("/proc/{}/limits", up.process_id())).unwrap();
    let core = limits.lines().find(|line| line.contains("core file size"));
    let core: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["1", "1"], "{limits}");

    // The same look at a program that does not close itself.
    let mut sleeper = Command::new("setpriv");
    if is_root {
        let user = SOMEBODY.to_string();
        sleeper.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    }
    let mut sleeper = sleeper
        .args(["--", "sleep", "60"])
        .env("ANTHROPIC_API_KEY", KEY)
        .spawn()
        .unwrap();
    let cmdline = format!("/proc/{}/cmdline", sleeper.id());
    while !fs::read_to_string(&cmdline).unwrap().starts_with("sleep") {
        std::thread::yield_now();
    }
    let got = look_at(sleeper.id(), is_root);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(String::from_utf8_lossy(&got.stdout).contains(KEY));
}

//! Starts the program and keeps what it said.

use std::fs::{self, File};
use std::io::Write as _;
#[cfg(feature = "crash-points")]
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No run of a test takes this long.
const PATIENCE: Duration = Duration::from_secs(150);
/// Time between two looks at a program.
const LOOK: Duration = Duration::from_millis(5);

/// The binary under test, in an environment that holds nothing of the person who runs the tests.
pub(crate) fn omoi(home: &Path) -> Command {
    let mut omoi = Command::new(env!("CARGO_BIN_EXE_omoi"));
    omoi.env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        // Registries are far away, but for the tests that bring their own.
        .env("SANDBOX_SETUP", "none")
        .current_dir(home);
    omoi
}

/// A started program; dropping it ends it.
pub(crate) struct Running {
    child: Child,
    started: Instant,
    said: PathBuf,
    arguments: String,
}

/// A program that has ended.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    arguments: String,
}

/// Gives its arguments a terminal: what comes in is typed, what is shown goes out.
const TERMINAL: &str = "import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// Starts `command`; what it says goes to files at `said`.
pub(crate) fn start(mut command: Command, said: PathBuf) -> Running {
    command.stdin(Stdio::null());
    spawn(command, said)
}

/// Starts `command` with its standard input as it was set.
pub(crate) fn start_reading(command: Command, said: PathBuf) -> Running {
    spawn(command, said)
}

/// Starts `command` on a terminal; what it shows goes to a file at `said`.
pub(crate) fn start_on_terminal(command: &Command, said: PathBuf) -> Running {
    let mut terminal = Command::new("python3");
    terminal.args(["-c", TERMINAL]).arg(command.get_program());
    terminal.args(command.get_args()).env_clear();
    let set = command.get_envs();
    terminal.envs(set.filter_map(|(name, value)| Some((name, value?))));
    terminal.current_dir(command.get_current_dir().unwrap());
    terminal.stdin(Stdio::piped());
    spawn(terminal, said)
}

fn spawn(mut command: Command, said: PathBuf) -> Running {
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    let arguments = arguments.join(" ");
    let child = command
        .stdout(File::create(said.with_extension("out")).unwrap())
        .stderr(File::create(said.with_extension("err")).unwrap())
        .spawn()
        .unwrap();
    Running {
        child,
        started: Instant::now(),
        said,
        arguments,
    }
}

impl Running {
    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> Said {
        assert!(
            self.ends_within(PATIENCE),
            "{} hangs\n{}",
            self.arguments,
            self.stderr()
        );
        let status = self.child.wait().unwrap();
        Said {
            status,
            stdout: fs::read_to_string(self.said.with_extension("out")).unwrap(),
            stderr: self.stderr(),
            took: self.started.elapsed(),
            arguments: self.arguments.clone(),
        }
    }

    /// Whether it ends by itself before `patience` is over.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The number of its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Types `text` at its terminal.
    pub(crate) fn types(&mut self, text: &str) {
        let keys = self.child.stdin.as_mut().unwrap();
        keys.write_all(text.as_bytes()).unwrap();
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.send_signal("INT");
    }

    /// Kills the process below it that was started by a file below `folder`, as its sandbox sees it.
    pub(crate) fn kill_started_from(&self, folder: &str) {
        let field = |pid: &str, file: &str| fs::read(format!("/proc/{pid}/{file}")).ok();
        let parent = |pid: &str| -> Option<String> {
            let stat = String::from_utf8_lossy(&field(pid, "stat")?).into_owned();
            let (_, rest) = stat.rsplit_once(") ")?;
            rest.split(' ').nth(1).map(str::to_owned)
        };
        let own = self.child.id().to_string();
        let is_below = |pid: &str| {
            let mut above = std::iter::successors(parent(pid), |pid| parent(pid));
            above.any(|pid| pid == own)
        };
        let is_started_so = |pid: &str| {
            let words = field(pid, "cmdline").unwrap_or_default();
            // An interpreter may have an option of its own before the program.
            let mut words = words.split(|byte| *byte == 0).take(3);
            words.any(|word| word.starts_with(folder.as_bytes()))
        };
        let entries = fs::read_dir("/proc").unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found: Vec<_> = names
            .filter(|pid| is_started_so(pid) && is_below(pid))
            .collect();
        assert!(!found.is_empty(), "nothing runs from {folder}");
        let killed = Command::new("kill").arg("-KILL").args(&found).status();
        assert!(killed.unwrap().success(), "{found:?}");
    }

    /// Sends it a signal by name.
    pub(crate) fn send_signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let name = format!("-{name}");
        let sent = Command::new("kill").args([&name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it has written `text` to standard output.
    pub(crate) fn wait_for_output(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.stdout().contains(text) {
            let is_alive = self.child.try_wait().unwrap().is_none();
            assert!(is_alive && Instant::now() < until, "{}", self.stderr());
            std::thread::sleep(LOOK);
        }
    }

    /// Ends it as a crash or a power cut would.
    pub(crate) fn kill(mut self) -> Said {
        self.child.kill().unwrap();
        self.wait()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.said.with_extension("err")).unwrap()
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.said.with_extension("out")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    /// Standard output as one JSON object per line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str(line) {
            Ok(Value::Object(object)) => Value::Object(object),
            other => panic!("`{line}` is no JSON object: {other:?}\n{self:?}"),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The last line of a run, after nothing but events.
    pub(crate) fn summary(&self) -> Value {
        let mut lines = self.lines();
        let summary = lines
            .pop()
            .unwrap_or_else(|| panic!("no summary\n{self:?}"));
        assert_eq!(summary["type"], "summary", "{self:?}");
        for event in &lines {
            assert!(
                event["event_type"].is_string() && event["seq"].is_i64(),
                "{event}"
            );
        }
        summary
    }

    /// The events of a run, in order.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["event_type"].is_string());
        lines
    }

    /// The same, when it ended with `code`.
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }

    /// Whether it was killed.
    #[cfg(feature = "crash-points")]
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }
}

/// Lines of standard output that a failed test shows, and characters of each.
const LINES_SHOWN: usize = 60;
const LINE_CHARS_SHOWN: usize = 600;

/// What a person needs to see of a program that did not do as expected.
impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "omoi {}: {} after {:?}",
            self.arguments, self.status, self.took
        )?;
        let last: Vec<&str> = self.stdout.lines().rev().take(LINES_SHOWN).collect();
        for line in last.into_iter().rev() {
            let line: String = line.chars().take(LINE_CHARS_SHOWN).collect();
            writeln!(f, "  | {line}")?;
        }
        f.write_str(&self.stderr)
    }
}

//! The one place that starts programs: git, and the probes of the host's toolchains.
//!
//! A call names its repository, gets an empty environment but for what stands here, and has a
//! deadline and an output cap. No hook, file-system monitor, pager, editor, credential helper or
//! network transport can start, whatever a repository's own configuration says.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// The oldest git that has `merge-tree --write-tree` and NUL-separated object lookups.
pub const GIT_VERSION_MIN: (u32, u32) = (2, 38);

/// What an ordinary call may take; fetches and checkouts name their own.
const DEADLINE: Duration = Duration::from_secs(120);
const STDOUT_BYTES_MAX: usize = 64 << 20;
const STDERR_BYTES_MAX: usize = 64 << 10;
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Configuration that outranks every file, so that a repository cannot make git start a program,
/// reach a network or rewrite its own store behind our back.
const CONFIG: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.quotePath", "false"),
    ("core.sshCommand", "false"),
    ("core.askPass", "false"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "always"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("rerere.enabled", "false"),
    ("log.showSignature", "false"),
    ("color.ui", "false"),
];

/// Why a git call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("could not start `git {command}`")]
    Start {
        /// The subcommand.
        command: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Talking to the running program, or to a file beside it, failed.
    #[error("could not read or write for `git {command}`")]
    Io {
        /// The subcommand.
        command: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ran too long and was stopped.
    #[error("`git {command}` was stopped after {seconds} s")]
    Deadline {
        /// The subcommand.
        command: &'static str,
        /// How long it was given.
        seconds: u64,
    },
    /// It said more than the caller takes.
    #[error("`git {command}` put out more than {limit_bytes} bytes")]
    OutputTooLarge {
        /// The subcommand.
        command: &'static str,
        /// The cap.
        limit_bytes: usize,
    },
    /// It ended with an exit code that means failure.
    #[error("`git {command}` failed ({}): {message}", exit_text(*code))]
    Failed {
        /// The subcommand.
        command: &'static str,
        /// Exit code, or none when a signal ended it.
        code: Option<i32>,
        /// The end of what it wrote to standard error.
        message: String,
    },
    /// It succeeded but its answer has not the documented form.
    #[error("`git {command}` answered something not understood: {what}")]
    Unexpected {
        /// The subcommand.
        command: &'static str,
        /// What was wrong with the answer.
        what: &'static str,
    },
}

fn exit_text(code: Option<i32>) -> String {
    code.map_or_else(|| "signal".to_owned(), |c| format!("exit {c}"))
}

/// Why no usable git was found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// No file named `git` that can be run is on the path.
    #[error("no `git` on the program path")]
    Missing,
    /// It is there but too old.
    #[error("git {found} is too old, {}.{} or newer is needed", GIT_VERSION_MIN.0, GIT_VERSION_MIN.1)]
    TooOld {
        /// What `git version` printed.
        found: String,
    },
    /// It is there but does not run.
    #[error("git does not run")]
    Broken(#[source] GitError),
}

/// A git program found and checked once; cheap to clone and pass around.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    path: OsString,
    version: String,
}

impl Git {
    /// Finds git on `path` (the value of `PATH`) and checks its version.
    pub async fn locate(path: &OsStr) -> Result<Self, LocateError> {
        let program = find_program(path, "git").ok_or(LocateError::Missing)?;
        let mut git = Self {
            program,
            path: path.to_owned(),
            version: String::new(),
        };
        let out = git
            .call("version", Place::Nowhere)
            .run()
            .await
            .map_err(LocateError::Broken)?;
        let text = out.text();
        git.version = text.trim_start_matches("git version ").to_owned();
        let mut parts = git
            .version
            .split(['.', ' '])
            .map(|p| p.parse().unwrap_or(0));
        let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if found < GIT_VERSION_MIN {
            return Err(LocateError::TooOld { found: git.version });
        }
        Ok(git)
    }

    /// What `git version` printed, without its first words.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn call<'a>(&'a self, command: &'static str, place: Place<'a>) -> Call<'a> {
        Call {
            git: self,
            command,
            place,
            args: Vec::new(),
            env: Vec::new(),
            config: Vec::new(),
            input: Input::Nothing,
            accept: &[0],
            deadline: DEADLINE,
            stdout_max: STDOUT_BYTES_MAX,
            truncate: false,
            owner: None,
            stdout_file: None,
        }
    }
}

/// Which repository a call is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// None: the call needs no repository.
    Nowhere,
    /// A git directory without work tree: a mirror.
    Bare(&'a Path),
    /// A work tree whose git directory is its `.git`: a clone of ours.
    Work(&'a Path),
    /// A folder somewhere inside a user's repository.
    Inside(&'a Path),
}

/// What a call reads on its standard input.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    Nothing,
    Bytes(&'a [u8]),
    File(File),
}

/// The account a call runs as, when it is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// The owner of `path` when we are root and the path is not root's.
    ///
    /// Git refuses other people's repositories, and what root writes there its owner could no
    /// longer change; so in a repository that belongs to somebody else root becomes that somebody.
    pub(crate) fn other_than_root(path: &Path) -> io::Result<Option<Self>> {
        let meta = std::fs::metadata(path)?;
        let foreign = rustix::process::geteuid().is_root() && meta.uid() != 0;
        Ok(foreign.then(|| Self {
            uid: meta.uid(),
            gid: meta.gid(),
        }))
    }
}

/// One call of git, built up and run once.
pub(crate) struct Call<'a> {
    git: &'a Git,
    command: &'static str,
    place: Place<'a>,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    config: Vec<(&'static str, &'a str)>,
    input: Input<'a>,
    accept: &'static [i32],
    deadline: Duration,
    stdout_max: usize,
    truncate: bool,
    owner: Option<Owner>,
    stdout_file: Option<File>,
}

impl<'a> Call<'a> {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn config(mut self, name: &'static str, value: &'a str) -> Self {
        self.config.push((name, value));
        self
    }

    pub(crate) fn input(mut self, bytes: &'a [u8]) -> Self {
        self.input = Input::Bytes(bytes);
        self
    }

    pub(crate) fn input_file(mut self, file: File) -> Self {
        self.input = Input::File(file);
        self
    }

    /// Exit codes that are answers; others are failures.
    pub(crate) fn accept(mut self, codes: &'static [i32]) -> Self {
        self.accept = codes;
        self
    }

    pub(crate) fn deadline(mut self, seconds: u64) -> Self {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn stdout_max(mut self, bytes: usize) -> Self {
        self.stdout_max = bytes;
        self
    }

    /// Cuts the output at `bytes` instead of failing; [`Output::truncated`] tells.
    pub(crate) fn truncate_at(mut self, bytes: usize) -> Self {
        self.stdout_max = bytes;
        self.truncate = true;
        self
    }

    pub(crate) fn owner(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }

    /// Sends standard output to `file`; the answer's `stdout` stays empty.
    pub(crate) fn stdout_file(mut self, file: File) -> Self {
        self.stdout_file = Some(file);
        self
    }

    /// Runs it to its end, or stops it and everything it started.
    pub(crate) async fn run(mut self) -> Result<Output, GitError> {
        let command = self.command;
        let mut program = Command::new(&self.git.program);
        program
            .args(self.place.args())
            .arg(command)
            .args(&self.args);
        self.set_environment(&mut program);
        if let Some(owner) = self.owner {
            program.uid(owner.uid).gid(owner.gid);
        }
        if let Some(file) = self.stdout_file.take() {
            program.stdout(file);
        } else {
            program.stdout(Stdio::piped());
        }
        let limits = Limits {
            deadline: self.deadline,
            stdout_max: self.stdout_max,
        };
        let out = run_limited(program, self.input, limits)
            .await
            .map_err(|e| e.of_git(command, limits))?;
        if out.exceeded && !self.truncate {
            return Err(GitError::OutputTooLarge {
                command,
                limit_bytes: self.stdout_max,
            });
        }
        let code = match out.code {
            Some(code) if self.accept.contains(&code) => code,
            _ if out.exceeded => 0,
            code => {
                return Err(GitError::Failed {
                    command,
                    code,
                    message: message(&out.stderr),
                });
            }
        };
        Ok(Output {
            command,
            code,
            stdout: out.stdout,
            stderr: message(&out.stderr),
            truncated: out.exceeded,
        })
    }

    fn set_environment(&self, program: &mut Command) {
        program
            .env_clear()
            .env("PATH", &self.git.path)
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0");
        let all = CONFIG.iter().copied().chain(self.config.iter().copied());
        let mut n = 0_usize;
        for (key, value) in all {
            program.env(format!("GIT_CONFIG_KEY_{n}"), key);
            program.env(format!("GIT_CONFIG_VALUE_{n}"), value);
            n += 1;
        }
        program.env("GIT_CONFIG_COUNT", n.to_string());
        program.envs(self.env.iter().map(|(k, v)| (k, v)));
    }
}

impl Place<'_> {
    fn args(self) -> Vec<OsString> {
        let joined = |option: &str, path: &Path| {
            let mut text = OsString::from(option);
            text.push(path);
            text
        };
        match self {
            Place::Nowhere => Vec::new(),
            Place::Bare(dir) => vec![joined("--git-dir=", dir)],
            Place::Work(dir) => vec![
                "-C".into(),
                dir.into(),
                joined("--git-dir=", &dir.join(".git")),
                joined("--work-tree=", dir),
            ],
            Place::Inside(dir) => vec!["-C".into(), dir.into()],
        }
    }
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Output {
    command: &'static str,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) truncated: bool,
}

impl Output {
    /// Standard output as text without the last line end.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Standard output split at NUL, without the empty piece at the end.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let body = self.stdout.strip_suffix(b"\0").unwrap_or(&self.stdout);
        body.split(|b| *b == 0).filter(|_| !body.is_empty())
    }

    /// The complaint that this answer has not the documented form.
    pub(crate) fn unexpected(&self, what: &'static str) -> GitError {
        GitError::Unexpected {
            command: self.command,
            what,
        }
    }
}

/// Runs `program` with `args` and `env` alone, for probing the host; standard output as text.
///
/// None when it cannot be run, fails, or takes longer than ten seconds.
pub(crate) async fn probe(
    program: &Path,
    args: &[&str],
    env: &[(OsString, OsString)],
) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).env_clear();
    command.envs(env.iter().map(|(k, v)| (k, v)));
    command.stdout(Stdio::piped());
    let limits = Limits {
        deadline: Duration::from_secs(10),
        stdout_max: 64 << 10,
    };
    let out = run_limited(command, Input::Nothing, limits).await.ok()?;
    (out.code == Some(0)).then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// The first file called `name` in the folders of `path` that can be run.
pub(crate) fn find_program(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

#[derive(Clone, Copy)]
struct Limits {
    deadline: Duration,
    stdout_max: usize,
}

struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exceeded: bool,
}

enum RunError {
    Start(io::Error),
    Io(io::Error),
    Deadline,
}

impl RunError {
    fn of_git(self, command: &'static str, limits: Limits) -> GitError {
        match self {
            RunError::Start(source) => GitError::Start { command, source },
            RunError::Io(source) => GitError::Io { command, source },
            RunError::Deadline => GitError::Deadline {
                command,
                seconds: limits.deadline.as_secs(),
            },
        }
    }
}

/// Ends a whole process group when dropped, so that a cancelled call leaves nothing running.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        if let Some(pid) = self.0 {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `program` in a group of its own, from the root folder: no call inherits a place.
async fn run_limited(
    mut program: Command,
    input: Input<'_>,
    limits: Limits,
) -> Result<Ended, RunError> {
    program.current_dir("/").process_group(0).kill_on_drop(true);
    program.stderr(Stdio::piped());
    let bytes = match input {
        Input::Nothing => {
            program.stdin(Stdio::null());
            None
        }
        Input::Bytes(bytes) => {
            program.stdin(Stdio::piped());
            Some(bytes)
        }
        Input::File(file) => {
            program.stdin(file);
            None
        }
    };
    let mut child = program.spawn().map_err(RunError::Start)?;
    // The command holds our copies of handed-in files; keep none open.
    drop(program);
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let mut group = Group(pid);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let feed = async {
            if let (Some(mut pipe), Some(bytes)) = (stdin, bytes) {
                match pipe.write_all(bytes).await {
                    // A program may answer without reading everything; its exit code decides.
                    Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(e),
                    _ => {}
                }
            }
            Ok(())
        };
        let take = async {
            let taken = read_up_to(stdout, limits.stdout_max).await;
            if matches!(taken, Ok((_, true))) {
                group.kill();
            }
            taken
        };
        let (fed, taken, said) = tokio::join!(feed, take, read_tail(stderr));
        fed?;
        let (stdout, exceeded) = taken?;
        let status = child.wait().await?;
        Ok(Ended {
            code: status.code(),
            stdout,
            stderr: said?,
            exceeded,
        })
    };
    let ended = match tokio::time::timeout(limits.deadline, work).await {
        Err(_) => Err(RunError::Deadline),
        Ok(Err(e)) => Err(RunError::Io(e)),
        Ok(Ok(ended)) => Ok(ended),
    };
    if ended.is_ok() {
        group.0 = None;
    }
    ended
}

async fn read_up_to(
    source: Option<impl AsyncRead + Unpin>,
    max: usize,
) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let Some(source) = source else {
        return Ok((bytes, false));
    };
    let mut limited = source.take(max as u64 + 1);
    limited.read_to_end(&mut bytes).await?;
    let exceeded = bytes.len() > max;
    bytes.truncate(max);
    Ok((bytes, exceeded))
}

/// Reads to the end and keeps the last part: git says the reason last.
async fn read_tail(source: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut source) = source else {
        return Ok(kept);
    };
    let mut chunk = vec![0; 16 << 10];
    loop {
        let n = source.read(&mut chunk).await?;
        if n == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&chunk[..n]);
        if kept.len() > STDERR_BYTES_MAX {
            kept.drain(..kept.len() - STDERR_BYTES_MAX / 2);
        }
    }
}

/// The end of `stderr` as text fit for people: no control characters, bounded.
fn message(stderr: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(stderr)
        .trim()
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    let skip = text.chars().count().saturating_sub(MESSAGE_CHARS_MAX);
    text.chars().skip(skip).collect()
}

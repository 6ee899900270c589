//! One call of git: its arguments and input, its limits, its output.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use omoi_domain::planted_bug::{PlantedBug, is_planted};
use tokio::process::Command;
use tracing::{Instrument as _, debug, debug_span, trace};

use super::run::{RunLimits, run_limited};
use super::{CONFIG, CallTarget, Git, GitError, RepoOwner, start_program};

/// Time limit of an ordinary call; fetches and checkouts set their own.
const DEADLINE: Duration = Duration::from_mins(2);
/// Calls that take less are logged at the finest level only: there are dozens per attempt.
const QUICK: Duration = Duration::from_millis(100);
const STDOUT_BYTES_MAX: usize = 64 << 20;
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What a call reads on its standard input.
#[derive(Debug)]
pub(super) enum CallInput<'a> {
    Nothing,
    Bytes(&'a [u8]),
    File(File),
}

/// One call of git, built up and run once.
pub(crate) struct GitCall<'a> {
    git: &'a Git,
    command: &'static str,
    place: CallTarget<'a>,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    config: Vec<(&'static str, &'a str)>,
    input: CallInput<'a>,
    accept: &'static [i32],
    deadline: Duration,
    stdout_max: usize,
    truncate: bool,
    owner: Option<RepoOwner>,
    stdout_file: Option<File>,
}

impl<'a> GitCall<'a> {
    pub(super) fn new(git: &'a Git, command: &'static str, place: CallTarget<'a>) -> Self {
        Self {
            git,
            command,
            place,
            args: Vec::new(),
            env: Vec::new(),
            config: Vec::new(),
            input: CallInput::Nothing,
            accept: &[0],
            deadline: DEADLINE,
            stdout_max: STDOUT_BYTES_MAX,
            truncate: false,
            owner: None,
            stdout_file: None,
        }
    }

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

    pub(crate) fn stdin_bytes(mut self, bytes: &'a [u8]) -> Self {
        self.input = CallInput::Bytes(bytes);
        self
    }

    pub(crate) fn stdin_file(mut self, file: File) -> Self {
        self.input = CallInput::File(file);
        self
    }

    /// Exit codes that are answers; others are failures.
    pub(crate) fn accept_codes(mut self, codes: &'static [i32]) -> Self {
        self.accept = codes;
        self
    }

    pub(crate) fn deadline_seconds(mut self, seconds: u64) -> Self {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn stdout_max(mut self, bytes: usize) -> Self {
        self.stdout_max = bytes;
        self
    }

    /// Cuts the output at `bytes` instead of failing; [`GitOutput::truncated`] tells.
    pub(crate) fn truncate_at(mut self, bytes: usize) -> Self {
        self.stdout_max = bytes;
        self.truncate = true;
        self
    }

    pub(crate) fn run_as(mut self, owner: Option<RepoOwner>) -> Self {
        self.owner = owner;
        self
    }

    /// Sends standard output to `file`; the answer's `stdout` stays empty.
    pub(crate) fn stdout_file(mut self, file: File) -> Self {
        self.stdout_file = Some(file);
        self
    }

    /// Runs the call to its end; past its limits, the whole process group is killed.
    ///
    /// # Errors
    /// [`GitError`] when it cannot start, exceeds a limit or exits with a code that is not accepted.
    pub(crate) async fn run(self) -> Result<GitOutput, GitError> {
        let (command, began) = (self.command, Instant::now());
        let done = self
            .run_to_end()
            .instrument(debug_span!("git", command))
            .await;
        log_call(command, began.elapsed(), &done);
        done
    }

    /// How long the call may take.
    pub(super) fn run_deadline(&self) -> Duration {
        self.deadline
    }

    /// The program with arguments, environment and account, its streams not yet set.
    pub(super) fn git_program(&self) -> Command {
        let mut program = start_program(&self.git.program);
        program
            .args(self.place.location_args())
            .arg(self.command)
            .args(&self.args);
        self.set_environment(&mut program);
        if let Some(owner) = self.owner {
            program.uid(owner.uid).gid(owner.gid);
        }
        program
    }

    async fn run_to_end(mut self) -> Result<GitOutput, GitError> {
        let command = self.command;
        let mut program = self.git_program();
        if let Some(file) = self.stdout_file.take() {
            program.stdout(file);
        } else {
            program.stdout(Stdio::piped());
        }
        let limits = RunLimits {
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
                    message: stderr_message(&out.stderr),
                });
            }
        };
        Ok(GitOutput {
            command,
            code,
            stdout: out.stdout,
            stderr: stderr_message(&out.stderr),
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
        let own = match is_planted(PlantedBug::GitSettings) {
            true => &[],
            false => CONFIG,
        };
        let all = own.iter().copied().chain(self.config.iter().copied());
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

/// Logs how a call ended. A failure is told by whoever cannot go on because of it; here it is a step.
fn log_call(command: &'static str, took: Duration, done: &Result<GitOutput, GitError>) {
    let ms = took.as_millis() as u64;
    match done {
        Ok(out) if took < QUICK => trace!(command, exit = out.code, ms, "Ran `git {command}`"),
        Ok(out) => debug!(command, exit = out.code, ms, "Ran `git {command}`"),
        Err(error) => debug!(command, ms, %error, "`git {command}` did not succeed"),
    }
}

/// Exit code and output of a git call that succeeded.
#[derive(Debug)]
pub(crate) struct GitOutput {
    command: &'static str,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) truncated: bool,
}

impl GitOutput {
    /// Standard output as text without the last line end.
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Standard output split at NUL, without the empty piece at the end.
    pub(crate) fn nul_records(&self) -> impl Iterator<Item = &[u8]> {
        let body = self.stdout.strip_suffix(b"\0").unwrap_or(&self.stdout);
        body.split(|b| *b == 0).filter(|_| !body.is_empty())
    }

    /// The error for output that does not have the documented form.
    pub(crate) fn unexpected_output(&self, what: &'static str) -> GitError {
        GitError::Unexpected {
            command: self.command,
            what,
        }
    }
}

/// The end of `stderr` as text fit for people: no control characters, bounded.
fn stderr_message(stderr: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(stderr)
        .trim()
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    let skip = text.chars().count().saturating_sub(MESSAGE_CHARS_MAX);
    text.chars().skip(skip).collect()
}

//! Running a program to its end within limits, or ending it and all it started.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::call::Input;
use super::{GitError, start};

const STDERR_BYTES_MAX: usize = 64 << 10;

/// Runs `program` with `args` and `env` alone, for probing the host; standard output as text.
///
/// None when it cannot be run, fails, or takes longer than ten seconds.
pub(crate) async fn probe(
    program: &Path,
    args: &[&str],
    env: &[(OsString, OsString)],
) -> Option<String> {
    let mut command = start(program);
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

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) stdout_max: usize,
}

pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Whether it said more than it may and was stopped for it.
    pub(super) exceeded: bool,
}

pub(super) enum RunError {
    Start(io::Error),
    Io(io::Error),
    Deadline,
}

impl RunError {
    pub(super) fn of_git(self, command: &'static str, limits: Limits) -> GitError {
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
pub(super) async fn run_limited(
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

//! Running a program within a time limit and an output limit; past either, its process group is killed.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tracing::debug;

use super::call::CallInput;
use super::{GitError, start_program};

const STDERR_BYTES_MAX: usize = 64 << 10;

/// Runs `program` with `args` and `env` alone, for probing the host; standard output as text.
///
/// None when it cannot be run, fails, or takes longer than ten seconds.
pub(crate) async fn probe_program(
    program: &Path,
    args: &[&str],
    env: &[(OsString, OsString)],
) -> Option<String> {
    let mut command = start_program(program);
    command.args(args).env_clear();
    command.envs(env.iter().map(|(k, v)| (k, v)));
    command.stdout(Stdio::piped());
    let limits = RunLimits {
        deadline: Duration::from_secs(10),
        stdout_max: 64 << 10,
    };
    let out = run_limited(command, CallInput::Nothing, limits).await.ok();
    let exit = out.as_ref().and_then(|out| out.code);
    debug!(program = %program.display(), ?args, exit, "Probed `{}`", program.display());
    let out = out?;
    (out.code == Some(0)).then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

#[derive(Clone, Copy)]
pub(super) struct RunLimits {
    pub(super) deadline: Duration,
    pub(super) stdout_max: usize,
}

pub(super) struct RunOutput {
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Whether standard output exceeded its limit, so that the program was killed.
    pub(super) exceeded: bool,
}

pub(super) enum RunFailure {
    Start(io::Error),
    Io(io::Error),
    Deadline,
}

impl RunFailure {
    pub(super) fn of_git(self, command: &'static str, limits: RunLimits) -> GitError {
        match self {
            RunFailure::Start(source) => GitError::Start { command, source },
            RunFailure::Io(source) => GitError::Io { command, source },
            RunFailure::Deadline => GitError::Deadline {
                command,
                seconds: limits.deadline.as_secs(),
            },
        }
    }
}

/// Ends a whole process group when dropped, so that a cancelled call leaves nothing running.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn kill(&self) {
        if let Some(pid) = self.0 {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that was started; dropping it ends it with its whole group.
pub(super) struct RunningProgram {
    /// Before the child, whose id is its own until it is waited for.
    group: ProcessGroup,
    child: Child,
}

/// Starts `program` in a group of its own, from the root folder: no call inherits a place.
fn start_apart(mut program: Command) -> io::Result<RunningProgram> {
    program.current_dir("/").process_group(0).kill_on_drop(true);
    let child = program.spawn()?;
    // The command holds our copies of handed-in files; keep none open.
    drop(program);
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    Ok(RunningProgram {
        group: ProcessGroup(pid),
        child,
    })
}

/// Starts `program` for a conversation; what it says on standard error is not kept.
pub(super) fn start_piped(
    mut program: Command,
) -> io::Result<(RunningProgram, ChildStdin, ChildStdout)> {
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    program.stderr(Stdio::null());
    let mut running = start_apart(program)?;
    match (running.child.stdin.take(), running.child.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok((running, stdin, stdout)),
        _ => Err(io::Error::other("no pipes to the program")),
    }
}

/// Runs `program` to its end.
pub(super) async fn run_limited(
    mut program: Command,
    input: CallInput<'_>,
    limits: RunLimits,
) -> Result<RunOutput, RunFailure> {
    program.stderr(Stdio::piped());
    let bytes = match input {
        CallInput::Nothing => {
            program.stdin(Stdio::null());
            None
        }
        CallInput::Bytes(bytes) => {
            program.stdin(Stdio::piped());
            Some(bytes)
        }
        CallInput::File(file) => {
            program.stdin(file);
            None
        }
    };
    let RunningProgram {
        mut child,
        mut group,
    } = start_apart(program).map_err(RunFailure::Start)?;
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
        Ok(RunOutput {
            code: status.code(),
            stdout,
            stderr: said?,
            exceeded,
        })
    };
    let ended = match tokio::time::timeout(limits.deadline, work).await {
        Err(_) => Err(RunFailure::Deadline),
        Ok(Err(e)) => Err(RunFailure::Io(e)),
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

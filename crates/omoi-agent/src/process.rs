//! The one place that starts programs: the agent's commands, each in a process group of its own that
//! ends with it.

mod line_program;
mod process_tree;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use omoi_runtime::clock::Clock;

pub(crate) use self::line_program::{LineProgram, LineProgramError, ProgramCommand, is_executable};

/// How long output is awaited after the command itself has ended.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// A command to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToolCommand<'a> {
    /// Command line for `sh -c`.
    pub(crate) line: &'a str,
    /// Folder that it runs in.
    pub(crate) folder: &'a Path,
    /// Variables beside those of the worker.
    pub(crate) environment: &'a [(OsString, OsString)],
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Bytes of output kept, half from its head, half from its tail.
    pub(crate) output_bytes_max: usize,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandEnd {
    /// It exited with this code.
    Exited(i32),
    /// It was ended by this signal.
    Signalled(i32),
    /// It took too long and was killed.
    TimedOut,
}

/// Exit status and output of a command.
#[derive(Clone, Debug)]
pub(crate) struct CommandResult {
    /// How the command ended.
    pub(crate) end: CommandEnd,
    /// Standard output and error in the order written; ends with a newline unless empty.
    pub(crate) output: String,
}

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// It could not be started or followed.
    #[error("could not run the command: {0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("{output}[killed after {seconds} s, with everything it started]")]
    TimedOut {
        /// The time limit in seconds.
        seconds: u64,
        /// Output until it was killed.
        output: String,
    },
}

/// Runs `command` to its end. Dropping the future kills it and everything it started.
#[expect(clippy::disallowed_methods, reason = "this is the process module")]
pub(crate) async fn run_command(
    command: ToolCommand<'_>,
    clock: &dyn Clock,
) -> Result<CommandResult, ShellError> {
    let (from, to) = io::pipe()?;
    let mut program = tokio::process::Command::new("sh");
    program
        .args(["-c", command.line])
        .current_dir(command.folder)
        .envs(
            command
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(to.try_clone()?)
        .stderr(to);
    let mut child = program.spawn()?;
    // Our ends of the pipe close with it, so that reading ends when the last writer is gone.
    drop(program);
    let group = AgentProcessGroup::of_child(child.id());
    let mut output = OutputBuffer::new(command.output_bytes_max);
    let mut from = Receiver::from_owned_fd(OwnedFd::from(from))?;
    let ended = {
        let follow = async {
            let mut open = true;
            loop {
                // Both are cancel-safe: bytes not read stay in the pipe, a status is kept.
                tokio::select! {
                    status = child.wait() => break status,
                    more = output.read_once(&mut from), if open => open = more?,
                }
            }
        };
        tokio::select! {
            status = follow => Some(status?),
            () = clock.sleep(command.timeout) => None,
        }
    };
    // What it left running ends with it; only then is the pipe sure to close.
    group.kill_group();
    let rest = async { while output.read_once(&mut from).await.unwrap_or(false) {} };
    tokio::select! {
        () = rest => {}
        () = clock.sleep(DRAIN_TIME) => {}
    }
    let end = match ended {
        None => CommandEnd::TimedOut,
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => CommandEnd::Exited(code),
            (None, signal) => CommandEnd::Signalled(signal.unwrap_or(0)),
        },
    };
    Ok(CommandResult {
        end,
        output: output.into_text(),
    })
}

/// A process group that does not outlive this value.
struct AgentProcessGroup(Option<Pid>);

impl AgentProcessGroup {
    fn of_child(pid: Option<u32>) -> Self {
        Self(pid.and_then(|pid| Pid::from_raw(pid as i32)))
    }

    fn kill_group(&self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for AgentProcessGroup {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Output of a command within a bound: its head and its tail.
#[derive(Clone)]
struct OutputBuffer {
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: usize,
}

impl OutputBuffer {
    fn new(bytes_max: usize) -> Self {
        Self {
            half: bytes_max / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            left_out: 0,
        }
    }

    /// Reads once; false at the end.
    async fn read_once(&mut self, from: &mut Receiver) -> io::Result<bool> {
        // On the heap: an array would be part of every future that waits for this one.
        let mut buffer = vec![0; 16 << 10];
        let n = from.read(&mut buffer).await?;
        self.push_bytes(&buffer[..n]);
        Ok(n > 0)
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let room = self.half - self.head.len();
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..over);
        self.left_out += over;
    }

    fn into_text(mut self) -> String {
        let mut text = if self.left_out == 0 {
            self.head.extend(self.tail);
            String::from_utf8_lossy(&self.head).into_owned()
        } else {
            let tail = Vec::from(self.tail);
            format!(
                "{}\n[… {} bytes left out …]\n{}",
                String::from_utf8_lossy(&self.head),
                self.left_out,
                String::from_utf8_lossy(&tail)
            )
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

//! The one place that starts programs: the agent's commands, each in a process group of its own that
//! ends with it.

mod command_output;
mod line_program;
mod process_tree;
mod shell_session;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use omoi_runtime::clock::Clock;

pub(crate) use self::command_output::SpoolFile;
use self::command_output::{OutputBuffer, read_chunk};
pub(crate) use self::line_program::{LineProgram, LineProgramError, ProgramCommand, is_executable};
pub(crate) use self::shell_session::ShellSession;

/// How long output is awaited after the command itself has ended.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// A command to run.
#[derive(Debug)]
pub(crate) struct ToolCommand<'a> {
    /// Command line for `sh -c`.
    pub(crate) line: &'a str,
    /// Folder that it runs in.
    pub(crate) folder: &'a Path,
    /// Variables beside those of the worker.
    pub(crate) environment: &'a [(OsString, OsString)],
    /// Bytes of output kept, half from its head, half from its tail.
    pub(crate) output_bytes_max: usize,
    /// File for the whole output.
    pub(crate) spool: Option<SpoolFile>,
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

/// A program whose streams are the worker's own.
///
/// # Errors
/// When `argv` is empty.
#[expect(clippy::disallowed_methods, reason = "this is the process module")]
pub(crate) fn plain_program(argv: &[OsString]) -> io::Result<Command> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    Ok(command)
}

/// A command that has started, with the end of the pipe that it writes to.
struct StartedCommand {
    child: Child,
    group: AgentProcessGroup,
    from: Receiver,
}

impl StartedCommand {
    #[expect(clippy::disallowed_methods, reason = "this is the process module")]
    fn start(command: &ToolCommand<'_>) -> io::Result<Self> {
        let (from, to) = io::pipe()?;
        let mut program = Command::new("sh");
        program
            .args(["-c", command.line])
            .current_dir(command.folder)
            .envs(command.environment.iter().map(|(key, value)| (key, value)))
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(to.try_clone()?)
            .stderr(to);
        let child = program.spawn()?;
        // Our ends of the pipe close with it, so that reading ends when the last writer is gone.
        drop(program);
        Ok(Self {
            group: AgentProcessGroup::of_child(child.id()),
            child,
            from: Receiver::from_owned_fd(from.into())?,
        })
    }

    /// Hands all output to `take` until the command itself has ended.
    async fn follow(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<CommandEnd> {
        let mut open = true;
        let status = loop {
            // Both are cancel-safe: bytes not read stay in the pipe, a status is kept.
            tokio::select! {
                status = self.child.wait() => break status?,
                chunk = read_chunk(&mut self.from), if open => {
                    let chunk = chunk?;
                    open = !chunk.is_empty();
                    take(&chunk);
                }
            }
        };
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => CommandEnd::Exited(code),
            (None, signal) => CommandEnd::Signalled(signal.unwrap_or(0)),
        })
    }

    /// Ends what the command left running, and hands what was still written to `take`.
    async fn end_rest(&mut self, mut take: impl FnMut(&[u8]), clock: &dyn Clock) {
        // Only then is the pipe sure to close.
        self.group.kill_group();
        let rest = async {
            while let Ok(chunk) = read_chunk(&mut self.from).await
                && !chunk.is_empty()
            {
                take(&chunk);
            }
        };
        tokio::select! {
            () = rest => {}
            () = clock.sleep(DRAIN_TIME) => {}
        }
    }
}

/// Runs `command` to its end, or for `timeout`. Dropping the future kills it and everything it started.
pub(crate) async fn run_command(
    command: ToolCommand<'_>,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<CommandResult, ShellError> {
    let mut started = StartedCommand::start(&command)?;
    let mut output = OutputBuffer::new(command.output_bytes_max).with_spool(command.spool);
    let ended = tokio::select! {
        end = started.follow(|chunk| output.push_bytes(chunk)) => Some(end?),
        () = clock.sleep(timeout) => None,
    };
    started
        .end_rest(|chunk| output.push_bytes(chunk), clock)
        .await;
    Ok(CommandResult {
        end: ended.unwrap_or(CommandEnd::TimedOut),
        output: output.take_text(),
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

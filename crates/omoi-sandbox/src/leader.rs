//! The process or container whose end is the end of a sandbox.

use std::io;
use std::pin::Pin;
use std::process::ExitStatus;

use tokio::io::AsyncRead;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;

use crate::bubblewrap::status::StatusPipe;
use crate::capture::CapturedOutput;
use crate::child;
use crate::container::ContainerLeader;
use crate::running::{ProgramEnd, WaitError};

/// A stream of output.
pub(crate) type OutputStream = Pin<Box<dyn AsyncRead + Send>>;

/// What a sandbox is followed by.
#[derive(Debug)]
pub(crate) enum Leader {
    Process(Box<ProcessLeader>),
    Container(ContainerLeader),
}

/// A process that this one started.
#[derive(Debug)]
pub(crate) struct ProcessLeader {
    pub(crate) child: Child,
    pub(crate) watch: AsyncFd<std::os::fd::OwnedFd>,
    /// Where bubblewrap tells the program's own exit code.
    pub(crate) status: Option<StatusPipe>,
    /// Where the entry step says why it could not run the program.
    pub(crate) report: Option<StatusPipe>,
    /// Whether it tells how the program ended by a code, as a shell does.
    pub(crate) is_followed: bool,
}

impl Leader {
    /// Both output streams, once.
    pub(crate) fn take_output(&mut self) -> [Option<OutputStream>; 2] {
        fn boxed(stream: Option<impl AsyncRead + Send + 'static>) -> Option<OutputStream> {
            stream.map(|stream| Box::pin(stream) as OutputStream)
        }
        match self {
            Self::Process(process) => {
                let child = &mut process.child;
                [boxed(child.stdout.take()), boxed(child.stderr.take())]
            }
            Self::Container(container) => [
                boxed(container.stdout.take()),
                boxed(container.stderr.take()),
            ],
        }
    }

    /// Waits until it is gone; may be dropped and called again.
    pub(crate) async fn leader_ended(&mut self) -> io::Result<()> {
        match self {
            Self::Process(process) => process.watch.readable().await.map(drop),
            Self::Container(container) => container.leader_ended().await,
        }
    }

    /// How the program ended, once its leader is gone. `stderr` is what the sandbox printed.
    pub(crate) async fn program_end(
        &mut self,
        stderr: &CapturedOutput,
    ) -> Result<ProgramEnd, WaitError> {
        match self {
            Self::Process(process) => {
                let status = process.child.wait().await.map_err(WaitError::System)?;
                if let Some(report) = &mut process.report {
                    not_started(report.whole_text().await)?;
                }
                match &mut process.status {
                    Some(pipe) => ended_inside(pipe.exit_code().await, status, stderr),
                    None => Ok(match ended_plainly(status) {
                        ProgramEnd::Code(code) if process.is_followed => shell_end(code),
                        ended => ended,
                    }),
                }
            }
            Self::Container(container) => {
                not_started(container.entry_report().unwrap_or_default())?;
                let code = container.exit_code().map_err(WaitError::System)?;
                Ok(shell_end(code))
            }
        }
    }

    /// Whether an engine saw memory run out; limit groups of our own are asked elsewhere.
    pub(crate) async fn out_of_memory(&self) -> bool {
        match self {
            Self::Process(_) => false,
            Self::Container(container) => container.out_of_memory().await,
        }
    }
}

impl ProcessLeader {
    /// Follows `child` by its process descriptor.
    pub(crate) fn follow_process(child: Child, pidfd: std::os::fd::OwnedFd) -> io::Result<Self> {
        Ok(Self {
            child,
            watch: child::watch_exit(pidfd)?,
            status: None,
            report: None,
            is_followed: false,
        })
    }
}

fn not_started(message: String) -> Result<(), WaitError> {
    match message.is_empty() {
        true => Ok(()),
        false => Err(WaitError::NotStarted { message }),
    }
}

/// A code as a shell tells it.
fn shell_end(code: i32) -> ProgramEnd {
    match code {
        129..=192 => ProgramEnd::Signal(code - 128),
        code => ProgramEnd::Code(code),
    }
}

fn ended_inside(
    code: Option<i32>,
    status: ExitStatus,
    stderr: &CapturedOutput,
) -> Result<ProgramEnd, WaitError> {
    match (code, ended_plainly(status)) {
        (Some(code), _) => Ok(shell_end(code)),
        (None, signal @ ProgramEnd::Signal(_)) => Ok(signal),
        (None, ProgramEnd::Code(_)) => Err(WaitError::NotStarted {
            message: stderr.to_text().trim().to_owned(),
        }),
    }
}

fn ended_plainly(status: ExitStatus) -> ProgramEnd {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => ProgramEnd::Code(code),
        (None, signal) => ProgramEnd::Signal(signal.unwrap_or_default()),
    }
}

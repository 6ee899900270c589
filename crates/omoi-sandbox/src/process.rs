//! The one place that starts programs, always from a thread that lives as long as its sandboxes.
//!
//! The kernel's "die with your parent" follows the *thread* that started a process, so a sandbox
//! started from a pool thread would be killed when the pool lets that thread go.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, mpsc};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::child::{self, EntryStep, EntrySteps};
use crate::follower::END_TREE;
use crate::policy::LaunchStreams;

type ThreadJob = Box<dyn FnOnce() + Send>;

/// A thread that runs jobs in order until its last handle is dropped.
#[derive(Clone, Debug)]
pub(crate) struct JobThread(Arc<mpsc::Sender<ThreadJob>>);

impl JobThread {
    /// Starts the thread called `name`.
    pub(crate) fn start_thread(name: &str) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<ThreadJob>();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                for job in jobs {
                    job();
                }
            })?;
        Ok(Self(Arc::new(sender)))
    }

    /// Runs `job` on the thread without waiting for it.
    pub(crate) fn send_job(&self, job: impl FnOnce() + Send + 'static) {
        // Fails only when the thread died of a panic in an earlier job; the pidfiles then hand the
        // clean-up to the next start.
        if self.0.send(Box::new(job)).is_err() {
            tracing::error!("A sandbox thread has died");
        }
    }

    /// Runs `job` on the thread, within the caller's runtime; `None` when the thread has died.
    pub(crate) async fn run_job<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let runtime = tokio::runtime::Handle::current();
        let (answer, wait) = oneshot::channel();
        self.send_job(move || {
            let _within = runtime.enter();
            // A caller that went away drops the result, and with it any process just started.
            let _ = answer.send(job());
        });
        wait.await.ok()
    }
}

/// A program to start.
pub(crate) struct StartRequest {
    pub(crate) program: PathBuf,
    /// The name the process table shows for it; none for the program's own.
    pub(crate) shown_as: Option<String>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) streams: LaunchStreams,
    /// Whether what is started ends by itself with all that is below it once it is asked to, and so must not be killed
    /// when its handle is dropped.
    pub(crate) is_follower: bool,
    pub(crate) entry: EntryPlan,
}

/// [`EntrySteps`] without what [`start_program`] adds.
pub(crate) struct EntryPlan {
    pub(crate) groups: Vec<OwnedFd>,
    pub(crate) stage: Option<child::MountStage>,
    pub(crate) rlimits: Vec<(rustix::process::Resource, u64)>,
    pub(crate) uid: Option<rustix::process::Uid>,
    pub(crate) directory: std::ffi::CString,
    pub(crate) keep: Vec<OwnedFd>,
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct StartedProgram {
    pub(crate) child: Child,
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

/// What ends a program with all that is below it, as far as that can be done at once.
pub(crate) fn end_signal(is_follower: bool) -> Signal {
    match is_follower {
        true => END_TREE,
        false => Signal::KILL,
    }
}

/// A program could not be started.
#[derive(Debug)]
pub(crate) struct StartError {
    /// The step that failed, or `None` when the program itself could not be run.
    pub(crate) step: Option<EntryStep>,
    pub(crate) source: io::Error,
}

impl From<io::Error> for StartError {
    fn from(source: io::Error) -> Self {
        Self { step: None, source }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the crate's one place that starts programs"
)]
/// Starts `order`. The caller's thread becomes the one whose end kills the program.
pub(crate) fn start_program(order: StartRequest) -> Result<StartedProgram, StartError> {
    let (report_in, report_out) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    let mut command = Command::new(&order.program);
    command
        .args(&order.args)
        .env_clear()
        .envs(order.env)
        .kill_on_drop(!order.is_follower);
    if let Some(name) = &order.shown_as {
        command.arg0(name);
    }
    match order.streams {
        LaunchStreams::Captured => command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
        LaunchStreams::Inherited => command
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit()),
    };
    let plan = order.entry;
    child::attach_entry(
        &mut command,
        EntrySteps {
            parent: rustix::process::getpid(),
            groups: plan.groups,
            stage: plan.stage,
            rlimits: plan.rlimits,
            uid: plan.uid,
            directory: plan.directory,
            keep: plan.keep,
            report: report_out,
        },
    );
    let spawned = command.spawn();
    // Drops our ends of what the child was given, the report pipe's among them.
    drop(command);
    let child = spawned.map_err(|source| {
        let mut bytes = [0; 2];
        let step = match rustix::io::read(&report_in, &mut bytes) {
            Ok(2) => EntryStep::from_bytes(bytes),
            _ => None,
        };
        StartError { step, source }
    })?;
    let pid = child
        .id()
        .and_then(|id| Pid::from_raw(id as i32))
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| {
        // Nobody could end it later.
        let _ = rustix::process::kill_process(pid, end_signal(order.is_follower));
        io::Error::from(errno)
    })?;
    Ok(StartedProgram { child, pid, pidfd })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the crate's one place that starts programs"
)]
/// Starts this process's own file again, with `words` in place of as many of its last arguments, this one's
/// environment, streams and inherited descriptors.
pub(crate) fn start_own_program(words: &[OsString]) -> io::Result<Pid> {
    let own: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Its own words are those and the one that brought it here.
    let before = own.len().saturating_sub(words.len() + 1);
    let child = std::process::Command::new("/proc/self/exe")
        .args(&own[..before])
        .args(words)
        .spawn()?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the crate's one place that starts programs"
)]
/// Runs a program to its end and returns what it printed, for a question such as `--version`.
pub(crate) async fn program_output(program: &std::path::Path, args: &[&str]) -> io::Result<String> {
    let output = Command::new(program)
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the crate's one place that starts programs"
)]
/// A user space in which files of root belong to `user`, for mounts. A process that only waits holds it open until
/// we do.
pub(crate) fn owner_mapping(user: rustix::process::Uid) -> io::Result<OwnedFd> {
    let mut command = std::process::Command::new("/bin/sh");
    command
        .args(["-c", "read line"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    child::enter_user_space(&mut command);
    let mut waiting = command.spawn()?;
    let place = PathBuf::from(format!("/proc/{}", waiting.id()));
    let map = format!("0 {} 1", user.as_raw());
    let mapped = (|| {
        std::fs::write(place.join("uid_map"), &map)?;
        std::fs::write(place.join("gid_map"), &map)?;
        Ok(OwnedFd::from(std::fs::File::open(place.join("ns/user"))?))
    })();
    waiting.kill()?;
    waiting.wait()?;
    mapped
}

/// The number a descriptor will have in the child too.
pub(crate) fn fd_number(fd: &OwnedFd) -> RawFd {
    fd.as_raw_fd()
}

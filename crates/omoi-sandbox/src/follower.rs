//! Follows a program among the processes of the host to its end, and ends with it whatever it left behind.
//!
//! What loses its parent below this process becomes a child of it, in whatever session, so nothing that the program
//! starts gets away. This process stands outside the walls: from Landlock's scopes on nothing inside can send it a
//! signal, and the system-call filter keeps its limits. It has an outer scope of its own, in which it and everything
//! below it are alone, so that one signal to all it can reach ends them at one instant: a process that starts the next
//! one and ends is in no list of processes long enough to be killed by its number. Without scopes the list is all there
//! is.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_child_subreaper,
    set_dumpable_behavior, set_parent_process_death_signal, test_kill_process, wait,
};
use tokio::signal::unix::{self, SignalKind, signal};

use crate::child;
use crate::entry::NOT_RUN;
use crate::landlock;
use crate::process::start_own_program;
use crate::process_table::live_descendants;

/// Asks the follower to kill everything.
pub(crate) const END_TREE: Signal = Signal::USR1;
/// What the kernel sends it when the platform is gone.
const PLATFORM_GONE: Signal = Signal::HUP;
const PASS_PAUSE: Duration = Duration::from_millis(2);
/// What a shell adds to the number of a signal.
const SIGNAL_BASE: i32 = 128;

/// Has this program's own file do the entry step with `words`, and ends as the program that it becomes: with its code, or
/// that of its signal as a shell tells it. `orders` and `report` are inherited by it; a failure before that is told in
/// the latter.
pub(crate) fn follow_program(words: &[OsString], orders: OwnedFd, report: OwnedFd) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let begun = runtime.and_then(|runtime| {
        let followed = runtime.block_on(async { FollowedProgram::start_entry(words) })?;
        Ok((runtime, followed))
    });
    match begun {
        Ok((runtime, followed)) => {
            // From now on only the entry step holds them, and their end is told by its own.
            drop((orders, report));
            let code = runtime.block_on(followed.follow_to_end());
            ExitCode::from(u8::try_from(code).unwrap_or(NOT_RUN))
        }
        Err(error) => {
            let told = format!("the program cannot be followed: {error}");
            let _ = File::from(report).write_all(told.as_bytes());
            ExitCode::from(NOT_RUN)
        }
    }
}

/// The program, and what is heard of it.
struct FollowedProgram {
    program: Pid,
    /// Whether it can send a signal to nothing but what is below it.
    is_enclosed: bool,
    child_ended: unix::Signal,
    interrupt: unix::Signal,
    end_tree: unix::Signal,
    platform_gone: unix::Signal,
    code: Option<i32>,
}

impl FollowedProgram {
    fn start_entry(words: &[OsString]) -> io::Result<Self> {
        let kind = |signal: Signal| SignalKind::from_raw(signal.as_raw());
        let child_ended = signal(SignalKind::child())?;
        let interrupt = signal(SignalKind::terminate())?;
        let end_tree = signal(kind(END_TREE))?;
        let platform_gone = signal(kind(PLATFORM_GONE))?;
        set_child_subreaper(Some(getpid()))?;
        // Neither its memory nor its settings are for programs of its user.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        // Until now it would have been killed, and nothing would have been left.
        set_parent_process_death_signal(Some(PLATFORM_GONE))?;
        let is_enclosed = match landlock::enclose_signals() {
            // Believed when seen: the platform is out of its reach now.
            Ok(()) => getppid().map(test_kill_process) == Some(Err(Errno::PERM)),
            Err(_) => false,
        };
        Ok(Self {
            program: start_own_program(words)?,
            is_enclosed,
            child_ended,
            interrupt,
            end_tree,
            platform_gone,
            code: None,
        })
    }

    async fn follow_to_end(mut self) -> i32 {
        while self.code.is_none() {
            // Cancel-safe: a signal that was not received yet stays pending in its stream.
            tokio::select! {
                _ = self.child_ended.recv() => {
                    self.reap_children();
                }
                _ = self.interrupt.recv() => {
                    let _ = kill_process(self.program, Signal::TERM);
                }
                _ = self.end_tree.recv() => break,
                _ = self.platform_gone.recv() => break,
            }
        }
        self.end_descendants().await;
        self.code.unwrap_or(SIGNAL_BASE + Signal::KILL.as_raw())
    }

    /// Kills everything below this process, until the kernel says that it has no child any more, and so nothing below it.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is below a child that ends becomes a child without a word, so it is looked for again"
    )]
    async fn end_descendants(&mut self) {
        loop {
            match self.is_enclosed {
                true => child::kill_reachable(),
                false => kill_listed(),
            }
            if !self.reap_children() {
                return;
            }
            tokio::time::sleep(PASS_PAUSE).await;
        }
    }

    /// Reaps the children that ended; whether there are more.
    fn reap_children(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    let by_signal = status.terminating_signal().map(|n| SIGNAL_BASE + n);
                    self.code = status.exit_status().or(by_signal);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// Kills what the table of processes has below this one.
fn kill_listed() {
    let left = live_descendants(getpid());
    // What stands still starts nothing between the look and its end.
    for signal in [Signal::STOP, Signal::KILL] {
        for pid in &left {
            let _ = kill_process(*pid, signal);
        }
    }
}

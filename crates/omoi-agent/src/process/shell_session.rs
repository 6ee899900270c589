//! A command that goes on after the call that started it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use omoi_runtime::clock::Clocked;

use super::{CommandEnd, OutputBuffer, ShellError, StartedCommand, ToolCommand};

/// A command under way. Dropping it kills the command and everything it started.
#[derive(Debug)]
pub(crate) struct ShellSession {
    output: Arc<Mutex<OutputBuffer>>,
    ended: watch::Receiver<Option<CommandEnd>>,
    stop: CancellationToken,
    _following: JoinSet<()>,
}

impl ShellSession {
    /// Starts `command`.
    pub(crate) fn start(command: ToolCommand<'_>, clock: &Clocked) -> Result<Self, ShellError> {
        let started = StartedCommand::start(&command)?;
        let mut output = OutputBuffer::new(command.output_bytes_max).with_spool(command.spool);
        output.spool_always();
        let output = Arc::new(Mutex::new(output));
        let (end, ended) = watch::channel(None);
        let stop = CancellationToken::new();
        let mut following = JoinSet::new();
        let follower = SessionFollower {
            started,
            output: Arc::clone(&output),
            stop: stop.clone(),
            clock: clock.clone(),
        };
        following.spawn(follower.run(end));
        Ok(Self {
            output,
            ended,
            stop,
            _following: following,
        })
    }

    /// Waits until the command has ended, or for `wait`; gives how it ended and what it wrote since the last
    /// look.
    pub(crate) async fn look_at(
        &mut self,
        wait: Duration,
        clock: &Clocked,
    ) -> (Option<CommandEnd>, String) {
        tokio::select! {
            _ = self.ended.wait_for(Option::is_some) => {}
            () = clock.sleep(wait) => {}
        }
        let end = *self.ended.borrow();
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        (end, output.take_text())
    }

    /// Kills the command with everything it started.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Reads what a command writes, until it has ended.
struct SessionFollower {
    started: StartedCommand,
    output: Arc<Mutex<OutputBuffer>>,
    stop: CancellationToken,
    clock: Clocked,
}

impl SessionFollower {
    async fn run(self, ended: watch::Sender<Option<CommandEnd>>) {
        let Self {
            mut started,
            output,
            stop,
            clock,
        } = self;
        let mut take = |chunk: &[u8]| {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_bytes(chunk);
        };
        let end = tokio::select! {
            end = started.follow(&mut take) => end,
            () = stop.cancelled() => {
                started.group.kill_group();
                started.follow(&mut take).await
            }
        };
        started.end_rest(&mut take, clock.as_ref()).await;
        // A command that cannot be followed is as good as killed: its group is.
        let _ = ended.send(Some(end.unwrap_or(CommandEnd::Signalled(9))));
    }
}

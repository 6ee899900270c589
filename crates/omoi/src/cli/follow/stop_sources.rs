//! What ends the following of a run from outside: signals, and the end of this process's own work.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use futures::stream::{self, Stream, StreamExt as _};
use tokio::signal::unix::{SignalKind, signal};

use omoi_runtime::lifecycle::LifecycleHandle;

use super::FollowEnd;

/// What ends the following before the run is over.
pub(super) struct StopSources {
    pub(super) signals: SignalStream,
    /// This process's own life, where it does the work.
    pub(super) own: Option<LifecycleHandle>,
}

impl StopSources {
    /// Waits for the next of them. Cancel-safe: a stream keeps its place, a token its state.
    pub(super) async fn wait_stop(&mut self) -> FollowEnd {
        let stopping = async {
            match &self.own {
                Some(own) => own.soft_token().cancelled_owned().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(_) = self.signals.next() => FollowEnd::Interrupted,
            () = stopping => FollowEnd::Lost,
        }
    }
}

/// Names of the signals as they come.
pub(super) type SignalStream = Pin<Box<dyn Stream<Item = &'static str> + Send>>;

/// Signals that ask this process to stop; from now on they do not end it by themselves.
pub(super) fn stop_signals() -> io::Result<SignalStream> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(stream::poll_fn(move |cx| {
        if terminate.poll_recv(cx).is_ready() {
            Poll::Ready(Some("SIGTERM"))
        } else if interrupt.poll_recv(cx).is_ready() {
            Poll::Ready(Some("SIGINT"))
        } else {
            Poll::Pending
        }
    })))
}

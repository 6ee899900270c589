//! What ends the following of a run from outside: signals, and the end of this process's own work.

use futures::stream::StreamExt as _;

use omoi_runtime::lifecycle::{LifecycleHandle, SignalStream};

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

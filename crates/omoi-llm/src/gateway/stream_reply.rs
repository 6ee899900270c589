//! A streamed reply: its head goes out when there is something to say.

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::reply::{self, GatewayReply};
use crate::ask::AskError;

/// Events that may wait for a slow asker.
const WAITING_EVENTS_MAX: usize = 64;

/// A streamed reply, whose head goes out when there is something to say.
pub(super) struct StreamReply {
    head: Option<oneshot::Sender<GatewayReply>>,
    lines: mpsc::Sender<Bytes>,
    waiting: Option<mpsc::Receiver<Bytes>>,
}

impl StreamReply {
    pub(super) fn new(head: oneshot::Sender<GatewayReply>) -> Self {
        let (lines, waiting) = mpsc::channel(WAITING_EVENTS_MAX);
        Self {
            head: Some(head),
            lines,
            waiting: Some(waiting),
        }
    }

    /// Sends the head, unless it is sent; gives what takes the events.
    pub(super) fn begin(&mut self) -> mpsc::Sender<Bytes> {
        if let (Some(head), Some(waiting)) = (self.head.take(), self.waiting.take()) {
            let events = ReceiverStream::new(waiting).boxed();
            let _ = head.send(GatewayReply::events(events));
        }
        self.lines.clone()
    }

    /// Says that there is no answer, by the status while that can be; else gives what takes the event
    /// that says so.
    pub(super) fn refuse(mut self, failure: &AskError) -> Option<mpsc::Sender<Bytes>> {
        match self.head.take() {
            Some(head) => {
                let _ = head.send(reply::failed(failure));
                None
            }
            None => Some(self.lines),
        }
    }

    /// Ends when the caller is gone. Cancel-safe: both sides keep their state.
    pub(super) async fn closed(&mut self) {
        match &mut self.head {
            Some(head) => head.closed().await,
            None => self.lines.closed().await,
        }
    }
}

//! A streamed reply: its head goes out when there is something to say.

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use crate::wire::dialect::Dialect;

/// Events that may wait for a slow caller.
const WAITING_EVENTS_MAX: usize = 64;

/// A streamed reply, whose head is sent with its first event.
pub(super) struct StreamReply {
    dialect: Dialect,
    head: Option<oneshot::Sender<GatewayReply>>,
    lines: mpsc::Sender<Bytes>,
    waiting: Option<mpsc::Receiver<Bytes>>,
}

impl StreamReply {
    pub(super) fn new(dialect: Dialect, head: oneshot::Sender<GatewayReply>) -> Self {
        let (lines, waiting) = mpsc::channel(WAITING_EVENTS_MAX);
        Self {
            dialect,
            head: Some(head),
            lines,
            waiting: Some(waiting),
        }
    }

    /// Sends the head, unless it is sent; gives the sender of events.
    pub(super) fn begin_events(&mut self) -> mpsc::Sender<Bytes> {
        if let (Some(head), Some(waiting)) = (self.head.take(), self.waiting.take()) {
            let events = ReceiverStream::new(waiting).boxed();
            let _ = head.send(GatewayReply::event_stream(events));
        }
        self.lines.clone()
    }

    /// Sends the refusal as a status while the head is not sent; else gives the sender for an event.
    pub(super) fn refuse_answer(mut self, refusal: &GatewayRefusal) -> Option<mpsc::Sender<Bytes>> {
        match self.head.take() {
            Some(head) => {
                let _ = head.send(refusal.clone().into_reply(self.dialect));
                None
            }
            None => Some(self.lines),
        }
    }

    /// Ends when the caller is gone. Cancel-safe: both sides keep their state.
    pub(super) async fn caller_gone(&mut self) {
        match &mut self.head {
            Some(head) => head.closed().await,
            None => self.lines.closed().await,
        }
    }
}

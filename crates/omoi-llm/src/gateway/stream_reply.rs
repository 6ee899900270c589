//! A reply under way: its head goes out when there is something to say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::caller_ask::event_bytes;
use super::refusal::GatewayRefusal;
use super::reply::GatewayReply;
use crate::pace::CallPace;
use crate::wire::anthropic::{BareEvent, StreamEvent};
use crate::wire::dialect::Dialect;

/// Batches of events that may wait for a slow caller.
const WAITING_BATCHES_MAX: usize = 16;
/// Time between two pings to a caller that waits for its answer to begin.
pub(super) const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a caller may take in nothing before it counts as gone.
const CALLER_STALL_MAX: Duration = Duration::from_mins(1);

/// A reply, whose head is sent with its first event, or with all of it.
pub(super) struct StreamReply {
    dialect: Dialect,
    head: Option<oneshot::Sender<GatewayReply>>,
    lines: mpsc::Sender<Bytes>,
    waiting: Option<mpsc::Receiver<Bytes>>,
}

impl StreamReply {
    pub(super) fn new(dialect: Dialect, head: oneshot::Sender<GatewayReply>) -> Self {
        let (lines, waiting) = mpsc::channel(WAITING_BATCHES_MAX);
        Self {
            dialect,
            head: Some(head),
            lines,
            waiting: Some(waiting),
        }
    }

    /// Sends the head, unless it is sent; gives the sender of events.
    pub(super) fn begin_events(&mut self) -> EventSender {
        if let (Some(head), Some(waiting)) = (self.head.take(), self.waiting.take()) {
            let events = ReceiverStream::new(waiting).boxed();
            let _ = head.send(GatewayReply::event_stream(events));
        }
        EventSender {
            dialect: self.dialect,
            lines: self.lines.clone(),
        }
    }

    /// Sends all of the reply at once, unless its head is sent.
    pub(super) fn send_whole(&mut self, reply: GatewayReply) {
        if let Some(head) = self.head.take() {
            let _ = head.send(reply);
        }
    }

    /// Sends the refusal as a status while the head is not sent; else as an event.
    pub(super) async fn refuse_answer(mut self, refusal: GatewayRefusal, pace: &Arc<dyn CallPace>) {
        if self.head.is_some() {
            let reply = refusal.into_reply(self.dialect);
            self.send_whole(reply);
        } else {
            let event = refusal.into_event(self.dialect);
            self.begin_events().send_bytes(event, pace).await;
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

/// Hands events of one answer to its caller.
pub(super) struct EventSender {
    dialect: Dialect,
    lines: mpsc::Sender<Bytes>,
}

impl EventSender {
    /// Ends when the caller is gone.
    pub(super) async fn caller_gone(&self) {
        self.lines.closed().await;
    }

    /// Keeps a caller that waits from taking silence for an end; false when it is gone.
    pub(super) async fn send_ping(&self, pace: &Arc<dyn CallPace>) -> bool {
        self.send_bytes(ping_bytes(self.dialect), pace).await
    }

    /// Hands some bytes to the caller; false when it is gone.
    pub(super) async fn send_bytes(&self, bytes: Bytes, pace: &Arc<dyn CallPace>) -> bool {
        if bytes.is_empty() {
            return true;
        }
        // Mostly there is room, and nobody to wait for.
        let bytes = match self.lines.try_send(bytes) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(bytes)) => bytes,
        };
        // What is not handed over belongs to a caller that is gone.
        tokio::select! {
            sent = self.lines.send(bytes) => sent.is_ok(),
            () = pace.expire(CALLER_STALL_MAX) => {
                tracing::warn!(stall_s = CALLER_STALL_MAX.as_secs(), "An agent takes no more of its answer");
                false
            }
        }
    }
}

/// An event where the dialect has one for it, else a comment.
fn ping_bytes(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::Messages => event_bytes(&StreamEvent::Ping(BareEvent::default())),
        Dialect::ChatCompletions | Dialect::Responses => {
            Bytes::from_static(b": waiting for the model\n\n")
        }
    }
}

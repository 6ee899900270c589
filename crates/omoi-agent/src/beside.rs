//! What goes on beside the loop: signs of life and the inbox.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::id::MessageId;
use omoi_domain::message::MessageType;
use omoi_protocol::worker::{AckMessages, HeartbeatAck, InboxMessage, ReportHeartbeat};
use omoi_runtime::clock::Clocked;

use crate::platform::{CallError, Platform};
use crate::stop::{Stop, Stopper};

const POLL_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Messages that came and were not yet put before the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<InboxMessage>,
    interrupts: Vec<MessageId>,
}

impl Inbox {
    /// Takes everything that came.
    pub(crate) fn take(&self) -> Vec<InboxMessage> {
        self.lock().messages.drain(..).collect()
    }

    /// Whether anything came.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    /// Takes the interrupts; they are acknowledged before the end is reported, or the next attempt
    /// would be interrupted by them again.
    pub(crate) fn take_interrupts(&self) -> Vec<MessageId> {
        std::mem::take(&mut self.lock().interrupts)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a heartbeat every `every` until the platform says that the attempt is over.
pub(crate) async fn heartbeat(
    platform: Platform,
    clock: Clocked,
    every: Duration,
    stopper: Stopper,
) {
    for sequence_number in 1.. {
        let body = ReportHeartbeat {
            sequence_number,
            status: "running".to_owned(),
        };
        match platform.post::<HeartbeatAck>("/heartbeat", &body).await {
            Ok(ack) if ack.commands.iter().any(|c| c == "abort") => {
                return stopper.stop(Stop::Superseded);
            }
            Err(CallError::Superseded) => return stopper.stop(Stop::Superseded),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "A heartbeat was not taken"),
        }
        clock.sleep(every).await;
    }
}

/// Fills `inbox` and stops the pass on an interrupt.
pub(crate) async fn poll(platform: Platform, clock: Clocked, inbox: Inbox, stopper: Stopper) {
    // The platform gives a message again until it is acknowledged.
    let mut seen: BTreeSet<MessageId> = BTreeSet::new();
    loop {
        let pace = clock.sleep(POLL_AT_MOST_EVERY);
        let found = match platform.get::<Vec<InboxMessage>>("/messages?wait=25").await {
            Ok(found) => found,
            Err(CallError::Superseded) => return stopper.stop(Stop::Superseded),
            Err(error) => {
                tracing::warn!(%error, "The inbox could not be read");
                Vec::new()
            }
        };
        for message in found.into_iter().filter(|m| seen.insert(m.id)) {
            if message.message_type == MessageType::Interrupt {
                inbox.lock().interrupts.push(message.id);
                stopper.stop(Stop::Interrupt);
            } else {
                inbox.lock().messages.push_back(message);
            }
        }
        pace.await;
    }
}

/// Says that messages arrived.
pub(crate) async fn acknowledge(platform: &Platform, ids: Vec<MessageId>) {
    if let Err(error) = platform.tell("/messages/ack", &AckMessages { ids }).await {
        tracing::warn!(%error, "Messages could not be acknowledged");
    }
}

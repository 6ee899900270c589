//! The inbox: messages for the agent and interrupts, fetched by long poll.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::id::MessageId;
use omoi_domain::message::MessageType;
use omoi_protocol::worker::{AckMessages, InboxMessage, KNOWN_MESSAGES_MAX};
use omoi_runtime::clock::Clocked;

use crate::platform_client::{CallError, PlatformClient};
use crate::stop_signal::{AgentStopCause, StopSignal};

/// Pause between polls that brought nothing new: a platform that cannot wait is not asked without end.
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Messages and interrupts that were received and not yet passed to the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageInbox(Arc<Mutex<InboxState>>);

#[derive(Debug, Default)]
struct InboxState {
    messages: VecDeque<InboxMessage>,
    interrupts: Vec<MessageId>,
}

impl MessageInbox {
    /// Takes the messages that were received, oldest first.
    pub(crate) fn take_messages(&self) -> Vec<InboxMessage> {
        self.lock_state().messages.drain(..).collect()
    }

    /// Whether no message is waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock_state().messages.is_empty()
    }

    /// Takes the interrupts. They must be acknowledged before the end is reported, or they would
    /// interrupt the next attempt as well.
    pub(crate) fn take_interrupts(&self) -> Vec<MessageId> {
        std::mem::take(&mut self.lock_state().interrupts)
    }

    fn lock_state(&self) -> MutexGuard<'_, InboxState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls the platform for messages into `inbox` and stops the loop on an interrupt.
pub(crate) async fn poll_inbox(
    platform: PlatformClient,
    clock: Clocked,
    inbox: MessageInbox,
    stop_signal: StopSignal,
) {
    let mut seen: BTreeSet<MessageId> = BTreeSet::new();
    loop {
        let interval = clock.sleep(POLL_INTERVAL_MIN);
        let n_before = seen.len();
        let found = match platform
            .get_json::<Vec<InboxMessage>>(&poll_path(&seen))
            .await
        {
            Ok(found) => found,
            Err(CallError::Superseded) => {
                return stop_signal.request_stop(AgentStopCause::Superseded);
            }
            Err(error) => {
                tracing::warn!(%error, "The inbox could not be read");
                Vec::new()
            }
        };
        for message in found.into_iter().filter(|m| seen.insert(m.id)) {
            if message.message_type == MessageType::Interrupt {
                inbox.lock_state().interrupts.push(message.id);
                stop_signal.request_stop(AgentStopCause::Interrupt);
            } else {
                inbox.lock_state().messages.push_back(message);
            }
        }
        // An interrupt may come right behind a message.
        if seen.len() == n_before {
            interval.await;
        }
    }
}

/// Asks for what comes beside `seen`, which the platform would give again until it is acknowledged.
fn poll_path(seen: &BTreeSet<MessageId>) -> String {
    // Ids grow, so the last are those that are least likely acknowledged.
    let known = seen.iter().rev().take(KNOWN_MESSAGES_MAX);
    let known: Vec<String> = known.map(ToString::to_string).collect();
    format!("/messages?wait=25&known={}", known.join(","))
}

/// Acknowledges messages, so that the platform does not deliver them again.
pub(crate) async fn acknowledge_messages(platform: &PlatformClient, ids: Vec<MessageId>) {
    if let Err(error) = platform
        .post_only("/messages/ack", &AckMessages { ids })
        .await
    {
        tracing::warn!(%error, "Messages could not be acknowledged");
    }
}

//! Hints that something new can be read, sent between parts of the platform.
//!
//! Hints may be lost, doubled or late, and no state rides on them: the outbox table is the truth.
//! A hint only shortens the wait of a reader who would poll anyway. When a bus cannot say what was
//! missed, the subscriber gets [`BusHint::Resync`] and reads again from its own cursor.

mod local;
mod probe;
mod redis;

use std::fmt;

use futures::future::BoxFuture;
use tokio::sync::broadcast;

pub use self::local::LocalBus;
pub use self::probe::{BusProbeError, PROBE_TIME_MAX, probe_bus};
pub use self::redis::RedisBus;
pub(crate) use self::redis::open_client;

/// Hints a slow subscriber may fall behind before it gets [`BusHint::Resync`] instead.
pub const BACKLOG_MAX: usize = 256;
/// Length of a topic.
pub const TOPIC_BYTES_MAX: usize = 100;

/// A hint that something can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusHint {
    /// `topic` now reaches up to `seq`.
    Appended {
        /// What grew: lower-case letters, digits and `_ . : -`.
        topic: String,
        /// Its newest number, as far as the publisher knows.
        seq: i64,
    },
    /// Hints may have been missed: read everything again from your cursor.
    Resync,
}

/// A hint was not sent; its readers find the news at their next poll.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The topic is empty, too long or has characters outside the allowed ones.
    #[error("`{0}` is not a topic")]
    Topic(String),
    /// The address cannot be used; the text of the address is left out as it may hold a password.
    #[error("the bus address cannot be used")]
    Address(#[source] BusFailure),
    /// The server did not take the hint.
    #[error("the bus server did not answer")]
    Unreachable(#[source] BusFailure),
}

/// Error text of the bus server or its client, without the address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BusFailure(String);

/// Carries hints to every subscriber of this deployment.
pub trait Bus: fmt::Debug + Send + Sync {
    /// Tells every subscriber, this process's own included.
    fn publish_hint(&self, hint: BusHint) -> BoxFuture<'_, Result<(), BusError>>;

    /// Receives every hint from now on. Subscribe first, then read, then wait: nothing falls
    /// between.
    fn subscribe_hints(&self) -> HintSubscription;
}

/// Receives the hints that were published after it was made.
#[derive(Debug)]
pub struct HintSubscription(broadcast::Receiver<BusHint>);

impl HintSubscription {
    /// The next hint, or `None` once the bus is gone. May be dropped while waiting.
    pub async fn next_hint(&mut self) -> Option<BusHint> {
        match self.0.recv().await {
            Ok(hint) => Some(hint),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(BusHint::Resync),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

fn check_topic(hint: &BusHint) -> Result<(), BusError> {
    let BusHint::Appended { topic, .. } = hint else {
        return Ok(());
    };
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.:-".contains(&byte);
    if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX || !topic.bytes().all(allowed) {
        return Err(BusError::Topic(topic.clone()));
    }
    Ok(())
}

//! Reads the log of one organisation for all who listen to it in this process.

use std::sync::Arc;
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_runtime::BoxError;
use omoi_runtime::bus::{BusHint, HintSubscription};
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{StoreError, Tenant, events};
use tracing::{debug, warn};

use super::fan_out::FanOut;
use super::reader_book::ReaderBook;
use crate::consume::outbox_topic;

/// Longest wait for news that no hint told of.
const POLL: Duration = Duration::from_secs(1);
/// How long a reader goes on after the last who listened left: most come back.
const UNUSED_MAX: Duration = Duration::from_mins(1);

/// The reader; ends itself when nobody listens any more, and when it meets what it cannot read. However it ends, those
/// who listen are told, and who comes next has a new one.
pub(super) struct OrgReader {
    pub(super) tenant: Tenant,
    pub(super) clock: Clocked,
    pub(super) lifecycle: LifecycleHandle,
    pub(super) hints: HintSubscription,
    pub(super) fan_out: Arc<FanOut>,
    pub(super) readers: ReaderBook,
}

impl Drop for OrgReader {
    fn drop(&mut self) {
        self.fan_out.end_all();
        self.readers.forget_fan_out(&self.fan_out);
    }
}

impl OrgReader {
    pub(super) async fn run(mut self) -> Result<(), BoxError> {
        let topic = outbox_topic(self.fan_out.org_id());
        debug!(org.id = %self.fan_out.org_id(), "Reading events for those who listen");
        let mut unused_since = None;
        loop {
            let read = self.read_news().await;
            let has_failed = read.is_err();
            match read {
                Err(error) if StoreError::is_passing(&error) => {
                    warn!(error = %error_chain(&error), "Could not read the events of those who listen");
                }
                read => read?,
            }
            let now = self.clock.now();
            unused_since = match self.fan_out.is_used() {
                true => None,
                false => Some(unused_since.unwrap_or(now)),
            };
            let is_unused = unused_since.is_some_and(|since| since + UNUSED_MAX <= now);
            if is_unused && self.fan_out.end_unused() {
                debug!(org.id = %self.fan_out.org_id(), "Nobody listens to events any more");
                return Ok(());
            }
            let goes_on = match has_failed {
                true => self.wait_after_failure().await,
                false => self.wait_for_news(&topic, now).await,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Waits for the database to come back, whatever is told meanwhile; false when the process stops.
    async fn wait_after_failure(&self) -> bool {
        let soft = self.lifecycle.soft_token();
        // Cancel-safe: a token and a timer.
        tokio::select! {
            () = soft.cancelled() => false,
            () = self.clock.sleep(POLL) => true,
        }
    }

    /// Waits until something may have happened; false when the process stops.
    async fn wait_for_news(&mut self, topic: &str, now: Timestamp) -> bool {
        let release = self.fan_out.next_release().map(|due| due.since(now));
        let soft = self.lifecycle.soft_token();
        let mut pause = self.clock.sleep(release.unwrap_or(POLL).min(POLL));
        loop {
            // Cancel-safe: a broadcast receiver, a token, a notification and a timer.
            tokio::select! {
                hint = self.hints.next_hint() => match hint {
                    Some(BusHint::Appended { topic: grown, .. }) if grown != topic => {}
                    Some(_) => return true,
                    None => return false,
                },
                () = soft.cancelled() => return false,
                () = self.fan_out.subscriptions_changed.notified() => return true,
                () = &mut pause => return true,
            }
        }
    }

    /// Takes in every event since the last that was read.
    async fn read_news(&self) -> Result<(), StoreError> {
        let fan_out = &self.fan_out;
        loop {
            let at = fan_out.last_taken();
            let read = self
                .tenant
                .read(async |tx| events::logged_after(tx, at).await);
            let batch = read.await?;
            let now = self.clock.now();
            if batch.is_empty() {
                fan_out.release_due(now);
                return Ok(());
            }
            fan_out.take_in(batch, now);
        }
    }
}

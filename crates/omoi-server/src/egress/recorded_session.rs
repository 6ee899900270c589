//! A session at the proxy whose arrivals and refusals are rows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tracing::warn;

use omoi_domain::secret_mask::SecretMask;
use omoi_egress::listing::ListedPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::session::{EgressSession, KeepArrivals, PackageArrival, RefusalCount};
use omoi_execution::egress::{EgressNews, EgressOrigin, record_egress};
use omoi_runtime::BoxError;
use omoi_runtime::clock::Clocked;
use omoi_runtime::telemetry::error_chain;
use omoi_store::Tenant;

/// Refusals of one sandbox that are written down and told; the process log has all of them.
const REFUSALS_MAX: usize = 200;

/// A sandbox's use of the way out, and how much of it was written down.
pub(crate) struct RecordedSession {
    session: Arc<EgressSession>,
    entries: Arc<EntryKeeper>,
    mask: SecretMask,
    told: tokio::sync::Mutex<BTreeSet<(RefusalReason, String)>>,
}

/// Where entries of one sandbox go.
pub(crate) struct EntryKeeper {
    pub(crate) store: Tenant,
    pub(crate) origin: EgressOrigin,
}

impl fmt::Debug for EntryKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EntryKeeper").field(&self.origin).finish()
    }
}

impl KeepArrivals for EntryKeeper {
    fn keep_arrivals(&self, arrivals: Vec<PackageArrival>) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(async move {
            let news: Vec<_> = arrivals.iter().map(arrival_news).collect();
            Ok(record_egress(&self.store, &self.origin, &news).await?)
        })
    }
}

impl RecordedSession {
    /// A session that has used nothing yet.
    pub(crate) fn start(
        policy: ListedPolicy,
        clock: Clocked,
        entries: EntryKeeper,
        mask: SecretMask,
    ) -> Self {
        let entries = Arc::new(entries);
        Self {
            session: EgressSession::with_keeper(policy, clock, entries.clone()),
            entries,
            mask,
            told: tokio::sync::Mutex::default(),
        }
    }

    /// The session as the proxy wants it.
    pub(crate) fn proxy_session(&self) -> &Arc<EgressSession> {
        &self.session
    }

    /// Writes down and tells what was refused since the last time.
    pub(crate) async fn record_refusals(&self) {
        let mut told = self.told.lock().await;
        let key = |count: &RefusalCount| (count.refusal.reason, count.refusal.subject.clone());
        let refusals = self.session.list_refusals().into_iter();
        let refusals: Vec<_> = refusals
            .filter(|count| !told.contains(&key(count)))
            .take(REFUSALS_MAX.saturating_sub(told.len()))
            .collect();
        let news = refusals.iter().map(|count| refusal_news(count, &self.mask));
        let news: Vec<_> = news.collect();
        let EntryKeeper { store, origin } = &*self.entries;
        match record_egress(store, origin, &news).await {
            Ok(()) => told.extend(refusals.iter().map(key)),
            // The next connection's end tries it again.
            Err(error) => warn!(
                error = %error_chain(&error),
                "What a sandbox was refused could not be written down"
            ),
        }
    }
}

fn arrival_news(arrival: &PackageArrival) -> EgressNews {
    EgressNews::CameIn {
        version: arrival.version.to_string(),
        file: arrival.file.clone(),
        digest: arrival.digest.clone(),
        bytes: arrival.bytes,
    }
}

/// A refusal names what a client wrote, which may be a secret of this process.
fn refusal_news(count: &RefusalCount, mask: &SecretMask) -> EgressNews {
    let refusal = &count.refusal;
    let masked = |text: &str| mask.mask_text(text).into_owned();
    EgressNews::Refused {
        subject: masked(&refusal.subject),
        reason: refusal.reason.to_string(),
        detail: masked(&refusal.to_string()),
        remedy: refusal.remedy_line().map(|line| masked(&line)),
    }
}

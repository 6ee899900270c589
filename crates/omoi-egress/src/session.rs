//! One attempt at the proxy: what it has used of its caps, what was refused and what came in.

mod arrivals;
mod current_policy;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_runtime::clock::Clocked;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use self::arrivals::ArrivalLog;
pub use self::arrivals::{KeepArrivals, PackageArrival};
pub use self::current_policy::SessionPolicy;
use crate::package::{AgeRule, PackageName};
use crate::policy::{EgressCaps, EgressPolicy};
use crate::refusal::{Refusal, RefusalReason};

/// Different refusals and arrivals that are remembered of one attempt.
const ENTRIES_MAX: usize = 10_000;
/// Connections beyond the cap that are told so at once; more are closed without a word.
const REFUSED_MAX: u32 = 16;
/// Large documents that one attempt is given at once: they lie on our disk until it has read them.
const LARGE_MAX: usize = 4;
/// The time that requests are counted over.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// The state of one attempt at the proxy.
#[derive(Debug)]
pub struct EgressSession {
    policy: SessionPolicy,
    caps: EgressCaps,
    clock: Clocked,
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    connections: AtomicU32,
    /// Connections that only hear that they are too many.
    refused: AtomicU32,
    /// Names that may still turn out to be unknown; closed when there are none left.
    names: Arc<Semaphore>,
    large_documents: Arc<Semaphore>,
    arrivals: ArrivalLog,
    log: Mutex<SessionLog>,
}

#[derive(Debug, Default)]
struct SessionLog {
    /// When the requests of the last minute were made.
    requests: VecDeque<Timestamp>,
    unknown_names: BTreeSet<PackageName>,
    /// Each refusal with how often it was given.
    refusals: BTreeMap<(RefusalReason, String), RefusalCount>,
}

/// A refusal, and how often it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// The refusal as it was first given.
    pub refusal: Refusal,
    /// How often.
    pub n_times: u64,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<EgressSession>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection beyond the cap that is told so; it counts until it is dropped.
#[derive(Debug)]
pub struct RefusedPermit(Arc<EgressSession>);

impl Drop for RefusedPermit {
    fn drop(&mut self) {
        self.0.refused.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to ask a registry for one name. Dropped, the name was known.
#[derive(Debug)]
pub struct NameTicket {
    session: Arc<EgressSession>,
    package: PackageName,
    /// None for a name that counts already, or that is listed.
    permit: Option<OwnedSemaphorePermit>,
}

impl NameTicket {
    /// Counts the name as one that no registry knows.
    pub fn count_unknown(self) {
        let Some(permit) = self.permit else {
            return;
        };
        permit.forget();
        let mut log = self.session.log();
        log.unknown_names.insert(self.package);
        if log.unknown_names.len() >= self.session.caps.unknown_names {
            self.session.names.close();
        }
    }
}

impl EgressSession {
    /// A session that has used nothing yet, and whose arrivals are remembered in this process alone.
    pub fn new(policy: impl Into<SessionPolicy>, clock: Clocked) -> Arc<Self> {
        Self::with_arrivals(policy.into(), clock, ArrivalLog::default())
    }

    /// A session that has used nothing yet, and whose arrivals `keeper` keeps before they are given out.
    pub fn with_keeper(
        policy: impl Into<SessionPolicy>,
        clock: Clocked,
        keeper: Arc<dyn KeepArrivals>,
    ) -> Arc<Self> {
        Self::with_arrivals(policy.into(), clock, ArrivalLog::with_keeper(keeper))
    }

    fn with_arrivals(policy: SessionPolicy, clock: Clocked, arrivals: ArrivalLog) -> Arc<Self> {
        let caps = policy.current_policy().caps;
        let n_names = caps.unknown_names.min(Semaphore::MAX_PERMITS);
        let names = Semaphore::new(n_names);
        if n_names == 0 {
            names.close();
        }
        Arc::new(Self {
            policy,
            caps,
            clock,
            uploaded: AtomicU64::new(0),
            downloaded: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            names: Arc::new(names),
            large_documents: Arc::new(Semaphore::new(LARGE_MAX)),
            arrivals,
            log: Mutex::default(),
        })
    }

    /// What the attempt may reach at this instant.
    pub fn egress_policy(&self) -> Arc<EgressPolicy> {
        self.policy.current_policy()
    }

    /// Which versions `policy` finds old enough at this instant.
    pub fn age_rule<'a>(&self, policy: &'a EgressPolicy) -> AgeRule<'a> {
        AgeRule {
            now: self.clock.now(),
            listed: &policy.listed_versions,
        }
    }

    /// Counts a connection until the permit is dropped.
    ///
    /// # Errors
    /// When the attempt holds as many as it may.
    pub fn open_connection(self: &Arc<Self>) -> Result<ConnectionPermit, Refusal> {
        let max = self.caps.connections;
        let step = |held: u32| (held < max).then(|| held + 1);
        let held = self
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        match held {
            Ok(_) => Ok(ConnectionPermit(Arc::clone(self))),
            Err(held) => Err(Refusal::new(RefusalReason::ConnectionCap, "proxy")
                .with_detail(format_args!("{held} of {max}"))),
        }
    }

    /// Counts a connection that hears of the cap; none is given when many do already.
    pub fn open_refused(self: &Arc<Self>) -> Option<RefusedPermit> {
        let step = |held: u32| (held < REFUSED_MAX).then(|| held + 1);
        let held = self
            .refused
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        held.is_ok().then(|| RefusedPermit(Arc::clone(self)))
    }

    /// Whether another connection would be closed without a word.
    pub fn is_crowded(&self) -> bool {
        self.connections.load(Ordering::Relaxed) >= self.caps.connections
            && self.refused.load(Ordering::Relaxed) >= REFUSED_MAX
    }

    /// Counts a large document until the permit is dropped.
    ///
    /// # Errors
    /// When the attempt has not read the ones before.
    pub fn hold_large_document(&self, subject: &str) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.large_documents).try_acquire_owned();
        permit.map_err(|_| {
            Refusal::new(RefusalReason::RequestRate, subject)
                .with_detail(format_args!("{LARGE_MAX} large documents at once"))
        })
    }

    /// Counts a request that leaves the machine.
    ///
    /// # Errors
    /// When there were as many within the last minute as there may be.
    pub fn count_request(&self, subject: &str) -> Result<(), Refusal> {
        let max = self.caps.requests_per_minute as usize;
        let now = self.clock.now();
        let mut log = self.log();
        while log
            .requests
            .front()
            .is_some_and(|at| now.since(*at) >= RATE_WINDOW)
        {
            log.requests.pop_front();
        }
        if log.requests.len() >= max {
            return Err(Refusal::new(RefusalReason::RequestRate, subject)
                .with_detail(format_args!("{max} a minute")));
        }
        log.requests.push_back(now);
        Ok(())
    }

    /// Counts bytes on their way out.
    ///
    /// # Errors
    /// When the attempt has sent more than it may; these bytes must not be sent.
    pub fn count_upload(&self, subject: &str, bytes: u64) -> Result<(), Refusal> {
        let max = self.caps.upload_bytes;
        check_volume(&self.uploaded, bytes, max).map_err(|()| {
            Refusal::new(RefusalReason::UploadCap, subject).with_detail(mebibytes(max))
        })
    }

    /// Counts bytes that came from outside.
    ///
    /// # Errors
    /// When the attempt has received more than it may; these bytes must not be given to it.
    pub fn count_download(&self, subject: &str, bytes: u64) -> Result<(), Refusal> {
        let max = self.caps.download_bytes;
        check_volume(&self.downloaded, bytes, max).map_err(|()| {
            Refusal::new(RefusalReason::DownloadCap, subject).with_detail(mebibytes(max))
        })
    }

    /// Reserves one of the names that may be unknown before a registry is asked for `package`, which the cache
    /// does not know. Where as many are under way as are left, it waits for one of them to be known.
    ///
    /// # Errors
    /// When too many names were asked for that no registry knows: a name is a message too.
    pub async fn reserve_name(
        self: &Arc<Self>,
        package: &PackageName,
    ) -> Result<NameTicket, Refusal> {
        let is_free =
            self.egress_policy().lists_name(package) || self.log().unknown_names.contains(package);
        let permit = match is_free {
            true => None,
            false => {
                let permit = Arc::clone(&self.names).acquire_owned().await;
                Some(permit.map_err(|_| {
                    let max = self.caps.unknown_names;
                    Refusal::new(RefusalReason::UnknownNames, package)
                        .with_detail(format_args!("{max} names"))
                })?)
            }
        };
        Ok(NameTicket {
            session: Arc::clone(self),
            package: package.clone(),
            permit,
        })
    }

    /// Remembers a refusal for the events and the log of the attempt.
    pub fn note_refusal(&self, refusal: &Refusal) {
        let mut log = self.log();
        let key = (refusal.reason, refusal.subject.clone());
        if let Some(count) = log.refusals.get_mut(&key) {
            count.n_times += 1;
        } else if log.refusals.len() < ENTRIES_MAX {
            warn!(reason = %refusal.reason, subject = %refusal.subject, "Refused a request of a sandbox: {refusal}");
            let count = RefusalCount {
                refusal: refusal.clone(),
                n_times: 1,
            };
            log.refusals.insert(key, count);
        }
    }

    /// Keeps what came in, once; to be called before the last of it is given out.
    ///
    /// # Errors
    /// When as many files came in as can be remembered, or it cannot be kept: what no receipt names is not given out.
    pub async fn keep_arrival(&self, arrival: PackageArrival) -> Result<(), Refusal> {
        self.arrivals.keep_arrival(arrival).await
    }

    /// Every refusal so far.
    pub fn list_refusals(&self) -> Vec<RefusalCount> {
        self.log().refusals.values().cloned().collect()
    }

    /// Every file of a package that was given out, for the receipt.
    pub fn list_arrivals(&self) -> Vec<PackageArrival> {
        self.arrivals.list_kept()
    }

    fn log(&self) -> MutexGuard<'_, SessionLog> {
        // Every step leaves the log whole, so that a panic elsewhere says nothing about it.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to a counter that stays within `max`.
fn check_volume(counter: &AtomicU64, bytes: u64, max: u64) -> Result<(), ()> {
    let step = |used: u64| used.checked_add(bytes).filter(|used| *used <= max);
    let used = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    used.map(|_| ()).map_err(|_| ())
}

fn mebibytes(bytes: u64) -> String {
    format!("at most {} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests;

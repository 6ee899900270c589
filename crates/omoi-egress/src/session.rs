//! One attempt at the proxy: what it has used of its caps, what was refused and what came in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_runtime::clock::Clocked;
use tracing::{info, warn};

use crate::package::{AgeRule, PackageName, PackageVersion};
use crate::policy::EgressPolicy;
use crate::refusal::{Refusal, RefusalReason};

/// Different refusals and arrivals that are remembered of one attempt.
const ENTRIES_MAX: usize = 10_000;
/// The time that requests are counted over.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// A file of a package that was given to an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageArrival {
    /// The version.
    pub version: PackageVersion,
    /// The last part of the file's path.
    pub file: String,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
}

/// The state of one attempt at the proxy.
#[derive(Debug)]
pub struct EgressSession {
    policy: EgressPolicy,
    clock: Clocked,
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    connections: AtomicU32,
    log: Mutex<SessionLog>,
}

#[derive(Debug, Default)]
struct SessionLog {
    /// When the requests of the last minute were made.
    requests: VecDeque<Timestamp>,
    unknown_names: BTreeSet<PackageName>,
    /// Each refusal with how often it was given.
    refusals: BTreeMap<(RefusalReason, String), RefusalCount>,
    arrivals: BTreeSet<PackageArrival>,
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

impl EgressSession {
    /// A session that has used nothing yet.
    pub fn new(policy: EgressPolicy, clock: Clocked) -> Arc<Self> {
        Arc::new(Self {
            policy,
            clock,
            uploaded: AtomicU64::new(0),
            downloaded: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            log: Mutex::default(),
        })
    }

    /// What the attempt may reach.
    pub fn egress_policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Which versions are old enough at this instant.
    pub fn age_rule(&self) -> AgeRule<'_> {
        AgeRule {
            now: self.clock.now(),
            listed: &self.policy.listed_versions,
        }
    }

    /// Counts a connection until the permit is dropped.
    ///
    /// # Errors
    /// When the attempt holds as many as it may.
    pub fn open_connection(self: &Arc<Self>) -> Result<ConnectionPermit, Refusal> {
        let max = self.policy.caps.connections;
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

    /// Counts a request that leaves the machine.
    ///
    /// # Errors
    /// When there were as many within the last minute as there may be.
    pub fn count_request(&self, subject: &str) -> Result<(), Refusal> {
        let max = self.policy.caps.requests_per_minute as usize;
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
        let max = self.policy.caps.upload_bytes;
        check_volume(&self.uploaded, bytes, max).map_err(|()| {
            Refusal::new(RefusalReason::UploadCap, subject).with_detail(mebibytes(max))
        })
    }

    /// Counts bytes that came from outside.
    ///
    /// # Errors
    /// When the attempt has received more than it may; these bytes must not be given to it.
    pub fn count_download(&self, subject: &str, bytes: u64) -> Result<(), Refusal> {
        let max = self.policy.caps.download_bytes;
        check_volume(&self.downloaded, bytes, max).map_err(|()| {
            Refusal::new(RefusalReason::DownloadCap, subject).with_detail(mebibytes(max))
        })
    }

    /// Whether a registry may be asked for `package`, which the cache does not know.
    ///
    /// # Errors
    /// When too many names were asked for that no registry knows: a name is a message too.
    pub fn check_name(&self, package: &PackageName) -> Result<(), Refusal> {
        let max = self.policy.caps.unknown_names;
        let log = self.log();
        let is_spent = log.unknown_names.len() >= max && !log.unknown_names.contains(package);
        if is_spent && !self.policy.lists_package(package) {
            return Err(Refusal::new(RefusalReason::UnknownNames, package)
                .with_detail(format_args!("{max} names")));
        }
        Ok(())
    }

    /// Remembers that the registry does not know `package`.
    pub fn note_unknown(&self, package: &PackageName) {
        let max = self.policy.caps.unknown_names;
        let mut log = self.log();
        if log.unknown_names.len() < max {
            log.unknown_names.insert(package.clone());
        }
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

    /// Remembers what came in, once.
    ///
    /// # Errors
    /// When as many files came in as can be remembered: what no receipt names is not given out.
    pub fn note_arrival(&self, arrival: PackageArrival) -> Result<(), Refusal> {
        let mut log = self.log();
        if log.arrivals.contains(&arrival) {
            return Ok(());
        }
        if log.arrivals.len() >= ENTRIES_MAX {
            return Err(Refusal::new(RefusalReason::ArrivalCap, &arrival.version)
                .with_detail(format_args!("{}, after {ENTRIES_MAX} files", arrival.file)));
        }
        info!(version = %arrival.version, digest = arrival.digest, "Gave `{}` to a sandbox", arrival.file);
        log.arrivals.insert(arrival);
        Ok(())
    }

    /// Every refusal so far.
    pub fn list_refusals(&self) -> Vec<RefusalCount> {
        self.log().refusals.values().cloned().collect()
    }

    /// Every file of a package that was given out, for the receipt.
    pub fn list_arrivals(&self) -> Vec<PackageArrival> {
        self.log().arrivals.iter().cloned().collect()
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_runtime::clock::ManualClock;

    use super::*;
    use crate::package::PackageRegistry;
    use crate::policy::EgressCaps;

    fn session(caps: EgressCaps) -> (Arc<EgressSession>, ManualClock) {
        let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let policy = EgressPolicy {
            caps,
            listed_versions: BTreeSet::from(["npm:listed@1.0.0".parse().unwrap()]),
            ..EgressPolicy::all_registries()
        };
        (EgressSession::new(policy, Arc::new(clock.clone())), clock)
    }

    fn package(name: &str) -> PackageName {
        PackageName::new(PackageRegistry::Npm, name)
    }

    #[test]
    fn connections_count_until_they_are_dropped() {
        let caps = EgressCaps {
            connections: 2,
            ..EgressCaps::default()
        };
        let (session, _) = session(caps);
        let first = session.open_connection().unwrap();
        let _second = session.open_connection().unwrap();
        let refusal = session.open_connection().unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.detail.as_str()),
            (RefusalReason::ConnectionCap, "2 of 2")
        );
        drop(first);
        session.open_connection().unwrap();
    }

    #[test]
    fn requests_are_counted_over_a_minute() {
        let caps = EgressCaps {
            requests_per_minute: 2,
            ..EgressCaps::default()
        };
        let (session, clock) = session(caps);
        session.count_request("a").unwrap();
        clock.advance(Duration::from_secs(30));
        session.count_request("a").unwrap();
        assert_eq!(
            session.count_request("a").unwrap_err().reason,
            RefusalReason::RequestRate
        );
        clock.advance(Duration::from_secs(30));
        session.count_request("a").unwrap();
        assert_eq!(
            session.count_request("a").unwrap_err().reason,
            RefusalReason::RequestRate
        );
    }

    #[test]
    fn volumes_stop_at_their_caps() {
        let caps = EgressCaps {
            upload_bytes: 10,
            download_bytes: 20,
            ..EgressCaps::default()
        };
        let (session, _) = session(caps);
        session.count_upload("a", 10).unwrap();
        assert_eq!(
            session.count_upload("a", 1).unwrap_err().reason,
            RefusalReason::UploadCap
        );
        session.count_download("a", 19).unwrap();
        assert_eq!(
            session.count_download("a", 2).unwrap_err().reason,
            RefusalReason::DownloadCap
        );
        session.count_download("a", 1).unwrap();
        assert_eq!(
            session.count_upload("a", u64::MAX).unwrap_err().reason,
            RefusalReason::UploadCap
        );
    }

    #[test]
    fn fifty_names_may_be_unknown_and_listed_ones_always_pass() {
        let (session, _) = session(EgressCaps::default());
        for number in 0..50 {
            let name = package(&format!("secret-{number}"));
            session.check_name(&name).unwrap();
            session.note_unknown(&name);
        }
        let refusal = session.check_name(&package("secret-50")).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::UnknownNames);
        session.check_name(&package("secret-7")).unwrap();
        session.check_name(&package("listed")).unwrap();
    }

    #[test]
    fn refusals_and_arrivals_are_remembered_once() {
        let (session, _) = session(EgressCaps::default());
        let refusal = Refusal::new(RefusalReason::HostNotListed, "example.com:443");
        session.note_refusal(&refusal);
        session.note_refusal(&refusal);
        let counts = session.list_refusals();
        assert_eq!(
            counts,
            [RefusalCount {
                refusal,
                n_times: 2
            }]
        );
        let arrival = PackageArrival {
            version: package("a").at_version("1.0.0"),
            file: "a-1.0.0.tgz".into(),
            digest: "00".into(),
            bytes: 1,
        };
        session.note_arrival(arrival.clone()).unwrap();
        session.note_arrival(arrival.clone()).unwrap();
        assert_eq!(session.list_arrivals(), [arrival]);
    }

    #[test]
    fn a_file_beyond_what_a_receipt_names_is_refused_by_name() {
        let (session, _) = session(EgressCaps::default());
        let arrival = |n: usize| PackageArrival {
            version: package("a").at_version("1.0.0"),
            file: format!("a-{n}.tgz"),
            digest: "00".into(),
            bytes: 1,
        };
        for n in 0..ENTRIES_MAX {
            session.note_arrival(arrival(n)).unwrap();
        }
        session.note_arrival(arrival(7)).unwrap();
        let refusal = session.note_arrival(arrival(ENTRIES_MAX)).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::ArrivalCap);
        let text = refusal.to_string();
        assert!(
            text.contains("npm:a@1.0.0") && text.contains("a-10000.tgz"),
            "{text}"
        );
        assert_eq!(session.list_arrivals().len(), ENTRIES_MAX);
    }
}

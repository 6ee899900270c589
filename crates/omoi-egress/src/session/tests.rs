#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use futures::FutureExt as _;
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

#[tokio::test]
async fn fifty_names_may_be_unknown_and_listed_ones_always_pass() {
    let (session, _) = session(EgressCaps::default());
    for number in 0..50 {
        let name = package(&format!("secret-{number}"));
        session.reserve_name(&name).await.unwrap().count_unknown();
    }
    let refusal = session.reserve_name(&package("secret-50")).await;
    assert_eq!(refusal.unwrap_err().reason, RefusalReason::UnknownNames);
    for name in ["secret-7", "listed"] {
        session.reserve_name(&package(name)).await.unwrap();
    }
}

#[tokio::test]
async fn names_on_their_way_count_until_they_are_known() {
    let caps = EgressCaps {
        unknown_names: 2,
        ..EgressCaps::default()
    };
    let (session, _) = session(caps);
    let first = session.reserve_name(&package("a")).await.unwrap();
    let second = session.reserve_name(&package("b")).await.unwrap();
    let name = package("c");
    let mut third = Box::pin(session.reserve_name(&name));
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    let third = third.await.unwrap();
    second.count_unknown();
    third.count_unknown();
    let refusal = session.reserve_name(&package("d")).await.unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::UnknownNames);
}

#[test]
fn connections_beyond_the_cap_are_told_so_up_to_a_bound() {
    let caps = EgressCaps {
        connections: 1,
        ..EgressCaps::default()
    };
    let (session, _) = session(caps);
    let held = session.open_connection().unwrap();
    let told: Vec<_> = (0..100).map_while(|_| session.open_refused()).collect();
    assert_eq!(told.len(), 16);
    assert!(session.is_crowded());
    drop(held);
    assert!(!session.is_crowded());
    let held = session.open_connection().unwrap();
    drop(told);
    assert!(!session.is_crowded());
    drop(held);
}

#[tokio::test]
async fn refusals_and_arrivals_are_remembered_once() {
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
    session.keep_arrival(arrival.clone()).await.unwrap();
    session.keep_arrival(arrival.clone()).await.unwrap();
    assert_eq!(session.list_arrivals(), [arrival]);
}

/// Keeps arrivals once it is let.
#[derive(Debug)]
struct SlowKeeper {
    gate: tokio::sync::Semaphore,
    batches: Mutex<Vec<usize>>,
    is_broken: std::sync::atomic::AtomicBool,
}

impl SlowKeeper {
    fn with_permits(n: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: tokio::sync::Semaphore::new(n),
            batches: Mutex::default(),
            is_broken: false.into(),
        })
    }
}

impl KeepArrivals for SlowKeeper {
    fn keep_arrivals(
        &self,
        arrivals: Vec<PackageArrival>,
    ) -> futures::future::BoxFuture<'_, Result<(), omoi_runtime::BoxError>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            if self.is_broken.load(Ordering::Relaxed) {
                return Err("no room".into());
            }
            self.batches.lock().unwrap().push(arrivals.len());
            Ok(())
        })
    }
}

fn arrival(n: usize) -> PackageArrival {
    PackageArrival {
        version: package("a").at_version("1.0.0"),
        file: format!("a-{n}.tgz"),
        digest: "00".into(),
        bytes: 1,
    }
}

#[tokio::test]
async fn nothing_is_given_out_before_it_is_kept_and_many_are_kept_at_once() {
    let keeper = SlowKeeper::with_permits(0);
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    let policy = EgressPolicy::all_registries();
    let session = EgressSession::with_keeper(policy, clock, keeper.clone());
    let mut given: Vec<_> = (0..150)
        .map(|n| Box::pin(session.keep_arrival(arrival(n))))
        .collect();
    for one in &mut given {
        assert!(one.as_mut().now_or_never().is_none());
    }
    assert!(session.list_arrivals().is_empty());
    // Who went away is given nothing.
    drop(given.pop());
    keeper.gate.add_permits(10);
    for one in given {
        one.await.unwrap();
    }
    assert_eq!(*keeper.batches.lock().unwrap(), [1, 100, 48]);
    assert_eq!(session.list_arrivals().len(), 149);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name_and_asked_for_again() {
    let keeper = SlowKeeper::with_permits(10);
    keeper.is_broken.store(true, Ordering::Relaxed);
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    let policy = EgressPolicy::all_registries();
    let session = EgressSession::with_keeper(policy, clock, keeper.clone());
    let refusal = session.keep_arrival(arrival(1)).await.unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::ArrivalNotKept);
    assert!(refusal.to_string().contains("a-1.tgz"), "{refusal}");
    assert!(session.list_arrivals().is_empty());
    keeper.is_broken.store(false, Ordering::Relaxed);
    session.keep_arrival(arrival(1)).await.unwrap();
    assert_eq!(session.list_arrivals(), [arrival(1)]);
}

#[tokio::test]
async fn a_file_beyond_what_a_receipt_names_is_refused_by_name() {
    let (session, _) = session(EgressCaps::default());
    for n in 0..ENTRIES_MAX {
        session.keep_arrival(arrival(n)).await.unwrap();
    }
    session.keep_arrival(arrival(7)).await.unwrap();
    let refusal = session
        .keep_arrival(arrival(ENTRIES_MAX))
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::ArrivalCap);
    let text = refusal.to_string();
    assert!(
        text.contains("npm:a@1.0.0") && text.contains("a-10000.tgz"),
        "{text}"
    );
    assert_eq!(session.list_arrivals().len(), ENTRIES_MAX);
}

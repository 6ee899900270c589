//! Those who listen get every event they asked for and may read, in order, whatever their pace.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use omoi_domain::access::permission::Permission;
use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::event::EventKind;
use omoi_domain::id::ProjectId;
use omoi_domain::live::event_filter::{FilterLists, LiveFilter, SubscribeMode};
use omoi_execution::consume::publish_commits;
use omoi_execution::live::{LiveEvents, LiveItem, LiveSubscription, ReaderAccess};
use omoi_runtime::bus::{Bus, LocalBus};
use omoi_store::events;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::raw_connection::RawConnection;

use crate::delivery::{event, redis_bus, redis_bus_at};

const READER: &str = "live event reader";

fn live_events(it: &TestDeployment, bus: &Arc<dyn Bus>) -> LiveEvents {
    let parts = &it.deployment;
    LiveEvents::new(
        Arc::clone(bus),
        parts.clock.clone(),
        parts.lifecycle.clone(),
    )
}

fn local_bus(it: &TestDeployment) -> Arc<dyn Bus> {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
    publish_commits(it.deployment.store.store(), &it.deployment.lifecycle, &bus);
    bus
}

async fn subscribe(live: &LiveEvents, it: &TestDeployment, known: Option<i64>) -> LiveSubscription {
    let filter = LiveFilter::default();
    let access = ReaderAccess::FULL;
    live.open_subscription(&it.deployment.store, access, filter, known)
        .await
        .unwrap()
}

/// Commits one event of each of `kinds`.
async fn tell(it: &TestDeployment, kinds: &[EventKind]) {
    it.commit(async |tx| {
        for kind in kinds {
            tx.emit(Some(it.spec.project_id), Some(it.spec.id), event(*kind));
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn head(it: &TestDeployment) -> i64 {
    events::head(&mut it.read_tx().await).await.unwrap()
}

async fn next(of: &mut LiveSubscription) -> LiveItem {
    of.next_item().await.unwrap()
}

/// The next frame, as its receiver sees it.
async fn next_frame(of: &mut LiveSubscription) -> Value {
    match next(of).await {
        LiveItem::Frame(frame) => serde_json::from_str(&frame.text).unwrap(),
        other => panic!("{other:?} in the place of a frame"),
    }
}

/// Takes the frames of the events `first` to `last`, each once and in order.
async fn take_range(of: &mut LiveSubscription, first: i64, last: i64) {
    for seq in first..=last {
        assert_eq!(next_frame(of).await["seq"], seq);
    }
}

/// The clock stands still, so nothing is found by polling.
async fn is_told_at_once(bus: impl FnOnce(&TestDeployment) -> Arc<dyn Bus>) {
    let it = TestDeployment::new().await;
    let bus = bus(&it);
    publish_commits(it.deployment.store.store(), &it.deployment.lifecycle, &bus);
    let live = live_events(&it, &bus);
    let mut one = subscribe(&live, &it, None).await;
    let mut two = subscribe(&live, &it, None).await;
    let at = head(&it).await;
    for n in 1..=20 {
        tell(&it, &[EventKind::TaskStarted]).await;
        take_range(&mut one, at + n, at + n).await;
    }
    take_range(&mut two, at + 1, at + 20).await;
    let names = it.deployment.lifecycle.running_names();
    assert_eq!(names.iter().filter(|name| *name == READER).count(), 1);
}

#[tokio::test]
async fn events_are_told_at_once_in_one_process() {
    is_told_at_once(|_| Arc::new(LocalBus::default())).await;
}

#[tokio::test]
async fn events_are_told_at_once_over_redis() {
    is_told_at_once(redis_bus).await;
}

#[tokio::test]
async fn without_redis_the_log_is_polled() {
    let it = TestDeployment::new().await;
    let redis = omoi_testkit::redis::own_server();
    let bus = redis_bus_at(&it, redis.url());
    publish_commits(it.deployment.store.store(), &it.deployment.lifecycle, &bus);
    let live = live_events(&it, &bus);
    let mut one = subscribe(&live, &it, None).await;
    let at = head(&it).await;
    // The clock stands still: it is told by a hint.
    tell(&it, &[EventKind::TaskStarted]).await;
    take_range(&mut one, at + 1, at + 1).await;
    drop(redis);
    for n in 2..5 {
        tell(&it, &[EventKind::TaskStarted]).await;
        it.clock.wait_for_sleepers(1).await;
        it.advance_clock(1);
        take_range(&mut one, at + n, at + n).await;
    }
}

#[tokio::test]
async fn a_frame_says_what_it_is_about() {
    let it = TestDeployment::new().await;
    let live = live_events(&it, &local_bus(&it));
    let mut all = subscribe(&live, &it, None).await;
    let task = it.add_task(1, &[]).await;
    let frame = next_frame(&mut all).await;
    assert_eq!(frame["event_type"], "task.created");
    assert_eq!(frame["entity_type"], "task");
    assert_eq!(frame["actor"]["kind"], "system");
    for (field, id) in [
        ("entity_id", task.id.to_string()),
        ("project_id", task.project_id.to_string()),
        ("org_id", it.deployment.store.org().to_string()),
    ] {
        assert_eq!(frame[field], id, "{field}");
    }
    assert_eq!(frame["related"]["ticket_id"], task.ticket_id.to_string());
    assert_eq!(frame["related"]["spec_id"], task.spec_id.to_string());
    // A payload that names the task alone is found by the ticket as well.
    let attempt = it.run_task(task.id).await.attempt;
    loop {
        let frame = next_frame(&mut all).await;
        if frame["entity_id"] == attempt.id.to_string() {
            assert_eq!(frame["related"]["ticket_id"], task.ticket_id.to_string());
            break;
        }
    }
}

#[tokio::test]
async fn who_comes_back_is_told_what_it_missed_once() {
    let it = TestDeployment::new().await;
    let live = live_events(&it, &local_bus(&it));
    let hundred = vec![EventKind::TaskStarted; 100];
    for _ in 0..12 {
        tell(&it, &hundred).await;
    }
    let mut back = subscribe(&live, &it, Some(0)).await;
    take_range(&mut back, 1, 700).await;
    tell(&it, &hundred).await;
    let last = head(&it).await;
    take_range(&mut back, 701, last).await;
    // The newest frames are kept, and need no reading.
    let mut soon_back = subscribe(&live, &it, Some(last - 5)).await;
    tell(&it, &[EventKind::TaskStarted]).await;
    take_range(&mut soon_back, last - 4, last + 1).await;
    take_range(&mut back, last + 1, last + 1).await;
    // One that knows more than there is knows another log.
    let mut other = subscribe(&live, &it, Some(last + 9)).await;
    assert!(matches!(next(&mut other).await, LiveItem::Reset(seq) if seq == last + 1));
    tell(&it, &[EventKind::TaskStarted]).await;
    take_range(&mut other, last + 2, last + 2).await;
}

#[tokio::test]
async fn a_slow_receiver_gets_a_gap_and_the_others_everything() {
    let it = TestDeployment::new().await;
    let live = live_events(&it, &local_bus(&it));
    let mut slow = subscribe(&live, &it, None).await;
    let mut quick = subscribe(&live, &it, None).await;
    let start = head(&it).await;
    tell(&it, &[EventKind::TaskStarted]).await;
    take_range(&mut slow, start + 1, start + 1).await;
    take_range(&mut quick, start + 1, start + 1).await;
    let mut at = start + 1;
    for _ in 0..13 {
        tell(&it, &[EventKind::TaskStarted; 100]).await;
        take_range(&mut quick, at + 1, at + 100).await;
        at += 100;
    }
    let LiveItem::Gap(gap) = next(&mut slow).await else {
        panic!("no gap");
    };
    assert_eq!((gap.first, gap.last), (start + 2, start + 1_001));
    take_range(&mut slow, gap.last + 1, at).await;
}

#[tokio::test]
async fn without_hints_the_log_is_polled_until_nobody_listens() {
    let it = TestDeployment::new().await;
    let live = live_events(&it, &(Arc::new(LocalBus::default()) as Arc<dyn Bus>));
    let mut lonely = subscribe(&live, &it, None).await;
    it.clock.wait_for_sleepers(1).await;
    let start = head(&it).await;
    tell(&it, &[EventKind::TaskStarted]).await;
    it.advance_clock(1);
    take_range(&mut lonely, start + 1, start + 1).await;
    let is_reading = || {
        it.deployment
            .lifecycle
            .running_names()
            .contains(&READER.into())
    };
    drop(lonely);
    for _ in 0..60 {
        it.clock.wait_for_sleepers(1).await;
        assert!(is_reading());
        it.advance_clock(1);
    }
    while is_reading() {
        it.advance_clock(1);
        tokio::task::yield_now().await;
    }
    // Who comes later starts it anew.
    let mut later = subscribe(&live, &it, Some(start)).await;
    take_range(&mut later, start + 1, start + 1).await;
    it.deployment.lifecycle.stop();
    assert!(matches!(next(&mut later).await, LiveItem::Over));
}

#[tokio::test]
async fn a_reader_that_cannot_go_on_tells_those_who_listen() {
    let it = TestDeployment::new().await;
    // Without hints, so that it reads when the clock says so.
    let live = live_events(&it, &(Arc::new(LocalBus::default()) as Arc<dyn Bus>));
    let mut one = subscribe(&live, &it, None).await;
    it.clock.wait_for_sleepers(1).await;
    tell(&it, &[EventKind::TaskStarted]).await;
    let broken = head(&it).await;
    let mut rows = RawConnection::open(it.database_url()).await.unwrap();
    let mut rename = async |from: &str, to: &str| {
        let sql = format!(
            "update events set body = replace(body, '{from}', '{to}') where seq = {broken}"
        );
        rows.execute(&sql).await.unwrap();
    };
    rename("task.started", "task.startled").await;
    it.advance_clock(1);
    assert!(matches!(next(&mut one).await, LiveItem::Over));
    // Who comes back has another reader.
    rename("task.startled", "task.started").await;
    let mut back = subscribe(&live, &it, Some(broken - 1)).await;
    take_range(&mut back, broken, broken).await;
    assert_eq!(back.settled_seq(), Some(broken));
    it.clock.wait_for_sleepers(1).await;
    tell(&it, &[EventKind::TaskStarted]).await;
    it.advance_clock(1);
    take_range(&mut back, broken + 1, broken + 1).await;
}

#[tokio::test]
async fn nobody_is_told_what_it_may_not_read_or_did_not_ask_for() {
    let it = TestDeployment::new().await;
    let live = live_events(&it, &local_bus(&it));
    let kinds = [
        EventKind::SandboxStateChanged,
        EventKind::CostRecorded,
        EventKind::SpecResumed,
        EventKind::TaskStarted,
    ];
    let lists = FilterLists {
        event_types: Some(vec!["task.*".to_owned()]),
        ..FilterLists::default()
    };
    let tasks = LiveFilter::default()
        .with_subscribed(&lists, SubscribeMode::Merge)
        .unwrap();
    let no_costs = ReaderAccess {
        permissions: PermissionSet::of_permissions(&[Permission::SpecRead, Permission::TaskRead]),
        projects: None,
        user: None,
    };
    let other = ProjectId::from_uuid(it.deployment.store.org().as_uuid());
    let other_project = ReaderAccess {
        projects: Some([other].into()),
        ..ReaderAccess::FULL
    };
    let start = head(&it).await;
    // Before and after it happened: by the log and by the reader.
    for known in [None, Some(start)] {
        let all = LiveFilter::default();
        let mut seen = Vec::new();
        let cases = [
            (ReaderAccess::FULL, all.clone()),
            (no_costs.clone(), all.clone()),
            (ReaderAccess::FULL, tasks.clone()),
            (other_project.clone(), all),
        ];
        let mut subscriptions = Vec::new();
        for (access, filter) in cases {
            let store = &it.deployment.store;
            let opened = live.open_subscription(store, access, filter, known).await;
            subscriptions.push(opened.unwrap());
        }
        if known.is_none() {
            tell(&it, &kinds).await;
            it.commit(async |tx| {
                tx.emit(Some(other), None, event(EventKind::TaskFailed));
                Ok(())
            })
            .await
            .unwrap();
        }
        for subscription in &mut subscriptions {
            // The last one is told to all of them.
            let mut own = Vec::new();
            while own.last().is_none_or(|kind| kind != "task.failed") {
                let frame = next_frame(subscription).await;
                own.push(frame["event_type"].as_str().unwrap().to_owned());
            }
            seen.push(own.join(" "));
        }
        assert_eq!(
            seen,
            [
                "cost.recorded spec.resumed task.started task.failed",
                "spec.resumed task.started task.failed",
                "task.started task.failed",
                "task.failed"
            ]
        );
    }
}

#[tokio::test]
async fn activity_of_an_agent_goes_together() {
    let it = TestDeployment::new().await;
    let live = live_events(&it, &local_bus(&it));
    let mut all = subscribe(&live, &it, None).await;
    // Who is told its first event while activity is held lets go of it, before its time.
    tell(&it, &[EventKind::TaskStarted]).await;
    next_frame(&mut all).await;
    let start = head(&it).await;
    tell(&it, &[EventKind::AgentActivity; 5]).await;
    take_range(&mut all, start + 1, start + 1).await;
    it.clock.wait_for_sleepers(1).await;
    it.clock.advance(Duration::from_millis(100));
    let frame = next_frame(&mut all).await;
    assert_eq!(frame["seq"], start + 2);
    let items = frame["payload"]["items"].as_array().unwrap();
    let seqs: Vec<i64> = items
        .iter()
        .map(|item| item["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, [start + 2, start + 3, start + 4, start + 5]);
    assert_eq!(items[3]["event_id"], frame["event_id"]);
    assert_eq!(frame["last_seq"], start + 5);
    assert!(items[3]["payload"]["summary"].is_string());
    // Other events push it out before them.
    tell(
        &it,
        &[
            EventKind::AgentActivity,
            EventKind::AgentActivity,
            EventKind::TaskStarted,
        ],
    )
    .await;
    let frame = next_frame(&mut all).await;
    assert_eq!(frame["payload"]["items"][1]["seq"], start + 7, "{frame:#}");
    assert_eq!(next_frame(&mut all).await["seq"], start + 8);
}

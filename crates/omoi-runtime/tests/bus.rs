//! One contract for both buses, and what only the networked one can suffer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use omoi_domain::access::rate_limit::RateScope;
use omoi_runtime::bus::{
    BACKLOG_MAX, Bus, BusError, BusHint, HintSubscription, LocalBus, RedisBus,
};
use omoi_runtime::clock::{Clocked, ManualClock, SystemClock};
use omoi_runtime::lifecycle::Lifecycle;
use omoi_runtime::options::RedisOptions;
use omoi_runtime::rate_limiter::{CounterAway, RateLimiter};
use omoi_runtime::rng::Rng;
use omoi_testkit::redis;

const SOON: Duration = Duration::from_secs(20);

fn hint(topic: &str, seq: i64) -> BusHint {
    let topic = topic.to_owned();
    BusHint::Appended { topic, seq }
}

async fn next(subscription: &mut HintSubscription) -> BusHint {
    let received = tokio::time::timeout(SOON, subscription.next_hint()).await;
    received
        .expect("a hint should come")
        .expect("the bus should live")
}

/// Publishes until `subscription` hears it: a networked subscriber may not be connected yet.
async fn connected(bus: &dyn Bus, subscription: &mut HintSubscription) {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        assert!(tokio::time::Instant::now() < deadline, "never connected");
        let _ = bus.publish_hint(hint("probe", 0)).await;
        let answer = tokio::time::timeout(Duration::from_millis(50), async {
            while subscription.next_hint().await.unwrap() != hint("probe", 0) {}
        });
        if answer.await.is_ok() {
            break;
        }
    }
    // Probes still under way are followed by this mark.
    bus.publish_hint(hint("mark", 0)).await.unwrap();
    while next(subscription).await != hint("mark", 0) {}
}

/// What every bus promises; `one` and `two` are two ends of the same bus.
async fn contract(one: &dyn Bus, two: &dyn Bus) {
    let mut near = one.subscribe_hints();
    let mut far = two.subscribe_hints();
    connected(one, &mut far).await;
    connected(one, &mut near).await;
    connected(two, &mut near).await;
    one.publish_hint(hint("drained", 0)).await.unwrap();
    for subscription in [&mut near, &mut far] {
        while next(subscription).await != hint("drained", 0) {}
    }

    // In order, to every end, the publisher's own included.
    for seq in 1..=20 {
        one.publish_hint(hint("outbox:acme", seq)).await.unwrap();
    }
    two.publish_hint(BusHint::Resync).await.unwrap();
    for subscription in [&mut near, &mut far] {
        let mut seen = Vec::new();
        for _ in 0..21 {
            seen.push(next(subscription).await);
        }
        let (resyncs, appended): (Vec<_>, Vec<_>) =
            seen.into_iter().partition(|hint| *hint == BusHint::Resync);
        assert_eq!(resyncs.len(), 1);
        assert_eq!(
            appended,
            (1..=20)
                .map(|seq| hint("outbox:acme", seq))
                .collect::<Vec<_>>()
        );
    }

    // A subscriber who falls behind is told to read again, then goes on with the newest.
    let n = i64::try_from(BACKLOG_MAX).unwrap() * 2;
    let mut watcher = two.subscribe_hints();
    for seq in 1..=n {
        one.publish_hint(hint("flood", seq)).await.unwrap();
    }
    while next(&mut watcher).await != hint("flood", n) {}
    assert_eq!(next(&mut far).await, BusHint::Resync);
    while next(&mut far).await != hint("flood", n) {}
    while next(&mut near).await != hint("flood", n) {}

    // A late subscriber hears nothing old.
    let mut late = one.subscribe_hints();
    one.publish_hint(hint("fresh", 1)).await.unwrap();
    assert_eq!(next(&mut late).await, hint("fresh", 1));

    let long = "x".repeat(101);
    for bad in ["", "Upper", "with space", "é", &long] {
        let refused = one.publish_hint(hint(bad, 1)).await;
        assert!(matches!(refused, Err(BusError::Topic(_))), "{bad}");
    }
}

/// A Redis bus with a lifecycle of its own, as another process would have.
fn redis_bus(url: &str, key_prefix: &str, clock: Clocked) -> (RedisBus, Lifecycle) {
    let lifecycle = Lifecycle::new(Arc::clone(&clock));
    let options = RedisOptions {
        url: url.to_owned(),
        key_prefix: key_prefix.to_owned(),
    };
    (
        RedisBus::new(&options, clock, Rng::seeded(1), &lifecycle.handle()).unwrap(),
        lifecycle,
    )
}

#[tokio::test]
async fn the_local_bus_keeps_the_contract() {
    let bus = LocalBus::new();
    contract(&bus, &bus.clone()).await;
    let mut subscription = bus.subscribe_hints();
    drop(bus);
    assert_eq!(subscription.next_hint().await, None);
}

#[tokio::test]
async fn the_redis_bus_keeps_the_contract() {
    let prefix = redis::key_prefix();
    let (one, first) = redis_bus(redis::url(), &prefix, Arc::new(SystemClock));
    let (two, second) = redis_bus(redis::url(), &prefix, Arc::new(SystemClock));
    one.ping_server().await.unwrap();
    contract(&one, &two).await;
    for lifecycle in [first, second] {
        lifecycle.handle().stop();
        let exit = lifecycle.run_with_signals(futures::stream::pending()).await;
        assert!(!exit.forced && exit.left.is_empty(), "{exit:?}");
    }
}

#[tokio::test]
async fn deployments_on_one_server_do_not_hear_each_other() {
    let prefixes = [redis::key_prefix(), redis::key_prefix()];
    let (one, _first) = redis_bus(redis::url(), &prefixes[0], Arc::new(SystemClock));
    let (two, _second) = redis_bus(redis::url(), &prefixes[1], Arc::new(SystemClock));
    let (mut near, mut far) = (one.subscribe_hints(), two.subscribe_hints());
    connected(&one, &mut near).await;
    connected(&two, &mut far).await;
    one.publish_hint(hint("one", 1)).await.unwrap();
    two.publish_hint(hint("two", 1)).await.unwrap();
    assert_eq!(next(&mut near).await, hint("one", 1));
    assert_eq!(next(&mut far).await, hint("two", 1));
}

/// What the line to the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Carries everything.
    Up,
    /// Refuses new connections and cuts those there are.
    Cut,
    /// Keeps connections open and carries nothing, as when a cable is pulled.
    Silent,
}

/// A line to the server that the test can disturb; gives the address of its near end.
async fn line(state: watch::Receiver<Line>, tasks: &mut JoinSet<()>) -> String {
    let (scheme, far) = redis::url()
        .rsplit_once('@')
        .expect("a server with a password");
    let far = far.trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}@{}/", listener.local_addr().unwrap());
    tasks.spawn(async move {
        let mut carried = JoinSet::new();
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&far).await.unwrap();
            carried.spawn(carry(near, far, state.clone()));
        }
    });
    url
}

async fn carry(mut near: TcpStream, mut far: TcpStream, mut state: watch::Receiver<Line>) {
    loop {
        let now = *state.borrow_and_update();
        tokio::select! {
            biased;
            changed = state.changed() => if changed.is_err() { return },
            // Bytes under way may be lost at a change; so it is with real lines.
            _ = tokio::io::copy_bidirectional(&mut near, &mut far), if now == Line::Up => return,
            () = std::future::ready(()), if now == Line::Cut => return,
        }
    }
}

#[tokio::test]
async fn a_cut_line_ends_in_a_resync() {
    let mut tasks = JoinSet::new();
    let (state, watched) = watch::channel(Line::Up);
    let url = line(watched, &mut tasks).await;
    let (bus, _lifecycle) = redis_bus(&url, &redis::key_prefix(), Arc::new(SystemClock));
    let mut subscription = bus.subscribe_hints();
    connected(&bus, &mut subscription).await;

    state.send(Line::Cut).unwrap();
    let refused = bus.publish_hint(hint("lost", 1)).await;
    assert!(
        matches!(refused, Err(BusError::Unreachable(_))),
        "{refused:?}"
    );
    state.send(Line::Up).unwrap();
    assert_eq!(next(&mut subscription).await, BusHint::Resync);
    connected(&bus, &mut subscription).await;
}

#[tokio::test]
async fn a_silent_line_is_noticed() {
    let mut tasks = JoinSet::new();
    let (state, watched) = watch::channel(Line::Up);
    let url = line(watched, &mut tasks).await;
    let clock = ManualClock::default();
    let (bus, _lifecycle) = redis_bus(&url, &redis::key_prefix(), Arc::new(clock.clone()));
    let mut subscription = bus.subscribe_hints();
    connected(&bus, &mut subscription).await;

    state.send(Line::Silent).unwrap();
    let (refused, ()) = tokio::join!(bus.publish_hint(hint("lost", 1)), async {
        // The listener's wait for news and the publisher's for an answer.
        clock.wait_for_sleepers(2).await;
        clock.advance(Duration::from_secs(1));
    });
    assert!(
        matches!(refused, Err(BusError::Unreachable(_))),
        "{refused:?}"
    );

    // The listener asks after a while of silence, gives up on the answer, pauses and comes back.
    for step in [14, 5] {
        clock.wait_for_sleepers(1).await;
        clock.advance(Duration::from_secs(step));
    }
    clock.wait_for_sleepers(1).await;
    state.send(Line::Up).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(next(&mut subscription).await, BusHint::Resync);
}

#[tokio::test]
async fn a_bad_address_is_refused_without_showing_it() {
    let lifecycle = Lifecycle::new(Arc::new(SystemClock));
    for url in [
        "http://user:hunter2@host",
        "redis://:hunter2@host/x/y",
        "hunter2",
    ] {
        let options = RedisOptions {
            url: url.to_owned(),
            key_prefix: String::new(),
        };
        let error = RedisBus::new(
            &options,
            Arc::new(SystemClock),
            Rng::seeded(1),
            &lifecycle.handle(),
        )
        .unwrap_err();
        assert!(matches!(error, BusError::Address(_)));
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn requests_are_counted_for_all_processes_or_refused_where_they_must_be() {
    let limiter_at = |url: &str, key_prefix: &str| {
        let options = RedisOptions {
            url: url.to_owned(),
            key_prefix: key_prefix.to_owned(),
        };
        RateLimiter::of_server(Arc::new(SystemClock), &options).unwrap()
    };
    let prefix = redis::key_prefix();
    let (one, two) = (
        limiter_at(redis::url(), &prefix),
        limiter_at(redis::url(), &prefix),
    );
    let scope = RateScope::AddressProviders;
    let most = scope.rate_rule().burst;
    let mut n_let_in = 0;
    // Time goes on meanwhile, and lets in one or two more.
    for n in 0..2 * most {
        let limiter = if n % 2 == 0 { &one } else { &two };
        let answer = limiter.judge_one(scope, "192.0.2.1").await.unwrap();
        n_let_in += u32::from(answer.retry_after.is_none());
        assert_eq!(answer.limit, most);
    }
    assert!((most..most + 5).contains(&n_let_in), "{n_let_in}");
    let apart = limiter_at(redis::url(), &redis::key_prefix());
    let answer = apart.judge_one(scope, "192.0.2.1").await.unwrap();
    assert_eq!((answer.remaining, answer.retry_after), (most - 1, None));
    // Nobody answers on a port that was just free.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", free.local_addr().unwrap());
    drop(free);
    let alone = limiter_at(&url, &prefix);
    assert_eq!(alone.judge_one(scope, "192.0.2.1").await, Err(CounterAway));
    let answer = alone.judge_one(RateScope::Caller, "user 1").await.unwrap();
    assert_eq!(answer.retry_after, None);
}

//! Models that take their time: one that thinks for minutes, one that is loaded first, one whose window is used up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::outage::CallWait;
use omoi_llm::route::ModelRoute;
use omoi_llm::upstream::AnswerLimits;
use omoi_llm::wire::dialect::Dialect;

use crate::fallback::{House, house, pair, question};
use crate::stub::{self, Says, Stub};
use crate::support::{START, TestMeter, route};

/// A model that shows nothing for `minutes`, and what lets it.
async fn thinks_for(house: &House, let_go: tokio::sync::watch::Sender<bool>, minutes: u64) {
    while house.pace.elapsed_s() < (minutes * 60) as f64 {
        tokio::task::yield_now().await;
    }
    let_go.send_replace(true);
}

fn pings(answer: &str) -> usize {
    answer.matches("event: ping").count()
}

#[tokio::test]
async fn a_model_that_thinks_for_nine_minutes_is_waited_for_where_its_route_allows() {
    let (let_go, held) = tokio::sync::watch::channel(false);
    let slow = Says::Held(held, Box::new(stub::good()));
    let stub = Stub::start(vec![slow], stub::good()).await;
    // A server of one's own has a quarter of an hour.
    let local = ModelRoute {
        limits: AnswerLimits::of_server(&stub.url, false),
        ..route(Dialect::Messages, &stub.url)
    };
    let house = house(vec![local], TestMeter::rich());
    let body = question(true);
    let ((status, says), ()) = tokio::join!(house.ask(&body), thinks_for(&house, let_go, 9));
    assert_eq!((status, stub.calls()), (200, 1), "{says}");
    assert!(says.contains("message_stop"), "{says}");
    assert!((50..=55).contains(&pings(&says)), "{}", pings(&says));
    assert!(house.meter.failed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_model_that_thinks_longer_than_its_route_allows_is_named_and_passed_over() {
    let (_let_go, held) = tokio::sync::watch::channel(false);
    let slow = Says::Held(held, Box::new(stub::good()));
    let (first, second) = (
        Stub::start(vec![slow], stub::good()).await,
        Stub::always(stub::good()).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let (status, says) = house.ask(&question(true)).await;
    assert_eq!(
        (status, first.calls(), second.calls()),
        (200, 1, 1),
        "{says}"
    );
    let elapsed_s = house.pace.elapsed_s();
    assert!((300.0..340.0).contains(&elapsed_s), "{elapsed_s}");
    assert!(pings(&says) > 20, "{}", pings(&says));
    let note = house.meter.fallbacks.lock().unwrap()[0].clone();
    assert_eq!(note.class, FallbackClass::Away);
    assert!(
        note.words.contains("no content for 300 s"),
        "{}",
        note.words
    );
    assert!(note.words.contains("llm.answer_times"), "{}", note.words);
}

#[tokio::test]
async fn a_local_server_that_loads_for_three_minutes_is_waited_for() {
    // It says so for as long as it takes: 1, 2, 4 … s with their jitter.
    let stub = Stub::start(vec![stub::status(503); 7], stub::good()).await;
    let house = house(vec![route(Dialect::Messages, &stub.url)], TestMeter::rich());
    let (status, says) = house.ask(&question(true)).await;
    assert_eq!((status, stub.calls()), (200, 8), "{says}");
    assert!(says.contains("message_stop"), "{says}");
    let elapsed_s = house.pace.elapsed_s();
    assert!((120.0..300.0).contains(&elapsed_s), "{elapsed_s}");
    // After a minute its attempt is waiting, and that is told.
    let failed = house.meter.failed.lock().unwrap().clone();
    let waits: Vec<_> = failed.iter().map(|one| one.wait).collect();
    assert_eq!(waits, [CallWait::Brief, CallWait::Waiting], "{failed:?}");
    assert!(failed.iter().all(|one| one.status == Some(503)));
}

#[tokio::test]
async fn a_window_that_reopens_in_five_hours_is_a_wait_with_its_time() {
    let stub = Stub::always(stub::status_after(429, 5 * 3_600)).await;
    let house = house(vec![route(Dialect::Messages, &stub.url)], TestMeter::rich());
    house.meter.saves.store(true, Ordering::Relaxed);
    let (status, says) = house.ask(&question(true)).await;
    assert!(
        status == 403 && says.contains("superseded_attempt"),
        "{says}"
    );
    assert_eq!(stub.calls(), 1, "it is not asked again");
    let saved = house.meter.saved.lock().unwrap().clone();
    let wakes: Vec<_> = saved.iter().map(|one| (one.wait, one.reset_at)).collect();
    let wakes_at = START + Duration::from_hours(5);
    assert_eq!(wakes, [(CallWait::Saved, Some(wakes_at))]);
}

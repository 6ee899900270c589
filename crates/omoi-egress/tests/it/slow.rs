//! Registries that are slow or send too much: each has its name, ends by the clock, and holds up no other download.

use std::sync::Arc;
use std::time::Duration;

use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::upstream::FetchLimits;
use serde_json::json;
use tokio::sync::Notify;

use crate::fixture::{Fixture, SeenAnswer};
use crate::samples::publish_greeter;
use crate::upstream::StubAnswer;

const NPM: &str = "registry.npmjs.org";
const TARBALL_PATH: &str = "/greeter/-/greeter-1.0.0.tgz";
const TARBALL: &str = "https://registry.npmjs.org/greeter/-/greeter-1.0.0.tgz";
const OTHER: &str = "https://registry.npmjs.org/@acme/words/-/words-2.0.0.tgz";
/// The shortest of all that waits, so that the clock tells what is waited for.
const SHORT: Duration = Duration::from_secs(5);

async fn with_greeter(limits: FetchLimits) -> Fixture {
    let fixture = Fixture::with_limits(limits).await;
    publish_greeter(&fixture.upstream, fixture.now());
    fixture
}

/// Asks for the tarball while another package comes in, and lets [`SHORT`] pass once that is what is waited for.
async fn answer_of_a_slow_registry(fixture: &mut Fixture) -> SeenAnswer {
    let slow = fixture.attempt(EgressPolicy::all_registries()).await;
    let other = fixture.attempt(EgressPolicy::all_registries()).await;
    let asking = slow.get(TARBALL);
    let mut asking = std::pin::pin!(asking);
    // The other has its file although nothing moves here.
    let second = tokio::select! {
        biased;
        early = &mut asking => panic!("{early:?}"),
        second = other.get(OTHER) => second,
    };
    assert_eq!(second.status, 200, "{}", second.text());
    let deadline = fixture.now() + SHORT;
    while fixture.clock.next_deadline() != Some(deadline) {
        tokio::select! {
            biased;
            early = &mut asking => panic!("{early:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    fixture.clock.advance(SHORT);
    asking.await
}

fn expect_slow(answer: &SeenAnswer, says: &str) {
    let found = (answer.status, answer.reason);
    let text = answer.text();
    assert_eq!(found, (504, Some(RefusalReason::RegistrySlow)), "{text}");
    assert!(
        text.contains("`npm:greeter@1.0.0`") && text.contains(says),
        "{text}"
    );
}

#[tokio::test]
async fn a_registry_that_begins_late_is_given_up() {
    let limits = FetchLimits {
        first_byte: SHORT,
        ..FetchLimits::default()
    };
    let mut fixture = with_greeter(limits).await;
    fixture.upstream.change(NPM, TARBALL_PATH, |answer| {
        answer.head_gate = Some(Arc::default());
    });
    let answer = answer_of_a_slow_registry(&mut fixture).await;
    expect_slow(&answer, "no answer within 5s");
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_given_up() {
    let limits = FetchLimits {
        silence: SHORT,
        ..FetchLimits::default()
    };
    let mut fixture = with_greeter(limits).await;
    fixture.upstream.change(NPM, TARBALL_PATH, |answer| {
        answer.gate = Some(Arc::default());
    });
    let answer = answer_of_a_slow_registry(&mut fixture).await;
    expect_slow(&answer, "silent for 5s");
}

#[tokio::test]
async fn a_registry_that_is_never_done_is_given_up_and_asked_again() {
    let limits = FetchLimits {
        artefact: SHORT,
        ..FetchLimits::default()
    };
    let mut fixture = with_greeter(limits).await;
    fixture.upstream.change(NPM, TARBALL_PATH, |answer| {
        answer.gate = Some(Arc::default());
    });
    let answer = answer_of_a_slow_registry(&mut fixture).await;
    expect_slow(&answer, "not whole within 5s");
    fixture
        .upstream
        .change(NPM, TARBALL_PATH, |answer| answer.gate = None);
    let again = fixture.attempt(EgressPolicy::all_registries()).await;
    assert_eq!(again.get(TARBALL).await.status, 200);
}

#[tokio::test]
async fn large_documents_that_trickle_hold_up_no_other_large_one() {
    let mut fixture = Fixture::start().await;
    let large = |name: &str| {
        let tarball = format!("https://{NPM}/{name}/-/{name}-1.0.0.tgz");
        let readme = "x".repeat(12 << 20);
        StubAnswer::json(&json!({"name": name, "readme": readme,
            "versions": {"1.0.0": {"dist": {"tarball": tarball}}},
            "time": {"1.0.0": "2020-01-01T00:00:00.000Z"}}))
    };
    let gate = Arc::new(Notify::new());
    for name in ["one", "two", "three"] {
        fixture.upstream.put(NPM, &format!("/{name}"), large(name));
    }
    let mut half_sent = Vec::new();
    for slow in ["/one", "/two"] {
        fixture.upstream.change(NPM, slow, |answer| {
            answer.gate = Some(Arc::clone(&gate));
            half_sent.push(Arc::clone(&answer.half_sent));
        });
    }
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let other = fixture.attempt(EgressPolicy::all_registries()).await;
    let urls = ["one", "two", "three"].map(|name| format!("https://{NPM}/{name}"));
    let slow = futures::future::join(attempt.get(&urls[0]), attempt.get(&urls[1]));
    let mut slow = std::pin::pin!(slow);
    // Half of each is more than a small one has, and is here.
    let partial = fixture.folder.path().join("cache/partial");
    let third = async {
        for half_sent in &half_sent {
            half_sent.notified().await;
        }
        other.get(&urls[2]).await
    };
    let third = tokio::select! {
        biased;
        early = &mut slow => panic!("{early:?}"),
        third = third => third,
    };
    assert_eq!(third.status, 200, "{}", third.text());
    gate.notify_one();
    gate.notify_one();
    let (one, two) = slow.await;
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
}

#[tokio::test]
async fn more_than_a_file_may_have_is_cut_off_although_no_length_was_declared() {
    let limits = FetchLimits {
        artefact_bytes: 1 << 20,
        ..FetchLimits::default()
    };
    let mut fixture = with_greeter(limits).await;
    let gate = Arc::new(Notify::new());
    fixture.upstream.change(NPM, TARBALL_PATH, |answer| {
        answer.body = vec![b'x'; 8 << 20].into();
        answer.is_streamed = true;
        answer.gate = Some(gate.clone());
    });
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    // The last half never comes: the file was refused before.
    let sent = attempt.client().get(TARBALL).send().await;
    if let Ok(answer) = sent {
        answer.bytes().await.unwrap_err();
    }
    assert_eq!(attempt.reasons(), [RefusalReason::TooLarge]);
    let refusals = attempt.session.list_refusals();
    let told = refusals[0].refusal.to_string();
    assert!(
        told.contains("`npm:greeter@1.0.0`") && told.contains("at most 1 MiB"),
        "{told}"
    );
    let partial = fixture.folder.path().join("cache/partial");
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
    assert!(attempt.session.list_arrivals().is_empty());
}

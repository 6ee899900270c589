//! What the proxy asks of registries, what it keeps and what it refuses, by a plain client.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use omoi_egress::package::PackageVersion;
use omoi_egress::policy::{EgressCaps, EgressPolicy};
use omoi_egress::refusal::RefusalReason;
use serde_json::Value;
use tokio::sync::Notify;

use crate::fixture::{Fixture, ProxiedAttempt};
use crate::samples::{DAY, publish_crates, publish_greeter};
use crate::upstream::StubAnswer;

const NPM: &str = "registry.npmjs.org";
const OLD_TARBALL: &str = "https://registry.npmjs.org/greeter/-/greeter-1.0.0.tgz";
const YOUNG_TARBALL: &str = "https://registry.npmjs.org/greeter/-/greeter-1.1.0.tgz";

async fn with_greeter() -> Fixture {
    let fixture = Fixture::start().await;
    publish_greeter(&fixture.upstream, fixture.now());
    fixture
}

fn listing(versions: &[&str]) -> EgressPolicy {
    let versions = versions
        .iter()
        .map(|version| version.parse::<PackageVersion>().unwrap());
    EgressPolicy {
        listed_versions: versions.collect(),
        ..EgressPolicy::all_registries()
    }
}

#[tokio::test]
async fn young_versions_stay_out_of_sight_and_out() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let packument: Value =
        serde_json::from_slice(&attempt.get("https://registry.npmjs.org/greeter").await.body)
            .unwrap();
    assert_eq!(packument["dist-tags"]["latest"], "1.0.0");
    assert!(packument["versions"].get("1.1.0").is_none());
    let refused = attempt.get(YOUNG_TARBALL).await;
    assert_eq!(
        (refused.status, refused.reason),
        (403, Some(RefusalReason::VersionTooYoung))
    );
    assert!(
        refused
            .text()
            .contains("egress.versions: [\"npm:greeter@1.1.0\"]"),
        "{}",
        refused.text()
    );
    assert_eq!(
        fixture
            .upstream
            .count("registry.npmjs.org/greeter/-/greeter-1.1.0.tgz"),
        0
    );
    let manifest = attempt
        .get("https://registry.npmjs.org/greeter/1.1.0")
        .await;
    assert_eq!(manifest.reason, Some(RefusalReason::VersionTooYoung));

    let listed = fixture.attempt(listing(&["npm:greeter@1.1.0"])).await;
    assert_eq!(listed.get(YOUNG_TARBALL).await.status, 200);
    // It lies in the cache now, and is still too young for whoever does not list it.
    for policy in [EgressPolicy::all_registries(), EgressPolicy::cache_only()] {
        let other = fixture.attempt(policy).await;
        assert_eq!(
            other.get(YOUNG_TARBALL).await.reason,
            Some(RefusalReason::VersionTooYoung)
        );
    }
    fixture.clock.advance(DAY * 3);
    let later = fixture.attempt(EgressPolicy::cache_only()).await;
    assert_eq!(later.get(YOUNG_TARBALL).await.status, 200);
}

#[tokio::test]
async fn nothing_that_a_client_writes_reaches_a_registry() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let request = attempt.client().get(OLD_TARBALL);
    let request = request
        .header("x-secret", "canary")
        .header("user-agent", "canary");
    let request = request
        .header("authorization", "Bearer canary")
        .header("accept", "canary/x");
    let answer = ProxiedAttempt::see(request.header("cookie", "canary")).await;
    assert_eq!(answer.status, 200);
    let seen = fixture.upstream.seen();
    assert_eq!(seen.len(), 2);
    assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
}

#[tokio::test]
async fn other_requests_are_refused_by_name_and_never_sent() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let client = attempt.client();
    for (request, expected) in [
        (
            client.get(format!("https://{NPM}/-/v1/search?text=x")),
            RefusalReason::SearchRefused,
        ),
        (
            client
                .post(format!("https://{NPM}/-/npm/v1/security/advisories/bulk"))
                .body("{}"),
            RefusalReason::AuditRefused,
        ),
        (
            client.put(format!("https://{NPM}/greeter")).body("{}"),
            RefusalReason::PublishRefused,
        ),
        (
            client.get(format!("https://{NPM}/greeter")).body("x"),
            RefusalReason::BodyNotAllowed,
        ),
        (
            client.post(format!("https://{NPM}/greeter")),
            RefusalReason::MethodNotAllowed,
        ),
        (
            client.get(format!("https://{NPM}/greeter?x=y")),
            RefusalReason::PathNotAllowed,
        ),
        (
            client.get("https://crates.io/api/v1/crates?q=x"),
            RefusalReason::SearchRefused,
        ),
        (
            client.put("https://crates.io/api/v1/crates/new").body("x"),
            RefusalReason::PublishRefused,
        ),
        (
            client.get("https://pypi.org/simple/"),
            RefusalReason::PathNotAllowed,
        ),
        (
            client
                .get(format!("https://{NPM}/greeter"))
                .header("host", "example.com"),
            RefusalReason::ServerNameDiffers,
        ),
    ] {
        let answer = ProxiedAttempt::see(request).await;
        assert_eq!(
            (answer.status, answer.reason),
            (403, Some(expected)),
            "{}",
            answer.text()
        );
    }
    assert!(fixture.upstream.seen().is_empty());
}

#[tokio::test]
async fn what_is_wanted_by_many_is_fetched_once() {
    let mut fixture = with_greeter().await;
    let gate = Arc::new(Notify::new());
    let path = "/greeter/-/greeter-1.0.0.tgz";
    fixture
        .upstream
        .change(NPM, path, |answer| answer.gate = Some(gate.clone()));
    let first = fixture.attempt(EgressPolicy::all_registries()).await;
    let second = fixture.attempt(EgressPolicy::all_registries()).await;
    let (one, two) = (first.client(), second.client());
    let clients = [&one, &two, &one, &two, &one, &two];
    let asking = join_all(clients.map(|client| ProxiedAttempt::see(client.get(OLD_TARBALL))));
    // Kept until somebody waits for it.
    gate.notify_one();
    let answers = asking.await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body == answers[0].body)
    );
    assert_eq!(fixture.upstream.count(&format!("{NPM}{path}")), 1);
    assert_eq!(fixture.upstream.count(&format!("{NPM}/greeter")), 1);
    for attempt in [&first, &second] {
        let arrivals = attempt.session.list_arrivals();
        assert_eq!(arrivals.len(), 1);
        assert_eq!(arrivals[0].version.to_string(), "npm:greeter@1.0.0");
        assert_eq!(arrivals[0].bytes, answers[0].body.len() as u64);
    }
}

#[tokio::test]
async fn a_file_with_a_wrong_sum_is_neither_given_nor_kept() {
    let mut fixture = with_greeter().await;
    let path = "/greeter/-/greeter-1.0.0.tgz";
    fixture
        .upstream
        .change(NPM, path, |answer| answer.body = "evil".into());
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let answer = attempt.get(OLD_TARBALL).await;
    assert_eq!(
        (answer.status, answer.reason),
        (403, Some(RefusalReason::SumDiffers))
    );
    assert!(
        answer.text().contains("`npm:greeter@1.0.0`"),
        "{}",
        answer.text()
    );
    let cached = fixture.attempt(EgressPolicy::cache_only()).await;
    assert_eq!(
        cached.get(OLD_TARBALL).await.reason,
        Some(RefusalReason::NotCached)
    );
    assert!(attempt.session.list_arrivals().is_empty());
    let partial = fixture.folder.path().join("cache/partial");
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
}

#[tokio::test]
async fn a_redirect_into_our_network_is_not_followed() {
    let mut fixture = with_greeter().await;
    for (path, to) in [
        (
            "/greeter/-/greeter-1.0.0.tgz",
            "http://169.254.169.254/latest/meta-data",
        ),
        ("/inside", "https://inside.example.com/"),
    ] {
        let mut answer = StubAnswer::file(Vec::new());
        answer.status = 302;
        answer.headers = vec![("location", to.to_owned())];
        fixture.upstream.put(NPM, path, answer);
        let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
        let answer = attempt.get(&format!("https://{NPM}{path}")).await;
        assert_eq!(
            answer.reason,
            Some(RefusalReason::RedirectRefused),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains(to), "{}", answer.text());
    }
    assert!(fixture.names.lookups().iter().all(|name| name == NPM));
}

#[tokio::test]
async fn four_declared_gigabytes_are_refused_before_they_come() {
    let mut fixture = with_greeter().await;
    for path in ["/greeter/-/greeter-1.0.0.tgz", "/greeter"] {
        fixture.upstream.change(NPM, path, |answer| {
            answer.declared_bytes = Some(4 << 30);
            answer.gate = Some(Arc::default());
        });
    }
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let document = attempt.get(&format!("https://{NPM}/greeter")).await;
    assert_eq!(document.reason, Some(RefusalReason::TooLarge));
    fixture.upstream.change(NPM, "/greeter", |answer| {
        answer.declared_bytes = None;
        answer.gate = None;
    });
    let file = attempt.get(OLD_TARBALL).await;
    assert_eq!(file.reason, Some(RefusalReason::TooLarge));
    assert!(
        file.text().contains("`npm:greeter@1.0.0`") && file.text().contains("at most 2048 MiB")
    );
}

#[tokio::test]
async fn the_cache_answers_alone_when_it_must() {
    let mut fixture = with_greeter().await;
    let cached = fixture.attempt(EgressPolicy::cache_only()).await;
    let packument = format!("https://{NPM}/greeter");
    for url in [packument.as_str(), OLD_TARBALL] {
        assert_eq!(cached.get(url).await.reason, Some(RefusalReason::NotCached));
    }
    assert!(fixture.upstream.seen().is_empty());
    let fetching = fixture.attempt(EgressPolicy::all_registries()).await;
    let fetched = [
        fetching.get(&packument).await,
        fetching.get(OLD_TARBALL).await,
    ];
    let n_seen = fixture.upstream.seen().len();
    fixture.clock.advance(DAY);
    for (url, before) in [packument.as_str(), OLD_TARBALL].iter().zip(&fetched) {
        assert_eq!(cached.get(url).await.body, before.body);
    }
    assert_eq!(fixture.upstream.seen().len(), n_seen);
    // A registry that is away is no reason to fail with a copy at hand.
    fixture.upstream.go_away();
    let again = fixture.attempt(EgressPolicy::all_registries()).await;
    for (url, before) in [packument.as_str(), OLD_TARBALL].iter().zip(&fetched) {
        assert_eq!(again.get(url).await.body, before.body);
    }
    let other = again.get(&format!("https://{NPM}/@acme%2fwords")).await;
    assert_eq!(
        (other.status, other.reason),
        (502, Some(RefusalReason::RegistryUnreachable))
    );
}

#[tokio::test]
async fn an_unchanged_document_is_not_sent_again() {
    let mut fixture = with_greeter().await;
    fixture.upstream.change(NPM, "/greeter", |answer| {
        answer.headers = vec![("etag", "\"one\"".to_owned())];
    });
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let packument = format!("https://{NPM}/greeter");
    let first = attempt.get(&packument).await;
    fixture.upstream.change(NPM, "/greeter", |answer| {
        answer.status = 304;
        answer.body = Vec::new().into();
    });
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(attempt.get(&packument).await.body, first.body);
    assert_eq!(fixture.upstream.seen().len(), 1);
    fixture.clock.advance(Duration::from_secs(600));
    assert_eq!(attempt.get(&packument).await.body, first.body);
    let seen = fixture.upstream.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].headers["if-none-match"], "\"one\"");
}

#[tokio::test]
async fn a_page_that_is_no_document_does_not_replace_one() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let packument = format!("https://{NPM}/greeter");
    let first = attempt.get(&packument).await;
    fixture.upstream.change(NPM, "/greeter", |answer| {
        answer.body = "<html>log in</html>".into();
    });
    fixture.clock.advance(Duration::from_secs(600));
    assert_eq!(attempt.get(&packument).await.body, first.body);
    fixture
        .upstream
        .put(NPM, "/other", StubAnswer::text(b"<html>".to_vec()));
    let other = attempt.get(&format!("https://{NPM}/other")).await;
    assert_eq!(other.reason, Some(RefusalReason::RegistryAnswer));
}

#[tokio::test]
async fn a_registry_that_wants_a_credential_is_told_from_one_that_fails() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let refused = |status| StubAnswer {
        status,
        ..StubAnswer::text(b"log in".to_vec())
    };
    fixture.upstream.put(NPM, "/closed", refused(401));
    // A public registry says so of what it does not have.
    fixture.upstream.put(NPM, "/forbidden", refused(403));
    let closed = attempt.get(&format!("https://{NPM}/closed")).await;
    assert_eq!(closed.reason, Some(RefusalReason::CredentialNeeded));
    let line = format!("egress.registries: [\"host={NPM}; site=npm; credential=NAME\"]");
    assert!(
        String::from_utf8_lossy(&closed.body).contains(&line),
        "{:?}",
        closed.body
    );
    let forbidden = attempt.get(&format!("https://{NPM}/forbidden")).await;
    assert_eq!(forbidden.reason, Some(RefusalReason::RegistryAnswer));
    let told = attempt.session.list_refusals().into_iter();
    let told: Vec<_> = told.filter_map(|count| count.refusal.closed).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&*told[0].host, told[0].refused_one), (NPM, false));
}

#[tokio::test]
async fn fifty_unknown_names_are_the_last() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(listing(&["npm:@acme/words@2.0.0"])).await;
    assert_eq!(
        attempt.get(&format!("https://{NPM}/greeter")).await.status,
        200
    );
    for number in 0..50 {
        let answer = attempt.get(&format!("https://{NPM}/secret-{number}")).await;
        assert_eq!((answer.status, answer.reason), (404, None));
    }
    let n_seen = fixture.upstream.seen().len();
    let refused = attempt.get(&format!("https://{NPM}/secret-50")).await;
    assert_eq!(
        (refused.status, refused.reason),
        (403, Some(RefusalReason::UnknownNames))
    );
    assert_eq!(fixture.upstream.seen().len(), n_seen);
    // What the cache or the lock file knows is no message.
    assert_eq!(
        attempt.get(&format!("https://{NPM}/greeter")).await.status,
        200
    );
    assert_eq!(
        attempt
            .get(&format!("https://{NPM}/@acme%2fwords"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_version_that_nobody_lists_is_not_asked_for() {
    let mut fixture = with_greeter().await;
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    publish_crates(&fixture.upstream, fixture.now());
    for url in [
        "https://registry.npmjs.org/greeter/-/greeter-9.9.9-secret.tgz",
        "https://static.crates.io/crates/abacus/9.9.9-secret/download",
    ] {
        assert_eq!(attempt.get(url).await.status, 404);
    }
    assert!(!format!("{:?}", fixture.upstream.seen()).contains("secret"));
}

#[tokio::test]
async fn requests_that_leave_are_counted_and_the_cache_is_free() {
    let mut fixture = with_greeter().await;
    let mut policy = EgressPolicy::all_registries();
    policy.caps = EgressCaps {
        requests_per_minute: 2,
        ..EgressCaps::default()
    };
    let attempt = fixture.attempt(policy).await;
    for _ in 0..3 {
        assert_eq!(attempt.get(OLD_TARBALL).await.status, 200);
    }
    let refused = attempt.get(&format!("https://{NPM}/@acme%2fwords")).await;
    assert_eq!(
        (refused.status, refused.reason),
        (429, Some(RefusalReason::RequestRate))
    );
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(
        attempt
            .get(&format!("https://{NPM}/@acme%2fwords"))
            .await
            .status,
        200
    );
}

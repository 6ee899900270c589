//! Private registries, large files, and what differs between the kinds of registries.

use std::sync::Arc;
use std::time::Duration;

use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::registry::RegistrySite;
use omoi_egress::sites::PrivateRegistry;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fixture::{Fixture, ProxiedAttempt};
use crate::samples::{
    DAY, NpmSample, publish_crates, publish_greeter, publish_npm, publish_wheel, wheel_path,
};
use crate::upstream::StubAnswer;

const NPM: &str = "registry.npmjs.org";

#[tokio::test]
async fn a_private_registry_is_reached_by_its_organisation_with_a_key_that_stays_outside() {
    const HOST: &str = "npm.example.com";
    let mut fixture = Fixture::with_private(vec![PrivateRegistry {
        host: HOST.to_owned(),
        site: RegistrySite::Npm,
        organisation: "ours".to_owned(),
        credential: Some(SecretString::from("Bearer key")),
    }])
    .await;
    publish_greeter(&fixture.upstream, fixture.now());
    let url = format!("https://{NPM}/greeter");
    let packument = fixture
        .attempt(EgressPolicy::all_registries())
        .await
        .get(&url)
        .await
        .body;
    let packument: Value = serde_json::from_slice(&packument).unwrap();
    fixture
        .upstream
        .put(HOST, "/greeter", StubAnswer::json(&packument));
    let of = |organisation: &str, policy| EgressPolicy {
        organisation: Some(organisation.to_owned()),
        ..policy
    };
    let ours = fixture
        .attempt(of("ours", EgressPolicy::all_registries()))
        .await;
    let private = format!("https://{HOST}/greeter");
    assert_eq!(ours.get(&private).await.status, 200);
    let seen = fixture.upstream.seen();
    assert_eq!(seen.last().unwrap().headers["authorization"], "Bearer key");
    assert!(seen[0].headers.get("authorization").is_none());
    let cached = fixture
        .attempt(of("ours", EgressPolicy::cache_only()))
        .await;
    assert_eq!(cached.get(&private).await.status, 200);
    for policy in [EgressPolicy::all_registries(), EgressPolicy::cache_only()] {
        let theirs = fixture.attempt(of("theirs", policy)).await;
        assert!(theirs.client().get(&private).send().await.is_err());
        assert_eq!(theirs.reasons(), [RefusalReason::HostNotListed]);
    }
}

#[tokio::test]
async fn large_files_come_as_they_are_fetched_but_never_whole_with_a_wrong_sum() {
    let mut fixture = Fixture::start().await;
    let published_at = fixture.now() - DAY * 30;
    let module: String = (0..3_000_000_u32)
        .map(|number| format!("{:x}", number.wrapping_mul(2_654_435_761)))
        .collect();
    publish_npm(
        &fixture.upstream,
        &[NpmSample {
            name: "large",
            version: "1.0.0",
            module: &module,
            dependencies: json!({}),
            published_at,
        }],
    );
    let (path, url) = (
        "/large/-/large-1.0.0.tgz",
        "https://registry.npmjs.org/large/-/large-1.0.0.tgz",
    );
    let mut right = Vec::new();
    let gate = Arc::new(Notify::new());
    fixture.upstream.change(NPM, path, |answer| {
        right = answer.body.to_vec();
        answer.gate = Some(gate.clone());
        let mut wrong = right.clone();
        *wrong.last_mut().unwrap() ^= 1;
        answer.body = wrong.into();
    });
    assert!(right.len() > 8 << 20, "{}", right.len());
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let mut response = attempt.client().get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    // Bytes come although the registry holds the rest back.
    let mut received = response.chunk().await.unwrap().unwrap().len();
    gate.notify_one();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(
        broken && received < right.len(),
        "{received} of {}",
        right.len()
    );
    assert_eq!(attempt.reasons(), [RefusalReason::SumDiffers]);
    fixture
        .upstream
        .put(NPM, path, StubAnswer::file(right.clone()));
    assert!(attempt.get(url).await.body == right);
    let cached = fixture.attempt(EgressPolicy::cache_only()).await;
    assert!(cached.get(url).await.body == right);
}

#[tokio::test]
async fn projects_are_shown_in_both_forms_and_metadata_is_checked() {
    let mut fixture = Fixture::start().await;
    let (old, young) = (
        fixture.now() - DAY * 30,
        fixture.now() - Duration::from_secs(300),
    );
    publish_wheel(
        &fixture.upstream,
        "chimes",
        "",
        &[("1.0", old), ("1.1", young)],
    );
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let index = "https://pypi.org/simple/chimes/";
    let page = attempt.get(index).await.text();
    assert!(
        page.contains("chimes-1.0-py3-none-any.whl</a>") && !page.contains("chimes-1.1"),
        "{page}"
    );
    let request = attempt.client().get(index);
    let request = request.header(
        "accept",
        "application/vnd.pypi.simple.v1+json, text/html;q=0.1",
    );
    let json: Value = serde_json::from_slice(&ProxiedAttempt::see(request).await.body).unwrap();
    assert_eq!(json["versions"], json!(["1.0"]));
    let file = format!(
        "https://files.pythonhosted.org{}",
        wheel_path("chimes", "1.0")
    );
    assert_eq!(attempt.get(&format!("{file}.metadata")).await.status, 200);
    assert_eq!(attempt.get(&file).await.status, 200);
    let young = format!(
        "https://files.pythonhosted.org{}",
        wheel_path("chimes", "1.1")
    );
    assert_eq!(
        attempt.get(&young).await.reason,
        Some(RefusalReason::VersionTooYoung)
    );
    let files: Vec<_> = attempt
        .session
        .list_arrivals()
        .into_iter()
        .map(|arrival| arrival.file)
        .collect();
    let name = "chimes-1.0-py3-none-any.whl";
    assert_eq!(files, [name.to_owned(), format!("{name}.metadata")]);
}

#[tokio::test]
async fn a_file_without_a_date_in_the_index_is_as_old_as_it_says_itself() {
    let mut fixture = Fixture::start().await;
    publish_crates(&fixture.upstream, fixture.now());
    fixture
        .upstream
        .change("index.crates.io", "/ab/ac/abacus", |answer| {
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            answer.body = text.replace("pubtime", "other").into();
        });
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let url = "https://static.crates.io/crates/abacus/0.3.0/download";
    assert_eq!(
        attempt.get(url).await.reason,
        Some(RefusalReason::AgeUnknown)
    );
    fixture.upstream.change(
        "static.crates.io",
        "/crates/abacus/0.3.0/download",
        |answer| {
            answer.headers = vec![("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT".to_owned())];
        },
    );
    assert_eq!(attempt.get(url).await.status, 200);
    let api = "https://crates.io/api/v1/crates/abacus/0.3.0/download";
    assert_eq!(attempt.get(api).await.status, 200);
}

//! Private registries, large files, and what differs between the kinds of registries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::registry::RegistrySite;
use omoi_egress::session::{KeepArrivals, PackageArrival};
use omoi_egress::sites::PrivateRegistry;
use omoi_runtime::BoxError;
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
        index: None,
        modules: Vec::new(),
        simple_path: None,
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

/// Publishes a package whose file is larger than what is checked before it goes out.
fn publish_large(fixture: &Fixture) {
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
            published_at: fixture.now() - DAY * 30,
        }],
    );
}

#[tokio::test]
async fn who_reads_slowly_holds_up_nobody() {
    let mut fixture = Fixture::start().await;
    publish_large(&fixture);
    let path = "/large/-/large-1.0.0.tgz";
    let url = format!("https://{NPM}{path}");
    let slow = fixture.attempt(EgressPolicy::all_registries()).await;
    let mut response = slow.client().get(&url).send().await.unwrap();
    let begun = response.chunk().await.unwrap().unwrap();
    assert!(!begun.is_empty());
    // The slow one reads no more; others have the whole file, fetched once.
    let other = fixture.attempt(EgressPolicy::all_registries()).await;
    let whole = other.get(&url).await.body;
    assert!(whole.len() > 8 << 20 && whole.starts_with(&begun));
    assert_eq!(fixture.upstream.count(&format!("{NPM}{path}")), 1);
    // Who went away in the middle has had most of it: that stands on the receipt.
    drop(response);
    for attempt in [&slow, &other] {
        let arrivals = attempt.session.list_arrivals();
        assert_eq!(arrivals.len(), 1);
        assert_eq!(arrivals[0].bytes, whole.len() as u64);
    }
}

/// Keeps nothing while it is broken.
#[derive(Debug, Default)]
struct BrokenKeeper(AtomicBool);

impl KeepArrivals for BrokenKeeper {
    fn keep_arrivals(&self, _: Vec<PackageArrival>) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(async {
            match self.0.load(Ordering::Relaxed) {
                true => Err("the disk is full".into()),
                false => Ok(()),
            }
        })
    }
}

#[tokio::test]
async fn nobody_has_the_whole_of_a_file_that_is_not_written_down() {
    let mut fixture = Fixture::start().await;
    publish_large(&fixture);
    publish_npm(
        &fixture.upstream,
        &[NpmSample {
            name: "small",
            version: "1.0.0",
            module: "",
            dependencies: json!({}),
            published_at: fixture.now() - DAY * 30,
        }],
    );
    let keeper = Arc::new(BrokenKeeper(true.into()));
    let policy = EgressPolicy::all_registries();
    let attempt = fixture.kept_attempt(policy, keeper.clone()).await;
    let small = format!("https://{NPM}/small/-/small-1.0.0.tgz");
    let small = attempt.get(&small).await;
    assert_eq!(small.reason, Some(RefusalReason::ArrivalNotKept));
    let url = format!("https://{NPM}/large/-/large-1.0.0.tgz");
    let large = attempt.client().get(&url).send().await.unwrap();
    large.bytes().await.unwrap_err();
    assert!(attempt.session.list_arrivals().is_empty());
    keeper.0.store(false, Ordering::Relaxed);
    assert_eq!(attempt.get(&url).await.status, 200);
    assert_eq!(attempt.session.list_arrivals().len(), 1);
}

#[tokio::test]
async fn a_file_beyond_the_cap_is_refused_before_it_comes_and_others_have_it() {
    let mut fixture = Fixture::start().await;
    publish_large(&fixture);
    let url = format!("https://{NPM}/large/-/large-1.0.0.tgz");
    let mut policy = EgressPolicy::all_registries();
    policy.caps.download_bytes = 1 << 20;
    let poor = fixture.attempt(policy).await;
    assert_eq!(
        poor.get(&url).await.reason,
        Some(RefusalReason::DownloadCap)
    );
    let rich = fixture.attempt(EgressPolicy::all_registries()).await;
    assert_eq!(rich.get(&url).await.status, 200);
}

#[tokio::test]
async fn large_documents_wait_on_disk_and_an_attempt_holds_few_of_them() {
    let mut fixture = Fixture::start().await;
    let readme = "x".repeat(6 << 20);
    let versions =
        json!({"1.0.0": {"dist": {"tarball": "https://registry.npmjs.org/big/-/big-1.0.0.tgz"}}});
    let packument = json!({"name": "big", "readme": readme, "versions": versions,
        "time": {"1.0.0": "2020-01-01T00:00:00.000Z"}});
    fixture
        .upstream
        .put(NPM, "/big", StubAnswer::json(&packument));
    let url = format!("https://{NPM}/big");
    let slow = fixture.attempt(EgressPolicy::all_registries()).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let response = slow.client().get(&url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        held.push(response);
    }
    let refused = slow.get(&url).await;
    assert_eq!(
        (refused.status, refused.reason),
        (429, Some(RefusalReason::RequestRate))
    );
    let other = fixture.attempt(EgressPolicy::all_registries()).await;
    let read: Value = serde_json::from_slice(&other.get(&url).await.body).unwrap();
    assert_eq!(read, packument);
    let whole = held.pop().unwrap().bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), packument);
    assert_eq!(slow.get(&url).await.status, 200);
}

#[tokio::test]
async fn what_is_trusted_of_a_private_registry_says_nothing_of_others() {
    const HOST: &str = "npm.example.com";
    let private = PrivateRegistry {
        host: HOST.to_owned(),
        site: RegistrySite::Npm,
        organisation: "ours".to_owned(),
        credential: None,
        index: None,
        modules: Vec::new(),
        simple_path: None,
    };
    let mut fixture = Fixture::with_trust(vec![private], Some(HOST)).await;
    publish_greeter(&fixture.upstream, fixture.now());
    fixture.upstream.copy(NPM, HOST, "/greeter");
    let policy = EgressPolicy {
        organisation: Some("ours".to_owned()),
        ..EgressPolicy::all_registries()
    };
    let attempt = fixture.attempt(policy).await;
    assert_eq!(
        attempt.get(&format!("https://{HOST}/greeter")).await.status,
        200
    );
    let public = attempt.get(&format!("https://{NPM}/greeter")).await;
    assert_eq!(
        public.reason,
        Some(RefusalReason::RegistryUnreachable),
        "{}",
        public.text()
    );
}

#[tokio::test]
async fn large_files_come_as_they_are_fetched_but_never_whole_with_a_wrong_sum() {
    let mut fixture = Fixture::start().await;
    publish_large(&fixture);
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

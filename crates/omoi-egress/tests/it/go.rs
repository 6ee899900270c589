//! Go's proxy and database of sums, as its client asks them.

use std::time::Duration;

use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::registry::RegistrySite;
use omoi_egress::sites::PrivateRegistry;

use crate::fixture::Fixture;
use crate::samples::{DAY, http_date, module_path, publish_module};
use crate::upstream::StubAnswer;

const MODULE: &str = "example.com/greet";

fn file(version: &str, ending: &str) -> String {
    format!(
        "https://proxy.golang.org{}.{ending}",
        module_path(MODULE, version)
    )
}

#[tokio::test]
async fn modules_come_in_by_the_sums_of_the_database_and_again_from_the_cache() {
    let mut fixture = Fixture::start().await;
    publish_module(
        &fixture.upstream,
        MODULE,
        "v1.0.0",
        fixture.now() - DAY * 30,
    );
    let urls = [
        format!("https://proxy.golang.org/{MODULE}/@v/list"),
        format!("https://proxy.golang.org/{MODULE}/@latest"),
        file("v1.0.0", "info"),
        file("v1.0.0", "mod"),
        file("v1.0.0", "zip"),
        format!("https://sum.golang.org/lookup/{MODULE}@v1.0.0"),
    ];
    let mut answers = Vec::new();
    for policy in [EgressPolicy::all_registries(), EgressPolicy::cache_only()] {
        let attempt = fixture.attempt(policy).await;
        let probe = attempt
            .get("https://proxy.golang.org/sumdb/sum.golang.org/supported")
            .await;
        assert_eq!((probe.status, probe.reason), (404, None));
        let mut bodies = Vec::new();
        for url in &urls {
            let answer = attempt.get(url).await;
            assert_eq!(answer.status, 200, "{url}: {}", answer.text());
            bodies.push(answer.body);
        }
        answers.push(bodies);
        let files: Vec<_> = attempt
            .session
            .list_arrivals()
            .into_iter()
            .map(|arrival| arrival.file)
            .collect();
        assert_eq!(files, ["v1.0.0.mod", "v1.0.0.zip"]);
        fixture.upstream.go_away();
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_changed_module_is_refused_however_it_is_packed() {
    let mut fixture = Fixture::start().await;
    publish_module(
        &fixture.upstream,
        MODULE,
        "v1.0.0",
        fixture.now() - DAY * 30,
    );
    publish_module(
        &fixture.upstream,
        MODULE,
        "v1.0.1",
        fixture.now() - DAY * 30,
    );
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    // The archive of another version is whole, and is not this one.
    let other = attempt.get(&file("v1.0.1", "zip")).await.body;
    for (ending, body) in [
        ("zip", other),
        ("mod", b"module evil\n".to_vec()),
        ("zip", b"no archive".to_vec()),
    ] {
        let path = format!("{}.{ending}", module_path(MODULE, "v1.0.0"));
        fixture
            .upstream
            .put("proxy.golang.org", &path, StubAnswer::file(body));
        let answer = attempt.get(&file("v1.0.0", ending)).await;
        assert_eq!(
            answer.reason,
            Some(RefusalReason::SumDiffers),
            "{}",
            answer.text()
        );
    }
    let unlisted = format!("/lookup/{MODULE}@v1.0.2");
    publish_module(
        &fixture.upstream,
        MODULE,
        "v1.0.2",
        fixture.now() - DAY * 30,
    );
    fixture.upstream.put(
        "sum.golang.org",
        &unlisted,
        StubAnswer::text(b"none\n".to_vec()),
    );
    assert_eq!(
        attempt.get(&file("v1.0.2", "zip")).await.reason,
        Some(RefusalReason::SumMissing)
    );
}

#[tokio::test]
async fn a_young_version_is_refused_where_its_facts_are_asked_for() {
    let mut fixture = Fixture::start().await;
    publish_module(
        &fixture.upstream,
        MODULE,
        "v1.1.0",
        fixture.now() - Duration::from_secs(300),
    );
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    for ending in ["info", "mod", "zip"] {
        let answer = attempt.get(&file("v1.1.0", ending)).await;
        assert_eq!(answer.reason, Some(RefusalReason::VersionTooYoung));
        assert!(
            answer
                .text()
                .contains("egress.versions: [\"go:example.com/greet@v1.1.0\"]"),
            "{}",
            answer.text()
        );
    }
    let latest = attempt
        .get(&format!("https://proxy.golang.org/{MODULE}/@latest"))
        .await;
    assert_eq!((latest.status, latest.reason), (404, None));
    assert!(attempt.session.list_arrivals().is_empty());
}

#[tokio::test]
async fn a_version_that_nobody_knows_counts_as_a_name() {
    let mut fixture = Fixture::start().await;
    publish_module(
        &fixture.upstream,
        MODULE,
        "v1.0.0",
        fixture.now() - DAY * 30,
    );
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    for number in 0..50 {
        let answer = attempt
            .get(&file(&format!("v1.0.0-secret{number}"), "zip"))
            .await;
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    let refused = attempt.get(&file("v1.0.0-secret50", "zip")).await;
    assert_eq!(refused.reason, Some(RefusalReason::UnknownNames));
}

#[tokio::test]
async fn modules_that_exist_count_as_names_too_but_those_of_the_lock_file_do_not() {
    let mut fixture = Fixture::start().await;
    let old = fixture.now() - DAY * 30;
    let module = |number: u32| format!("example.com/m{number}");
    for number in 0..52 {
        publish_module(&fixture.upstream, &module(number), "v1.0.0", old);
    }
    let mut policy = EgressPolicy::all_registries();
    let listed = format!("go:{}@v1.0.0", module(51));
    policy.listed_versions.insert(listed.parse().unwrap());
    let attempt = fixture.attempt(policy).await;
    let list = |number| format!("https://proxy.golang.org/{}/@v/list", module(number));
    for number in 0..50 {
        assert_eq!(attempt.get(&list(number)).await.status, 200);
    }
    let refused = attempt.get(&list(50)).await;
    assert_eq!(refused.reason, Some(RefusalReason::UnknownNames));
    let lookup = format!("https://sum.golang.org/lookup/{}@v1.0.0", module(0));
    let refused = attempt.get(&lookup).await;
    assert_eq!(refused.reason, Some(RefusalReason::UnknownNames));
    assert_eq!(fixture.upstream.seen().len(), 50);
    let lookup = format!("https://sum.golang.org/lookup/{}@v1.0.0", module(51));
    for url in [list(51), lookup] {
        assert_eq!(attempt.get(&url).await.status, 200, "{url}");
    }
}

#[tokio::test]
async fn a_version_is_as_old_as_its_proxy_has_it_whatever_its_commit_says() {
    let mut fixture = Fixture::start().await;
    let old = fixture.now() - DAY * 400;
    publish_module(&fixture.upstream, MODULE, "v1.0.0", old);
    publish_module(&fixture.upstream, MODULE, "v1.1.0", old);
    let path = |version| format!("{}.info", module_path(MODULE, version));
    let young = http_date(fixture.now() - Duration::from_secs(300));
    let upstream = &fixture.upstream;
    upstream.change("proxy.golang.org", &path("v1.0.0"), |answer| {
        answer.headers = vec![("last-modified", young)];
    });
    // Where the proxy does not say, it counts from when we first saw it.
    upstream.change("proxy.golang.org", &path("v1.1.0"), |answer| {
        answer.headers.clear();
    });
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    for version in ["v1.0.0", "v1.1.0"] {
        for ending in ["info", "zip"] {
            let answer = attempt.get(&file(version, ending)).await;
            let expected = Some(RefusalReason::VersionTooYoung);
            assert_eq!(answer.reason, expected, "{version} {ending}");
        }
    }
    fixture.clock.advance(DAY * 3);
    let later = fixture.attempt(EgressPolicy::all_registries()).await;
    for version in ["v1.0.0", "v1.1.0"] {
        assert_eq!(
            later.get(&file(version, "zip")).await.status,
            200,
            "{version}"
        );
    }
}

#[tokio::test]
async fn public_sites_do_not_hear_the_names_of_private_modules() {
    let mut fixture = Fixture::with_private(vec![PrivateRegistry {
        host: "go.example.com".to_owned(),
        site: RegistrySite::GoModules,
        organisation: "ours".to_owned(),
        credential: None,
        index: None,
        modules: vec!["corp.example".to_owned()],
        simple_path: None,
    }])
    .await;
    let attempt = fixture
        .attempt(EgressPolicy {
            organisation: Some("ours".to_owned()),
            ..EgressPolicy::all_registries()
        })
        .await;
    for url in [
        "https://proxy.golang.org/corp.example/secret/@v/list",
        "https://proxy.golang.org/corp.example/secret/@v/v1.0.0.zip",
        "https://sum.golang.org/lookup/corp.example/secret@v1.0.0",
    ] {
        let answer = attempt.get(url).await;
        assert_eq!(answer.reason, Some(RefusalReason::PrivateName), "{url}");
    }
    assert!(fixture.upstream.seen().is_empty());
    // Its own proxy hears them; without sums of its own a file is refused by name.
    publish_module(
        &fixture.upstream,
        "corp.example/secret",
        "v1.0.0",
        fixture.now() - DAY * 9,
    );
    for ending in ["info", "zip"] {
        let path = format!("{}.{ending}", module_path("corp.example/secret", "v1.0.0"));
        fixture
            .upstream
            .copy("proxy.golang.org", "go.example.com", &path);
    }
    let private = |ending| format!("https://go.example.com/corp.example/secret/@v/v1.0.0.{ending}");
    assert_eq!(attempt.get(&private("info")).await.status, 200);
    let file = attempt.get(&private("zip")).await;
    assert_eq!(file.reason, Some(RefusalReason::SumMissing));
    let seen = fixture.upstream.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.url.starts_with("go.example.com")),
        "{seen:?}"
    );
}

//! Changes that are meant for one version of a row, on both databases.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH};
use futures::future::join_all;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::spec::SpecStatus;
use omoi_store::specs::{self, Spec};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

use crate::api::{TOKEN, router_of};

/// Writers that have read the same version.
const WRITERS: usize = 100;

/// A spec whose title may be changed, by the name that paths have for it.
async fn add_draft(test: &TestDeployment) -> String {
    let added = test.commit(async |tx| {
        let draft = Spec {
            id: tx.new_id(),
            number: 2,
            status: SpecStatus::Draft,
            integration_branch: "feature/2".to_owned(),
            ..test.spec.clone()
        };
        specs::insert(tx, &draft).await?;
        Ok(draft.id)
    });
    format!("/api/v1/specs/{}", added.await.unwrap())
}

/// Status, `ETag` and body of the answer.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> (u16, Option<String>, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let tag = response.headers().get(ETAG);
    let tag = tag.map(|tag| tag.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, tag, serde_json::from_slice(&text).unwrap())
}

fn rename(path: &str, title: &str, meant: Option<&str>) -> Request<Body> {
    let mut request = Request::patch(path)
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(CONTENT_TYPE, "application/json");
    if let Some(meant) = meant {
        request = request.header(IF_MATCH, meant);
    }
    let body = json!({ "title": title }).to_string();
    request.body(Body::from(body)).unwrap()
}

pub(crate) fn show(path: &str) -> Request<Body> {
    let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {TOKEN}"));
    request.body(Body::empty()).unwrap()
}

async fn one_of_many_writers_of_a_version_wins(database: TestDatabase) {
    let test = TestDeployment::on_database(database, |_| {}).await;
    let (router, path) = (router_of(&test), add_draft(&test).await);
    let (status, read, shown) = send(&router, show(&path)).await;
    assert_eq!(status, 200, "{shown}");
    let read = read.unwrap();
    let titles: Vec<String> = (0..WRITERS).map(|n| format!("Title {n}")).collect();
    let writes = titles
        .iter()
        .map(|title| send(&router, rename(&path, title, Some(&read))));
    let answers = join_all(writes).await;
    let mut won = Vec::new();
    for (title, (status, tag, said)) in titles.iter().zip(&answers) {
        assert_ne!(tag.as_ref(), Some(&read), "{said}");
        match status {
            200 => won.push((title, tag.clone().unwrap())),
            412 => {
                assert_eq!(said["error"], "stale_version", "{said}");
                assert_eq!(said["fields"][0]["path"], "If-Match", "{said}");
                let current = said["context"]["current"]["title"].as_str().unwrap();
                assert!(titles.iter().any(|title| title == current), "{said}");
            }
            other => panic!("{other}: {said}"),
        }
    }
    let [(title, tag)] = won.as_slice() else {
        panic!("{won:?}");
    };
    let (_, now, shown) = send(&router, show(&path)).await;
    assert_eq!(
        (now.as_ref(), &shown["spec"]["title"]),
        (Some(tag), &json!(title))
    );
    // Whoever has seen that may go on; nobody is held up who names no version, or any.
    for meant in [Some(format!("\"0\", {tag}")), None, Some("*".to_owned())] {
        let (status, _, said) = send(&router, rename(&path, "Another", meant.as_deref())).await;
        assert_eq!(status, 200, "{said}");
    }
    for foreign in [
        "\"abc\"",
        "W/\"1\"",
        "\"-1\"",
        "\"99999999999999999999\"",
        "",
    ] {
        let (status, tag, said) = send(&router, rename(&path, "No", Some(foreign))).await;
        assert_eq!((status, tag.is_some()), (412, true), "{foreign}: {said}");
        assert_eq!(said["context"]["current"]["title"], "Another", "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_writers_of_a_version_wins_on_sqlite() {
    one_of_many_writers_of_a_version_wins(omoi_testkit::sqlite::database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_writers_of_a_version_wins_on_postgres() {
    one_of_many_writers_of_a_version_wins(omoi_testkit::postgres::database()).await;
}

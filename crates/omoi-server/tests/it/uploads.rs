//! Commits of repositories that lie elsewhere: only what is missing is sent, and what is hostile changes nothing.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use serde_json::{Value, json};

use omoi_domain::access::role::SystemRole;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_git::object::ObjectId;
use omoi_git::repo::inspect_repository;
use omoi_store::{Tx, projects};
use omoi_testkit::repo::TestRepo;

use crate::sign_in_desk::{ELSEWHERE, PASSWORD, SignInDesk, refused};

both!(commits_of_a_repository_elsewhere_are_taken_in);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const BYTES: &str = "application/octet-stream";

/// A project whose repository lies elsewhere, and who sends commits of it.
struct BundleSender<'a> {
    desk: &'a SignInDesk,
    token: String,
    project: String,
}

impl BundleSender<'_> {
    async fn send(&self, commit: &str, media: &str, body: impl Into<Body>) -> (u16, Value) {
        let path = format!("/api/v1/projects/{}/repository/bundle", self.project);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{path}?commit={commit}"))
            .header(CONTENT_TYPE, media)
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        self.desk.send(request.body(body.into()).unwrap()).await
    }

    async fn ask_missing(&self, body: Value) -> (u16, Value) {
        let path = format!("/projects/{}/repository/missing", self.project);
        let post = (Method::POST, path.as_str());
        self.desk.ask(post, Some(&self.token), Some(body)).await
    }

    async fn launch(&self, commit: &str) -> (u16, Value) {
        let path = format!("/projects/{}/specs", self.project);
        let post = (Method::POST, path.as_str());
        let body = json!({ "idea": "Add tags", "commit": commit, "branch": "main" });
        self.desk.ask(post, Some(&self.token), Some(body)).await
    }
}

async fn commits_of_a_repository_elsewhere_are_taken_in(desk: SignInDesk) {
    desk.add_user(ADA, &[(OrgId::LOCAL, SystemRole::Admin)])
        .await;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    desk.add_user(BOB, &[(elsewhere, SystemRole::Owner)]).await;
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let bob = desk.sign_in(BOB, PASSWORD).await.access_token;
    let new = json!({ "name": "Todo", "autonomous_execution_enabled": true });
    let (_, made) = desk
        .ask((Method::POST, "/projects"), Some(&ada), Some(new))
        .await;
    let ada = BundleSender {
        desk: &desk,
        token: ada,
        project: made["id"].as_str().unwrap().to_owned(),
    };
    let repo = TestRepo::empty();
    repo.write("a.py", "print(1)\n");
    let head = repo.commit("Start");
    let git = &desk.test.deployment.git;
    let info = inspect_repository(git, repo.path()).await.unwrap();
    let packed = info.bundle_head(git, &[], 1 << 20).await.unwrap();
    let bundle = packed.bytes.unwrap();

    let (_, known) = ada.ask_missing(json!({ "commits": [head] })).await;
    assert_eq!(known, json!({ "have": [], "is_empty": true }));
    let (status, told) = ada.launch(&head).await;
    assert_eq!(
        (status, &told["error"]),
        (422, &json!("bad_repository")),
        "{told}"
    );
    refuses_what_is_wrong(&ada, &head, &bundle).await;
    let foreign = BundleSender {
        token: bob,
        project: ada.project.clone(),
        desk: &desk,
    };
    refuses_whoever_is_elsewhere(&foreign, &head, &bundle).await;
    let (_, known) = ada.ask_missing(json!({ "commits": [head] })).await;
    assert_eq!(known["is_empty"], true, "something of it was kept");
    for _ in 0..2 {
        let (status, told) = ada.send(&head, BYTES, bundle.clone()).await;
        assert_eq!((status, &told["commit"]), (200, &json!(head)), "{told}");
    }
    let (_, known) = ada.ask_missing(json!({ "commits": [head] })).await;
    assert_eq!(known, json!({ "have": [head], "is_empty": false }));
    let (status, spec) = ada.launch(&head).await;
    let found = (
        status,
        &spec["base_sha"],
        &spec["base_branch"],
        &spec["repo"],
    );
    assert_eq!(
        found,
        (202, &json!(head), &json!("main"), &json!("todo")),
        "{spec}"
    );
    takes_one_branch_back(&desk, &ada, &spec).await;
    takes_nothing_of_a_repository_here(&desk, &ada.token, &head).await;
    let path = format!("/projects/{}", ada.project);
    desk.ask((Method::DELETE, &path), Some(&ada.token), None)
        .await;
    let (status, told) = ada.launch(&head).await;
    assert_eq!(
        (status, &told["error"]),
        (409, &json!("conflict")),
        "{told}"
    );
}

/// What a project of another organisation is answered.
async fn refuses_whoever_is_elsewhere(foreign: &BundleSender<'_>, head: &str, bundle: &[u8]) {
    for (status, told) in [
        foreign.ask_missing(json!({ "commits": [head] })).await,
        foreign.send(head, BYTES, bundle.to_vec()).await,
        foreign.launch(head).await,
    ] {
        assert_eq!(
            (status, &told["error"]),
            (404, &json!("not_found")),
            "{told}"
        );
    }
}

/// The branch is asked for with what one has of it.
async fn takes_one_branch_back(desk: &SignInDesk, ada: &BundleSender<'_>, spec: &Value) {
    let path = format!("/specs/{}/bundle", spec["id"].as_str().unwrap());
    let early = desk.code_of((Method::GET, &path), &ada.token, None).await;
    assert_eq!(early, refused(409, "nothing_landed"));
    let many = format!("{path}?{}", "have=x&".repeat(17));
    let many = desk
        .code_of((Method::GET, many.trim_end_matches('&')), &ada.token, None)
        .await;
    assert_eq!(many, refused(422, "validation_failed"));
}

/// Each way in which what is sent may be wrong has its name.
async fn refuses_what_is_wrong(ada: &BundleSender<'_>, head: &str, bundle: &[u8]) {
    let unknown = ObjectId::empty_tree().to_string();
    let hostile = String::from_utf8_lossy(bundle).replace("refs/omoios/out/tip", "refs/../../tip");
    for (commit, media, body, expected) in [
        (
            head,
            "application/json",
            bundle.to_vec(),
            (415, "unsupported_media_type"),
        ),
        ("HEAD", BYTES, bundle.to_vec(), (422, "validation_failed")),
        (
            head,
            BYTES,
            bundle[..bundle.len() - 9].to_vec(),
            (422, "bundle_refused"),
        ),
        (head, BYTES, Vec::new(), (422, "bundle_refused")),
        (head, BYTES, hostile.into_bytes(), (422, "bundle_refused")),
        (&unknown, BYTES, bundle.to_vec(), (422, "bundle_refused")),
    ] {
        let (status, told) = ada.send(commit, media, body).await;
        let found = (status, told["error"].as_str().unwrap());
        assert_eq!(found, expected, "{commit} {media}: {told}");
    }
    // A length that is promised is refused before anything of it is read.
    let path = format!(
        "/api/v1/projects/{}/repository/bundle?commit={head}",
        ada.project
    );
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(CONTENT_TYPE, BYTES)
        .header(AUTHORIZATION, format!("Bearer {}", ada.token));
    let told = vec![0_u8; (256 << 20) + 1];
    let (status, told) = ada.desk.send(request.body(told.into()).unwrap()).await;
    assert_eq!(
        (status, &told["error"]),
        (413, &json!("too_large")),
        "{told}"
    );
    let commits = vec![head; 1_001];
    for (body, place) in [
        (json!({ "commits": commits }), "/commits"),
        (json!({ "commits": [head, "main"] }), "/commits/1"),
    ] {
        let (status, told) = ada.ask_missing(body).await;
        assert_eq!(
            (status, &told["fields"][0]["path"]),
            (422, &json!(place)),
            "{told}"
        );
    }
}

/// A project whose repository the server reads by its path is sent nothing.
async fn takes_nothing_of_a_repository_here(desk: &SignInDesk, token: &str, head: &str) {
    let make = async |tx: &mut Tx| projects::ensure(tx, "shop", "/src/shop").await;
    let tenant = &desk.test.deployment.store;
    let project = tenant
        .write(CrashPoint::ProjectCreated, make)
        .await
        .unwrap();
    let sender = BundleSender {
        desk,
        token: token.to_owned(),
        project: project.id.to_string(),
    };
    for (status, told) in [
        sender.ask_missing(json!({ "commits": [head] })).await,
        sender.send(head, BYTES, Vec::new()).await,
        sender.launch(head).await,
    ] {
        assert_eq!(
            (status, &told["error"]),
            (422, &json!("bad_repository")),
            "{told}"
        );
    }
}

//! The `.omoi.yaml` of a repository, as a new spec takes it.

use std::os::unix::fs::symlink;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_server::ApiDoor;
use omoi_store::{projects, specs};
use omoi_testkit::repo::TestRepo;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::api::{TOKEN, bench, router_behind};
use crate::ask::{ask, refusal};

/// Asks for a spec in the repository at `repo`.
async fn create(router: &Router, repo: &Path) -> (StatusCode, String) {
    let body = json!({
        "idea": "Add tags", "repo_path": repo, "auto_start": false, "spec_files": false,
    });
    let post = (&Method::POST, "/api/v1/specs/launch");
    ask(router, post, Some(TOKEN), Body::from(body.to_string())).await
}

#[tokio::test]
async fn a_spec_freezes_what_the_base_commit_says() {
    let (test, router) = bench().await;
    let repo = TestRepo::with_files(&[
        ("a.txt", "a\n"),
        (
            ".omoi.yaml",
            "agent: {max_turns: 7}\nspec: {max_turns: 9}\n",
        ),
    ]);
    // The work tree says something else; nobody asked it.
    repo.write(".omoi.yaml", "agent: {max_turns: 1}\n");
    let said = create(&router, repo.path()).await;
    assert_eq!(said.0, StatusCode::ACCEPTED, "{said:?}");

    let mut tx = test.deployment.store.begin_read().await.unwrap();
    let all = specs::list(&mut tx, 10).await.unwrap();
    let spec = all.iter().find(|spec| spec.title == "Add tags").unwrap();
    let own = &test.deployment.limits;
    let limits = spec.work_limits(*own);
    assert_eq!(limits.task.turns_max, 7.min(own.task.turns_max));
    assert_eq!(limits.phase.turns_max, 9.min(own.phase.turns_max));
    assert_eq!(limits.task.timeout, own.task.timeout);
    assert_eq!(
        spec.options.0.repository.task_turns_max,
        Some(7),
        "the row keeps it, whoever does the work"
    );
}

#[tokio::test]
async fn what_is_no_file_of_settings_is_refused() {
    let (_test, router) = bench().await;
    let with = |text: &str| TestRepo::with_files(&[("a.txt", "a\n"), (".omoi.yaml", text)]);
    let plain = || TestRepo::with_files(&[("a.txt", "a\n")]);

    let folder = TestRepo::with_files(&[(".omoi.yaml/x", "x\n")]);
    let link = plain();
    symlink("/etc/passwd", link.path().join(".omoi.yaml")).unwrap();
    link.commit("Link");
    let fifo = plain();
    let pipe = fifo.path().join(".omoi.yaml");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let huge = with(&format!("# {}\n", "x".repeat(1 << 20)));
    let broken = with("agent: [\n");
    let unknown = with("agents: {max_turns: 1}\n");
    let raised = with("spec: {total_budget_usd: 100000}\n");
    let closed = with("anthropic:\n  base_url: https://evil.example\n");
    for (repo, reason) in [
        (folder, "is a folder"),
        (link, "is a symbolic link"),
        (fifo, "is no ordinary file"),
        (huge, "bytes, at most 1048576 are read"),
        (broken, "`.omoi.yaml` line 1 is not valid"),
        (unknown, "unknown section `agents`; did you mean `agent`?"),
        (raised, "can lower `spec.total_budget_usd`"),
        (closed, "`anthropic.base_url` cannot be set by a repository"),
    ] {
        let said = create(&router, repo.path()).await;
        let told = said.1.clone();
        assert!(told.contains(reason), "{reason}: {told}");
        assert_eq!(refusal(said), (422, "bad_repository_file".to_owned()));
    }
}

/// `GET` or `POST /trust`, as JSON.
async fn trust(router: &Router, method: Method, at: &str, body: Body) -> (StatusCode, Value) {
    let path = format!("/api/v1/trust{at}");
    let (status, text) = ask(router, (&method, &path), Some(TOKEN), body).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_look_at_a_repository_makes_nothing_and_others_may_not_look() {
    let (test, router) = bench().await;
    let shared = tempfile::tempdir_in("/opt").unwrap();
    let folder = shared.path().display();
    let text = format!("sandbox: {{read_only: ['{folder}']}}\n");
    let repo = TestRepo::with_files(&[("a.txt", "a\n"), (".omoi.yaml", &text)]);
    let kept = async || {
        let all = projects::list(&mut test.read_tx().await).await.unwrap();
        let mirrors = std::fs::read_dir(test.deployment.data.root_folder().join("mirrors"));
        (all.len(), mirrors.unwrap().count())
    };
    let before = kept().await;
    let at = format!("?repo_path={}", repo.path().display());
    let loopback = router_behind(&test, ApiDoor::Loopback);
    for near in [&router, &loopback] {
        let (status, seen) = trust(near, Method::GET, &at, Body::empty()).await;
        assert_eq!(status, StatusCode::OK, "{seen}");
        assert_eq!(
            seen["asks"],
            json!([format!("let sandboxes read `{folder}`")])
        );
        assert_eq!(seen["is_trusted"], false);
        assert!(seen["file_digest"].is_string(), "{seen}");
    }
    assert_eq!(kept().await, before);
    // Who comes from elsewhere has no paths here, and learns of none.
    let network = router_behind(&test, ApiDoor::Network);
    let post = json!({ "repo_path": repo.path(), "file_digest": "x" }).to_string();
    for (method, path, body) in [
        (Method::GET, format!("/trust{at}"), String::new()),
        (
            Method::GET,
            "/trust?repo_path=/nowhere".to_owned(),
            String::new(),
        ),
        (Method::POST, "/trust".to_owned(), post.clone()),
        (Method::POST, "/setup".to_owned(), post),
    ] {
        let path = format!("/api/v1{path}");
        let said = ask(&network, (&method, &path), Some(TOKEN), body.into()).await;
        assert_eq!(
            refusal(said),
            (404, "not_found".to_owned()),
            "{method} {path}"
        );
    }
    let resolve = "/api/v1/resolve?kind=spec&ref=SPEC-1";
    let (status, _) = ask(
        &network,
        (&Method::GET, resolve),
        Some(TOKEN),
        Body::empty(),
    )
    .await;
    // What goes by no path is there, for who signs in.
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_repository_reads_nothing_of_the_machine_without_a_yes_to_its_very_text() {
    let (test, router) = bench().await;
    let shared = tempfile::tempdir_in("/opt").unwrap();
    let asks = |more: &str| {
        format!(
            "sandbox: {{read_only: ['{}']}}\n{more}",
            shared.path().display()
        )
    };
    let repo = TestRepo::with_files(&[("a.txt", "a\n"), (".omoi.yaml", &asks(""))]);
    let refused = create(&router, repo.path()).await;
    assert!(refused.1.contains("omoi trust --repo"), "{refused:?}");
    assert_eq!(refusal(refused), (409, "repository_not_trusted".to_owned()));

    let at = format!("?repo_path={}", repo.path().display());
    let (_, seen) = trust(&router, Method::GET, &at, Body::empty()).await;
    let folder = shared.path().display();
    assert_eq!(
        seen["asks"],
        json!([format!("let sandboxes read `{folder}`")])
    );
    assert_eq!(seen["is_trusted"], false);

    let yes = |digest: &Value| {
        let body = json!({ "repo_path": repo.path(), "file_digest": digest });
        Body::from(body.to_string())
    };
    let (stale, _) = trust(&router, Method::POST, "", yes(&json!("another"))).await;
    assert_eq!(stale, StatusCode::CONFLICT);
    let (kept, _) = trust(&router, Method::POST, "", yes(&seen["file_digest"])).await;
    assert_eq!(kept, StatusCode::OK);
    let (created, _) = create(&router, repo.path()).await;
    assert_eq!(created, StatusCode::ACCEPTED);
    let mut tx = test.deployment.store.begin_read().await.unwrap();
    let all = specs::list(&mut tx, 10).await.unwrap();
    let spec = all.iter().find(|spec| spec.title == "Add tags").unwrap();
    let mounts = SandboxToolchain::of_spec(spec)
        .unwrap()
        .toolchain_mounts(&[]);
    assert!(mounts.iter().any(|mount| mount.host == shared.path()));
    drop(tx);

    // Another text asks again, and so does the same text in another repository.
    repo.write(".omoi.yaml", asks("agent: {max_turns: 3}\n"));
    repo.commit("More");
    let other = TestRepo::with_files(&[(".omoi.yaml", &asks(""))]);
    for again in [&repo, &other] {
        let refused = create(&router, again.path()).await;
        assert_eq!(refusal(refused), (409, "repository_not_trusted".to_owned()));
    }
}

#[tokio::test]
async fn the_inbox_asks_once_for_each_text_of_a_repository_and_its_yes_counts() {
    let (_test, router) = bench().await;
    let shared = tempfile::tempdir_in("/opt").unwrap();
    let asks = |more: &str| {
        let folder = shared.path().display();
        format!("sandbox: {{read_only: ['{folder}']}}\n{more}")
    };
    let repo = TestRepo::with_files(&[("a.txt", "a\n"), (".omoi.yaml", &asks(""))]);
    let pending = async || {
        let path = "/api/v1/approvals?kind=repository_trust&state=pending";
        let (_, text) = ask(&router, (&Method::GET, path), Some(TOKEN), Body::empty()).await;
        let told: Value = serde_json::from_str(&text).unwrap();
        told["items"].as_array().unwrap().clone()
    };
    let decide = async |asked: &Value, body: Value| {
        let path = format!("/api/v1/approvals/{}/decide", asked["id"].as_str().unwrap());
        let body = Body::from(body.to_string());
        ask(&router, (&Method::POST, &path), Some(TOKEN), body)
            .await
            .0
    };
    for _ in 0..2 {
        let refused = create(&router, repo.path()).await;
        assert_eq!(refusal(refused), (409, "repository_not_trusted".to_owned()));
    }
    let asked = pending().await;
    assert_eq!(asked.len(), 1, "{asked:#?}");
    let told = asked[0]["question"].as_str().unwrap();
    assert!(told.contains("let sandboxes read"), "{told}");
    // Another text is another question, and the earlier one is over.
    repo.write(".omoi.yaml", asks("agent: {max_turns: 3}\n"));
    repo.commit("More");
    create(&router, repo.path()).await;
    let newer = pending().await;
    assert_eq!(newer.len(), 1, "{newer:#?}");
    assert_ne!(newer[0]["id"], asked[0]["id"]);
    let yes = json!({ "decision": "approve" });
    assert_eq!(decide(&asked[0], yes.clone()).await, StatusCode::CONFLICT);
    assert_eq!(decide(&newer[0], yes).await, StatusCode::OK);
    let (created, _) = create(&router, repo.path()).await;
    assert_eq!(created, StatusCode::ACCEPTED);
    assert_eq!(pending().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_draft_is_written_down_and_planned_when_somebody_says_so() {
    let (_test, router) = bench().await;
    let repo = TestRepo::with_files(&[("a.txt", "a\n")]);
    let body = json!({ "idea": "Add tags", "repo_path": repo.path(), "auto_start": false, "spec_files": false, "accept_red": false });
    let post = async |path: &str| {
        let path = format!("/api/v1{path}");
        let body = Body::from(body.to_string());
        let (status, text) = ask(&router, (&Method::POST, &path), Some(TOKEN), body).await;
        (
            status.as_u16(),
            serde_json::from_str::<Value>(&text).unwrap(),
        )
    };
    let (status, draft) = post("/specs").await;
    assert_eq!(
        (status, &draft["status"]),
        (201, &json!("draft")),
        "{draft}"
    );
    let execute = format!("/specs/{}/execute", draft["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, spec) = post(&execute).await;
        assert_eq!(
            (status, &spec["status"]),
            (200, &json!("executing")),
            "{spec}"
        );
    }
    let cancel = format!("/specs/{}/cancel", draft["id"].as_str().unwrap());
    assert_eq!(post(&cancel).await.0, 200);
    let (status, refused) = post(&execute).await;
    assert_eq!(
        (status, &refused["error"]),
        (409, &json!("at_work")),
        "{refused}"
    );
}

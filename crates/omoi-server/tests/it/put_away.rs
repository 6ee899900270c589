//! Specs that are put away or shown to strangers, and what people see of work: costs, graphs and commits.

use axum::Router;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use omoi_domain::audit::AuditAction;
use omoi_domain::id::OrgId;
use omoi_domain::spec::SpecStatus;
use omoi_store::{specs, tasks};

use crate::api::{TOKEN, bench, told};
use crate::ask::ask;
use crate::sign_in_desk::newest_acts;

async fn send(router: &Router, method: Method, path: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/v1{path}");
    let body = Body::from(body.to_string());
    let (status, text) = ask(router, (&method, &path), Some(TOKEN), body).await;
    (
        status.as_u16(),
        serde_json::from_str(&text).unwrap_or_default(),
    )
}

#[tokio::test]
async fn a_spec_is_put_away_and_comes_back_when_it_is_worked_on() {
    let (test, router) = bench().await;
    let path = format!("/specs/{}", test.spec.id);
    let (status, refused) = send(&router, Method::DELETE, &path, Value::Null).await;
    assert_eq!(
        (status, &refused["error"]),
        (409, &json!("at_work")),
        "{refused}"
    );
    let cancelled = send(
        &router,
        Method::POST,
        &format!("{path}/cancel"),
        Value::Null,
    )
    .await;
    assert_eq!(cancelled.0, 200, "{}", cancelled.1);
    for _ in 0..2 {
        let (status, told) = send(&router, Method::DELETE, &path, Value::Null).await;
        assert_eq!(status, 204, "{told}");
    }
    let n_listed = async |query: &str| {
        let (_, _, page) = told(&router, &format!("/specs{query}")).await;
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(n_listed("").await, 0);
    assert_eq!(n_listed("?include_archived=true").await, 1);
    let (_, _, shown) = told(&router, &path).await;
    assert!(shown["spec"]["archived_at"].is_string(), "{shown}");
    let back = send(&router, Method::PATCH, &path, json!({ "archived": false })).await;
    assert_eq!(
        (back.0, &back.1["archived_at"]),
        (200, &Value::Null),
        "{}",
        back.1
    );
    assert_eq!(n_listed("").await, 1);
    let store = test.deployment.store.store();
    let acts = newest_acts(store, OrgId::LOCAL, 2).await;
    let acts = acts.iter().map(|act| (act.action, act.target.target_id));
    let expected = [AuditAction::SpecArchived, AuditAction::SpecUnarchived];
    assert!(acts.eq(expected.map(|act| (act, Some(test.spec.id.as_uuid())))));
    let (status, _, _) = told(&router, &format!("{path}/events?spec_id=SPEC-1")).await;
    assert_eq!(status, 422);
    let (_, _, events) = told(&router, &format!("{path}/events?sort=seq&limit=200")).await;
    let kinds: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    let told_of = |kind: &str| kinds.iter().filter(|one| **one == kind).count();
    assert_eq!(
        (told_of("spec.archived"), told_of("spec.unarchived")),
        (1, 1),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_stranger_with_the_link_sees_a_spec_until_it_leads_nowhere() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let share = format!("/public/specs/{}/share", test.spec.id);
    let (status, first) = send(&router, Method::POST, &share, json!({})).await;
    assert_eq!(status, 201, "{first}");
    let (_, link) = send(&router, Method::POST, &share, json!({ "listed": true })).await;
    let look = async |link: &Value| {
        let path = link["share_url"].as_str().unwrap();
        let (status, text) = ask(&router, (&Method::GET, path), None, Body::empty()).await;
        (
            status.as_u16(),
            serde_json::from_str::<Value>(&text).unwrap(),
        )
    };
    assert_eq!(look(&first).await.0, 404);
    for n in 1..=2 {
        let (status, shown) = look(&link).await;
        let expected = json!({
            "title": "Tags", "text": test.spec.original_request, "project_name": "repo",
            "n_requirements": 0, "n_tickets": 1, "n_tasks": 1, "n_tasks_done": 0, "view_count": n,
        });
        assert_eq!((status, shown), (200, expected));
    }
    let (status, _) = send(&router, Method::DELETE, &share, Value::Null).await;
    assert_eq!(status, 204);
    let (status, gone) = look(&link).await;
    assert_eq!(
        (status, &gone["error"]),
        (404, &json!("not_found")),
        "{gone}"
    );
    let again = send(&router, Method::DELETE, &share, Value::Null).await;
    assert_eq!(again.0, 404);
    let nonsense = json!({ "share_url": "/api/v1/public/showcase/abc" });
    assert_eq!(look(&nonsense).await.0, 404);
}

#[tokio::test]
async fn a_branch_is_made_of_a_whole_plan_alone() {
    let (test, router) = bench().await;
    let path = format!("/specs/{}", test.spec.id);
    for _ in 0..2 {
        let (status, made) = send(
            &router,
            Method::POST,
            &format!("{path}/create-branch"),
            Value::Null,
        )
        .await;
        assert_eq!(
            (status, &made["branch_name"]),
            (200, &json!("feature/tags")),
            "{made}"
        );
        assert!(test.branch_head("feature/tags").await.is_some());
    }
    let (status, same) = send(&router, Method::POST, &format!("{path}/sync"), Value::Null).await;
    assert_eq!(
        (status, &same["status"]),
        (200, &json!("working")),
        "{same}"
    );
    let changed = test.commit(async |tx| {
        let draft = specs::Spec {
            id: tx.new_id(),
            number: 2,
            status: SpecStatus::Draft,
            current_phase: omoi_domain::phase::Phase::Explore,
            integration_branch: "feature/2".to_owned(),
            ..test.spec.clone()
        };
        specs::insert(tx, &draft).await?;
        Ok(draft.id)
    });
    let draft = changed.await.unwrap();
    for act in ["create-branch", "sync"] {
        let (status, refused) = send(
            &router,
            Method::POST,
            &format!("/specs/{draft}/{act}"),
            Value::Null,
        )
        .await;
        assert_eq!(
            (status, &refused["error"]),
            (409, &json!("not_planned")),
            "{act}: {refused}"
        );
    }
}

#[tokio::test]
async fn what_waits_for_what_is_drawn_from_any_side() {
    let (test, router) = bench().await;
    let first = test.add_task(1, &[]).await.id;
    let second = test.add_task(2, &[first]).await.id;
    let third = test.add_task(3, &[second]).await.id;
    let graph = async |path: String| {
        let (status, _, view) = told(&router, &format!("/graph/dependency-graph/{path}")).await;
        assert_eq!(status, 200, "{view}");
        let nodes = view["nodes"].as_array().unwrap().iter();
        let tasks = nodes.filter(|node| node["type"] == "task");
        let refs: Vec<String> = tasks.map(|node| node["node_ref"].to_string()).collect();
        (refs.len(), view)
    };
    let (n_tasks, whole) = graph(format!("project/{}", test.spec.project_id)).await;
    let told_of = &whole["metadata"];
    assert_eq!((n_tasks, &told_of["depth"]), (3, &json!(3)), "{whole}");
    assert_eq!(told_of["critical_path"], json!([first, second, third]));
    assert_eq!(
        (&told_of["blocked_count"], &told_of["cycles"]),
        (&json!(2), &json!([]))
    );
    // Three tasks of one ticket, and two that wait.
    assert_eq!(told_of["total_edges"], 5);
    for (path, n_expected) in [
        (format!("task/{second}/blocked"), 2),
        (format!("task/{second}/blocking"), 2),
        (format!("task/{third}/blocking?depth=1"), 2),
        (format!("task/{first}/blocking"), 1),
        (format!("ticket/{}", test.ticket.id), 3),
        (
            format!("project/{}?focus={first}&depth=1", test.spec.project_id),
            2,
        ),
    ] {
        let (n_tasks, view) = graph(path.clone()).await;
        assert_eq!(n_tasks, n_expected, "{path}: {view}");
    }
    let path = format!("/api/v1/graph/dependency-graph/task/{second}/blocked?format=dot");
    let (_, dot) = ask(&router, (&Method::GET, &path), Some(TOKEN), Body::empty()).await;
    assert!(
        dot.starts_with("digraph") && dot.contains(&format!("\"{second}\" -> \"{third}\"")),
        "{dot}"
    );
}

#[tokio::test]
async fn commits_are_read_from_the_mirror_and_tied_to_tickets() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    let head = test.commit_work("src/tags.py").await;
    let moved = test.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.base_sha = Some(test.base.to_string());
        task.head_sha = Some(head.to_string());
        tasks::save(tx, &mut task).await
    });
    moved.await.unwrap();
    let (status, _, shown) = told(&router, &format!("/commits/{head}")).await;
    assert_eq!(
        (status, &shown["parents"]),
        (200, &json!([test.base.to_string()])),
        "{shown}"
    );
    for path in [
        format!("/commits/{head}/diff"),
        format!("/tasks/{}/diff", task.id),
    ] {
        let (_, _, diff) = told(&router, &path).await;
        assert_eq!(diff["files"][0]["path"], "src/tags.py", "{diff}");
        let patch = diff["files"][0]["patch"].as_str().unwrap();
        assert!(patch.contains("+++ b/src/tags.py"), "{patch}");
        assert_eq!(diff["insertions"], diff["files"][0]["insertions"]);
    }
    let of_ticket = format!("/commits/ticket/{}", test.ticket.id);
    let shas = async || -> Vec<Value> {
        let (_, _, page) = told(&router, &of_ticket).await;
        let items = page["items"].as_array().unwrap().iter();
        items.map(|commit| commit["sha"].clone()).collect()
    };
    assert_eq!(shas().await, [json!(head.to_string())]);
    let link = format!("{of_ticket}/link");
    for _ in 0..2 {
        let body = json!({ "commit_sha": test.base.to_string() });
        let (status, linked) = send(&router, Method::POST, &link, body).await;
        assert_eq!(
            (status, &linked["sha"]),
            (200, &json!(test.base.to_string())),
            "{linked}"
        );
    }
    let both = shas().await;
    assert!(
        both.len() == 2 && both.contains(&json!(test.base.to_string())),
        "{both:?}"
    );
    for (sha, expected) in [("1".repeat(40), 404), ("abc".to_owned(), 422)] {
        assert_eq!(told(&router, &format!("/commits/{sha}")).await.0, expected);
        let tied = send(&router, Method::POST, &link, json!({ "commit_sha": sha })).await;
        assert_eq!(tied.0, expected, "{}", tied.1);
    }
}

#[tokio::test]
async fn costs_are_listed_summed_and_foreseen() {
    let (test, router) = bench().await;
    let task = test.add_task(1, &[]).await;
    for (query, expected) in [
        (String::new(), 200),
        (format!("?scope_type=task&scope_id={}", task.id), 200),
        (format!("?scope_type=spec&scope_id={}", test.spec.id), 200),
        (format!("?scope_type=spec&scope_id={}", task.id), 404),
        ("?scope_type=project".to_owned(), 422),
        (
            format!("?scope_type=organization&scope_id={}", task.id),
            422,
        ),
    ] {
        let (status, _, summary) = told(&router, &format!("/costs/summary{query}")).await;
        assert_eq!(status, expected, "{query}: {summary}");
        if status == 200 {
            assert_eq!(summary["total_cost"], "0.000000000", "{summary}");
        }
    }
    let (_, _, records) = told(&router, "/costs/records?include_total=true").await;
    assert_eq!(records["total"], 0, "{records}");
    let body = json!({ "task_count": 25, "model": "claude-sonnet-4-5" });
    let (status, forecast) = send(&router, Method::POST, "/costs/forecast", body).await;
    assert_eq!(
        (
            status,
            &forecast["estimated_cost"],
            &forecast["estimated_tokens"]
        ),
        (200, &json!("1.350000000"), &json!(125_000)),
        "{forecast}"
    );
    for body in [
        json!({ "task_count": 1 }),
        json!({ "task_count": 0, "model": "x" }),
    ] {
        let (status, refused) = send(&router, Method::POST, "/costs/forecast", body).await;
        assert_eq!(status, 422, "{refused}");
    }
    let (status, _, validation) = told(&router, "/validation/status").await;
    assert_eq!((status, &validation["n_waiting"]), (200, &json!(0)));
}

//! What a resumed worker recalls, notes, plan and pictures.

use super::*;

#[tokio::test]
async fn notes_and_plan_are_kept_and_recalled_and_pictures_are_shown() {
    let mut bench = Bench::new();
    let (text, is_error) = bench.call("notes", json!({"add": "port 4317"})).await;
    assert_eq!((text.as_str(), is_error), ("1. port 4317\n", false));
    let (text, is_error) = bench.call("notes", json!({"drop": [2]})).await;
    assert!(is_error && text.contains("there is no note 2"), "{text}");
    let steps =
        json!({"steps": [{"step": "look", "state": "done"}, {"step": "mend", "state": "active"}]});
    let (text, _) = bench.call("plan", steps.clone()).await;
    assert_eq!(text, "[x] look\n[>] mend\n");
    let told: Vec<_> = bench
        .events()
        .into_iter()
        .filter_map(|e| e.summary)
        .collect();
    assert_eq!(told, ["plan: 1 of 2 done, now: mend"]);

    let other = Bench::new();
    let mut context = context(
        &other.dir.path().join("work"),
        uuid_v7(&SystemClock, &Rng::seeded(3)),
    );
    context.resume = vec![omoi_protocol::worker::TurnRecord {
        n: 0,
        kind: omoi_domain::attempt::TurnKind::Answer,
        request_digest: String::new(),
        request_tokens: None,
        response: json!([
            {"type": "tool_use", "id": "a", "name": "notes", "input": {"add": "port 4317"}},
            {"type": "tool_use", "id": "b", "name": "notes", "input": {"add": "refused"}}]),
        tool_results: json!([
            {"type": "tool_result", "tool_use_id": "a", "content": "1. port 4317"},
            {"type": "tool_result", "tool_use_id": "b", "is_error": true, "content": "no"}]),
        session: None,
    }];
    other.tools.recall_turns(&context).unwrap();
    let (text, _) = other.call("notes", json!({})).await;
    assert_eq!(text, "1. port 4317\n");

    bench.put("a.png", b"\x89PNG\r\n\x1a\n rest");
    bench.put("b.png", b"text");
    let outcome = bench
        .tools
        .run_call(&call("image", json!({"path": "a.png"})), None)
        .await;
    assert_eq!(outcome.text, "`a.png` (image/png, 13 bytes)");
    assert!(matches!(outcome.picture, Some(ContentBlock::Image(_))));
    for (path, says) in [
        ("b.png", "is no PNG"),
        ("../a.png", "outside"),
        ("src", "not a regular file"),
    ] {
        let (text, is_error) = bench.call("image", json!({ "path": path })).await;
        assert!(is_error && text.contains(says), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_resumed_worker_recalls_refused_writes() {
    let bench = Bench::new();
    let mut context = context(
        &bench.dir.path().join("work"),
        uuid_v7(&SystemClock, &Rng::seeded(2)),
    );
    context.resume = vec![omoi_protocol::worker::TurnRecord {
        n: 0,
        kind: omoi_domain::attempt::TurnKind::Answer,
        request_digest: String::new(),
        request_tokens: None,
        response: json!([{"type": "tool_use", "id": "t", "name": "edit", "input": {"path": "../x"}}]),
        tool_results: json!([{"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": "no"}]),
        session: None,
    }];
    bench.tools.recall_turns(&context).unwrap();
    assert_eq!(bench.tools.refused_paths(), ["../x"]);
}

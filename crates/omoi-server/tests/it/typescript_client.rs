//! The TypeScript client, whose types are made from the API's description, calls the API.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};

use omoi_testkit::web_client::run_web_script;

use crate::api::{TOKEN, bench};

#[tokio::test]
async fn the_client_reads_answers_and_refusals() {
    let (test, router) = bench().await;
    test.add_task(1, &[]).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let said = spawn_blocking(move || run_web_script("tests/call_api.ts", &[&url, TOKEN]));
    let said: Value = serde_json::from_str(&said.await.unwrap()).unwrap();
    let expected = json!({
        "known": test.spec.id.to_string(),
        "steered": true,
        "unknown": {"status": 404, "error": "not_found"},
        "stranger": {"status": 401, "error": "unauthenticated"},
    });
    assert_eq!(said, expected);
}

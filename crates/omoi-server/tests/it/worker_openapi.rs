//! The API of workers as it describes itself.

use std::collections::BTreeSet;
use std::fs;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};

use omoi_domain::error_code::ErrorCode;
use omoi_server::worker::{describe_worker_openapi, worker_openapi_text};

use crate::ask::{ask, refusal};
use crate::report_bench::{REPORTS, ReportBench};

/// Where the description is committed.
const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/openapi-worker.json"
);

fn operations_of(api: &Value) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    found
}

fn example_of<'a>(api: &'a Value, operation: &Value) -> Option<&'a Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let name = content["schema"]["$ref"].as_str()?.rsplit('/').next()?;
    Some(&api["components"]["schemas"][name]["example"])
}

#[test]
fn the_committed_description_is_this_one() {
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    let is_current = committed == worker_openapi_text();
    assert!(is_current, "make it anew: cargo xtask openapi");
}

#[test]
fn every_report_is_described_with_its_token_and_its_refusals() {
    let api = serde_json::to_value(describe_worker_openapi()).unwrap();
    let server = &api["servers"][0]["url"];
    assert_eq!(server, "/api/v1/sandboxes/{sandbox_id}");
    let operations = operations_of(&api);
    let described: BTreeSet<String> = operations
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let reports = REPORTS;
    let listed = reports
        .iter()
        .map(|route| format!("{} {}", route.method, route.at));
    assert_eq!(described, listed.collect());
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        assert_eq!(operation["x-permission"], "attempt", "{name}");
        assert_eq!(operation["security"], json!([{ "bearer": [] }]), "{name}");
        assert!(operation["summary"].is_string(), "{name}");
        let codes = operation["x-error-codes"].as_array().unwrap();
        for code in ["unauthenticated", "wrong_sandbox", "superseded_attempt"] {
            assert!(codes.contains(&json!(code)), "{name}: {code}");
        }
        for code in codes {
            let code = ErrorCode::parse(code.as_str().unwrap()).unwrap();
            let response = &operation["responses"][code.http_status().to_string()];
            let told = response["description"].as_str().unwrap_or_default();
            assert!(told.contains(code.as_str()), "{name}: {code}");
        }
        let example = example_of(&api, operation);
        assert!(example.is_none_or(Value::is_object), "{name}");
    }
}

#[tokio::test]
async fn what_the_examples_say_is_taken_or_refused_as_described() {
    let bench = ReportBench::new().await;
    let api = serde_json::to_value(describe_worker_openapi()).unwrap();
    let mut n_taken = 0;
    for (method, path, operation) in operations_of(&api) {
        let body = example_of(&api, operation).map(ToString::to_string);
        // It ends the attempt.
        if path == "/complete" {
            continue;
        }
        let (at, token) = (bench.path(&path), Some(bench.live.token.as_str()));
        let body = Body::from(body.unwrap_or_default());
        let route = (&method.parse().unwrap(), at.as_str());
        let (status, text) = ask(&bench.router, route, token, body).await;
        let said = operation["responses"].get(status.as_str());
        assert!(said.is_some(), "{method} {path}: {status} {text}");
        if status.is_success() {
            n_taken += 1;
            continue;
        }
        let (_, code) = refusal((status, text));
        let codes = operation["x-error-codes"].as_array().unwrap();
        assert!(codes.contains(&json!(code)), "{method} {path}: {code}");
    }
    // The attempt of a task submits no items of a phase, and has no proxy here.
    assert_eq!(n_taken, 9);
    let complete = &api["paths"]["/complete"]["post"];
    let body = example_of(&api, complete).unwrap().to_string();
    let (status, text) = bench.post("/complete", body).await;
    assert_eq!(status, StatusCode::OK, "{text}");
}

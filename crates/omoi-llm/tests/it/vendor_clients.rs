//! The vendors' own clients against the simulated model: whole and streamed answers, tools, reasoning that
//! goes back, figures, limits, a retired model, in all three formats.
#![allow(clippy::disallowed_methods, reason = "the clients are what is tested")]

use std::collections::BTreeSet;

use omoi_llm::wire::dialect::Dialect;
use omoi_testkit::agent_programs::python_clients;
use tokio::process::Command;

use crate::agent_programs::{ServedScenario, unknown_places};

const SCENARIO: &str = r#"
version: 1
name: clients of the vendors
rules:
- {when: {task: words}, reply: [{text: Words.}]}
- when: {task: calls}
  reasoning: I think.
  reply:
    - tool: {name: write, input: {path: a.txt, content: "x\n"}}
    - tool: {name: shell, input: {command: ls}}
- when: {task: limited}
  fault:
    status: 429
    retry_after_s: 18000
    times: always
    limits: {requests: {limit: 50, remaining: 0, reset_s: 18000}}
- {when: {task: retired}, fault: {retired_model: true, times: always}}
"#;

#[tokio::test]
async fn the_clients_of_both_vendors_understand_every_answer() {
    let served = ServedScenario::start(SCENARIO).await;
    let output = Command::new("python3")
        .args([
            "-c",
            include_str!("vendor_clients/clients.py"),
            &served.base,
        ])
        .env("PYTHONPATH", python_clients())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    insta::assert_snapshot!("what_the_clients_of_both_vendors_saw", said);
    let requests = served.recorder.list_requests();
    let unknown = Dialect::ALL.map(|wire| {
        let requests = requests.iter().filter(|request| request.wire == wire);
        let places: BTreeSet<_> = requests.flat_map(unknown_places).collect();
        (wire, places)
    });
    insta::assert_debug_snapshot!("what_is_not_known_of_the_clients_of_both_vendors", unknown);
}

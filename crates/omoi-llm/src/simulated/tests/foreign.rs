//! Clients that are not ours: what the server does not know of their requests is let through and
//! recorded.

use super::*;
use crate::wire::headers as names;

const RULES: &str = "\n- when: {turn: 0}\n  reply: [{text: Hello.}]\n";

/// A request as newer agent programs send it.
fn modern() -> Json {
    json!({
        "model": "simulated",
        "max_tokens": 1000,
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "mcp_servers": [],
        "metadata": {"user_id": "u", "a.b": 1},
        "system": [{"type": "text", "text": "s", "novel": true}],
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "more", "id": "x"}]},
        ],
        "tools": [{"name": "write", "input_schema": tool_schema(), "defer_loading": true}],
    })
}

#[tokio::test]
async fn what_a_foreign_client_sends_beyond_the_known_is_recorded() {
    let server = start(RULES).await;
    let others = [
        (names::CLIENT, ""),
        ("anthropic-version", "2030-01-01"),
        ("anthropic-beta", "context-management-2025-06-27"),
    ];
    let got = server.ask(WireFormat::Anthropic, &others, &modern()).await;
    assert_eq!(got.status, 200, "{:?}", String::from_utf8_lossy(&got.body));
    let seen = server.recorder.list_requests().pop().unwrap();
    let mut unknown = seen.unknown;
    unknown.sort();
    assert_eq!(
        unknown,
        [
            "anthropic-beta: context-management-2025-06-27",
            "anthropic-version: 2030-01-01",
            "context_management",
            "mcp_servers",
            "messages.0.content.1.id",
            "messages.1 (role system)",
            "metadata.a.b",
            "system.0.novel",
            "tools.0.defer_loading",
        ]
    );
    // It is recorded as it came.
    assert_eq!(seen.body, modern());

    let mut chat = request(WireFormat::OpenAi);
    chat["store"] = json!(false);
    let got = server
        .ask(WireFormat::OpenAi, &[(names::CLIENT, "")], &chat)
        .await;
    assert_eq!(got.status, 200);
    assert_eq!(
        server.recorder.list_requests().pop().unwrap().unknown,
        ["store"]
    );
}

#[tokio::test]
async fn our_own_clients_are_held_to_the_format() {
    let server = start(RULES).await;
    let got = server.ask(WireFormat::Anthropic, &[], &modern()).await;
    assert_eq!(got.status, 400);
    assert!(
        got.message().contains("is not a known field here"),
        "{}",
        got.message()
    );
    assert!(
        server
            .recorder
            .list_requests()
            .pop()
            .unwrap()
            .unknown
            .is_empty()
    );
    // What is wrong, and not merely unknown, is refused from anybody.
    let mut wrong = modern();
    wrong["max_tokens"] = json!(0);
    let got = server
        .ask(WireFormat::Anthropic, &[(names::CLIENT, "")], &wrong)
        .await;
    assert_eq!(
        (got.status, got.message().as_str()),
        (400, "max_tokens: must be at least 1")
    );
}

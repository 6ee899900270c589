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
    let got = server.ask(Dialect::Messages, &others, &modern()).await;
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

    let mut chat = request(Dialect::ChatCompletions);
    chat["store"] = json!(false);
    let got = server
        .ask(Dialect::ChatCompletions, &[(names::CLIENT, "")], &chat)
        .await;
    assert_eq!(got.status, 200);
    assert_eq!(
        server.recorder.list_requests().pop().unwrap().unknown,
        ["store"]
    );
}

/// What a request holds beyond the known, by format, and what is recorded of it.
#[tokio::test]
#[rustfmt::skip] // One case, one or two lines.
async fn what_providers_allow_is_let_through() {
    type Spoil = fn(&mut Json);
    let cases: &[(Dialect, Spoil, &[&str])] = &[
        (Dialect::Messages, |r| r["messages"][0]["content"] = json!([{"type": "document", "source": {}}]), &["messages.0.content.0 (document)"]),
        (Dialect::Messages, |r| r["tools"].as_array_mut().unwrap().insert(0, json!({"type": "web_search_20260209", "name": "web_search"})), &["tools.0 (type web_search_20260209)"]),
        (Dialect::Messages, |r| r["tools"][0]["input_schema"]["properties"]["path"] = json!({"type": "path"}), &["tools.0.input_schema (schema)"]),
        (Dialect::Messages, |r| { let more = r["messages"][0].clone(); r["messages"].as_array_mut().unwrap().insert(0, more); }, &[]),
        (Dialect::Messages, |r| r["messages"][2]["content"][1]["content"][0] = json!({"type": "tool_reference", "tool_name": "x"}), &["messages.2.content.1.content.0 (tool_reference)"]),
        (Dialect::Messages, |r| { r.as_object_mut().unwrap().shift_remove("tools"); }, &[]),
        (Dialect::Messages, |r| r["temperature"] = Json::Null, &[]),
        (Dialect::ChatCompletions, |r| r["store"] = json!(false), &["store"]),
        (Dialect::ChatCompletions, |r| r["messages"][2]["content"] = json!(""), &[]),
        (Dialect::ChatCompletions, |r| r["messages"][2]["annotations"] = json!([]), &["messages.2.annotations"]),
        (Dialect::ChatCompletions, |r| r["messages"].as_array_mut().unwrap().insert(2, json!({"role": "user", "content": "more"})), &[]),
        (Dialect::ChatCompletions, |r| r["messages"].as_array_mut().unwrap().push(json!({"role": "system", "content": "be brief"})), &["messages.5 (role system)"]),
        (Dialect::ChatCompletions, |r| r["messages"][2]["tool_calls"][0]["function"]["arguments"] = json!("{\"path\":"), &["messages.2.tool_calls.0.function.arguments (no JSON)"]),
        (Dialect::ChatCompletions, |r| { r["tools"][0]["function"].as_object_mut().unwrap().shift_remove("parameters"); }, &[]),
        (Dialect::Responses, |r| r["client_metadata"] = json!({}), &["client_metadata"]),
        (Dialect::Responses, |r| r["tools"].as_array_mut().unwrap().push(json!({"type": "web_search"})), &["tools.1 (type web_search)"]),
        (Dialect::Responses, |r| r["input"].as_array_mut().unwrap().insert(0, json!({"type": "compaction", "encrypted_content": "x"})), &["input.0 (compaction)"]),
        (Dialect::Responses, |r| r["input"][0]["content"][0] = json!({"type": "input_audio"}), &["input.0.content.0 (input_audio)"]),
        (Dialect::Responses, |r| r["instructions"] = json!(""), &[]),
    ];
    let server = start("- {when: {turn: 1}, reply: [{text: Hello.}]}").await;
    for (wire, spoil, want) in cases {
        let mut body = conversation(*wire);
        spoil(&mut body);
        let got = server.ask(*wire, &[(names::CLIENT, "")], &body).await;
        assert_eq!(got.status, 200, "{want:?}: {}", String::from_utf8_lossy(&got.body));
        assert_eq!(server.recorder.list_requests().pop().unwrap().unknown, *want);
    }
}

/// What a provider refuses is refused from anybody.
#[tokio::test]
#[rustfmt::skip] // One case, one line.
async fn what_providers_refuse_is_refused_from_foreign_clients_too() {
    type Spoil = fn(&mut Json);
    let cases: &[(Dialect, Spoil, &str)] = &[
        (Dialect::Messages, |r| r["messages"][0]["content"] = json!(""), "messages.0.content: must not be empty"),
        (Dialect::Messages, |r| { r["messages"][2]["content"].as_array_mut().unwrap().remove(0); }, "messages.2: the tool call `t2` has no result in the next message"),
        (Dialect::Messages, |r| r["messages"][1]["content"][0] = json!({"type": "thinking", "thinking": "a", "signature": "b"}), "messages.1.content.0.signature: is no seal of reasoning that this server gave with exactly this text"),
        (Dialect::ChatCompletions, |r| { r["messages"].as_array_mut().unwrap().pop(); }, "messages: the tool call `t1` has no result in the next message"),
        (Dialect::Responses, |r| r["input"][1]["encrypted_content"] = json!("b"), "input.1.encrypted_content: is no seal of reasoning that this server gave with exactly this text"),
        (Dialect::Responses, |r| r["max_output_tokens"] = json!(0), "max_output_tokens: must be at least 1"),
    ];
    let server = start("- {when: {}, reply: [{text: Hello.}]}").await;
    for (wire, spoil, want) in cases {
        let mut body = conversation(*wire);
        spoil(&mut body);
        let got = server.ask(*wire, &[(names::CLIENT, "")], &body).await;
        assert_eq!((got.status, got.message().as_str()), (400, *want));
    }
}

/// A program counts its messages in its own way; the rule is found by ours.
#[tokio::test]
async fn turns_are_counted_by_what_the_model_said() {
    let server = start("- {when: {turn: 2}, reply: [{text: Third.}]}").await;
    let text = |role: &str, text: &str| json!({"role": role, "content": text});
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "write", "arguments": "{}"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "ok"});
    let items = json!([
        text("developer", "be brief"), text("user", "a"), text("user", "b"),
        {"type": "reasoning", "summary": []}, text("assistant", "I call."), call("c1"), call("c2"),
        result("c2"), result("c1"), text("user", "a message on the way"), text("assistant", "So."),
        text("user", "go on"),
    ]);
    let messages = json!([
        text("user", "a"),
        text("user", "b"),
        text("assistant", "I"),
        text("assistant", "call."),
        text("user", "ok"),
        text("system", "a note"),
        text("user", "more"),
        text("assistant", "So."),
        text("user", "go on"),
    ]);
    let said_turn = [(names::CLIENT, ""), (names::TURN, "7")];
    for wire in Dialect::ALL {
        let mut body = request(wire);
        match wire {
            Dialect::Responses => body["input"] = items.clone(),
            Dialect::Messages | Dialect::ChatCompletions => body["messages"] = messages.clone(),
        }
        let got = server.ask(wire, &said_turn, &body).await;
        assert_eq!(said_by(wire, false, &got).0, ["text Third."], "{wire}");
    }
    // An answer's id tells which one it was, so a conversation can go on from it.
    let mut first = request(Dialect::Responses);
    first["input"] = items;
    let before = server.ask(Dialect::Responses, &said_turn, &first).await;
    let mut next = request(Dialect::Responses);
    next["previous_response_id"] = before.json()["id"].clone();
    let got = server.ask(Dialect::Responses, &said_turn, &next).await;
    assert!(
        got.message().contains("no round, turn 3;"),
        "{}",
        got.message()
    );
}

#[tokio::test]
async fn our_own_clients_are_held_to_the_format() {
    let server = start(RULES).await;
    let got = server.ask(Dialect::Messages, &[], &modern()).await;
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
        .ask(Dialect::Messages, &[(names::CLIENT, "")], &wrong)
        .await;
    assert_eq!(
        (got.status, got.message().as_str()),
        (400, "max_tokens: must be at least 1")
    );
}

//! Reasoning in lists of models: it goes back to its maker, and a tool round stays where it is.

use omoi_llm::route::ProviderKey;

use super::*;

/// A conversation whose model thought before it called a tool, with what it was signed with, and what came
/// after.
fn round_of(signature: &str, after: &[Value]) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": "a"}),
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": signature},
            {"type": "tool_use", "id": "t", "name": "read", "input": {}}]}),
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "x"}]}),
    ];
    messages.extend_from_slice(after);
    asking(&messages)
}

fn asking(messages: &[Value]) -> Value {
    json!({"model": "agent", "max_tokens": 30_000, "stream": true, "messages": messages,
        "tools": [{"name": "read", "input_schema": {"type": "object"}}],
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}})
}

/// Thinks, and calls a tool.
fn thinks() -> Says {
    let thinks = crate::conversation::input("messages_stream", "thinking-and-calls.sse");
    stub::raw(String::from_utf8(thinks).unwrap())
}

fn answered_by(stub: &Stub) -> Vec<String> {
    let models = stub
        .seen()
        .into_iter()
        .map(|seen| seen.body["model"].clone());
    models
        .map(|model| model.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn one_address_has_as_many_makers_as_families_and_keys() {
    for (name, second) in [
        ("family", ("openai/gpt-6", "sk-hidden")),
        ("key", ("anthropic/claude-sonnet-5", "sk-other")),
    ] {
        // A router at one address; the first model is gone.
        let stub = Stub::start(vec![said(404, "gone")], thinks()).await;
        let at = |(model, key): (&str, &str)| ModelRoute {
            model: model.to_owned(),
            key: ProviderKey::Header(key.into()),
            ..route(Dialect::Messages, &stub.url)
        };
        let first = at(("anthropic/claude-sonnet-5", "sk-hidden"));
        let house = house(vec![first, at(second)], TestMeter::rich());
        let (status, answer) = house.ask(&round_of("made-by-the-first", &[])).await;
        assert_eq!(status, 200, "{name}: {answer}");
        let sent = stub
            .seen()
            .iter()
            .map(|seen| seen.body.to_string())
            .collect::<Vec<_>>();
        assert!(
            sent[0].contains("made-by-the-first"),
            "{name}: its maker gets it back"
        );
        assert!(
            !sent[1].contains("made-by-the-first"),
            "{name}: {}",
            sent[1]
        );
        assert!(answer.contains("omoi-sealed:"), "{name}: {answer}");
    }
    // Another version of the same family reads it.
    let stub = Stub::always(thinks()).await;
    let at = |model: &str| ModelRoute {
        model: model.to_owned(),
        ..route(Dialect::Messages, &stub.url)
    };
    assert_eq!(
        at("claude-sonnet-5").maker_id(),
        at("claude-sonnet-5-5").maker_id()
    );
}

#[tokio::test]
async fn reasoning_of_a_model_that_another_one_replaced_is_dropped() {
    let stub = Stub::always(thinks()).await;
    let meter = TestMeter::rich();
    // What the attempt before the restart was kept with.
    *meter.kept_maker.lock().unwrap() = Some("the one before".to_owned());
    let house = house(vec![route(Dialect::Messages, &stub.url)], meter);
    let body = round_of("made-by-the-one-before", &[]);
    let (status, answer) = house.ask(&body).await;
    assert_eq!(status, 200, "{answer}");
    let sent = stub.seen()[0].body.to_string();
    assert!(!sent.contains("made-by-the-one-before"), "{sent}");
    assert!(sent.contains("tool_result"), "{sent}");
    // What it thinks itself goes back to it by its name.
    let signature = signature_of(&answer);
    assert!(signature.starts_with("omoi-sealed:"), "{signature}");
    let (status, _) = house.ask(&round_of(&signature, &[])).await;
    let sent = stub.seen()[1].body.to_string();
    assert!(
        sent.contains("signature") && !sent.contains("omoi-sealed:"),
        "{status} {sent}"
    );
}

#[tokio::test]
async fn a_tool_round_stays_with_the_model_that_answered_it() {
    let (first, second) = (
        Stub::start(vec![said(404, "gone")], stub::as_strict(thinks())).await,
        Stub::always(stub::as_strict(thinks())).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let (_, answer) = house
        .ask(&asking(&[json!({"role": "user", "content": "a"})]))
        .await;
    let signature = signature_of(&answer);
    // The first is there again, but the round is the second's.
    let (status, answer) = house.ask(&round_of(&signature, &[])).await;
    assert_eq!(
        (status, first.calls(), second.calls()),
        (200, 1, 2),
        "{answer}"
    );
    let sent = second.seen()[1].body.to_string();
    assert!(
        sent.contains("signature") && !sent.contains("omoi-sealed:"),
        "{sent}"
    );
    // The next round is the first's again.
    let next = json!({"role": "user", "content": "b"});
    let (status, answer) = house.ask(&round_of(&signature, &[next])).await;
    assert_eq!(
        (status, first.calls(), second.calls()),
        (200, 2, 2),
        "{answer}"
    );
    assert_eq!(answered_by(&second), ["second", "second"]);
}

#[tokio::test]
async fn a_tool_round_without_reasoning_stays_where_it_is_too() {
    let (first, second) = (
        Stub::start(vec![said(404, "gone")], stub::as_strict(stub::good())).await,
        Stub::always(stub::good()).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let mut messages = vec![json!({"role": "user", "content": "a"})];
    house.ask(&asking(&messages)).await;
    messages.push(json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]}));
    messages.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]}));
    let (status, _) = house.ask(&asking(&messages)).await;
    assert_eq!((status, first.calls(), second.calls()), (200, 1, 2));
}

#[tokio::test]
async fn a_round_that_comes_back_without_its_thoughts_goes_on_without_thinking() {
    let (first, second) = (
        Stub::start(vec![said(404, "gone")], stub::as_strict(thinks())).await,
        Stub::start(vec![thinks()], said(404, "gone")).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let (_, answer) = house
        .ask(&asking(&[json!({"role": "user", "content": "a"})]))
        .await;
    let signature = signature_of(&answer);
    // Now the second is gone in the midst of its round.
    let (status, answer) = house.ask(&round_of(&signature, &[])).await;
    assert_eq!(status, 200, "{answer}");
    let sent = first.seen()[1].body.clone();
    assert_eq!(sent["thinking"], json!({"type": "disabled"}));
    assert!(sent.get("context_management").is_none(), "{sent}");
    // From the next round on it thinks again.
    let next = json!({"role": "user", "content": "b"});
    let (status, answer) = house.ask(&round_of(&signature, &[next])).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(first.seen()[2].body["thinking"]["type"], "enabled");
}

#[tokio::test]
async fn reasoning_stays_with_the_server_that_made_it() {
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "made-by-the-first"});
    let body = json!({"model": "agent", "max_tokens": 1000, "stream": true, "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"}]});
    let thinks = crate::conversation::input("messages_stream", "thinking-and-calls.sse");
    let thinks = String::from_utf8(thinks).unwrap();
    let (first, second) = (
        Stub::start(vec![said(404, "gone")], stub::raw(thinks.clone())).await,
        Stub::always(stub::raw(thinks)).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let (_, answer) = house.ask(&body).await;
    let sent = first.seen()[0].body.to_string();
    assert!(sent.contains("made-by-the-first"), "its maker gets it back");
    let sent = second.seen()[0].body.to_string();
    assert!(!sent.contains("made-by-the-first"), "{sent}");
    assert!(sent.contains(r#""text":"b""#), "{sent}");
    // What the second thinks goes back to the second alone.
    assert!(answer.contains("omoi-sealed:"), "{answer}");
    let signature = signature_of(&answer);
    let again = json!({"model": "agent", "max_tokens": 1000, "stream": true, "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": signature},
            {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"}]});
    let (status, answer) = house.ask(&again).await;
    assert_eq!(status, 200);
    let sent = first.seen()[1].body.to_string();
    assert!(
        !sent.contains("omoi-sealed:") && !sent.contains("signature"),
        "{sent}"
    );
    assert!(
        !answer.contains("omoi-sealed:"),
        "the first passes as it came"
    );
}

/// The signature of the first thinking block of a streamed answer.
fn signature_of(answer: &str) -> String {
    let data = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let mut deltas = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let found = deltas.find_map(|event| Some(event["delta"]["signature"].as_str()?.to_owned()));
    found.unwrap()
}

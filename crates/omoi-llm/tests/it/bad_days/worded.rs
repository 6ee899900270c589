//! Models that call tools in words.

use serde_json::{Value, json};

use omoi_domain::model_fallback::FallbackClass;

use crate::fallback::{house, pair};
use crate::stub::{self, Says, Stub};
use crate::support::TestMeter;

const CALL: &str =
    "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>";

fn writes_its_call() -> Says {
    stub::says(&[
        stub::anthropic_start(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": CALL}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ])
}

fn question(messages: &[Value]) -> Value {
    json!({"model": "agent", "max_tokens": 1000, "stream": true, "messages": messages,
        "tools": [{"name": "read", "input_schema": {"type": "object"}}]})
}

#[tokio::test]
async fn a_model_that_calls_tools_in_words_is_told_once_and_then_passed_over() {
    let (first, second) = (
        Stub::always(writes_its_call()).await,
        Stub::always(stub::good()).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let mut messages = vec![json!({"role": "user", "content": "a"})];
    for n in 1..=2 {
        let (status, says) = house.ask(&question(&messages)).await;
        assert_eq!(
            (status, first.calls(), second.calls()),
            (200, n, 0),
            "{says}"
        );
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": CALL}]}));
        messages.push(json!({"role": "user", "content": "Call the tool itself."}));
    }
    house.ask(&question(&messages)).await;
    assert_eq!((first.calls(), second.calls()), (2, 1));
    let expected = (
        "first".to_owned(),
        "second".to_owned(),
        FallbackClass::ToolsInWords,
    );
    assert_eq!(house.passed_over(), [expected]);
    // And so it stays for this attempt, however the other one answers.
    messages.push(json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]}));
    messages.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]}));
    house.ask(&question(&messages)).await;
    messages.push(json!({"role": "assistant", "content": "Done."}));
    messages.push(json!({"role": "user", "content": "More."}));
    house.ask(&question(&messages)).await;
    assert_eq!((first.calls(), second.calls()), (2, 3));
    assert_eq!(house.passed_over().len(), 1, "it is told once");
}

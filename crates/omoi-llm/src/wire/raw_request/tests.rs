#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::LazyLock;

use super::*;

static NO_FIELDS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

fn usual_changes() -> RequestChanges<'static> {
    RequestChanges {
        model: "real-model",
        answer_max: Some(100),
        answer_field: "max_tokens",
        user: "attempt-1",
        takes_sampling: true,
        thinking: &NO_FIELDS,
        keeps_cache_for_hour: false,
        simulated: false,
    }
}

fn sent(dialect: Dialect, body: &str, changes: RequestChanges<'_>) -> String {
    let request = RawRequest::parse(dialect, body.as_bytes()).unwrap();
    String::from_utf8(request.outgoing_body(changes)).unwrap()
}

#[test]
fn only_what_must_change_changes() {
    use Dialect::{ChatCompletions, Messages, Responses};
    for (dialect, body, want) in [
        (
            Messages,
            r#"{"new": 1.0e2 ,"model":"agent","messages":[ {"role":"system", "content":"\u00e9"}],"max_tokens":50,"temperature":1}"#,
            r#"{"new":1.0e2,"model":"real-model","messages":[ {"role":"system", "content":"\u00e9"}],"max_tokens":50,"temperature":1}"#,
        ),
        (
            Messages,
            r#"{"model":"agent","messages":[1],"max_tokens":5000,"metadata":{"user_id":"me@home","x":1}}"#,
            r#"{"model":"real-model","messages":[1],"max_tokens":100,"metadata":{"user_id":"attempt-1","x":1}}"#,
        ),
        (
            ChatCompletions,
            r#"{"stream":true,"model":"a","messages":[1],"user":"me","safety_identifier":"me"}"#,
            r#"{"stream":true,"model":"real-model","messages":[1],"user":"attempt-1","safety_identifier":"attempt-1","max_tokens":100,"stream_options":{"include_usage":true}}"#,
        ),
        (
            ChatCompletions,
            r#"{"stream":true,"stream_options":{"y":2},"model":"a","messages":[1],"max_completion_tokens":null,"max_tokens":101}"#,
            r#"{"stream":true,"stream_options":{"y":2,"include_usage":true},"model":"real-model","messages":[1],"max_tokens":100}"#,
        ),
        (
            Responses,
            r#"{"model":"a","input":"hi","include":["reasoning.encrypted_content"],"metadata":{"x":1},"max_output_tokens":3}"#,
            r#"{"model":"real-model","input":"hi","include":["reasoning.encrypted_content"],"metadata":{"x":1},"max_output_tokens":3}"#,
        ),
        // Who asks is told by nobody.
        (
            Responses,
            r#"{"model":"a","client_metadata":{"installation":"mine"},"prompt_cache_key":"mine","metadata":{"user_id":"mine"},"max_output_tokens":3}"#,
            r#"{"model":"real-model","prompt_cache_key":"attempt-1","metadata":{"user_id":"attempt-1"},"max_output_tokens":3}"#,
        ),
        (
            ChatCompletions,
            r#"{"model":"a","messages":[1],"metadata":{"user_id":"mine","x":1},"client_metadata":1,"max_tokens":3}"#,
            r#"{"model":"real-model","messages":[1],"metadata":{"user_id":"attempt-1","x":1},"max_tokens":3}"#,
        ),
        // One bound is sent, the largest that was asked, in the field that the route reads.
        (
            ChatCompletions,
            r#"{"max_tokens":1,"model":"a","max_completion_tokens":64000,"messages":[1]}"#,
            r#"{"max_tokens":100,"model":"real-model","messages":[1]}"#,
        ),
        (
            ChatCompletions,
            r#"{"model":"a","max_completion_tokens":7.0,"messages":[1],"max_tokens":null}"#,
            r#"{"model":"real-model","max_tokens":7,"messages":[1]}"#,
        ),
        // The last of two counts, so that no bound is passed by.
        (
            Messages,
            r#"{"max_tokens":1,"model":"a","messages":[1],"max_tokens":999999}"#,
            r#"{"max_tokens":100,"model":"real-model","messages":[1]}"#,
        ),
    ] {
        let answer_field = match dialect {
            Responses => "max_output_tokens",
            Messages | ChatCompletions => "max_tokens",
        };
        let changes = RequestChanges {
            answer_field,
            ..usual_changes()
        };
        assert_eq!(sent(dialect, body, changes), want);
    }
}

#[test]
fn what_the_model_does_not_take_is_left_out() {
    use Dialect::Messages;
    let plain = RequestChanges {
        answer_max: None,
        takes_sampling: false,
        ..usual_changes()
    };
    assert_eq!(
        sent(
            Messages,
            r#"{"model":"a","messages":[1],"max_tokens":9000,"top_p":0.1}"#,
            plain
        ),
        r#"{"model":"real-model","messages":[1],"max_tokens":9000}"#
    );
}

#[test]
fn what_nobody_can_answer_or_meter_is_refused() {
    use Dialect::{ChatCompletions, Messages, Responses};
    for (dialect, body, says) in [
        (Messages, "[1]", "expected a JSON object"),
        (Messages, "{", "EOF while parsing"),
        (Messages, r#"{"model":" "}"#, "missing field `model`"),
        (Messages, r#"{"model":"a"}"#, "missing field `max_tokens`"),
        (
            Messages,
            r#"{"model":"a","max_tokens":0,"messages":[1]}"#,
            "at least 1",
        ),
        (
            ChatCompletions,
            r#"{"model":"a","stream":1,"messages":[1]}"#,
            "`stream` must be true or false",
        ),
        (
            Messages,
            r#"{"model":"a","max_tokens":5,"stream":"true","messages":[1]}"#,
            "`stream` must be true or false",
        ),
        (
            Responses,
            r#"{"model":"a","input":"x","background":1}"#,
            "`background` must be true or false",
        ),
        (
            Messages,
            r#"{"model":"a","max_tokens":-1,"messages":[1]}"#,
            "`max_tokens` must be a whole number of at least 1",
        ),
        (
            ChatCompletions,
            r#"{"model":"a","max_tokens":5,"max_completion_tokens":"64000","messages":[1]}"#,
            "`max_completion_tokens` must be a whole number of at least 1",
        ),
        (
            ChatCompletions,
            r#"{"model":"a","max_tokens":1.5,"messages":[1]}"#,
            "`max_tokens` must be a whole number",
        ),
        (
            ChatCompletions,
            r#"{"model":"a","n":"8","messages":[1]}"#,
            "`n` must be a whole number of at least 1",
        ),
        (
            ChatCompletions,
            r#"{"model":"a","n":0,"messages":[1]}"#,
            "`n` must be a whole number of at least 1",
        ),
        (
            Responses,
            r#"{"model":"a","input":"x","max_output_tokens":true}"#,
            "`max_output_tokens` must be a whole number of at least 1",
        ),
        (
            ChatCompletions,
            r#"{"model":"a","messages":[]}"#,
            "at least one message",
        ),
        (
            Responses,
            r#"{"model":"a","input":"x","background":true}"#,
            "`background` is not available",
        ),
    ] {
        let error = RawRequest::parse(dialect, body.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_request_without_a_choice_gets_that_of_its_role() {
    let high = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}});
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}});
    let told = |thinking: &Value, body: Value| -> Value {
        let text = body.to_string();
        let request = RawRequest::parse(Dialect::Messages, text.as_bytes()).unwrap();
        let none = Map::new();
        let thinking = match request.lacks_thinking_choice() {
            true => thinking.as_object().unwrap(),
            false => &none,
        };
        let changes = RequestChanges {
            thinking,
            ..usual_changes()
        };
        serde_json::from_slice(&request.outgoing_body(changes)).unwrap()
    };
    let asked = |more: Value| {
        let mut body =
            json!({"model": "a", "max_tokens": 50, "messages": [{"role": "user", "content": "a"}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let plain = told(&high, asked(json!({})));
    assert_eq!(plain["thinking"], high["thinking"]);
    assert_eq!(plain["output_config"], high["output_config"]);
    // Its own fields stay.
    let shaped = told(
        &high,
        asked(json!({"output_config": {"format": {"type": "json_schema"}}})),
    );
    let both = json!({"format": {"type": "json_schema"}, "effort": "high"});
    assert_eq!(shaped["output_config"], both);
    // A program that chooses is left alone.
    for own in [
        json!({"thinking": {"type": "disabled"}}),
        json!({"output_config": {"effort": "low"}}),
    ] {
        let sent = told(&high, asked(own.clone()));
        for name in ["thinking", "output_config"] {
            assert_eq!(sent[name], own[name], "{own}");
        }
    }
    // What the vendor refuses with the rest of the request is not asked for.
    for more in [
        json!({"tool_choice": {"type": "any"}, "tools": [{"name": "n"}]}),
        json!({"temperature": 0.5}),
    ] {
        let sent = told(&high, asked(more.clone()));
        assert_eq!(
            (&sent["thinking"], &sent["output_config"]["effort"]),
            (&Value::Null, &json!("high")),
            "{more}"
        );
    }
    let round = json!({"messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]});
    assert_eq!(told(&budget, asked(round.clone()))["thinking"], Value::Null);
    assert_eq!(told(&high, asked(round))["thinking"], high["thinking"]);
}

#[test]
fn marks_without_a_life_keep_for_an_hour_where_the_role_says_so() {
    let told = |ttl: Value| -> Value {
        let mut mark = json!({"type": "ephemeral"});
        if !ttl.is_null() {
            mark["ttl"] = ttl;
        }
        let body = json!({"model": "a", "max_tokens": 5,
            "tools": [{"name": "n", "input_schema": {"cache_control": {"type": "ephemeral"}}}],
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "t", "cache_control": mark}]}]});
        let text = body.to_string();
        let request = RawRequest::parse(Dialect::Messages, text.as_bytes()).unwrap();
        let changes = RequestChanges {
            keeps_cache_for_hour: true,
            ..usual_changes()
        };
        serde_json::from_slice(&request.outgoing_body(changes)).unwrap()
    };
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    let sent = told(Value::Null);
    assert_eq!(sent["system"][0]["cache_control"], hour);
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], hour);
    assert_eq!(
        sent["tools"][0]["input_schema"]["cache_control"],
        json!({"type": "ephemeral"})
    );
    // Longer lives may not follow shorter ones: whoever names one keeps them all.
    let sent = told(json!("5m"));
    assert_eq!(
        sent["system"][0]["cache_control"],
        json!({"type": "ephemeral"})
    );
}

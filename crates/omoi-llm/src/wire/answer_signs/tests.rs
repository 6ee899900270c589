#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use serde_json::json;

use super::*;

fn signs(dialect: Dialect, data: &Value) -> SignsOrFailure {
    let data = data
        .as_str()
        .map_or_else(|| data.to_string(), str::to_owned);
    let frame = SseFrame { event: None, data };
    FrameReader::new(dialect).read_frame(&frame).unwrap()
}

#[test]
fn a_chat_answer_ends_when_every_choice_said_why() {
    use AnswerStage::{Content, Ending, Opening};
    let mut reader = FrameReader::new(Dialect::ChatCompletions);
    for (index, text, reason, stage) in [
        (0, "", json!(""), Opening),
        (0, "a", json!(""), Content),
        (1, "b", json!(null), Content),
        (0, "", json!("stop"), Opening),
        (1, "c", json!(""), Content),
        (1, "", json!("length"), Ending),
        (1, "", json!(null), Ending),
    ] {
        let choice = json!({"index": index, "delta": {"content": text}, "finish_reason": reason});
        let data = json!({"choices": [choice]}).to_string();
        let frame = SseFrame { event: None, data };
        let signs = reader.read_frame(&frame).unwrap().unwrap();
        assert_eq!(signs.stage, stage, "{choice}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn frames_say_how_far_the_answer_is() {
    use AnswerStage::{Content, Ending, Opening, Whole};
    use Dialect::{ChatCompletions, Messages, Responses};
    let delta =
        |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    for (dialect, data, stage, bytes) in [
        (
            Messages,
            json!({"type": "message_start", "message": {"usage": {}}}),
            Opening,
            0,
        ),
        (Messages, json!({"type": "ping", "new": 1}), Opening, 0),
        (Messages, json!({"type": "content_block_start"}), Content, 0),
        (
            Messages,
            json!({"type": "content_block_delta", "delta": {"type": "x", "text": "abc"}}),
            Content,
            3,
        ),
        (Messages, json!({"type": "never_heard_of"}), Content, 0),
        (
            Messages,
            json!({"type": "message_delta", "usage": {"output_tokens": "many"}}),
            Ending,
            0,
        ),
        (Messages, json!({"type": "message_stop"}), Whole, 0),
        (
            ChatCompletions,
            delta(json!({"role": "assistant", "content": ""})),
            Opening,
            0,
        ),
        (
            ChatCompletions,
            delta(json!({"reasoning": "ab"})),
            Content,
            2,
        ),
        (
            ChatCompletions,
            delta(json!({"tool_calls": [{"function": {"name": "x"}}]})),
            Content,
            0,
        ),
        (
            ChatCompletions,
            json!({"choices": [{"finish_reason": "stop"}]}),
            Ending,
            0,
        ),
        (
            ChatCompletions,
            json!({"choices": [], "usage": {"prompt_tokens": 1}}),
            Ending,
            0,
        ),
        (ChatCompletions, json!("[DONE]"), Whole, 0),
        (Responses, json!({"type": "response.created"}), Opening, 0),
        (
            Responses,
            json!({"type": "response.output_item.added"}),
            Content,
            0,
        ),
        (
            Responses,
            json!({"type": "response.function_call_arguments.delta", "delta": "{}"}),
            Content,
            2,
        ),
        (
            Responses,
            json!({"type": "response.completed", "response": {}}),
            Whole,
            0,
        ),
        (
            Responses,
            json!({"type": "response.incomplete", "response": {}}),
            Whole,
            0,
        ),
    ] {
        let signs = signs(dialect, &data).unwrap();
        assert_eq!(
            (signs.stage, signs.answered_bytes),
            (stage, bytes),
            "{data}"
        );
    }
}

#[test]
fn token_counts_are_told_in_one_form() {
    let chat = json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 10}, "cost": 0.1}});
    let response = json!({"type": "response.completed", "response": {"usage": {"input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 10}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3}}}});
    for (dialect, data) in [
        (Dialect::ChatCompletions, chat),
        (Dialect::Responses, response),
    ] {
        let signs = signs(dialect, &data).unwrap();
        let usage = signs.usage.unwrap();
        assert!(signs.is_summary);
        assert_eq!(
            (
                usage.input_tokens,
                usage.cache_read_input_tokens,
                usage.output_tokens
            ),
            (Some(40), Some(10), Some(7))
        );
    }
}

#[test]
fn failures_inside_an_answer_have_a_status() {
    use Dialect::{ChatCompletions, Messages, Responses};
    for (dialect, data, status, kind) in [
        (
            Messages,
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
            529,
            "overloaded_error",
        ),
        (
            ChatCompletions,
            json!({"error": {"message": "m", "code": 429}}),
            429,
            "rate_limit_error",
        ),
        // Its account has no credit, whatever status that has at its vendor.
        (
            ChatCompletions,
            json!({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}),
            402,
            "insufficient_quota",
        ),
        (
            ChatCompletions,
            json!({"error": {"message": "m", "type": "strange"}}),
            500,
            "strange",
        ),
        (
            Responses,
            json!({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "m"}}}),
            429,
            "rate_limit_exceeded",
        ),
        (
            Responses,
            json!({"type": "error", "code": "context_length_exceeded", "message": "m"}),
            400,
            "context_length_exceeded",
        ),
    ] {
        let failure = signs(dialect, &data).unwrap_err();
        let message = "m".to_owned();
        let kind = kind.to_owned();
        assert_eq!(
            failure,
            ReportedFailure {
                status,
                kind,
                message,
                should_retry: false,
            },
            "{data}"
        );
    }
    assert!(
        read_whole(Messages, b"{\"error\": {\"message\": \"m\"}}")
            .unwrap()
            .is_err()
    );
    assert!(read_whole(Messages, b"<html>").is_err());
}

#[test]
fn each_dialect_says_that_its_model_declines() {
    use Dialect::{ChatCompletions, Messages, Responses};
    let chat = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    for (dialect, data, declined) in [
        (
            Messages,
            json!({"type": "message_delta", "delta": {"stop_reason": "refusal",
                "stop_details": {"type": "refusal", "explanation": "no"}}, "usage": {}}),
            Some("no"),
        ),
        (
            Messages,
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}),
            None,
        ),
        (
            ChatCompletions,
            chat(json!({"refusal": "no"}), json!(null)),
            Some("no"),
        ),
        (
            ChatCompletions,
            chat(json!({}), json!("content_filter")),
            Some(""),
        ),
        (
            ChatCompletions,
            chat(json!({"refusal": null}), json!("stop")),
            None,
        ),
        (
            Responses,
            json!({"type": "response.refusal.delta", "delta": "n"}),
            Some(""),
        ),
        (
            Responses,
            json!({"type": "response.refusal.done", "refusal": "no"}),
            Some("no"),
        ),
        (
            Responses,
            json!({"type": "response.incomplete", "response":
                {"incomplete_details": {"reason": "content_filter"}}}),
            Some(""),
        ),
        (
            Responses,
            json!({"type": "response.incomplete", "response":
                {"incomplete_details": {"reason": "max_output_tokens"}}}),
            None,
        ),
    ] {
        let signs = signs(dialect, &data).unwrap();
        assert_eq!(signs.declined.as_deref(), declined, "{data}");
    }
}

#[test]
fn a_whole_answer_says_that_its_model_declines() {
    use Dialect::{ChatCompletions, Messages, Responses};
    for (dialect, body) in [
        (
            Messages,
            json!({"content": [], "stop_reason": "refusal",
                "stop_details": {"type": "refusal", "explanation": "no"}}),
        ),
        (
            ChatCompletions,
            json!({"choices": [{"message": {"refusal": "no"}, "finish_reason": "stop"}]}),
        ),
        (
            Responses,
            json!({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]}),
        ),
    ] {
        let signs = read_whole(dialect, body.to_string().as_bytes());
        assert_eq!(signs.unwrap().unwrap().declined.as_deref(), Some("no"));
    }
    let body = json!({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]});
    let signs = read_whole(ChatCompletions, body.to_string().as_bytes());
    assert_eq!(signs.unwrap().unwrap().declined, None);
}

#[test]
fn content_is_measured_the_same_however_it_is_read() {
    for data in [
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a \u00e9\n"}}"#,
        r#"{"type":"content_block_delta","delta":{"partial_json":"{\"a\":","new":[1]}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"thinking":"abc","text":null}}"#,
        r#"{"type":"content_block_delta","delta":{"text":7}}"#,
        r#"{"type":"content_block_delta","delta":{"text":"a","text":"bc"}}"#,
        r#"{"type":"content_block_delta"}"#,
        r#"{"type":"message_stop","delta":{"text":"abc"}}"#,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"delta":{}}"#,
        r#"{"type":"content_block_delta","delta":{}"#,
    ] {
        let frame = |event: Option<&str>| SseFrame {
            event: event.map(str::to_owned),
            data: data.to_owned(),
        };
        let read = |event| {
            let read = FrameReader::new(Dialect::Messages).read_frame(&frame(event));
            read.map_err(|error| error.to_string())
        };
        assert_eq!(read(Some("content_block_delta")), read(None), "{data}");
    }
}

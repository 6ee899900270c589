//! Reasoning goes back to its maker and to nobody else.

use serde_json::{Value, json};

use omoi_llm::conversation::{
    AnswerForm, AnswerRenderer, ToolNames, drop_sealed_reasoning, parse_request, render_request,
};
use omoi_llm::wire::dialect::Dialect;

use super::{FOLDERS, events_of, input, vendor_model};

/// A stream of each dialect with reasoning, and the words in it that only its maker reads.
const STREAMS: [(Dialect, &str, &str); 3] = [
    (
        Dialect::Messages,
        "messages_stream/thinking-and-calls.sse",
        "EqQB==",
    ),
    (
        Dialect::ChatCompletions,
        "chat_stream/reasoning-details.sse",
        "XYZ",
    ),
    (
        Dialect::Responses,
        "responses_stream/reasoning-and-calls.sse",
        "gAAAA==",
    ),
];

/// The conversation after `caller` heard what the model at `here` said in `maker`'s dialect.
fn next_request(maker: Dialect, stream: &str, caller: Dialect) -> Value {
    let (folder, name) = stream.split_once('/').unwrap();
    let stream = input(folder, name);
    let mut renderer = AnswerRenderer::new(AnswerForm {
        dialect: caller,
        names: ToolNames::default(),
        created_s: 0,
        hides_usage: false,
    });
    for event in events_of(maker, "here", [stream.as_slice()]) {
        renderer.push_event(event).unwrap();
    }
    let answer: Value = serde_json::from_slice(&renderer.whole_answer().unwrap()).unwrap();
    match caller {
        Dialect::Messages => json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": "go on"}]}),
        Dialect::ChatCompletions => json!({"model": "m", "messages": [
            {"role": "user", "content": "hi"}, answer["choices"][0]["message"],
            {"role": "user", "content": "go on"}]}),
        Dialect::Responses => {
            let mut items = vec![json!({"role": "user", "content": "hi"})];
            items.extend(answer["output"].as_array().unwrap().iter().cloned());
            items.push(json!({"role": "user", "content": "go on"}));
            json!({"model": "m", "input": items})
        }
    }
}

#[test]
fn reasoning_goes_back_to_its_maker_alone() {
    for (maker, stream, secret) in STREAMS {
        for (caller, _) in FOLDERS {
            let body = next_request(maker, stream, caller);
            let conversation = parse_request(caller, body.to_string().as_bytes()).unwrap();
            for (target, _) in FOLDERS {
                for server in ["here", "elsewhere"] {
                    let sent = render_request(target, &conversation, &vendor_model(target, server));
                    let is_back = sent.unwrap().to_string().contains(secret);
                    let is_maker = target == maker && server == "here";
                    assert_eq!(
                        is_back, is_maker,
                        "{maker} through {caller} to {target} {server}"
                    );
                }
            }
        }
    }
}

/// A body that goes through as it came must not carry what its receiver cannot read.
#[test]
fn sealed_reasoning_is_taken_from_a_request_that_passes_through() {
    for (maker, stream, secret) in STREAMS {
        for (caller, _) in FOLDERS {
            let mut body = next_request(maker, stream, caller);
            assert!(body.to_string().contains(secret), "{maker} {caller}");
            assert!(drop_sealed_reasoning(&mut body));
            assert!(
                !body.to_string().contains(secret),
                "{maker} {caller}: {body}"
            );
            assert!(!drop_sealed_reasoning(&mut body));
        }
    }
    let mut plain = json!({"messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "t", "signature": "the vendor's own"}]}]});
    let before = plain.clone();
    assert!(!drop_sealed_reasoning(&mut plain));
    assert_eq!(plain, before);
}

/// The signed block that Anthropic gets back is the one that it gave.
#[test]
fn thinking_comes_back_word_for_word() {
    for (caller, _) in FOLDERS {
        let body = next_request(Dialect::Messages, STREAMS[0].1, caller);
        let conversation = parse_request(caller, body.to_string().as_bytes()).unwrap();
        let target = vendor_model(Dialect::Messages, "here");
        let sent = render_request(Dialect::Messages, &conversation, &target).unwrap();
        let blocks = &sent["messages"][1]["content"];
        assert_eq!(
            blocks[0],
            json!({"type": "thinking", "thinking": "Let me see — é.", "signature": "EqQB=="}),
            "{caller}"
        );
        assert_eq!(
            blocks[1],
            json!({"type": "redacted_thinking", "data": "SECRET=="})
        );
    }
}

//! Requests of each dialect in the words of the others.

use serde_json::{Value, json};

use omoi_llm::conversation::{
    Conversation, ConversationError, DialectQuirks, TargetModel, ToolNames, parse_request,
    render_request,
};
use omoi_llm::wire::dialect::Dialect;

use super::{FOLDERS, input, inputs, vendor_model};

fn rendered(from: Dialect, body: &[u8], to: Dialect) -> Value {
    let mut conversation = parse_request(from, body).unwrap();
    if to == Dialect::Responses {
        // Refused there by name.
        conversation.stop_texts.clear();
    }
    render_request(to, &conversation, &vendor_model(to, "there")).unwrap()
}

/// The committed inputs of the parsers, which the fuzzer starts from, parse and say the same in every
/// dialect once they were said in it.
#[test]
fn requests_keep_their_meaning_in_every_dialect() {
    for (from, folder) in FOLDERS {
        for (name, body) in inputs(&format!("{folder}_request")) {
            for (to, _) in FOLDERS {
                let once = rendered(from, &body, to);
                let twice = rendered(to, once.to_string().as_bytes(), to);
                assert_eq!(once, twice, "{folder}/{name} in {to}");
            }
            let conversation = parse_request(from, &body).unwrap();
            let own = rendered(from, &body, from).to_string();
            let again = parse_request(from, own.as_bytes()).unwrap();
            // The others tell instructions in the midst, and tools of free text, in a way of their own.
            if from == Dialect::Responses {
                let plain = |conversation: &Conversation| {
                    let texts = conversation.instructions.iter().map(|i| i.text.as_str());
                    let texts = texts.collect::<Vec<_>>().join("\n\n");
                    (
                        texts,
                        Conversation {
                            instructions: Vec::new(),
                            ..conversation.clone()
                        },
                    )
                };
                assert_eq!(plain(&conversation), plain(&again), "{name}");
            }
        }
    }
}

#[test]
fn agent_programs_are_understood_by_every_model() {
    use Dialect::{ChatCompletions, Messages, Responses};
    for (from, folder, file, to) in [
        (Messages, "messages", "claude-code", ChatCompletions),
        (Messages, "messages", "claude-code", Responses),
        (Messages, "messages", "every-part", ChatCompletions),
        (Messages, "messages", "every-part", Responses),
        (ChatCompletions, "chat", "opencode", Messages),
        (ChatCompletions, "chat", "opencode", Responses),
        (ChatCompletions, "chat", "every-part", Messages),
        (Responses, "responses", "codex-namespace", Messages),
        (Responses, "responses", "codex-namespace", ChatCompletions),
        (Responses, "responses", "codex-custom-tool", Messages),
    ] {
        let body = input(&format!("{folder}_request"), &format!("{file}.json"));
        let target = vendor_word(to);
        let name = format!("{folder}_{file}_in_{target}").replace('-', "_");
        insta::assert_json_snapshot!(name, rendered(from, &body, to));
    }
}

fn vendor_word(dialect: Dialect) -> &'static str {
    let found = FOLDERS.iter().find(|(known, _)| *known == dialect);
    found.unwrap().1
}

/// A short question with `patch` laid over it.
fn message(patch: Value) -> Value {
    let mut wire =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in patch.as_object().unwrap() {
        wire[key] = value.clone();
    }
    wire
}

#[test]
fn what_has_no_counterpart_is_refused_by_name() {
    use Dialect::{ChatCompletions, Messages, Responses};
    let user = |part: Value| json!([{"role": "user", "content": [part]}]);
    for (dialect, wire, says) in [
        (
            Messages,
            message(json!({"messages": user(json!({"type": "container_upload", "file_id": "f"}))})),
            "`container_upload` at `messages[0].content[0]` cannot be sent",
        ),
        (
            Messages,
            message(
                json!({"tools": [{"type": "web_search_20250305", "name": "web"}],
                "tool_choice": {"type": "tool", "name": "web"}}),
            ),
            "tool `web`, which the request demands, is run by the vendor",
        ),
        (
            Messages,
            json!({"model": "m"}),
            "not in the format of Anthropic Messages: missing field",
        ),
        (
            ChatCompletions,
            message(json!({"messages": user(json!({"type": "input_audio", "input_audio": {}}))})),
            "`input_audio` at `messages[0].content[0]`",
        ),
        (
            Responses,
            json!({"model": "m", "input": "x", "previous_response_id": "resp_1"}),
            "`previous_response_id` names what another vendor keeps",
        ),
        (
            Responses,
            json!({"model": "m", "input": [{"type": "item_reference", "id": "x"}]}),
            "`item_reference` names what another vendor keeps",
        ),
        (
            Responses,
            json!({"model": "m", "input": [{"type": "compaction", "encrypted_content": "x"}]}),
            "`compaction` at `input[0]`",
        ),
        (
            Responses,
            json!({"model": "m", "input": "x", "tool_choice": {"type": "web_search"}}),
            "tool `web_search`",
        ),
    ] {
        let error = parse_request(dialect, wire.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn sampling_that_another_api_lacks_is_refused_by_name() {
    use Dialect::{ChatCompletions, Responses};
    for (patch, says) in [
        (
            json!({"n": 2}),
            "`n` cannot be asked of a model that speaks another API; leave it out",
        ),
        (json!({"logprobs": true}), "`logprobs` cannot be asked"),
        (json!({"top_logprobs": 3}), "`top_logprobs` cannot be asked"),
        (
            json!({"logit_bias": {"50256": -100}}),
            "`logit_bias` cannot be asked",
        ),
    ] {
        let wire = message(patch).to_string();
        let error = parse_request(ChatCompletions, wire.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let asks_nothing = json!({"n": 1, "logprobs": false, "logit_bias": {}, "seed": 3});
    parse_request(
        ChatCompletions,
        message(asks_nothing).to_string().as_bytes(),
    )
    .unwrap();
    let stops = message(json!({"stop": ["END"]})).to_string();
    let stops = parse_request(ChatCompletions, stops.as_bytes()).unwrap();
    let error = render_request(Responses, &stops, &vendor_model(Responses, "there")).unwrap_err();
    assert_eq!(error, ConversationError::Unsayable { field: "stop" });
}

#[test]
fn servers_differ_in_what_they_read() {
    let body = input("messages_request", "every-part.json");
    let conversation = parse_request(Dialect::Messages, &body).unwrap();
    let chat = |quirks: DialectQuirks| {
        let target = TargetModel {
            maker: "there",
            quirks,
            output_tokens_max: 9,
        };
        render_request(Dialect::ChatCompletions, &conversation, &target)
    };
    let vendor = chat(DialectQuirks::of_dialect(Dialect::ChatCompletions, true)).unwrap();
    assert_eq!(vendor["max_completion_tokens"], 64);
    assert_eq!(vendor["messages"][0]["role"], "developer");
    assert_eq!(vendor["reasoning_effort"], "low");
    let compatible = DialectQuirks::of_dialect(Dialect::ChatCompletions, false);
    let refused = chat(compatible).unwrap_err();
    assert!(
        matches!(refused, ConversationError::Document { ref media_type, .. } if media_type == "application/pdf"),
        "{refused}"
    );
    let compatible = chat(DialectQuirks {
        takes_documents: true,
        takes_parallel_calls: false,
        takes_sampling: false,
        ..compatible
    });
    let compatible = compatible.unwrap();
    assert_eq!(compatible["max_tokens"], 64);
    assert_eq!(compatible["messages"][0]["role"], "system");
    for absent in [
        "reasoning_effort",
        "parallel_tool_calls",
        "temperature",
        "max_completion_tokens",
    ] {
        assert_eq!(compatible.get(absent), None, "{absent}");
    }
}

/// A group and its tool become one name, however long, and find back.
#[test]
fn names_of_grouped_tools_find_back() {
    let long = "n".repeat(70);
    let tool = |name: &str| json!({"type": "function", "name": name, "parameters": {}});
    let wire = json!({"model": "m", "input": "x", "tools": [
        {"type": "namespace", "name": "a", "tools": [tool("b"), tool(&long)]}, tool("a__b")]});
    let body = wire.to_string();
    let conversation = parse_request(Dialect::Responses, body.as_bytes()).unwrap();
    let names = ToolNames::of_conversation(&conversation);
    let chat = rendered(
        Dialect::Responses,
        body.as_bytes(),
        Dialect::ChatCompletions,
    );
    let flat: Vec<&str> = chat["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(flat[2], "a__b");
    assert_eq!(flat[0], "a__b_2");
    assert_eq!(flat[1].len(), 64);
    for (tool, flat) in conversation.tools.iter().zip(flat) {
        assert_eq!(names.find_tool(flat).name, tool.name);
    }
}

/// An interrupt leaves a call without a result, which Anthropic refuses.
#[test]
fn open_calls_are_answered_for_anthropic() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "ok"});
    let wire = json!({"model": "m", "input": [call("a"), call("b"), output("a"),
        {"role": "user", "content": "stop"}, call("c")]});
    let messages = rendered(
        Dialect::Responses,
        wire.to_string().as_bytes(),
        Dialect::Messages,
    );
    let ids = |at: usize| {
        let blocks = messages["messages"][at]["content"].as_array().unwrap();
        let ids = blocks.iter().map(|block| block["tool_use_id"].as_str());
        ids.flatten().collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ["b", "a"]);
    assert_eq!(ids(3), ["c"]);
}

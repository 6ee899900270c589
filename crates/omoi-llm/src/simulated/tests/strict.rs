//! Malformed requests, each refused for its own reason.

use super::*;

/// What is done to a good request, and what the refusal must say.
type Case = (&'static str, fn(&mut Json), &'static str);

async fn check(wire: Dialect, rules: &str, good: fn(Dialect) -> Json, cases: &[Case]) {
    let server = start(rules).await;
    let got = server.ask(wire, &[], &good(wire)).await;
    assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
    for (name, spoil, want) in cases {
        let mut body = good(wire);
        spoil(&mut body);
        let got = server.ask(wire, &[], &body).await;
        let text = String::from_utf8_lossy(&got.body);
        assert_eq!(got.status, 400, "{name}: {text}");
        let message = match wire {
            Dialect::Messages => {
                let error: anthropic::MessagesErrorBody =
                    serde_json::from_slice(&got.body).unwrap();
                assert_eq!(error.error.kind, "invalid_request_error");
                error.error.message
            }
            Dialect::ChatCompletions | Dialect::Responses => {
                let error: openai::ChatErrorBody = serde_json::from_slice(&got.body).unwrap();
                assert_eq!(error.error.kind.as_deref(), Some("invalid_request_error"));
                error.error.message
            }
        };
        assert_eq!(message, *want, "{name}");
    }
}

fn remove(value: &mut Json, key: &str) {
    value.as_object_mut().unwrap().shift_remove(key);
}

fn push(value: &mut Json, entry: Json) {
    value.as_array_mut().unwrap().push(entry);
}

const ANY: &str = "- {when: {}, reply: [{text: hi}]}";

#[tokio::test]
#[rustfmt::skip] // One case, one line.
async fn malformed_messages_requests_are_refused() {
    let cases: &[Case] = &[
        ("not an object", |r| *r = json!([]), "must be an object"),
        ("no model", |r| remove(r, "model"), "model: is required"),
        ("no max_tokens", |r| remove(r, "max_tokens"), "max_tokens: is required"),
        ("zero max_tokens", |r| r["max_tokens"] = json!(0), "max_tokens: must be at least 1"),
        ("text max_tokens", |r| r["max_tokens"] = json!("9"), "max_tokens: must be a whole number"),
        ("unknown field", |r| r["max_token"] = json!(9), "max_token: is not a known field here"),
        ("stream word", |r| r["stream"] = json!("yes"), "stream: must be true or false"),
        ("hot", |r| r["temperature"] = json!(1.5), "temperature: must be between 0 and 1"),
        ("empty system", |r| r["system"] = json!(""), "system: must not be empty"),
        ("picture in system", |r| r["system"] = json!([{"type": "image"}]), "system.0: a block of type `image` is not allowed in a message of role `system`"),
        ("no messages", |r| r["messages"] = json!([]), "messages: must not be empty"),
        ("message field", |r| r["messages"][0]["name"] = json!("bob"), "messages.0.name: is not a known field here"),
        ("system role", |r| r["messages"][0]["role"] = json!("system"), "messages.0.role: must be one of `user`, `assistant`, found `system`"),
        ("assistant first", |r| { r["messages"].as_array_mut().unwrap().remove(0); }, "messages.0: the first message must come from the user, found `assistant`"),
        ("assistant last", |r| { r["messages"].as_array_mut().unwrap().remove(2); }, "messages: the last message must not come from the assistant"),
        ("twice user", |r| push(&mut r["messages"], json!({"role": "user", "content": "a"})), "messages.3: roles must alternate: two `user` messages follow each other"),
        ("empty text", |r| r["messages"][0]["content"] = json!(" \n"), "messages.0.content: must not be empty"),
        ("empty list", |r| r["messages"][0]["content"] = json!([]), "messages.0.content: must not be empty"),
        ("empty block", |r| r["messages"][1]["content"][0]["text"] = json!(""), "messages.1.content.0.text: must not be empty"),
        ("no type", |r| remove(&mut r["messages"][1]["content"][0], "type"), "messages.1.content.0.type: is required"),
        ("unknown block", |r| r["messages"][0]["content"] = json!([{"type": "video"}]), "messages.0.content.0: a block of type `video` is not allowed in a message of role `user`"),
        ("result by assistant", |r| r["messages"][1]["content"][0] = json!({"type": "tool_result", "tool_use_id": "x"}), "messages.1.content.0: a block of type `tool_result` is not allowed in a message of role `assistant`"),
        ("block field", |r| r["messages"][1]["content"][1]["arguments"] = json!({}), "messages.1.content.1.arguments: is not a known field here"),
        ("input is text", |r| r["messages"][1]["content"][1]["input"] = json!("{}"), "messages.1.content.1.input: must be an object"),
        ("bad call id", |r| r["messages"][1]["content"][1]["id"] = json!("t 1"), "messages.1.content.1.id: must have 1 to 128 letters, digits, `_` or `-`"),
        ("id twice", |r| r["messages"][1]["content"][2]["id"] = json!("t1"), "messages.1.content.2.id: the id `t1` names an earlier tool call"),
        ("result missing", |r| { r["messages"][2]["content"].as_array_mut().unwrap().remove(1); }, "messages.2: the tool call `t1` has no result in the next message"),
        ("orphan result", |r| r["messages"][2]["content"][0]["tool_use_id"] = json!("t9"), "messages.2.content.0.tool_use_id: the result names `t9`, which is no tool call of the message before"),
        ("result twice", |r| r["messages"][2]["content"][1]["tool_use_id"] = json!("t2"), "messages.2.content.1.tool_use_id: the tool call `t2` already has a result"),
        ("result late", |r| { r["messages"][2]["content"].as_array_mut().unwrap().swap(1, 2); }, "messages.2.content.2: tool results must come before everything else in their message"),
        ("calls without tools", |r| remove(r, "tools"), "tools: `tools` must be given when the conversation holds tool calls"),
        ("tool without schema", |r| remove(&mut r["tools"][0], "input_schema"), "tools.0.input_schema: is required"),
        ("schema not object", |r| r["tools"][0]["input_schema"] = json!({"type": "string"}), "tools.0.input_schema: is not a usable JSON schema: its `type` must be `object`"),
        ("schema nonsense", |r| r["tools"][0]["input_schema"]["properties"]["path"] = json!({"type": "text"}), "tools.0.input_schema: is not a usable JSON schema: `/properties/path/type` names no JSON type"),
        ("tool name", |r| r["tools"][0]["name"] = json!("my tool"), "tools.0.name: must have 1 to 64 letters, digits, `_` or `-`"),
        ("tool twice", |r| { let tool = r["tools"][0].clone(); push(&mut r["tools"], tool); }, "tools.1.name: a tool named `write` is already given"),
        ("vendor tool", |r| r["tools"][0]["type"] = json!("bash_20250124"), "tools.0.type: must be one of `custom`, found `bash_20250124`"),
        ("choice kind", |r| r["tool_choice"] = json!({"type": "required"}), "tool_choice.type: must be one of `auto`, `any`, `tool`, `none`, found `required`"),
        ("choice name", |r| r["tool_choice"] = json!({"type": "tool", "name": "read"}), "tool_choice.name: names the tool `read`, which is not among `tools`"),
        ("cache points", |r| { r["system"] = Json::Array(vec![json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}); 5]); }, "`cache_control` may stand in at most 4 places"),
        ("thinking of another maker", |r| r["messages"][1]["content"][0] = json!({"type": "thinking", "thinking": "…", "signature": "s"}), "messages.1.content.0.signature: is no seal of reasoning that this server gave with exactly this text"),
        ("thinking unsigned", |r| r["messages"][1]["content"][0] = json!({"type": "thinking", "thinking": "…"}), "messages.1.content.0.signature: is required"),
    ];
    check(Dialect::Messages, ANY, conversation, cases).await;
}

#[tokio::test]
#[rustfmt::skip] // One case, one line.
async fn malformed_chat_requests_are_refused() {
    let cases: &[Case] = &[
        ("unknown field", |r| r["top_k"] = json!(9), "top_k: is not a known field here"),
        ("zero max_tokens", |r| r["max_tokens"] = json!(0), "max_tokens: must be at least 1"),
        ("two limits", |r| { r["max_tokens"] = json!(5); r["max_completion_tokens"] = json!(5); }, "only one of `max_tokens` and `max_completion_tokens` may be given"),
        ("options without stream", |r| r["stream_options"] = json!({"include_usage": true}), "stream_options: is not a known field here"),
        ("several answers", |r| r["n"] = json!(2), "n: must be between 1 and 1"),
        ("no messages", |r| r["messages"] = json!([]), "messages: must not be empty"),
        ("only system", |r| r["messages"].as_array_mut().unwrap().truncate(1), "messages: must not be empty"),
        ("unknown role", |r| r["messages"][1]["role"] = json!("human"), "messages.1.role: must be one of `system`, `developer`, `user`, `assistant`, `tool`, found `human`"),
        ("system late", |r| r["messages"].as_array_mut().unwrap().swap(0, 1), "messages.1: system messages must come first"),
        ("assistant first", |r| { r["messages"].as_array_mut().unwrap().remove(1); }, "messages.1: the first message must come from the user, found `assistant`"),
        ("assistant last", |r| { r["messages"].as_array_mut().unwrap().truncate(2); push(&mut r["messages"], json!({"role": "assistant", "content": "a"})); }, "messages: the last message must not come from the assistant"),
        ("twice user", |r| { let message = r["messages"][1].clone(); r["messages"].as_array_mut().unwrap().insert(1, message); }, "messages.2: roles must alternate: two `user` messages follow each other"),
        ("result missing", |r| { r["messages"].as_array_mut().unwrap().pop(); }, "messages: the tool call `t1` has no result in the next message"),
        ("user before results", |r| { r["messages"].as_array_mut().unwrap().insert(3, json!({"role": "user", "content": "a"})); }, "messages.3: the tool call `t1` has no result in the next message"),
        ("orphan result", |r| r["messages"][3]["tool_call_id"] = json!("t9"), "messages.3.tool_call_id: the result names `t9`, which is no tool call of the message before"),
        ("result twice", |r| r["messages"][4]["tool_call_id"] = json!("t2"), "messages.4.tool_call_id: the tool call `t2` already has a result"),
        ("empty text", |r| r["messages"][1]["content"] = json!(""), "messages.1.content: must not be empty"),
        ("says nothing", |r| remove(&mut r["messages"][2], "tool_calls"), "messages.2: must not be empty"),
        ("picture by assistant", |r| r["messages"][2]["content"] = json!([{"type": "image_url"}]), "messages.2.content.0: a block of type `image_url` is not allowed in a message of role `assistant`"),
        ("no arguments", |r| { remove(&mut r["messages"][2]["tool_calls"][0]["function"], "arguments"); }, "messages.2.tool_calls.0.function.arguments: is required"),
        ("arguments object", |r| r["messages"][2]["tool_calls"][0]["function"]["arguments"] = json!({}), "messages.2.tool_calls.0.function.arguments: must be a string"),
        ("arguments broken", |r| r["messages"][2]["tool_calls"][0]["function"]["arguments"] = json!("{\"path\":"), "messages.2.tool_calls.0.function.arguments: arguments must be the text of a JSON object"),
        ("no call type", |r| remove(&mut r["messages"][2]["tool_calls"][0], "type"), "messages.2.tool_calls.0.type: is required"),
        ("calls without tools", |r| remove(r, "tools"), "tools: `tools` must be given when the conversation holds tool calls"),
        ("tool like Anthropic's", |r| r["tools"][0] = json!({"name": "write", "input_schema": {}}), "tools.0.name: is not a known field here"),
        ("schema not object", |r| r["tools"][0]["function"]["parameters"] = json!({}), "tools.0.function.parameters: is not a usable JSON schema: its `type` must be `object`"),
        ("choice", |r| r["tool_choice"] = json!("any"), "tool_choice: must be one of `auto`, `required`, `none`, found `any`"),
        ("choice name", |r| r["tool_choice"] = json!({"type": "function", "function": {"name": "read"}}), "tool_choice.function.name: names the tool `read`, which is not among `tools`"),
    ];
    check(Dialect::ChatCompletions, ANY, conversation, cases).await;
}

#[tokio::test]
#[rustfmt::skip] // One case, one line.
async fn malformed_responses_requests_are_refused() {
    let cases: &[Case] = &[
        ("unknown field", |r| r["top_k"] = json!(9), "top_k: is not a known field here"),
        ("zero limit", |r| r["max_output_tokens"] = json!(0), "max_output_tokens: must be at least 1"),
        ("no input", |r| remove(r, "input"), "input: is required"),
        ("empty input", |r| r["input"] = json!([]), "input: must not be empty"),
        ("empty text", |r| r["input"] = json!(" "), "input: must not be empty"),
        ("unknown item", |r| r["input"][1] = json!({"type": "daydream"}), "input.1: a block of type `daydream` is not allowed in a message of role `input`"),
        ("unknown role", |r| r["input"][0]["role"] = json!("human"), "input.0.role: must be one of `user`, `assistant`, `system`, `developer`, found `human`"),
        ("output of a user", |r| r["input"][0]["content"][0]["type"] = json!("output_text"), "input.0.content.0: a block of type `output_text` is not allowed in a message of role `user`"),
        ("assistant last", |r| r["input"].as_array_mut().unwrap().truncate(2), "input: the last message must not come from the assistant"),
        ("result missing", |r| { r["input"].as_array_mut().unwrap().pop(); }, "input: the tool call `t1` has no result in the next message"),
        ("result late", |r| { let call = json!({"type": "function_call", "call_id": "t3", "name": "write", "arguments": "{}"}); r["input"].as_array_mut().unwrap().insert(5, call); }, "input.5: the tool call `t1` has no result in the next message"),
        ("orphan result", |r| r["input"][4]["call_id"] = json!("t9"), "input.4.call_id: the result names `t9`, which is no tool call of the message before"),
        ("arguments broken", |r| r["input"][2]["arguments"] = json!("{"), "input.2.arguments: arguments must be the text of a JSON object"),
        ("calls without tools", |r| remove(r, "tools"), "tools: `tools` must be given when the conversation holds tool calls"),
        ("tool kind", |r| r["tools"][0]["type"] = json!("web_search"), "tools.0.type: must be one of `function`, `custom`, `namespace`, found `web_search`"),
        ("tool like chat's", |r| r["tools"][0] = json!({"type": "function", "function": {}}), "tools.0.function: is not a known field here"),
        ("tool twice", |r| { let tool = r["tools"][0].clone(); push(&mut r["tools"], tool); }, "tools.1.name: a tool named `write` is already given"),
        ("empty group", |r| r["tools"][0] = json!({"type": "namespace", "name": "n", "tools": []}), "tools.0.tools: must not be empty"),
        ("choice name", |r| r["tool_choice"] = json!({"type": "function", "name": "read"}), "tool_choice.name: names the tool `read`, which is not among `tools`"),
        ("foreign reasoning", |r| r["input"][1]["encrypted_content"] = json!("gAAAA"), "input.1.encrypted_content: is no seal of reasoning that this server gave with exactly this text"),
        ("other answer", |r| r["previous_response_id"] = json!("resp_1"), "previous_response_id: names no answer of this server: `resp_1`"),
    ];
    check(Dialect::Responses, ANY, conversation, cases).await;
}

#[tokio::test]
#[rustfmt::skip] // One case, one line.
async fn answers_that_the_request_does_not_allow_are_refused() {
    let write = |input: &str| {
        format!("- {{when: {{}}, reply: [{{tool: {{name: write, input: {input}}}}}]}}")
    };
    let good = |wire| request(wire);
    let one: &[Case] = &[
        ("tool not offered", |r| r["tools"][0]["name"] = json!("edit"), "rule `rule 1` calls the tool `write`, which the request does not offer (it offers `edit`)"),
        ("no tools", |r| remove(r, "tools"), "rule `rule 1` calls the tool `write`, which the request does not offer (it offers none)"),
        ("required", |r| { let schema = &mut r["tools"][0]["input_schema"]; schema["properties"]["mode"] = json!({}); schema["required"] = json!(["mode"]); }, "rule `rule 1` calls the tool `write` with an input that its schema refuses: input lacks the field `mode`"),
        ("type", |r| { r["tools"][0]["input_schema"]["properties"]["lines"]["items"] = json!({"type": ["string", "null"]}); }, "rule `rule 1` calls the tool `write` with an input that its schema refuses: input/lines/0 must be of type string or null"),
        ("none", |r| r["tool_choice"] = json!({"type": "none"}), "rule `rule 1` does not do what `tool_choice` demands: that no tool is called"),
        ("too long", |r| r["max_tokens"] = json!(3), "rule `rule 1` answers with about 8 tokens, but the request allows 3"),
    ];
    check(Dialect::Messages, &write("{path: a, lines: [1]}"), good, one).await;

    let two = "- {when: {}, reply: [{tool: {name: write, input: {path: a}}}, {tool: {name: write, input: {path: b}}}]}";
    let cases: &[Case] = &[
        ("parallel", |r| r["tool_choice"] = json!({"type": "any", "disable_parallel_tool_use": true}), "rule `rule 1` calls more than one tool, but the request forbids parallel calls"),
    ];
    check(Dialect::Messages, two, good, cases).await;
    let cases: &[Case] = &[
        ("parallel", |r| r["parallel_tool_calls"] = json!(false), "rule `rule 1` calls more than one tool, but the request forbids parallel calls"),
    ];
    check(Dialect::ChatCompletions, two, good, cases).await;

    let cases: &[Case] = &[
        ("any", |r| r["tool_choice"] = json!({"type": "any"}), "rule `rule 1` does not do what `tool_choice` demands: a tool call"),
        ("named", |r| r["tool_choice"] = json!({"type": "tool", "name": "write"}), "rule `rule 1` does not do what `tool_choice` demands: a call of `write`"),
    ];
    check(Dialect::Messages, ANY, good, cases).await;

    for (input, want) in [
        ("{path: a, mode: w}", "input/mode unknown field"),
        ("{path: 7}", "input/path must be of type string"),
    ] {
        let server = start(&write(input)).await;
        let got = server.ask(Dialect::ChatCompletions, &[], &request(Dialect::ChatCompletions)).await;
        assert!(got.message().ends_with(want), "{}", got.message());
    }
    let server = start("- {when: {}, reply: [{done: true}]}").await;
    let got = server
        .ask(Dialect::Messages, &[], &request(Dialect::Messages))
        .await;
    assert_eq!(
        got.message(),
        "rule `rule 1` submits planning items, but the request has no `x-omoi-phase` header"
    );
}

#[tokio::test]
#[rustfmt::skip] // One case, one line.
async fn headers_are_checked() {
    let server = start("- {name: only, when: {role: a, turn: 0}, reply: []}").await;
    for (wire, others, status, want) in [
        (Dialect::Messages, [("x-api-key", "")], 401, "no API key: send `x-api-key`, or `authorization: Bearer …`"),
        (Dialect::ChatCompletions, [("authorization", "k")], 401, "no API key: send `x-api-key`, or `authorization: Bearer …`"),
        (Dialect::Messages, [("anthropic-version", "")], 400, "the header `anthropic-version` is missing"),
        (Dialect::Messages, [("anthropic-version", "2030-01-01")], 400, "the header `anthropic-version` must be `2023-06-01`, found `2030-01-01`"),
        (Dialect::ChatCompletions, [("content-type", "text/plain")], 400, "the header `content-type` must be `application/json`, found `text/plain`"),
        (Dialect::ChatCompletions, [("x-omoi-turn", "1")], 400, "the header `x-omoi-turn` says 1, but the request holds 0 assistant messages"),
        (Dialect::ChatCompletions, [("x-omoi-round", "one")], 400, "the header `x-omoi-round` must be a whole number, found `one`"),
        (Dialect::ChatCompletions, [("x-omoi-title", "100%")], 400, "the header `x-omoi-title` must be percent-encoded UTF-8, found `100%`"),
        (Dialect::Messages, [("x-omoi-role", "b")], 400, "no rule of the scenario answers this request: role `b`, no phase, no task, no title, no round, turn 0; the nearest rules are `only` at s.yaml:4:3 (role is `b`, the rule wants `a`)"),
    ] {
        let got = server.ask(wire, &others, &request(wire)).await;
        assert_eq!((got.status, got.message().as_str()), (status, want));
    }
    let mut body = request(Dialect::Messages);
    body["model"] = json!("claude");
    let got = server.ask(Dialect::Messages, &[], &body).await;
    assert_eq!(
        (got.status, got.message().as_str()),
        (404, "no model `claude`: this server has only `simulated`")
    );
    let got = server
        .post(Dialect::ChatCompletions, headers(Dialect::ChatCompletions, &[]), "{\"model\":")
        .await;
    assert!(got.status == 400 && got.message().starts_with("the body is not JSON: EOF"));
    let huge = " ".repeat(receive::BODY_BYTES_MAX + 1);
    let got = server
        .post(Dialect::ChatCompletions, headers(Dialect::ChatCompletions, &[]), huge)
        .await;
    assert_eq!(got.status, 413);
    // A bearer token will do for both.
    let others = [
        ("x-api-key", ""),
        ("authorization", "Bearer t"),
        ("x-omoi-role", "a"),
    ];
    assert_eq!(
        server
            .ask(Dialect::Messages, &others, &request(Dialect::Messages))
            .await
            .status,
        200
    );
}

#[test]
fn schemas_must_make_sense() {
    let sound = json!({
        "type": "object",
        "properties": {
            "node": {"$ref": "#/$defs/node"},
            "pick": {"anyOf": [{"type": ["string", "null"]}, {"enum": [7]}]},
            "free": true,
        },
        "required": ["node"],
        "additionalProperties": {"type": "number"},
        "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
    });
    schema::check_arguments_schema(&located_value::LocatedValue::at_root(&sound)).unwrap();
    for (properties, want) in [
        (json!([]), "`/properties` must be an object"),
        (
            json!({"a": 1}),
            "`/properties/a` must be an object or a boolean",
        ),
        (
            json!({"a": {"type": "text"}}),
            "`/properties/a/type` names no JSON type",
        ),
        (
            json!({"a": {"type": [7]}}),
            "`/properties/a/type` names no JSON type",
        ),
        (
            json!({"a": {"$ref": "#/$defs/a"}}),
            "`/properties/a/$ref` leads nowhere",
        ),
        (
            json!({"a": {"anyOf": []}}),
            "`/properties/a/anyOf` must be a list with entries",
        ),
        (
            json!({"a": {"enum": "x"}}),
            "`/properties/a/enum` must be a list with entries",
        ),
        (
            json!({"a": {"items": []}}),
            "`/properties/a/items` must be an object or a boolean",
        ),
        (
            json!({"a": {"required": ["b"]}}),
            "`/properties/a/required` names something that is not among `properties`",
        ),
    ] {
        let bad = json!({"type": "object", "properties": properties});
        let refusal = schema::check_arguments_schema(&located_value::LocatedValue::at_root(&bad))
            .unwrap_err();
        assert_eq!(
            refusal.full_message(),
            format!("is not a usable JSON schema: {want}")
        );
    }
}

//! What a model may do beside answering: reason, count its tokens, tell its limits, call in other words,
//! and answer what is no part of the work.

use omoi_domain::time::Timestamp;

use super::*;
use crate::wire::headers as names;

const FOREIGN: (&str, &str) = (names::CLIENT, "");

/// A foreign request that wants all that a model shows of its reasoning.
fn reasoning_request(wire: Dialect, stream: bool) -> Json {
    let mut body = request(wire);
    body["stream"] = json!(stream);
    match wire {
        Dialect::Messages => body["thinking"] = json!({"type": "adaptive"}),
        Dialect::ChatCompletions if stream => {
            body["stream_options"] = json!({"include_usage": true});
        }
        Dialect::ChatCompletions => {}
        Dialect::Responses => {
            body["reasoning"] = json!({"summary": "auto"});
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
    }
    body
}

/// The reasoning of an answer and, where there is one, its seal.
fn reasoning_of(wire: Dialect, stream: bool, got: &Got) -> (String, Option<String>) {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    match (wire, stream) {
        (Dialect::Messages, false) => {
            let block = &got.json()["content"][0];
            (text(&block["thinking"]).unwrap(), text(&block["signature"]))
        }
        (Dialect::Messages, true) => {
            let (mut thought, mut seal) = (String::new(), None);
            for event in messages_events(&got.body) {
                if let StreamEvent::ContentBlockDelta(delta) = event {
                    match delta.delta {
                        BlockDelta::Thinking(more) => thought.push_str(&more.thinking),
                        BlockDelta::Signature(more) => seal = Some(more.signature),
                        _ => {}
                    }
                }
            }
            (thought, seal)
        }
        (Dialect::ChatCompletions, false) => {
            let message = &got.json()["choices"][0]["message"];
            (text(&message["reasoning_content"]).unwrap(), None)
        }
        (Dialect::ChatCompletions, true) => {
            let frames = SseDecoder::default().push(&got.body).unwrap();
            let chunks = frames.iter().filter_map(|frame| {
                let chunk: openai::ChatChunk = serde_json::from_str(&frame.data).ok()?;
                chunk.choices.first()?.delta.reasoning_content.clone()
            });
            (chunks.collect(), None)
        }
        (Dialect::Responses, false) => {
            let item = &got.json()["output"][0];
            let seal = text(&item["encrypted_content"]);
            (text(&item["summary"][0]["text"]).unwrap(), seal)
        }
        (Dialect::Responses, true) => {
            let events = responses_events(&got.body);
            let of_kind =
                |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
            let pieces = of_kind("response.reasoning_summary_text.delta");
            let pieces = pieces.filter_map(|event| text(&event["delta"]));
            let seal = of_kind("response.output_item.done").next().unwrap();
            (pieces.collect(), text(&seal["item"]["encrypted_content"]))
        }
    }
}

#[tokio::test]
async fn reasoning_comes_in_the_form_of_each_format() {
    let rules = "
- {when: {turn: 0}, reasoning: I wonder — hm., usage: {reasoning: 77}, reply: [{reasoning: So.}, {text: Yes.}]}
- {when: {turn: 1}, reply: [{text: Twice.}]}
";
    let server = start(rules).await;
    for wire in Dialect::ALL {
        for stream in [false, true] {
            let body = reasoning_request(wire, stream);
            let got = server.ask(wire, &[FOREIGN], &body).await;
            assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
            let (thought, seal) = reasoning_of(wire, stream, &got);
            let want = match (wire, stream) {
                (Dialect::ChatCompletions, false) => "I wonder — hm.\n\nSo.",
                (_, true) => "I wonder — hm.So.",
                _ => "I wonder — hm.",
            };
            assert_eq!(thought, want, "{wire} {stream}");
            assert_eq!(seal.is_some(), wire != Dialect::ChatCompletions);
        }
        // What was given is taken back, and nothing else.
        let got = server
            .ask(wire, &[FOREIGN], &reasoning_request(wire, false))
            .await;
        let mut next = reasoning_request(wire, false);
        let (key, said) = match wire {
            Dialect::Messages => (
                "messages",
                vec![json!({"role": "assistant", "content": got.json()["content"]})],
            ),
            Dialect::ChatCompletions => (
                "messages",
                vec![got.json()["choices"][0]["message"].clone()],
            ),
            Dialect::Responses => ("input", got.json()["output"].as_array().unwrap().clone()),
        };
        let history = next[key].as_array_mut().unwrap();
        history.extend(said);
        history.push(json!({"role": "user", "content": "Sure?"}));
        let got = server.ask(wire, &[FOREIGN], &next).await;
        assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
        let changed = next.to_string().replace("I wonder", "I know");
        let got = server
            .ask(wire, &[FOREIGN], &serde_json::from_str(&changed).unwrap())
            .await;
        let want = match wire {
            Dialect::ChatCompletions => 200,
            Dialect::Messages | Dialect::Responses => 400,
        };
        assert_eq!(got.status, want);
    }
    // A model that is not told to think does not, in the one format that has a switch.
    let got = server
        .ask(Dialect::Messages, &[FOREIGN], &request(Dialect::Messages))
        .await;
    assert_eq!(said_by_messages(&got).0, ["text Yes."]);
    // One that shows nothing of it is paid for it all the same.
    let got = server
        .ask(Dialect::Responses, &[FOREIGN], &request(Dialect::Responses))
        .await;
    let answer = got.json();
    assert_eq!(answer["output"][0]["summary"], json!([]));
    assert!(answer["output"][0].get("encrypted_content").is_none());
    assert_eq!(
        answer["usage"]["output_tokens_details"]["reasoning_tokens"],
        77
    );
}

#[tokio::test]
async fn figures_are_those_of_the_cache_of_the_rule_or_none() {
    let rules = "
- {when: {task: told}, usage: {input: 100, output: 9, cache_read: 60, cache_write: 30}, reply: [{text: a}]}
- {when: {task: none}, usage: none, reply: [{text: a}]}
- {when: {}, reply: [{text: a}]}
";
    let server = start(rules).await;
    let usage = async |wire, task: &str| {
        let others = [FOREIGN, (names::TASK, task)];
        let got = server.ask(wire, &others, &conversation(wire)).await;
        got.json()["usage"].clone()
    };
    let told = usage(Dialect::Messages, "told").await;
    let figures = [
        "input_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens",
    ];
    assert_eq!(
        figures.map(|key| told[key].as_u64().unwrap()),
        [10, 60, 30, 9]
    );
    let told = usage(Dialect::ChatCompletions, "told").await;
    assert_eq!(
        (
            &told["prompt_tokens"],
            &told["prompt_tokens_details"]["cached_tokens"]
        ),
        (&json!(100), &json!(60))
    );
    let told = usage(Dialect::Responses, "told").await;
    assert_eq!(
        (
            &told["input_tokens"],
            &told["input_tokens_details"]["cached_tokens"]
        ),
        (&json!(100), &json!(60))
    );
    assert_eq!(told["total_tokens"], 109);
    assert_eq!(usage(Dialect::Messages, "none").await, json!({}));
    assert_eq!(usage(Dialect::ChatCompletions, "none").await, Json::Null);
    assert_eq!(usage(Dialect::Responses, "none").await, Json::Null);
    // Without figures of the rule, what the conversation had before comes from the cache.
    let read = usage(Dialect::ChatCompletions, "").await;
    assert!(
        read["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap()
            > 30,
        "{read}"
    );
}

#[tokio::test]
async fn limits_and_a_retired_model_are_told_as_each_vendor_does() {
    let rules = "
- when: {task: limited}
  limits: {requests: {limit: 50, remaining: 49, reset_s: 60}}
  fault:
    - status: 429
      retry_after_s: 18000
      limits: {requests: {limit: 50, remaining: 0, reset_s: 18000}, five_hours: {used_percent: 100, reset_s: 18000}}
  reply: [{text: Again.}]
- {when: {}, fault: {retired_model: true, times: always}}
";
    let midnight = || Timestamp::of_date("2026-11-28").unwrap();
    for wire in Dialect::ALL {
        let scenario = format!("version: 1\nname: t\nrules:\n{rules}");
        let scenario = Scenario::read_from("s.yaml", &|_| Ok(scenario.clone().into_bytes()));
        let model = SimulatedModel::with_clock(scenario.unwrap(), Arc::new(midnight));
        let server = serve(model, RequestRecorder::new(1)).await;
        let limited = [FOREIGN, (names::TASK, "limited")];
        let got = server.ask(wire, &limited, &request(wire)).await;
        let header = |got: &Got, name: &str| got.headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            (got.status, header(&got, "retry-after").as_str()),
            (429, "18000")
        );
        let (remaining, reset) = match wire {
            Dialect::Messages => (
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ),
            _ => (
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ),
        };
        let at = match wire {
            Dialect::Messages => "2026-11-28T05:00:00Z",
            _ => "5h0m0s",
        };
        assert_eq!(
            (
                header(&got, remaining).as_str(),
                header(&got, reset).as_str()
            ),
            ("0", at)
        );
        let got = server.ask(wire, &limited, &request(wire)).await;
        assert_eq!((got.status, header(&got, remaining).as_str()), (200, "49"));

        let got = server.ask(wire, &[FOREIGN], &request(wire)).await;
        assert_eq!(got.status, 404);
        let kind = match wire {
            Dialect::Messages => got.json()["error"]["type"].clone(),
            _ => got.json()["error"]["code"].clone(),
        };
        assert!(
            kind == "not_found_error" || kind == "model_not_found",
            "{kind}"
        );
    }
}

const WORDED: &str = "
- when: {task: words}
  reply: [{tool: {name: write, in_words: true, input: {path: a, content: b}}}]
- when: {}
  reply: [{tool: {name: write, input: {path: a, content: b}}}, {tool: {name: shell, input: {command: ls}}}]
";

/// Tools of a program that speaks this format.
fn foreign_tools(wire: Dialect) -> Json {
    let parameters = |keys: &[&str]| {
        let text = json!({"type": "string"});
        let properties = keys.iter().map(|key| ((*key).to_owned(), text.clone()));
        let properties = Json::Object(properties.collect());
        json!({"type": "object", "properties": properties, "required": keys})
    };
    match wire {
        Dialect::Messages => json!([
            {"name": "Write", "input_schema": parameters(&["file_path", "content"])},
            {"name": "Bash", "input_schema": parameters(&["command"])},
        ]),
        Dialect::ChatCompletions => json!([
            {"type": "function", "function": {"name": "write", "parameters": parameters(&["filePath", "content"])}},
            {"type": "function", "function": {"name": "bash", "parameters": parameters(&["command"])}},
        ]),
        Dialect::Responses => json!([
            {"type": "custom", "name": "apply_patch"},
            {"type": "function", "name": "exec_command", "parameters": parameters(&["cmd"])},
        ]),
    }
}

#[tokio::test]
async fn other_programs_get_calls_in_their_own_words() {
    let server = start(WORDED).await;
    for wire in Dialect::ALL {
        let mut body = request(wire);
        body["tools"] = foreign_tools(wire);
        let want: &[&str] = match wire {
            Dialect::Messages => &[
                r#"Write {"file_path":"a","content":"b"}"#,
                r#"Bash {"command":"ls"}"#,
            ],
            Dialect::ChatCompletions => &[
                r#"write {"filePath":"a","content":"b"}"#,
                r#"bash {"command":"ls"}"#,
            ],
            // Side by side, the second could come before the first.
            Dialect::Responses => &[r#"exec_command {"cmd":"(\nprintf '%s' b > a\n)\n(\nls\n)"}"#],
        };
        for stream in [false, true] {
            body["stream"] = json!(stream);
            if stream && wire == Dialect::ChatCompletions {
                body["stream_options"] = json!({"include_usage": true});
            }
            let got = server.ask(wire, &[FOREIGN], &body).await;
            assert_eq!(said_by(wire, stream, &got).0, want);
            let others = [FOREIGN, (names::TASK, "words")];
            let got = server.ask(wire, &others, &body).await;
            let said = said_by(wire, stream, &got);
            let call = r#"{"name":"write","arguments":{"path":"a","content":"b"}}"#;
            assert_eq!(said.0, [format!("text <tool_call>\n{call}\n</tool_call>")]);
            assert!(["end_turn", "stop", "completed"].contains(&said.1.as_str()));
        }
    }
}

/// A gateway may have put the request of such a program into another dialect.
#[tokio::test]
async fn commands_of_a_program_that_runs_calls_side_by_side_are_joined_in_every_dialect() {
    let server = start(WORDED).await;
    let mut body = request(Dialect::Messages);
    let schema =
        json!({"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]});
    body["tools"] = json!([{"name": "exec_command", "input_schema": schema}]);
    let got = server.ask(Dialect::Messages, &[FOREIGN], &body).await;
    let want = [r#"exec_command {"cmd":"(\nprintf '%s' b > a\n)\n(\nls\n)"}"#];
    assert_eq!(said_by(Dialect::Messages, false, &got).0, want);
}

#[tokio::test]
async fn what_no_tool_does_is_refused_with_all_that_is_offered() {
    let server = start(WORDED).await;
    for (wire, n_tools, offers) in [
        (Dialect::Messages, 0, "offers none"),
        (Dialect::ChatCompletions, 0, "offers none"),
        (Dialect::Responses, 1, "offers `apply_patch`"),
    ] {
        let mut body = request(wire);
        body["tools"] = foreign_tools(wire);
        body["tools"].as_array_mut().unwrap().truncate(n_tools);
        let got = server.ask(wire, &[FOREIGN], &body).await;
        let says = got.message();
        assert!(got.status == 400 && says.contains(offers), "{says}");
    }
    // A client of ours is taken by its word.
    let mut body = request(Dialect::Messages);
    body["tools"] = foreign_tools(Dialect::Messages);
    let got = server.ask(Dialect::Messages, &[], &body).await;
    let want = "rule `rule 2` calls the tool `write`, which the request does not offer (it offers `Write`, `Bash`)";
    assert_eq!((got.status, got.message().as_str()), (400, want));
}

#[tokio::test]
async fn questions_beside_the_work_need_no_rule() {
    let server = start(
        "- {when: {role: implementer, turn: 0}, fault: {status: 500}, reply: [{done: true}]}",
    )
    .await;
    let title = [(names::ROUTE, "title")];
    let aside = [FOREIGN, (names::ROLE, "implementer")];
    for wire in Dialect::ALL {
        // Ours and others' on the route `title`.
        for others in [&title[..], &[FOREIGN, title[0]]] {
            let got = server.ask(wire, others, &request(wire)).await;
            assert_eq!(said_by(wire, false, &got).0, ["text Simulated answer"]);
        }
        // A program at work offers tools; without them it asks aside, and no fault of a rule is used up.
        let mut body = request(wire);
        body.as_object_mut().unwrap().shift_remove("tools");
        let got = server.ask(wire, &aside, &body).await;
        assert_eq!(said_by(wire, false, &got).0, ["text Simulated answer"]);
        let outcome = server.recorder.list_requests().pop().unwrap().outcome;
        assert_eq!(outcome, RequestOutcome::AnsweredAside);
        // What must be JSON is.
        let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
        match wire {
            Dialect::Messages => {
                body["output_config"] =
                    json!({"format": {"type": "json_schema", "schema": schema}});
            }
            Dialect::ChatCompletions => {
                body["response_format"] =
                    json!({"type": "json_schema", "json_schema": {"name": "t", "schema": schema}});
            }
            Dialect::Responses => {
                body["text"] =
                    json!({"format": {"type": "json_schema", "name": "t", "schema": schema}});
            }
        }
        let got = server.ask(wire, &aside, &body).await;
        assert_eq!(
            said_by(wire, false, &got).0,
            [r#"text {"title":"Simulated answer"}"#]
        );
    }
    // Codex says itself what a request is for.
    let mut body = request(Dialect::Responses);
    body["client_metadata"] = json!({"x-codex-turn-metadata": "{\"request_kind\":\"compaction\"}"});
    let got = server.ask(Dialect::Responses, &aside, &body).await;
    assert_eq!(said_by_responses(&got).0, ["text Simulated answer"]);
    // A tool that must be called is.
    let mut body = request(Dialect::Messages);
    body["tool_choice"] = json!({"type": "any"});
    let got = server.ask(Dialect::Messages, &title, &body).await;
    assert_eq!(
        said_by_messages(&got).0,
        [r#"write {"path":"Simulated answer"}"#]
    );
    // The work itself is answered by rules, and the first answer is the fault.
    let got = server
        .ask(Dialect::Messages, &aside, &request(Dialect::Messages))
        .await;
    assert_eq!(got.status, 500);
}

/// A program puts a summary in the place of its history; the scenario goes on where it was.
#[tokio::test]
async fn turns_go_on_behind_a_summary() {
    let server = start("- {when: {turn: 2}, reply: [{text: Third.}]}").await;
    let aside = [FOREIGN, (names::ROLE, "implementer")];
    for wire in Dialect::ALL {
        let key = match wire {
            Dialect::Responses => "input",
            Dialect::Messages | Dialect::ChatCompletions => "messages",
        };
        let mut asking = conversation(wire);
        let ask = "Do NOT call any tools. Write a <summary>.";
        match wire {
            Dialect::Messages => asking[key][2]["content"][2]["text"] = json!(ask),
            Dialect::ChatCompletions => drop(asking.as_object_mut().unwrap().shift_remove("tools")),
            Dialect::Responses => {
                let kind = json!({"request_kind": "compaction"}).to_string();
                asking["client_metadata"] = json!({"x-codex-turn-metadata": kind});
            }
        }
        let got = server.ask(wire, &aside, &asking).await;
        let summary = said_by(wire, false, &got).0.remove(0);
        assert_eq!(summary, "text Simulated answer: the summary of 1 answers");
        let mut next = request(wire);
        next[key] = json!([
            {"role": "user", "content": format!("What came before: {summary}")},
            {"role": "assistant", "content": "I go on."},
            {"role": "user", "content": "Do."},
        ]);
        let got = server.ask(wire, &aside, &next).await;
        assert_eq!(said_by(wire, false, &got).0, ["text Third."]);
    }
}

/// Tools of an MCP server come as a group, and are called as one of it.
#[tokio::test]
async fn a_tool_of_a_group_is_called_with_its_group() {
    let server =
        start("- {when: {}, reply: [{items: [{section: s, value: 1}]}, {done: true}]}").await;
    let mut body = request(Dialect::Responses);
    let any = json!({"type": "object", "properties": {}});
    let tool = |name: &str| json!({"type": "function", "name": name, "parameters": any});
    body["tools"] = json!([
        {"type": "namespace", "name": "mcp__omoi", "tools": [tool("submit_item"), tool("submit_done")]},
        tool("exec_command"),
    ]);
    let others = [FOREIGN, (names::PHASE, "prd")];
    for stream in [false, true] {
        body["stream"] = json!(stream);
        let got = server.ask(Dialect::Responses, &others, &body).await;
        let output = match stream {
            false => got.json()["output"].clone(),
            true => responses_events(&got.body).pop().unwrap()["response"]["output"].clone(),
        };
        for (item, name) in output
            .as_array()
            .unwrap()
            .iter()
            .zip(["submit_item", "submit_done"])
        {
            let called = [&item["namespace"], &item["name"], &item["type"]];
            assert_eq!(called, ["mcp__omoi", name, "function_call"]);
        }
        assert_eq!(said_by(Dialect::Responses, stream, &got).0.len(), 2);
    }
}

#[tokio::test]
async fn tokens_are_counted_and_a_model_is_shown() {
    let server = start("- {when: {}, reply: []}").await;
    let url = format!("{}/v1/messages/count_tokens", server.base);
    let body = request(Dialect::Messages).to_string();
    let want = body.len().div_ceil(4);
    let ask = server
        .client
        .post(url)
        .headers(headers(Dialect::Messages, &[]))
        .body(body);
    assert_eq!(Server::receive(ask).await.json()["input_tokens"], want);
    for (model, status) in [(MODEL, 200), ("claude-gone", 404)] {
        let url = format!("{}/v1/models/{model}", server.base);
        let ask = server
            .client
            .get(url)
            .headers(headers(Dialect::Messages, &[]));
        let got = Server::receive(ask).await;
        assert_eq!(got.status, status);
    }
}

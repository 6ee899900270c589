//! A tool round that went on to another model comes back to the first one, for each pair of dialects.

use futures::StreamExt as _;
use http::{HeaderMap, Method};
use omoi_llm::gateway::{GatewayRequest, ReplyBody};

use super::*;
use crate::agent_programs::ServedScenario;

/// Thinks and calls a tool in its first and third answer; away in between.
const FIRST: &str = r"
version: 1
name: away in the midst of a round
rules:
- when: {role: implementer, turn: 0}
  reasoning: What the first one thinks.
  reply: [{tool: {name: read, input: {path: first}}}]
- when: {role: implementer, turn: 1}
  fault: {status: 529, times: always}
- when: {role: implementer}
  reasoning: It is back.
  reply: [{tool: {name: read, input: {path: again}}}]
";
/// The same without a thought.
const SILENT_FIRST: &str = r"
version: 1
name: away in the midst of a round, without thoughts
rules:
- when: {role: implementer, turn: 0}
  reply: [{tool: {name: read, input: {path: first}}}]
- when: {role: implementer, turn: 1}
  fault: {status: 529, times: always}
- when: {role: implementer}
  reply: [{tool: {name: read, input: {path: again}}}]
";
const SECOND: &str = r"
version: 1
name: there in its place
rules:
- when: {role: implementer}
  reasoning: What the second one thinks.
  reply: [{tool: {name: read, input: {path: second}}}]
";

fn simulated(dialect: Dialect, base: &str) -> ModelRoute {
    let base_url = match dialect {
        Dialect::Messages => base.to_owned(),
        Dialect::ChatCompletions | Dialect::Responses => format!("{base}/v1"),
    };
    ModelRoute {
        model: "simulated".to_owned(),
        base_url,
        simulated: true,
        ..route(dialect, "")
    }
}

/// A conversation as a program of one dialect keeps it.
struct KeptConversation {
    dialect: Dialect,
    entries: Vec<Value>,
}

impl KeptConversation {
    fn begin(dialect: Dialect) -> Self {
        Self {
            dialect,
            entries: vec![json!({"role": "user", "content": "Go."})],
        }
    }

    fn request(&self) -> GatewayRequest {
        let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
        let entries = &self.entries;
        let (path, body) = match self.dialect {
            Dialect::Messages => (
                "/v1/messages",
                json!({"model": "agent", "max_tokens": 8_000, "messages": entries,
                    "thinking": {"type": "enabled", "budget_tokens": 2_000},
                    "tools": [{"name": "read", "description": "Reads.", "input_schema": schema}]}),
            ),
            Dialect::ChatCompletions => (
                "/v1/chat/completions",
                json!({"model": "agent", "max_tokens": 8_000, "messages": entries,
                    "tools": [{"type": "function", "function":
                        {"name": "read", "description": "Reads.", "parameters": schema}}]}),
            ),
            Dialect::Responses => (
                "/v1/responses",
                json!({"model": "agent", "max_output_tokens": 8_000, "input": entries,
                    "reasoning": {"summary": "auto"}, "store": false,
                    "include": ["reasoning.encrypted_content"],
                    "tools": [{"type": "function", "name": "read", "description": "Reads.",
                        "parameters": schema, "strict": false}]}),
            ),
        };
        GatewayRequest {
            method: Method::POST,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        }
    }

    /// Takes in an answer and the result of its call; gives the path that it wanted read.
    fn take_answer(&mut self, answer: &Value) -> String {
        let (entries, id, input) = match self.dialect {
            Dialect::Messages => {
                let call = answer["content"].as_array().and_then(|all| all.last());
                let call = call.unwrap_or_else(|| panic!("{answer}"));
                let said = json!({"role": "assistant", "content": answer["content"]});
                (vec![said], call["id"].clone(), call["input"].clone())
            }
            Dialect::ChatCompletions => {
                let message = answer["choices"][0]["message"].clone();
                let call = message["tool_calls"][0].clone();
                (
                    vec![message],
                    call["id"].clone(),
                    parsed(&call["function"]["arguments"]),
                )
            }
            Dialect::Responses => {
                let items = answer["output"].as_array().cloned();
                let items = items.unwrap_or_else(|| panic!("{answer}"));
                let call = items.last().cloned().unwrap_or_default();
                (items, call["call_id"].clone(), parsed(&call["arguments"]))
            }
        };
        self.entries.extend(entries);
        self.entries.push(match self.dialect {
            Dialect::Messages => json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": id, "content": "x"}]}),
            Dialect::ChatCompletions => json!({"role": "tool", "tool_call_id": id, "content": "x"}),
            Dialect::Responses => {
                json!({"type": "function_call_output", "call_id": id, "output": "x"})
            }
        });
        input["path"].as_str().unwrap_or_default().to_owned()
    }
}

fn parsed(arguments: &Value) -> Value {
    serde_json::from_str(arguments.as_str().unwrap_or_default()).unwrap_or_default()
}

impl House {
    async fn answer_of(&self, request: GatewayRequest) -> Value {
        let answer = async {
            let reply = self.gateway.handle_request(&caller(), request).await;
            let bytes = match reply.body {
                ReplyBody::Full(bytes) => bytes.to_vec(),
                ReplyBody::Events(events) => events.collect::<Vec<_>>().await.concat(),
            };
            assert_eq!(
                reply.status.as_u16(),
                200,
                "{}",
                String::from_utf8_lossy(&bytes)
            );
            serde_json::from_slice(&bytes).unwrap()
        };
        tokio::select! {
            answer = answer => answer,
            () = self.time_passes() => unreachable!("it never stops"),
        }
    }
}

/// Which files the answers wanted: each model asks for its own.
async fn wanted_files(caller: Dialect, first: ModelRoute, second: ModelRoute) -> Vec<String> {
    let house = house(vec![first, second], TestMeter::rich());
    let mut kept = KeptConversation::begin(caller);
    let mut wanted = Vec::new();
    for pause in [0, 0, 0, 25] {
        // Later the first one is tried again.
        house.pace.advance(Duration::from_mins(pause));
        let answer = house.answer_of(kept.request()).await;
        wanted.push(kept.take_answer(&answer));
        if wanted.last().is_some_and(|path| path == "again") {
            break;
        }
    }
    wanted
}

#[tokio::test]
async fn a_tool_round_comes_back_to_its_first_model() {
    let (thinking, silent) = (
        ServedScenario::start(FIRST).await,
        ServedScenario::start(SILENT_FIRST).await,
    );
    let second = ServedScenario::start(SECOND).await;
    let mut n_returned = 0;
    for first_dialect in Dialect::ALL {
        for second_dialect in Dialect::ALL {
            for caller in Dialect::ALL {
                for (first, thinks) in [(&thinking, true), (&silent, false)] {
                    let wanted = wanted_files(
                        caller,
                        simulated(first_dialect, &first.base),
                        simulated(second_dialect, &second.base),
                    );
                    let wanted = wanted.await;
                    let name =
                        format!("{caller}: {first_dialect} → {second_dialect}, thinks: {thinks}");
                    // A server that showed its thoughts in chat completions refuses answers of the round without.
                    let is_barred = first_dialect == Dialect::ChatCompletions && thinks;
                    let expected = match is_barred {
                        true => ["first", "second", "second", "second"],
                        // It is passed over for some minutes first.
                        false => ["first", "second", "second", "again"],
                    };
                    assert_eq!(wanted, expected, "{name}");
                    n_returned += usize::from(!is_barred);
                }
            }
        }
    }
    assert_eq!(n_returned, 45);
}

/// Whatever a vendor takes amiss in a round of another, the model that answered last goes on with it.
#[tokio::test]
async fn a_model_that_refuses_the_round_is_left_alone_until_it_is_over() {
    let (first, second) = (
        Stub::start(
            vec![
                stub::status_after(429, 100),
                said(400, "messages.1: no thought"),
            ],
            stub::good(),
        )
        .await,
        Stub::always(stub::good()).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let mut messages = vec![json!({"role": "user", "content": "a"})];
    let answer = json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]});
    let result = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]});
    for (n, (calls, asked)) in [(1, 1), (2, 2), (2, 3)].into_iter().enumerate() {
        let body = json!({"model": "agent", "max_tokens": 1000, "stream": true, "messages": messages,
            "tools": [{"name": "read", "input_schema": {"type": "object"}}]});
        let (status, says) = house.ask(&body).await;
        assert_eq!(
            (status, first.calls(), second.calls()),
            (200, calls, asked),
            "{n}: {says}"
        );
        messages.extend([answer.clone(), result.clone()]);
        house.pace.advance(Duration::from_mins(25));
    }
    messages.push(json!({"role": "user", "content": "b"}));
    let (status, _) = house
        .ask(&json!({"model": "agent", "max_tokens": 1000, "messages": messages}))
        .await;
    assert_eq!((status, first.calls(), second.calls()), (200, 3, 3));
    let classes = house.passed_over().into_iter().map(|(_, _, class)| class);
    let expected = [FallbackClass::Limited, FallbackClass::Refused];
    assert_eq!(classes.collect::<Vec<_>>(), expected);
}

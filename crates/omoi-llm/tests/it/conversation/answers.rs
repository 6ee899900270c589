//! Answers of each dialect in the words of the others.

use serde_json::{Value, json};

use omoi_llm::conversation::{
    AnswerEvent, AnswerForm, AnswerParser, AnswerRenderer, AnswerUsage, ToolNames, parse_request,
};
use omoi_llm::wire::dialect::Dialect;

use super::{FOLDERS, events_of, inputs};

fn renderer(dialect: Dialect, names: ToolNames) -> AnswerRenderer {
    AnswerRenderer::new(AnswerForm {
        dialect,
        names,
        created_s: 7,
        hides_usage: false,
    })
}

/// The committed inputs of the parsers, which the fuzzer starts from.
#[test]
fn streams_read_the_same_however_they_are_cut() {
    for (dialect, folder) in FOLDERS {
        for (name, stream) in inputs(&format!("{folder}_stream")) {
            let whole = events_of(dialect, "here", [stream.as_slice()]);
            assert!(whole.len() > 1, "{folder}/{name}");
            for cut in 0..stream.len() {
                let (before, after) = stream.split_at(cut);
                let events = events_of(dialect, "here", [before, after]);
                assert_eq!(events, whole, "{folder}/{name} cut at byte {cut}");
            }
            let lines: Vec<String> = whole.iter().map(|event| format!("{event:?}")).collect();
            let name = format!("{folder}_{}", name.replace(['-', '.'], "_"));
            insta::assert_snapshot!(name, lines.join("\n"));
        }
    }
}

/// What is said, without names and pieces, which differ between dialects.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    reasoning: String,
    calls: Vec<(String, String, String)>,
    /// Fresh, read from the cache, written there, answered, spent on reasoning.
    tokens: [u64; 5],
    stop: Option<String>,
    failure: Option<u16>,
    ended: bool,
}

impl Said {
    fn of_events(events: &[AnswerEvent]) -> Self {
        let mut said = Self::default();
        let mut slots = Vec::new();
        let mut usage = AnswerUsage::default();
        for event in events {
            match event {
                AnswerEvent::Text(text) => said.text.push_str(text),
                AnswerEvent::Reasoning(text) => said.reasoning.push_str(text),
                AnswerEvent::CallStarted(call) => {
                    slots.push(call.slot);
                    said.calls
                        .push((call.id.clone(), call.name.clone(), String::new()));
                }
                AnswerEvent::CallInput { slot, piece } => {
                    let at = slots.iter().position(|known| known == slot).unwrap();
                    said.calls[at].2.push_str(piece);
                }
                AnswerEvent::Usage(newer) => usage.merge_figures(newer),
                AnswerEvent::Stopped(stop) => said.stop = Some(format!("{:?}", stop.cause)),
                AnswerEvent::Failed(failure) => said.failure = Some(failure.status),
                AnswerEvent::Ended => said.ended = true,
                AnswerEvent::Started(_)
                | AnswerEvent::ReasoningSealed(_)
                | AnswerEvent::CallEnded { .. }
                | AnswerEvent::Ping => {}
            }
        }
        said.tokens = [
            usage.input_fresh,
            usage.cache_read,
            usage.cache_write,
            usage.output,
            usage.reasoning,
        ]
        .map(Option::unwrap_or_default);
        for call in &mut said.calls {
            if call.2.is_empty() {
                call.2.push_str("{}");
            }
        }
        said
    }

    /// Without what `dialect` cannot say.
    fn without_unsayable(mut self, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => self.tokens[4] = 0,
            Dialect::ChatCompletions | Dialect::Responses => {
                // No word of theirs for it.
                if self.stop.as_deref() == Some("StopText") {
                    self.stop = Some("Finished".to_owned());
                }
            }
        }
        // A server may say that it is done although it calls a tool; every writer mends that.
        if self.stop.as_deref() == Some("Finished") && !self.calls.is_empty() {
            self.stop = Some("Calls".to_owned());
        }
        self
    }
}

#[test]
fn answers_say_the_same_in_every_dialect() {
    for (from, folder) in FOLDERS {
        for (name, stream) in inputs(&format!("{folder}_stream")) {
            let events = events_of(from, "here", [stream.as_slice()]);
            for (to, _) in FOLDERS {
                let at = format!("{folder}/{name} in {to}");
                let mut writer = renderer(to, ToolNames::default());
                let mut written = String::new();
                for event in events.clone() {
                    written.push_str(&writer.push_event(event).unwrap());
                }
                let streamed = Said::of_events(&events_of(to, "caller", [written.as_bytes()]));
                let mut said = Said::of_events(&events).without_unsayable(to);
                if to != Dialect::Responses {
                    // The text of a tool that takes text; callers of others never offer one.
                    for call in &mut said.calls {
                        if to == Dialect::Messages && !call.2.starts_with('{') {
                            call.2 = json!({"input": call.2}).to_string();
                        }
                    }
                }
                if said.failure.is_some() {
                    // How much was read is not told with a failure.
                    said.tokens = streamed.tokens;
                    assert_eq!(streamed, said, "{at}");
                    continue;
                }
                assert_eq!(streamed, said, "{at}");
                let whole = writer.whole_answer().unwrap();
                let whole = AnswerParser::read_whole(to, "caller", &whole).unwrap();
                assert_eq!(Said::of_events(&whole.unwrap()), said, "{at}, whole");
            }
        }
    }
}

#[test]
fn arguments_may_be_cut_anywhere() {
    let arguments = json!({"path": "é \"q\"\n", "n": [1, {"x": null}]}).to_string();
    let chunk = |delta: Value| {
        let data = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}]});
        format!("data: {data}\n\n")
    };
    let call = |rest: Value| chunk(json!({"tool_calls": [rest]}));
    for cut in (0..=arguments.len()).filter(|cut| arguments.is_char_boundary(*cut)) {
        let (before, after) = arguments.split_at(cut);
        let stream = [
            call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": before}})),
            call(json!({"index": 0, "function": {"arguments": after}})),
            "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}]}\n\n".to_owned(),
        ];
        let stream = stream.concat();
        let events = events_of(Dialect::ChatCompletions, "here", [stream.as_bytes()]);
        for (to, _) in FOLDERS {
            let mut writer = renderer(to, ToolNames::default());
            let mut written = String::new();
            for event in events.clone() {
                written.push_str(&writer.push_event(event).unwrap());
            }
            let said = Said::of_events(&events_of(to, "caller", [written.as_bytes()]));
            assert_eq!(said.calls[0].2, arguments, "{to}, cut at {cut}");
            assert_eq!(said.stop.as_deref(), Some("Calls"));
        }
    }
}

/// A model without tools of free text writes their text as JSON; the caller gets text.
#[test]
fn calls_of_a_chat_model_are_told_as_the_caller_offered_them() {
    let wire = json!({"model": "m", "input": "x", "tools": [
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "mcp__t", "tools": [{"type": "function", "name": "echo"}]}]});
    let wire = wire.to_string();
    let conversation = parse_request(Dialect::Responses, wire.as_bytes()).unwrap();
    let names = ToolNames::of_conversation(&conversation);
    let call = |index: u32, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        let call = json!({"index": index, "id": format!("c{index}"), "function": function});
        json!({"id": "c", "choices": [{"delta": {"tool_calls": [call]}}]})
    };
    let stream = format!(
        "data: {}\n\ndata: {}\n\ndata: {}\n\n",
        call(0, "apply_patch", "{\"input\":\"*** Begin\\n\"}"),
        call(1, "mcp__t__echo", "{\"text\":\"x\"}"),
        json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    );
    let mut writer = renderer(Dialect::Responses, names);
    for event in events_of(Dialect::ChatCompletions, "here", [stream.as_bytes()]) {
        writer.push_event(event).unwrap();
    }
    let answer: Value = serde_json::from_slice(&writer.whole_answer().unwrap()).unwrap();
    let output = &answer["output"];
    assert_eq!(output[0]["type"], "custom_tool_call");
    assert_eq!(output[0]["input"], "*** Begin\n");
    assert_eq!(output[1]["name"], "echo");
    assert_eq!(output[1]["namespace"], "mcp__t");
    assert_eq!(output[1]["arguments"], "{\"text\":\"x\"}");
}

#[test]
fn a_cut_answer_does_not_end() {
    for (dialect, folder) in FOLDERS {
        let stream = inputs(&format!("{folder}_stream"));
        let (_, stream) = stream
            .iter()
            .find(|(name, _)| name.contains("calls"))
            .unwrap();
        let half = &stream[..stream.len() / 2];
        let events = events_of(dialect, "here", [half]);
        assert!(!events.contains(&AnswerEvent::Ended), "{dialect}");
    }
}

#[test]
fn broken_arguments_have_no_place_in_a_whole_message() {
    let stream = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"t\",\"function\":\
                  {\"name\":\"read\",\"arguments\":\"{\\\"path\\\":\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n";
    let mut writer = renderer(Dialect::Messages, ToolNames::default());
    for event in events_of(Dialect::ChatCompletions, "here", [stream.as_bytes()]) {
        writer.push_event(event).unwrap();
    }
    let error = writer.whole_answer().unwrap_err();
    assert!(error.to_string().contains("tool call `read`"), "{error}");
}

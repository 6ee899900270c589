//! Small questions to models that do what they say, and to some that do not.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::model_probe::{PROBE_SCENARIO, ProbeReport, probe_model};
use omoi_llm::pace::CallPace;
use omoi_llm::route::{ModelRoute, RouteTable};
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::{SimulatedModel, serve_scenario};
use omoi_llm::wire::dialect::Dialect;

use crate::stub::{self, Says, Stub};
use crate::support::{VirtualPace, llm_of, route};

async fn probe(route: ModelRoute) -> ProbeReport {
    probe_model(&llm_of(route, &VirtualPace::new()), RouteName::Agent).await
}

/// What does not hold, with the reason.
fn problems(report: &ProbeReport) -> Vec<(&'static str, String)> {
    let findings = report.findings.iter();
    let lacking = findings.filter_map(|f| Some((f.feature.as_str(), f.problem.clone()?)));
    lacking.collect()
}

/// An answer of Anthropic's format in these pieces.
fn words(pieces: &[&str]) -> Says {
    let mut events = vec![
        stub::anthropic_start(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    events.extend(pieces.iter().map(|text| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    }));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}}),
        json!({"type": "message_stop"}),
    ]);
    stub::says(&events)
}

#[tokio::test]
async fn a_model_that_does_all_of_it_is_told_with_its_cost() {
    let script = vec![
        words(&["ok"]),
        stub::calls_tool("note_word", "{\"word\": \"harbour\"}"),
        words(&["1 2 3", " 4 5"]),
    ];
    let stub = Stub::start(script, stub::status(500)).await;
    let report = probe(route(Dialect::Messages, &stub.url)).await;
    assert_eq!(problems(&report), []);
    assert!(report.is_whole());
    assert_eq!(stub.calls(), 3);
    assert_eq!(report.tokens.read_tokens(), 360);
    assert!(report.cost > NanoUsd::ZERO);
    let forced = &stub.seen()[1].body["tool_choice"]["type"];
    assert_eq!(forced, "any");
}

#[tokio::test]
async fn one_refusal_is_asked_nothing_more() {
    let stub = Stub::always(stub::status(401)).await;
    let report = probe(route(Dialect::Messages, &stub.url)).await;
    assert_eq!(stub.calls(), 1);
    assert_eq!(report.cost, NanoUsd::ZERO, "a refusal is not billed");
    let problems = problems(&report);
    assert!(problems[0].1.contains("status 401"), "{problems:?}");
    assert!(!problems[0].1.contains("sk-hidden"), "{problems:?}");
    assert_eq!(problems.len(), 4);
}

#[tokio::test]
async fn a_server_that_only_claims_tools_streaming_and_usage_is_found_out() {
    let whole = |text: &str, usage: Value| {
        let body = json!({"id": "c", "model": "m", "object": "chat.completion", "created": 1, "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]});
        Says::Plain(
            200,
            Some(("content-type", "application/json".to_owned())),
            body.to_string(),
        )
    };
    let script = vec![
        whole("ok", Value::Null),
        whole("note_word(\"harbour\")", Value::Null),
        whole("1 2 3 4 5", Value::Null),
    ];
    let stub = Stub::start(script, stub::status(500)).await;
    let report = probe(route(Dialect::ChatCompletions, &stub.url)).await;
    let expected = [
        (
            "tools",
            "it calls tools in words: the call stands in the text of its answer",
        ),
        (
            "streaming",
            "it sends an answer of forty numbers in one piece, at its end",
        ),
        ("usage", "it does not tell what it read"),
    ];
    assert_eq!(problems(&report), expected.map(|(f, p)| (f, p.to_owned())));
    assert!(report.tokens.input > 0, "what is not told is estimated");
}

#[tokio::test]
async fn the_simulated_model_answers_the_questions_in_each_format_it_serves() {
    for dialect in [Dialect::Messages, Dialect::ChatCompletions] {
        let scenario = Scenario::read_from("probe.yaml", &|_| Ok(PROBE_SCENARIO.into())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let model = SimulatedModel::new(scenario, None);
        let server = serve_scenario(listener, &model, std::future::pending());
        let base = match dialect {
            Dialect::Messages => base,
            Dialect::ChatCompletions | Dialect::Responses => format!("{base}/v1"),
        };
        let routes = RouteTable::all_simulated(dialect, &base);
        let pace = VirtualPace::new() as Arc<dyn CallPace>;
        let llm = LlmClient::new(routes, pace).unwrap();
        let report = tokio::select! {
            report = probe_model(&llm, RouteName::Agent) => report,
            served = server => panic!("the server ended: {served:?}"),
        };
        assert_eq!(problems(&report), [], "{dialect}");
        assert_eq!(report.cost, NanoUsd::ZERO);
    }
}

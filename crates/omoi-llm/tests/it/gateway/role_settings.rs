//! Settings of a role on their way to its models, and what they cost.

use omoi_domain::role_settings::RoleSettingsRow;
use omoi_llm::conversation::ThinkingForm;
use omoi_llm::meter::CallMeter;
use omoi_llm::structured::{MeteredCaller, TypedQuestion, ask_structured};

use super::*;

/// A model that is told how much to think as the vendor's own.
fn told_route(dialect: Dialect, stub: &Stub, row: &str) -> ModelRoute {
    let row: RoleSettingsRow = row.parse().unwrap();
    ModelRoute {
        thinking: ThinkingForm::Effort,
        settings: row.settings,
        max_tokens: 30_000,
        ..route(dialect, &stub.url)
    }
}

#[tokio::test]
async fn a_turn_of_our_agent_is_told_what_its_role_wants() {
    let mark = json!({"type": "ephemeral"});
    let body = json!({"model": "agent", "max_tokens": 1000, "stream": true,
        "system": [{"type": "text", "text": "s", "cache_control": mark}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": mark}]}]});
    let row = "agent=effort:high/thinking:adaptive/cache:1h";
    let stub = Stub::always(stub::good()).await;
    let house = house_of(told_route(Dialect::Messages, &stub, row), TestMeter::rich());
    assert_eq!(house.post(body.clone()).await.status, StatusCode::OK);
    let sent = stub.seen()[0].body.clone();
    assert_eq!(sent["thinking"], json!({"type": "adaptive"}));
    assert_eq!(sent["output_config"], json!({"effort": "high"}));
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(sent["system"][0]["cache_control"], hour);
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], hour);
    // The price of writing for an hour is set aside.
    let log = house.meter.log();
    let Some(Logged::Granted(projection)) = log.first() else {
        panic!("{log:?}");
    };
    assert_eq!(projection.tokens.input, 0);
    assert!(projection.tokens.cache_write_1h > 0);

    // The same agent on models that speak another dialect.
    for (dialect, says) in [
        (
            Dialect::ChatCompletions,
            json!({"reasoning_effort": "high"}),
        ),
        (
            Dialect::Responses,
            json!({"reasoning": {"effort": "high", "summary": "auto"}}),
        ),
    ] {
        let stub = Stub::always(stub::status(400)).await;
        let house = house_of(told_route(dialect, &stub, row), TestMeter::rich());
        house.post(body.clone()).await;
        let sent = stub.seen()[0].body.clone();
        for (name, value) in says.as_object().unwrap() {
            assert_eq!(sent[name], *value, "{dialect}");
        }
    }
}

#[tokio::test]
async fn a_typed_question_is_told_what_fits_it() {
    let answer = r#"{"passed": true}"#;
    let stub = Stub::always(stub::calls_tool("answer", answer)).await;
    let llm = llm_of(
        told_route(
            Dialect::Messages,
            &stub,
            "judge=effort:low/thinking:adaptive",
        ),
        &VirtualPace::new(),
    );
    let question = TypedQuestion {
        route: RouteName::Judge,
        system: None,
        prompt: "a".to_owned(),
        max_tokens: 500,
        temperature: Some(0.0),
        authors: Vec::new(),
    };
    let (caller, meter) = (caller(), TestMeter::rich());
    let meter: &dyn CallMeter = meter.as_ref();
    let caller = MeteredCaller {
        caller: &caller,
        meter,
    };
    let answered = ask_structured::<serde_json::Map<String, Value>>(&llm, caller, &question).await;
    answered.unwrap();
    let sent = stub.seen()[0].body.clone();
    // It has to call a tool, ahead of which its vendor takes no thoughts.
    assert_eq!(sent.get("thinking"), None);
    assert_eq!(sent["output_config"]["effort"], "low");
}

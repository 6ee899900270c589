//! Typed answers and their repair.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_llm::llm_client::{AskError, LlmClient};
use omoi_llm::meter::{CallMeter, ModelCaller};
use omoi_llm::retry::CALLS_MAX;
use omoi_llm::route::{AnswerMode, ModelRoute, ProviderKey};
use omoi_llm::structured::{MeteredCaller, StructuredError, TypedQuestion, ask_structured};
use omoi_llm::wire::dialect::Dialect;

use crate::stub::{self, Says, Stub};
use crate::support::{Logged, TestMeter, VirtualPace, caller, llm, llm_of, llm_of_list, route};

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    passed: bool,
    #[schemars(range(min = 1, max = 10))]
    score: u8,
    reasons: Vec<String>,
}

fn question() -> TypedQuestion {
    TypedQuestion {
        route: RouteName::Judge,
        system: Some("You judge.".to_owned()),
        prompt: "Is it done?".to_owned(),
        max_tokens: 500,
        temperature: Some(0.0),
        authors: Vec::new(),
    }
}

async fn ask(llm: &LlmClient, meter: &Arc<TestMeter>) -> Result<Verdict, StructuredError> {
    let caller: ModelCaller = caller();
    let meter: &dyn CallMeter = meter.as_ref();
    let caller = &caller;
    let question = question();
    let asked = ask_structured(llm, MeteredCaller { caller, meter }, &question);
    asked.await.map(|answer| answer.value)
}

#[tokio::test]
async fn a_key_of_an_agent_program_is_not_used_for_the_platform() {
    let stub = Stub::always(stub::calls_tool("answer", GOOD)).await;
    let keyed = route(Dialect::Messages, &stub.url);
    let subscribed = ModelRoute {
        key: ProviderKey::Bearer("of-a-subscription".into()),
        only_program: Some(AgentProgram::ClaudeCode),
        ..keyed.clone()
    };
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    let llm = llm_of_list(vec![subscribed, keyed], &pace);
    assert_eq!(ask(&llm, &meter).await.unwrap(), good());
    assert_eq!(stub.seen()[0].headers["x-api-key"], "sk-hidden");
    assert!(meter.fallbacks.lock().unwrap().is_empty());
}

fn good() -> Verdict {
    Verdict {
        passed: true,
        score: 7,
        reasons: vec!["fine".to_owned()],
    }
}

const GOOD: &str = r#"{"passed": true, "score": 7, "reasons": ["fine"]}"#;

/// Five answers, each wrong in its own way, and what must come back for it.
fn malformed() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            r#"{"passed": true, "score": 7}"#,
            "lacks the field `reasons`",
        ),
        (
            r#"{"passed": "yes", "score": 7, "reasons": []}"#,
            "/passed: must be of type boolean; found \"yes\"",
        ),
        (
            r#"{"passed": true, "score": 70, "reasons": []}"#,
            "/score: must be at most 10; found 70",
        ),
        (
            r#"{"passed": true, "score": 7, "reasons": [], "mood": 1}"#,
            "/mood: unknown field; found 1",
        ),
        (r#"{"passed": tr"#, "is not a JSON object: "),
    ]
}

#[tokio::test]
async fn five_wrong_answers_then_a_good_one() {
    let script = malformed()
        .iter()
        .map(|(input, _)| stub::calls_tool("answer", input))
        .collect();
    let stub = Stub::start(script, stub::calls_tool("answer", GOOD)).await;
    let meter = TestMeter::rich();
    let verdict = ask(&llm(&stub.url, &VirtualPace::new()), &meter)
        .await
        .unwrap();
    assert_eq!(verdict, good());
    let seen = stub.seen();
    assert_eq!(seen.len(), 6);
    assert_eq!(
        seen[0].body["tool_choice"],
        json!({"type": "tool", "name": "answer", "disable_parallel_tool_use": true})
    );
    assert_eq!(
        seen[0].body["tools"][0]["input_schema"]["required"],
        json!(["passed", "score", "reasons"])
    );
    for (n, (input, says)) in malformed().into_iter().enumerate() {
        let messages = seen[n + 1].body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2 * n + 3);
        let [.., answer, complaint] = messages.as_slice() else {
            panic!("{messages:?}");
        };
        assert_eq!(answer["role"], "assistant");
        let result = &complaint["content"][0];
        assert_eq!(
            (&result["type"], &result["tool_use_id"], &result["is_error"]),
            (&json!("tool_result"), &json!("toolu_9"), &json!(true))
        );
        let text = result["content"].as_str().unwrap();
        assert!(text.contains(says), "{input}: {text}");
    }
    assert_eq!(meter.usages().len(), 6);
    assert_eq!(meter.log().len(), 12, "each call was reserved and recorded");
}

#[tokio::test]
async fn the_sixth_wrong_answer_is_the_last() {
    let script = vec![stub::calls_tool("answer", "{}"); 5];
    let last = r#"{"passed": true, "score": 0, "reasons": []}"#;
    let stub = Stub::start(script, stub::calls_tool("answer", last)).await;
    let error = ask(&llm(&stub.url, &VirtualPace::new()), &TestMeter::rich())
        .await
        .unwrap_err();
    let StructuredError::Malformed { answers, last } = error else {
        panic!("{error:?}");
    };
    assert_eq!((answers, stub.calls()), (6, 6));
    assert_eq!(last.to_string(), "/score: must be at least 1; found 0");
}

#[tokio::test]
async fn schema_mode_and_fenced_mode() {
    let fenced = format!("Here it is:\n```json\n{GOOD}\n```\nDone.");
    for (mode, texts) in [
        (AnswerMode::JsonSchema, [GOOD, "I would rather not"]),
        (
            AnswerMode::Fenced,
            [fenced.as_str(), "```json\n{\"passed\": 1}\n```"],
        ),
    ] {
        let stub = Stub::start(
            vec![stub::chat(&[texts[1]], "stop")],
            stub::chat(&[texts[0]], "stop"),
        )
        .await;
        let route = ModelRoute {
            answer_mode: mode,
            ..route(Dialect::ChatCompletions, &stub.url)
        };
        let verdict = ask(&llm_of(route, &VirtualPace::new()), &TestMeter::rich())
            .await
            .unwrap();
        assert_eq!(verdict, good());
        let [first, second] = stub.seen().try_into().ok().unwrap();
        let system = first.body["messages"][0]["content"]
            .as_str()
            .unwrap()
            .to_owned();
        let format = &first.body["response_format"];
        match mode {
            AnswerMode::Fenced => assert!(
                format.is_null() && system.contains("\"maximum\":10"),
                "{system}"
            ),
            _ => {
                assert_eq!(
                    (&format["type"], &format["json_schema"]["name"]),
                    (&json!("json_schema"), &json!("Verdict"))
                );
                assert_eq!(system, "You judge.");
            }
        }
        let complaint = &second.body["messages"][3];
        assert!(
            complaint["content"]
                .as_str()
                .unwrap()
                .contains("does not fit the schema"),
            "{complaint}"
        );
    }
}

#[tokio::test]
async fn all_repairs_share_the_calls_of_one_question() {
    // Every answer comes after four failures and is wrong, so the fifth question has no calls left.
    let one = [
        stub::status(500),
        stub::status(503),
        stub::status(529),
        stub::status(500),
        stub::calls_tool("answer", "{}"),
    ];
    let script: Vec<Says> = one.into_iter().cycle().take(120).collect();
    let stub = Stub::start(script, stub::good()).await;
    let pace = VirtualPace::new();
    let error = ask(&llm(&stub.url, &pace), &TestMeter::rich())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StructuredError::Ask(AskError::OutOfCalls { .. })),
        "{error:?}"
    );
    assert_eq!(stub.calls(), CALLS_MAX as usize);
    assert!(pace.elapsed_s() <= 600.0);
}

#[tokio::test]
async fn a_slow_answer_and_its_repair_outlast_the_time_for_tries() {
    let (let_go, held) = tokio::sync::watch::channel(false);
    let wrong = Says::Held(held, Box::new(stub::calls_tool("answer", "{}")));
    let stub = Stub::start(vec![wrong], stub::calls_tool("answer", GOOD)).await;
    let pace = VirtualPace::new();
    let mut llm = llm(&stub.url, &pace);
    llm.retry_time = Duration::from_secs(5);
    let meter = TestMeter::rich();
    let clock = async {
        while pace.elapsed_s() < 30.0 {
            tokio::task::yield_now().await;
            if stub.calls() > 0 {
                pace.advance(Duration::from_secs(1));
            }
        }
        let_go.send_replace(true);
    };
    let (verdict, ()) = tokio::join!(ask(&llm, &meter), clock);
    assert!(verdict.is_ok(), "{verdict:?}");
    assert_eq!(stub.calls(), 2);
}

#[tokio::test]
async fn no_money_no_call() {
    let stub = Stub::always(stub::calls_tool("answer", GOOD)).await;
    let meter = TestMeter::with_cap(NanoUsd::from_nanos(10));
    let error = ask(&llm(&stub.url, &VirtualPace::new()), &meter)
        .await
        .unwrap_err();
    assert!(matches!(error, StructuredError::Reserve(_)), "{error:?}");
    assert_eq!((stub.calls(), meter.log()), (0, vec![Logged::Refused]));
}

/// A list of models at one address, which answers by the model's name.
async fn ask_list(
    first: &Stub,
    others: &[(&str, &Stub)],
    authors: &[&str],
) -> (Arc<TestMeter>, String) {
    let named = |model: &str, stub: &Stub| ModelRoute {
        model: model.to_owned(),
        ..route(Dialect::Messages, &stub.url)
    };
    let mut list = vec![named("first", first)];
    list.extend(others.iter().map(|(model, stub)| named(model, stub)));
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    let question = TypedQuestion {
        authors: authors.iter().map(|model| (*model).to_owned()).collect(),
        ..question()
    };
    let (caller, llm) = (caller(), llm_of_list(list, &pace));
    let asker = MeteredCaller {
        caller: &caller,
        meter: meter.as_ref(),
    };
    let answered = ask_structured::<Verdict>(&llm, asker, &question).await;
    let by = answered.map_or_else(|error| error.to_string(), |answer| answer.model);
    (meter, by)
}

#[tokio::test]
async fn answers_that_stay_wrong_go_on_to_the_next_model() {
    let words = Stub::always(stub::calls_tool("answer", "{}")).await;
    let good = Stub::always(stub::calls_tool("answer", GOOD)).await;
    let (meter, by) = ask_list(&words, &[("second", &good)], &[]).await;
    assert_eq!(by, "second");
    let notes = meter.fallbacks.lock().unwrap();
    assert_eq!(notes[0].class, FallbackClass::Unusable);
    assert!(
        notes[0].words.contains("lacks the field `passed`"),
        "{}",
        notes[0].words
    );
}

#[tokio::test]
async fn a_model_that_is_passed_over_is_told_in_its_providers_words() {
    let says =
        r#"{"type": "error", "error": {"type": "not_found_error", "message": "model: first"}}"#;
    let gone = Stub::always(Says::Plain(404, None, says.to_owned())).await;
    let good = Stub::always(stub::calls_tool("answer", GOOD)).await;
    let (meter, by) = ask_list(&gone, &[("second", &good)], &[]).await;
    assert_eq!(
        (
            by.as_str(),
            meter.fallbacks.lock().unwrap()[0].words.as_str()
        ),
        ("second", "model: first")
    );
}

#[tokio::test]
async fn an_author_is_not_asked_in_the_place_of_a_judge() {
    let gone = Stub::always(stub::status(404)).await;
    let good = Stub::always(stub::calls_tool("answer", GOOD)).await;
    let others = [("author", &good), ("third", &good)];
    let (meter, by) = ask_list(&gone, &others, &["author"]).await;
    assert_eq!(by, "third");
    assert_eq!(meter.fallbacks.lock().unwrap()[0].to_model, "third");
    let (_, says) = ask_list(&gone, &others[..1], &["author"]).await;
    assert_eq!(says, "the model gave no answer");
    // Who is named first is asked afresh.
    let (_, by) = ask_list(&good, &[], &["first"]).await;
    assert_eq!(by, "first");
}

#[tokio::test]
async fn a_declined_question_is_not_repeated() {
    let refusal = json!({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}});
    let stub = Stub::always(stub::says(&[
        stub::anthropic_start(),
        refusal,
        json!({"type": "message_stop"}),
    ]))
    .await;
    let error = ask(&llm(&stub.url, &VirtualPace::new()), &TestMeter::rich())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StructuredError::Declined { .. }),
        "{error:?}"
    );
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn what_is_known_of_a_model_holds_for_the_platforms_questions_too() {
    let limited = Stub::always(stub::status_after(429, 18_000)).await;
    let good = Stub::always(stub::calls_tool("answer", GOOD)).await;
    let named = |model: &str, stub: &Stub| ModelRoute {
        model: model.to_owned(),
        ..route(Dialect::Messages, &stub.url)
    };
    let small = ModelRoute {
        window_tokens: Some(3),
        ..named("small", &good)
    };
    let list = vec![named("limited", &limited), small, named("third", &good)];
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    let (caller, llm, question) = (caller(), llm_of_list(list, &pace), question());
    for _ in 0..2 {
        let asker = MeteredCaller {
            caller: &caller,
            meter: meter.as_ref(),
        };
        let answered = ask_structured::<Verdict>(&llm, asker, &question).await;
        assert_eq!(answered.unwrap().model, "third");
    }
    // The second question knows what the first one found out, and nobody asks a model that cannot read it.
    assert_eq!((limited.calls(), good.calls()), (1, 2));
    let notes = meter.fallbacks.lock().unwrap();
    let told: Vec<_> = notes
        .iter()
        .map(|note| (note.from_model.as_str(), note.class))
        .collect();
    let once = [
        ("limited", FallbackClass::Limited),
        ("small", FallbackClass::WindowExceeded),
    ];
    assert_eq!(told, [once, once].concat());
    assert!(
        notes[2]
            .words
            .contains("did not answer an earlier question")
    );
}

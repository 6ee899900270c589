//! Lists of models: who is asked next, why, and what is kept of it.

mod reasoning;
mod round_return;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::CallOutcome;
use omoi_llm::pricing::ModelPrice;
use omoi_llm::route::{ModelRoute, RouteTable};
use omoi_llm::wire::dialect::Dialect;

use crate::stub::{self, Says, Stub};
use crate::support::{START, TestMeter, VirtualPace, caller, llm_of_list, route};

pub(crate) struct House {
    pub(crate) gateway: ModelGateway,
    pub(crate) meter: Arc<TestMeter>,
    pub(crate) pace: Arc<VirtualPace>,
}

pub(crate) fn house(list: Vec<ModelRoute>, meter: Arc<TestMeter>) -> House {
    let pace = VirtualPace::new();
    House {
        gateway: ModelGateway::new(llm_of_list(list, &pace), Arc::clone(&meter) as _),
        meter,
        pace,
    }
}

/// The first and the second model of a list.
pub(crate) fn pair(first: &Stub, second: &Stub) -> Vec<ModelRoute> {
    let named = |model: &str, url: &str| ModelRoute {
        model: model.to_owned(),
        ..route(Dialect::Messages, url)
    };
    vec![named("first", &first.url), named("second", &second.url)]
}

impl House {
    pub(crate) async fn ask(&self, body: &Value) -> (u16, String) {
        let request = GatewayRequest {
            method: Method::POST,
            path: "/v1/messages".to_owned(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        };
        let answer = async {
            let reply = self.gateway.handle_request(&caller(), request).await;
            let bytes = match reply.body {
                ReplyBody::Full(bytes) => bytes.to_vec(),
                ReplyBody::Events(events) => events.collect::<Vec<_>>().await.concat(),
            };
            (reply.status.as_u16(), String::from_utf8(bytes).unwrap())
        };
        tokio::select! {
            answer = answer => answer,
            () = self.time_passes() => unreachable!("it never stops"),
        }
    }

    async fn time_passes(&self) {
        loop {
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            self.pace.advance(Duration::from_secs(1));
        }
    }

    /// Which models were passed over, and why.
    pub(crate) fn passed_over(&self) -> Vec<(String, String, FallbackClass)> {
        let notes = self.meter.fallbacks.lock().unwrap();
        let notes = notes.iter();
        notes
            .map(|note| (note.from_model.clone(), note.to_model.clone(), note.class))
            .collect()
    }
}

pub(crate) fn question(stream: bool) -> Value {
    json!({"model": "agent", "max_tokens": 1000, "stream": stream,
        "messages": [{"role": "user", "content": "a"}]})
}

pub(crate) fn said(status: u16, message: &str) -> Says {
    let error = json!({"type": "invalid_request_error", "message": message});
    let body = json!({"type": "error", "error": error});
    Says::Plain(status, None, body.to_string())
}

#[tokio::test]
async fn a_question_goes_on_to_the_next_model_for_each_reason() {
    use FallbackClass::{Away, Limited, Refused, WindowExceeded};
    for (name, says, calls, class) in [
        (
            "limited",
            stub::status_after(429, 5 * 3_600),
            1..=1,
            Limited,
        ),
        ("away", stub::status(529), 3..=6, Away),
        ("retired", said(404, "model: no such"), 1..=1, Refused),
        (
            "a key is refused",
            said(401, "invalid x-api-key"),
            1..=1,
            Refused,
        ),
        (
            "too long",
            said(400, "prompt is too long: 9 tokens > 8 maximum"),
            1..=1,
            WindowExceeded,
        ),
    ] {
        for stream in [true, false] {
            let first = Stub::always(says.clone()).await;
            let second = Stub::always(stub::good()).await;
            let house = house(pair(&first, &second), TestMeter::rich());
            let (status, body) = house.ask(&question(stream)).await;
            assert_eq!(status, 200, "{name}: {body}");
            assert!(calls.contains(&first.calls()), "{name}: {}", first.calls());
            assert!(
                house.pace.elapsed_s() < 30.0,
                "{name}: another one is there"
            );
            let expected = ("first".to_owned(), "second".to_owned(), class);
            assert_eq!(house.passed_over(), [expected], "{name}");
            assert_eq!(second.seen()[0].body["model"], "second");
            // Each model has its own record, and only the answer costs something.
            let usages = house.meter.usages();
            let told: Vec<_> = usages
                .iter()
                .map(|usage| (usage.model.as_str(), usage.outcome))
                .collect();
            let expected = [
                ("first", CallOutcome::Failed),
                ("second", CallOutcome::Complete),
            ];
            assert_eq!(told, expected, "{name}");
            assert_eq!(usages[0].cost, NanoUsd::ZERO, "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_question_is_wrong_for_every_model() {
    let (first, second) = (
        Stub::always(said(400, "messages: no such field")).await,
        Stub::always(stub::good()).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let (status, _) = house.ask(&question(true)).await;
    assert_eq!((status, second.calls()), (400, 0));
    assert_eq!(house.passed_over(), []);
}

#[tokio::test]
async fn a_model_is_not_asked_what_it_cannot_read_or_nobody_can_pay() {
    let (first, second) = (
        Stub::always(stub::good()).await,
        Stub::always(stub::good()).await,
    );
    let mut small = pair(&first, &second);
    small[0].window_tokens = Some(3);
    // It reads the question, but not with the beginning of an answer.
    let mut full = pair(&first, &second);
    full[0].window_tokens = Some(3_060);
    let mut long = question(true);
    long["messages"][0]["content"] = "a ".repeat(4_000).into();
    let mut dear = pair(&first, &second);
    dear[1].price = ModelPrice::FREE;
    let exceeded = FallbackClass::WindowExceeded;
    let poor = TestMeter::with_cap(NanoUsd::from_nanos(5));
    for (list, meter, (class, asked)) in [
        (small, TestMeter::rich(), (exceeded, question(true))),
        (full, TestMeter::rich(), (exceeded, long)),
        (dear, poor, (FallbackClass::OverBudget, question(true))),
    ] {
        let before = second.calls();
        let house = house(list, meter);
        let (status, body) = house.ask(&asked).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!((first.calls(), second.calls()), (0, before + 1), "{class}");
        assert_eq!(house.passed_over()[0].2, class);
    }
    // Nobody can pay any of them: the caller is told so.
    let house = house(pair(&first, &second), TestMeter::with_cap(NanoUsd::ZERO));
    let (status, body) = house.ask(&question(true)).await;
    assert_eq!(status, 402, "{body}");
    assert_eq!(house.passed_over().len(), 1);
}

#[tokio::test]
async fn an_attempt_whose_every_model_is_limited_goes_on_with_the_first_that_answers_again() {
    for (resets, expected) in [([3_600, 18_000], 3_600), ([18_000, 3_600], 3_600)] {
        let [first, second] = resets.map(|reset| stub::status_after(429, reset));
        let (first, second) = (Stub::always(first).await, Stub::always(second).await);
        let house = house(pair(&first, &second), TestMeter::rich());
        house.meter.saves.store(true, Ordering::Relaxed);
        let (status, body) = house.ask(&question(true)).await;
        assert_eq!(
            (status, first.calls(), second.calls()),
            (403, 1, 1),
            "{body}"
        );
        let saved = house.meter.saved.lock().unwrap().clone();
        let resets: Vec<_> = saved.iter().map(|failed| failed.reset_at).collect();
        assert_eq!(resets, [Some(START + Duration::from_secs(expected))]);
    }
}

/// Agents ask small models for titles beside their work, often with the same key.
#[tokio::test]
async fn a_title_that_nobody_gives_stops_no_work() {
    let stub = Stub::start(vec![stub::status_after(429, 18_000)], stub::good()).await;
    let (pace, meter) = (VirtualPace::new(), TestMeter::rich());
    let [title, agent] = pair(&stub, &stub).try_into().unwrap();
    let table = [(RouteName::Title, title), (RouteName::Agent, agent)];
    let routes = RouteTable::from_table(table.into()).unwrap();
    let llm = LlmClient::new(routes, Arc::clone(&pace) as _).unwrap();
    let house = House {
        gateway: ModelGateway::new(llm, Arc::clone(&meter) as _),
        meter,
        pace,
    };
    house.meter.saves.store(true, Ordering::Relaxed);
    let mut body = question(true);
    body["model"] = "title".into();
    for _ in 0..2 {
        let (status, says) = house.ask(&body).await;
        assert_eq!(status, 429, "{says}");
    }
    let (status, says) = house.ask(&question(true)).await;
    assert_eq!((status, stub.calls()), (200, 2), "{says}");
    assert!(house.meter.saved.lock().unwrap().is_empty());
}

#[tokio::test]
async fn two_models_at_one_address_have_a_circuit_each() {
    // The tries at the first fail, which opens its circuit; the second answers at once.
    let stub = Stub::start(vec![stub::status(529); 5], stub::good()).await;
    let house = house(pair(&stub, &stub), TestMeter::rich());
    let (status, says) = house.ask(&question(true)).await;
    assert_eq!((status, stub.calls()), (200, 6), "{says}");
    assert!(house.pace.elapsed_s() < 29.0);
}

#[tokio::test]
async fn a_model_of_the_list_that_a_question_names_is_asked_first() {
    for (asks, calls) in [
        ("agent", [1, 0]),
        ("first", [1, 0]),
        ("second", [0, 1]),
        ("second[1m]", [0, 1]),
        // Another version of it, and one that no list has.
        ("second-2", [0, 1]),
        ("third", [1, 0]),
    ] {
        let (first, second) = (
            Stub::always(stub::good()).await,
            Stub::always(stub::good()).await,
        );
        let house = house(pair(&first, &second), TestMeter::rich());
        let mut body = question(true);
        body["model"] = asks.into();
        assert_eq!(house.ask(&body).await.0, 200, "{asks}");
        assert_eq!([first.calls(), second.calls()], calls, "{asks}");
    }
    // Where it does not answer, the others of the list do.
    let (first, second) = (
        Stub::always(stub::good()).await,
        Stub::always(said(404, "model: no such")).await,
    );
    let house = house(pair(&first, &second), TestMeter::rich());
    let mut body = question(true);
    body["model"] = "second".into();
    assert_eq!(house.ask(&body).await.0, 200);
    assert_eq!([first.calls(), second.calls()], [1, 1]);
}

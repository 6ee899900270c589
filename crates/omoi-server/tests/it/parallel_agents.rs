//! Many agents that ask at once, and one budget.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use omoi_domain::model_price::PriceRow;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_execution::metering::CallLedger;
use omoi_llm::gateway::ModelGateway;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::pricing::ModelPrice;
use omoi_llm::route::{AnswerMode, ModelRoute, ProviderKey, RouteTable};
use omoi_llm::wire::dialect::Dialect;
use omoi_server::worker::{WorkerSurface, router};
use omoi_store::{costs, open_calls};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

use crate::ask::ask;
use crate::shutdown::StandingPace;

/// As many as the issue of a budget that holds is tried with.
const AGENTS: usize = 20;

/// What all ask, what their provider bills each of it, and the budget of all together.
struct SharedBudget {
    name: &'static str,
    content: Value,
    output_config: Value,
    usage: Value,
    budget: NanoUsd,
    /// Questions that it has room for.
    n_fitting: std::ops::RangeInclusive<usize>,
}

/// Every answer has 1,000 tokens, which cost 15 million nano-USD.
fn shared_budgets() -> Vec<SharedBudget> {
    let answered = |mut usage: Value| {
        usage["output_tokens"] = 1_000.into();
        usage
    };
    let pdf = json!([{"type": "document", "source": {"type": "base64",
        "media_type": "application/pdf", "data": "QUJD".repeat(40 * 1_024 / 3)}}]);
    vec![
        SharedBudget {
            name: "a word",
            content: "Hello.".into(),
            output_config: Value::Null,
            usage: answered(json!({"input_tokens": 20})),
            budget: NanoUsd::from_nanos(110_000_000),
            n_fitting: 7..=7,
        },
        SharedBudget {
            name: "all of it written to the prompt cache",
            content: "word ".repeat(20_000).into(),
            output_config: Value::Null,
            usage: answered(json!({"input_tokens": 0, "cache_creation_input_tokens": 22_000})),
            budget: NanoUsd::from_nanos(2_000_000_000),
            n_fitting: 3..=4,
        },
        SharedBudget {
            name: "letters of other scripts",
            content: "漢字かな交じり文".repeat(1_000).into(),
            output_config: Value::Null,
            usage: answered(json!({"input_tokens": 9_000})),
            budget: NanoUsd::from_nanos(1_000_000_000),
            n_fitting: 4..=6,
        },
        SharedBudget {
            name: "a document of five pages",
            content: pdf,
            output_config: Value::Null,
            usage: answered(json!({"input_tokens": 20_000})),
            budget: NanoUsd::from_nanos(2_000_000_000),
            n_fitting: 3..=5,
        },
        SharedBudget {
            name: "a schema that the answer fits",
            content: "Hello.".into(),
            output_config: json!({"format": {"type": "json_schema",
                "schema": {"type": "object", "description": "word ".repeat(20_000)}}}),
            usage: answered(json!({"input_tokens": 22_000})),
            budget: NanoUsd::from_nanos(2_000_000_000),
            n_fitting: 3..=4,
        },
    ]
}

/// A provider that bills all the tokens that it may, once it is told to answer.
#[derive(Clone)]
struct SlowProvider {
    asked: Arc<watch::Sender<usize>>,
    answers: watch::Receiver<bool>,
    usage: Value,
}

async fn answer_question(State(provider): State<SlowProvider>) -> Json<Value> {
    provider.asked.send_modify(|n| *n += 1);
    let mut answers = provider.answers.clone();
    answers.wait_for(|answers| *answers).await.unwrap();
    Json(json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "max_tokens",
        "content": [{"type": "text", "text": "Hm."}],
        "usage": provider.usage,
    }))
}

/// Serves `provider` as one of `tasks`; gives its address.
async fn serve_provider(provider: SlowProvider, tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/messages", post(answer_question))
        .with_state(provider);
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

fn priced_route(base_url: &str) -> ModelRoute {
    let price: PriceRow = "m=15/15/1.5/18.75".parse().unwrap();
    let simulated = RouteTable::all_simulated(Dialect::Messages, base_url);
    ModelRoute {
        model: "m".to_owned(),
        key: ProviderKey::Header("key".into()),
        answer_mode: AnswerMode::ToolCall,
        max_tokens: 1_000,
        price: ModelPrice::from_row(&price),
        simulated: false,
        ..simulated.route_named(RouteName::Agent).clone()
    }
}

async fn no_budget_is_exceeded(new_database: fn() -> TestDatabase) {
    for shared in shared_budgets() {
        budget_holds(new_database(), shared).await;
    }
}

async fn budget_holds(database: TestDatabase, shared: SharedBudget) {
    let SharedBudget { name, budget, .. } = shared;
    let it = TestDeployment::on_database(database, |parts| {
        parts.limits.spec_budget = budget;
        parts.limits.task.budget = budget;
    })
    .await;
    it.leaves_open_attempts();
    let mut tokens = Vec::new();
    for number in 0..AGENTS {
        let task = it.add_task(number as i64 + 1, &[]).await;
        tokens.push(it.run_task(task.id).await.token);
    }
    let (let_go, answers) = watch::channel(false);
    let (asked, mut n_asked) = watch::channel(0);
    let provider = SlowProvider {
        asked: Arc::new(asked),
        answers,
        usage: shared.usage,
    };
    let mut serving = JoinSet::new();
    let router = worker_router(&it, &serve_provider(provider, &mut serving).await);
    let body = json!({"model": "agent", "max_tokens": 1_000, "output_config": shared.output_config,
        "messages": [{"role": "user", "content": shared.content}]})
    .to_string();

    // The second time nothing is left that one of them may cost.
    for is_first in [true, false] {
        let questions = tokens.iter().map(|token| {
            let path = (&Method::POST, "/v1/messages");
            ask(&router, path, Some(token), body.clone().into())
        });
        let mut questions: FuturesUnordered<_> = questions.collect();
        let mut answers = Vec::new();
        // All are asked before any is answered.
        while is_first && answers.len() + *n_asked.borrow() < AGENTS {
            tokio::select! {
                Some(answer) = questions.next() => answers.push(answer),
                changed = n_asked.changed() => changed.unwrap(),
            }
        }
        let_go.send_replace(true);
        answers.extend(questions.collect::<Vec<_>>().await);
        let (granted, refused): (Vec<_>, Vec<_>) = answers
            .iter()
            .partition(|(status, _)| *status == StatusCode::OK);
        assert!(
            !is_first || shared.n_fitting.contains(&granted.len()),
            "{name}: {}",
            granted.len()
        );
        for (status, says) in refused {
            assert_eq!(*status, StatusCode::PAYMENT_REQUIRED, "{name}: {says}");
            assert!(says.contains("budget_exhausted"), "{name}: {says}");
        }
        let mut tx = it.read_tx().await;
        assert!(open_calls::all(&mut tx).await.unwrap().is_empty());
        let spent = costs::of_spec(&mut tx, it.spec.id)
            .await
            .unwrap()
            .cost_nanousd;
        let least = NanoUsd::from_nanos(budget.as_nanos() / 2);
        assert!(
            spent <= budget && spent > least,
            "{name}: {spent} of {budget}"
        );
    }
}

/// The worker's surface of `it`, whose model is a provider at `base`.
fn worker_router(it: &TestDeployment, base: &str) -> Router {
    let routes = RouteTable::from_table([(RouteName::Agent, priced_route(base))].into());
    let llm = LlmClient::new(routes.unwrap(), Arc::new(StandingPace)).unwrap();
    router(WorkerSurface {
        egress: None,
        parts: it.build_part(),
        gateway: Ok(ModelGateway::new(
            llm,
            Arc::new(it.build_part::<CallLedger>()),
        )),
    })
}

#[tokio::test]
async fn twenty_agents_at_once_exceed_no_budget_on_sqlite() {
    no_budget_is_exceeded(omoi_testkit::sqlite::database).await;
}

#[tokio::test]
async fn twenty_agents_at_once_exceed_no_budget_on_postgres() {
    no_budget_is_exceeded(omoi_testkit::postgres::database).await;
}

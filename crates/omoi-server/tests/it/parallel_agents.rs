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
/// Questions that the budget has room for: each may cost a little more than 15,000 tokens at 1 USD a million.
const FITTING: usize = 7;
const BUDGET: NanoUsd = NanoUsd::from_nanos(110_000_000);

/// A provider that answers, with all the tokens that it may, once it is told to.
#[derive(Clone)]
struct SlowProvider {
    asked: Arc<watch::Sender<usize>>,
    answers: watch::Receiver<bool>,
}

async fn answer_question(State(provider): State<SlowProvider>) -> Json<Value> {
    provider.asked.send_modify(|n| *n += 1);
    let mut answers = provider.answers.clone();
    answers.wait_for(|answers| *answers).await.unwrap();
    Json(json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "max_tokens",
        "content": [{"type": "text", "text": "Hm."}],
        "usage": {"input_tokens": 20, "output_tokens": 1_000},
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
    let price: PriceRow = "m=15/15".parse().unwrap();
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

async fn no_budget_is_exceeded(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |parts| {
        parts.limits.spec_budget = BUDGET;
        parts.limits.task.budget = BUDGET;
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
    let asked = Arc::new(asked);
    let mut serving = JoinSet::new();
    let base = serve_provider(SlowProvider { asked, answers }, &mut serving).await;
    let routes = RouteTable::from_table([(RouteName::Agent, priced_route(&base))].into());
    let llm = LlmClient::new(routes.unwrap(), Arc::new(StandingPace)).unwrap();
    let router = router(WorkerSurface {
        egress: None,
        parts: it.build_part(),
        gateway: Ok(ModelGateway::new(
            llm,
            Arc::new(it.build_part::<CallLedger>()),
        )),
    });

    for (n_fitting, is_first) in [(FITTING, true), (0, false)] {
        let body = json!({"model": "agent", "max_tokens": 1_000,
            "messages": [{"role": "user", "content": "Hello."}]});
        let questions = tokens.iter().map(|token| {
            let path = (&Method::POST, "/v1/messages");
            ask(&router, path, Some(token), body.to_string().into())
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
        assert_eq!(granted.len(), n_fitting, "{answers:?}");
        for (status, says) in refused {
            assert_eq!(*status, StatusCode::PAYMENT_REQUIRED, "{says}");
            assert!(says.contains("budget_exhausted"), "{says}");
        }
        assert_eq!(*n_asked.borrow(), FITTING, "the provider hears of no other");
        let mut tx = it.read_tx().await;
        assert!(open_calls::all(&mut tx).await.unwrap().is_empty());
        let spent = costs::of_spec(&mut tx, it.spec.id)
            .await
            .unwrap()
            .cost_nanousd;
        assert!(
            spent <= BUDGET && spent > NanoUsd::from_nanos(100_000_000),
            "{spent}"
        );
    }
}

#[tokio::test]
async fn twenty_agents_at_once_exceed_no_budget_on_sqlite() {
    no_budget_is_exceeded(omoi_testkit::sqlite::database()).await;
}

#[tokio::test]
async fn twenty_agents_at_once_exceed_no_budget_on_postgres() {
    no_budget_is_exceeded(omoi_testkit::postgres::database()).await;
}

//! Limits of credentials: who is held back, by what, and whose calls a credential is for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, Method};
use serde_json::json;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::outage::WINDOW_MAX;
use omoi_llm::gateway::{GatewayRequest, ModelGateway, ReplyBody};
use omoi_llm::quota::{ClosedCredential, QuotaBook, QuotaChange};
use omoi_llm::route::{ModelRoute, ProviderKey};
use omoi_llm::wire::dialect::Dialect;

use crate::stub::{self, Says, Stub};
use crate::support::{START, TestMeter, VirtualPace, caller, llm_of_list, route};

const FIVE_HOURS: u64 = 5 * 3_600;

/// The rows of a deployment.
#[derive(Default)]
struct SharedBook {
    rows: Mutex<Vec<ClosedCredential>>,
    n_reads: AtomicUsize,
}

impl SharedBook {
    fn rows(&self) -> Vec<ClosedCredential> {
        self.rows.lock().unwrap().clone()
    }

    fn open_all(&self) {
        self.rows.lock().unwrap().clear();
    }
}

impl QuotaBook for SharedBook {
    fn exchange_closed<'a>(
        &'a self,
        changes: &'a [QuotaChange],
    ) -> BoxFuture<'a, Result<Vec<ClosedCredential>, Box<dyn std::error::Error + Send + Sync>>>
    {
        self.n_reads.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.rows.lock().unwrap();
        for change in changes {
            rows.retain(|row| row.credential != change.credential);
            rows.extend(change.closed_until.map(|open_at| ClosedCredential {
                credential: change.credential.clone(),
                open_at,
            }));
        }
        futures::future::ready(Ok(rows.clone())).boxed()
    }
}

struct Process {
    gateway: ModelGateway,
    meter: Arc<TestMeter>,
    pace: Arc<VirtualPace>,
}

fn process(list: Vec<ModelRoute>, book: &Arc<SharedBook>) -> Process {
    process_at(VirtualPace::new(), list, book)
}

fn process_at(pace: Arc<VirtualPace>, list: Vec<ModelRoute>, book: &Arc<SharedBook>) -> Process {
    let meter = TestMeter::rich();
    let llm = llm_of_list(list, &pace);
    llm.quota.set_book(Arc::clone(book) as _);
    Process {
        gateway: ModelGateway::new(llm, Arc::clone(&meter) as _),
        meter,
        pace,
    }
}

impl Process {
    async fn ask_as(&self, program: Option<AgentProgram>) -> (u16, String) {
        let body = json!({"model": "agent", "max_tokens": 1000,
            "messages": [{"role": "user", "content": "a"}]});
        let request = GatewayRequest {
            method: Method::POST,
            path: "/v1/messages".to_owned(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        };
        let mut caller = caller();
        caller.program = program;
        let reply = self.gateway.handle_request(&caller, request).await;
        let ReplyBody::Full(body) = reply.body else {
            panic!("it is whole");
        };
        (
            reply.status.as_u16(),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    async fn ask(&self) -> u16 {
        self.ask_as(None).await.0
    }
}

fn keyed(url: &str, key: &str) -> ModelRoute {
    ModelRoute {
        key: ProviderKey::Header(key.into()),
        ..route(Dialect::Messages, url)
    }
}

#[tokio::test]
async fn what_one_process_is_told_of_a_key_holds_for_all() {
    let stub = Stub::start(vec![stub::status_after(429, FIVE_HOURS)], stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let [one, other] = [(); 2].map(|()| process(vec![keyed(&stub.url, "a")], &book));
    assert_eq!((one.ask().await, stub.calls()), (429, 1));
    // Neither asks again before the time: the attempt of each is to be saved until then.
    assert_eq!((one.ask().await, other.ask().await), (429, 429));
    assert_eq!(stub.calls(), 1);
    for process in [&one, &other] {
        let saved = process.meter.saved.lock().unwrap().clone();
        let last = saved.last().unwrap();
        assert_eq!(last.reset_at, Some(START + Duration::from_secs(FIVE_HOURS)));
    }
    // Another key has its own limits.
    let another = process(vec![keyed(&stub.url, "b")], &book);
    assert_eq!((another.ask().await, stub.calls()), (200, 2));
    let rows = format!("{:?}", book.rows());
    assert!(!rows.contains("\"a\""), "no key is told");
}

/// Two models with one key at `url`.
fn two_models(url: &str) -> Vec<ModelRoute> {
    let named = |model: &str| ModelRoute {
        model: model.to_owned(),
        ..keyed(url, "a")
    };
    vec![named("opus"), named("sonnet")]
}

#[tokio::test]
async fn a_limit_of_one_model_leaves_the_others_of_its_key() {
    let stub = Stub::start(vec![stub::status_after(429, FIVE_HOURS)], stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let process = process(two_models(&stub.url), &book);
    for _ in 0..2 {
        assert_eq!(process.ask().await, 200);
    }
    let asked: Vec<_> = stub.seen().into_iter().map(|seen| seen.body).collect();
    let models: Vec<_> = asked.iter().map(|body| body["model"].as_str()).collect();
    assert_eq!(models, [Some("opus"), Some("sonnet"), Some("sonnet")]);
}

#[tokio::test]
async fn a_window_of_a_credential_closes_all_its_models() {
    let window = vec![
        ("x-codex-primary-used-percent", "100".to_owned()),
        ("x-codex-primary-reset-after-seconds", "18000".to_owned()),
    ];
    let limited = Says::Headers(429, window);
    let stub = Stub::start(vec![limited], stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let process = process(two_models(&stub.url), &book);
    assert_eq!((process.ask().await, stub.calls()), (429, 1));
}

#[tokio::test]
async fn a_window_of_one_family_leaves_the_others_of_its_credential() {
    let window = [
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-reset", "1446000000"),
        (
            "anthropic-ratelimit-unified-representative-claim",
            "seven_day_opus",
        ),
    ];
    let limited = Says::Headers(
        429,
        window
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec(),
    );
    let stub = Stub::start(vec![limited], stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let named = |model: &str| ModelRoute {
        model: model.to_owned(),
        ..keyed(&stub.url, "a")
    };
    let list = ["claude-opus-5-5", "claude-opus-5-1", "claude-sonnet-5-5"].map(named);
    let process = process(list.to_vec(), &book);
    for _ in 0..2 {
        assert_eq!(process.ask().await, 200);
    }
    let asked: Vec<_> = stub.seen().into_iter().map(|seen| seen.body).collect();
    let models: Vec<_> = asked
        .iter()
        .map(|body| body["model"].as_str().unwrap())
        .collect();
    // The other model of the family is not asked.
    assert_eq!(
        models,
        ["claude-opus-5-5", "claude-sonnet-5-5", "claude-sonnet-5-5"]
    );
}

#[tokio::test]
async fn a_closed_key_is_asked_again_when_a_person_opens_it_or_after_a_week() {
    // A proxy's mistake.
    let refused = stub::status_after(429, 99_999_999_999_u64);
    let stub = Stub::start(vec![refused.clone(), refused], stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let [one, other] = [(); 2].map(|()| process(vec![keyed(&stub.url, "a")], &book));
    assert_eq!(
        (one.ask().await, other.ask().await, stub.calls()),
        (429, 429, 1)
    );
    book.open_all();
    // Both hear of it, though they read the book in the same second.
    assert_eq!((one.ask().await, stub.calls()), (429, 2));
    book.open_all();
    assert_eq!((other.ask().await, stub.calls()), (200, 3));
    assert_eq!((one.ask().await, stub.calls()), (200, 4));
    // The next time nobody opens it.
    let stub = Stub::start(vec![stub::status_after(429, u64::MAX)], stub::good()).await;
    let alone = process(vec![keyed(&stub.url, "a")], &book);
    assert_eq!(alone.ask().await, 429);
    assert_eq!(book.rows()[0].open_at, START + WINDOW_MAX);
    alone.pace.advance(WINDOW_MAX);
    assert_eq!((alone.ask().await, stub.calls()), (200, 2));
}

#[tokio::test]
async fn the_book_is_read_once_a_second() {
    let stub = Stub::always(stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let process = process(vec![keyed(&stub.url, "a")], &book);
    for n_reads in [1, 2] {
        for _ in 0..5 {
            assert_eq!(process.ask().await, 200);
        }
        assert_eq!(book.n_reads.load(Ordering::Relaxed), n_reads);
        process.pace.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn keys_of_one_provider_are_used_in_turn() {
    let stub = Stub::start(vec![stub::status_after(429, FIVE_HOURS)], stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let list = vec![
        keyed(&stub.url, "first-key"),
        keyed(&stub.url, "second-key"),
    ];
    let process = process(list, &book);
    for calls in [2, 3] {
        assert_eq!((process.ask().await, stub.calls()), (200, calls));
    }
    let keys: Vec<_> = stub
        .seen()
        .iter()
        .map(|seen| seen.headers["x-api-key"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["first-key", "second-key", "second-key"]);
    let notes = process.meter.fallbacks.lock().unwrap().clone();
    assert!(
        notes
            .iter()
            .all(|note| note.class == FallbackClass::Limited)
    );
}

#[tokio::test]
async fn a_subscription_is_used_for_calls_of_its_program_alone() {
    let stub = Stub::always(stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let subscribed = ModelRoute {
        key: ProviderKey::Bearer("of-a-subscription".into()),
        only_program: Some(AgentProgram::ClaudeCode),
        ..route(Dialect::Messages, &stub.url)
    };
    let alone = process(vec![subscribed.clone()], &book);
    for program in [None, Some(AgentProgram::Native), Some(AgentProgram::Codex)] {
        let (status, body) = alone.ask_as(program).await;
        assert_eq!((status, stub.calls()), (403, 0), "{body}");
        assert!(body.contains("for calls of claude-code alone"), "{body}");
    }
    let with_key = process(vec![subscribed, keyed(&stub.url, "a-key")], &book);
    assert_eq!(with_key.ask_as(Some(AgentProgram::Native)).await.0, 200);
    let n_notes = with_key.meter.fallbacks.lock().unwrap().len();
    assert_eq!(n_notes, 0, "that is by design");
    assert_eq!(with_key.ask_as(Some(AgentProgram::ClaudeCode)).await.0, 200);
    let seen = stub.seen();
    assert_eq!(seen[0].headers["x-api-key"], "a-key");
    assert!(!seen[0].headers.contains_key("anthropic-beta"));
    assert_eq!(seen[1].headers["authorization"], "Bearer of-a-subscription");
    assert_eq!(seen[1].headers["anthropic-beta"], "oauth-2025-04-20");
}

#[tokio::test]
async fn who_waits_for_one_limit_comes_back_one_after_the_other() {
    let stub = Stub::always(stub::good()).await;
    let book = Arc::new(SharedBook::default());
    let route = keyed(&stub.url, "a");
    book.rows.lock().unwrap().push(ClosedCredential {
        credential: route.credential_id(),
        open_at: START + Duration::from_secs(100),
    });
    let mut waited = Vec::new();
    for seed in 0..5 {
        let waiting = process_at(VirtualPace::seeded(seed), vec![route.clone()], &book);
        assert_eq!(waiting.ask().await, 200);
        waited.push(waiting.pace.elapsed_s());
    }
    assert!(
        waited.iter().all(|s| (100.0..105.0).contains(s)),
        "{waited:?}"
    );
    waited.sort_by(f64::total_cmp);
    waited.dedup();
    assert_eq!(waited.len(), 5, "{waited:?}");
}

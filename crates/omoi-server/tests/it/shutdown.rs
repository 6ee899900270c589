//! What becomes of model calls under way when the worker surface stops.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, oneshot};

use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use omoi_execution::metering::CallLedger;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::gateway::ModelGateway;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::{
    CallMeter, CallUsage, CostProjection, FallbackNote, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use omoi_llm::pace::CallPace;
use omoi_llm::route::RouteTable;
use omoi_llm::wire::dialect::Dialect;
use omoi_server::worker::WorkerSurface;
use omoi_server::worker_socket::{DRAIN_MAX, serve_workers};
use omoi_store::costs::{self, PurposeSpend};
use omoi_store::open_calls;

use omoi_testkit::deployment::TestDeployment;

/// A clock that stands still, and never ends anything.
pub(crate) struct StandingPace;

impl CallPace for StandingPace {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }
    fn jitter(&self) -> f64 {
        0.0
    }
}

/// A surface whose provider takes questions and never answers.
struct Bench {
    test: TestDeployment,
    token: String,
    provider: TcpListener,
    llm: LlmClient,
    folder: TempDir,
    /// What ended, in order.
    ended: Arc<Mutex<Vec<&'static str>>>,
}

impl Bench {
    async fn new() -> Self {
        let test = TestDeployment::new().await;
        let task = test.add_task(1, &[]).await;
        let token = test.run_task(task.id).await.token;
        let provider = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", provider.local_addr().unwrap());
        let routes = RouteTable::all_simulated(Dialect::Messages, &base);
        Self {
            test,
            token,
            provider,
            llm: LlmClient::new(routes, Arc::new(StandingPace)).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            ended: Arc::default(),
        }
    }

    /// Serves until the agent has asked and gone away and the stop has come.
    async fn serve(&self, meter: Arc<dyn CallMeter>, after_stop: impl Future<Output = ()>) {
        let path = self.folder.path().join("worker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (stop, stopped) = oneshot::channel();
        let surface = WorkerSurface {
            egress: None,
            parts: self.test.build_part(),
            gateway: Ok(ModelGateway::new(self.llm.clone(), meter)),
        };
        let serving = async {
            serve_workers(listener, surface, async { stopped.await.unwrap() }).await;
            self.ended.lock().unwrap().push("the surface");
        };
        let asking = async {
            let mut agent = UnixStream::connect(&path).await.unwrap();
            let upstream = self.ask(&mut agent).await;
            drop(agent);
            stop.send(()).unwrap();
            after_stop.await;
            upstream
        };
        let ((), _upstream) = tokio::join!(serving, asking);
    }

    /// Asks, and returns once the provider has the question.
    async fn ask(&self, agent: &mut UnixStream) -> TcpStream {
        let body = r#"{"model": "agent", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello."}]}"#;
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: omoi\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        agent.write_all(request.as_bytes()).await.unwrap();
        self.provider.accept().await.unwrap().0
    }
}

/// The ledger of the platform, which takes its time.
struct SlowLedger {
    ledger: CallLedger,
    may_record: Arc<Notify>,
    ended: Arc<Mutex<Vec<&'static str>>>,
}

/// A call of it.
struct SlowCall {
    call: Box<dyn ReservedCall>,
    may_record: Arc<Notify>,
    ended: Arc<Mutex<Vec<&'static str>>>,
}

impl CallMeter for SlowLedger {
    fn reserve_call<'a>(
        &'a self,
        caller: &'a ModelCaller,
        projection: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        Box::pin(async move {
            let call = SlowCall {
                call: self.ledger.reserve_call(caller, projection).await?,
                may_record: Arc::clone(&self.may_record),
                ended: Arc::clone(&self.ended),
            };
            Ok(Box::new(call) as Box<dyn ReservedCall>)
        })
    }

    fn report_failure<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, ()> {
        self.ledger.report_failure(caller, failed)
    }

    fn report_fallback<'a>(
        &'a self,
        caller: &'a ModelCaller,
        note: &'a FallbackNote,
    ) -> BoxFuture<'a, ()> {
        self.ledger.report_fallback(caller, note)
    }

    fn keep_maker<'a>(
        &'a self,
        caller: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>> {
        self.ledger.keep_maker(caller, maker)
    }

    fn save_attempt<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, bool> {
        self.ledger.save_attempt(caller, failed)
    }
}

impl ReservedCall for SlowCall {
    fn raise_cost(&self, cost: NanoUsd) -> BoxFuture<'_, Result<(), ReserveError>> {
        self.call.raise_cost(cost)
    }

    fn wait_kept(&self) -> BoxFuture<'_, Result<(), ReserveError>> {
        self.call.wait_kept()
    }

    fn record_usage<'a>(&'a self, usage: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>> {
        Box::pin(async move {
            self.may_record.notified().await;
            let recorded = self.call.record_usage(usage).await;
            self.ended.lock().unwrap().push("the record");
            recorded
        })
    }
}

#[tokio::test]
async fn a_call_under_way_at_the_stop_is_recorded_before_the_surface_lets_go() {
    let bench = Bench::new().await;
    let may_record = Arc::new(Notify::new());
    let ledger = SlowLedger {
        ledger: bench.test.build_part(),
        may_record: Arc::clone(&may_record),
        ended: Arc::clone(&bench.ended),
    };
    // Turns enough for a surface that does not wait.
    let after_stop = async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        may_record.notify_one();
    };
    bench.serve(Arc::new(ledger), after_stop).await;
    assert_eq!(*bench.ended.lock().unwrap(), ["the record", "the surface"]);
    let mut tx = bench.test.read_tx().await;
    assert!(open_calls::all(&mut tx).await.unwrap().is_empty());
    let spent = costs::by_purpose(&mut tx, bench.test.spec.id).await;
    let spent = spent.unwrap();
    let calls: Vec<_> = spent.iter().map(|of: &PurposeSpend| of.calls).collect();
    assert_eq!(calls, [1], "{spent:?}");
    assert_eq!(spent[0].estimated_nanousd.as_nanos(), 0);
}

/// A ledger that grants everything and never takes a record.
struct StuckMeter;

impl CallMeter for StuckMeter {
    fn reserve_call<'a>(
        &'a self,
        _: &'a ModelCaller,
        _: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn ReservedCall>) })
    }

    fn report_failure<'a>(&'a self, _: &'a ModelCaller, _: &'a FailedTry) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn report_fallback<'a>(&'a self, _: &'a ModelCaller, _: &'a FallbackNote) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn keep_maker<'a>(
        &'a self,
        _: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move { Some(maker.to_owned()) })
    }

    fn save_attempt<'a>(&'a self, _: &'a ModelCaller, _: &'a FailedTry) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }
}

impl ReservedCall for StuckMeter {
    fn raise_cost(&self, _: NanoUsd) -> BoxFuture<'_, Result<(), ReserveError>> {
        Box::pin(async { Ok(()) })
    }

    fn wait_kept(&self) -> BoxFuture<'_, Result<(), ReserveError>> {
        Box::pin(async { Ok(()) })
    }

    fn record_usage<'a>(&'a self, _: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_record_that_hangs_does_not_hold_up_the_stop_for_ever() {
    let bench = Bench::new().await;
    let clock = bench.test.clock.clone();
    let after_stop = async {
        clock.wait_for_sleepers(1).await;
        clock.advance(DRAIN_MAX);
    };
    bench.serve(Arc::new(StuckMeter), after_stop).await;
}

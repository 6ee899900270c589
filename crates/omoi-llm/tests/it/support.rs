//! A clock that tests move, a meter that remembers, and a caller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use uuid::Uuid;

use omoi_domain::id::{AttemptId, OrgId, ProjectId, SpecId};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::{CallPurpose, Principal};
use omoi_domain::role_settings::RoleSettings;
use omoi_domain::time::Timestamp;
use omoi_llm::catalogue::ModelCatalogue;
use omoi_llm::conversation::ThinkingForm;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::{
    CallMeter, CallUsage, CostProjection, FallbackNote, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use omoi_llm::pace::CallPace;
use omoi_llm::pricing::ModelPrice;
use omoi_llm::route::{AnswerMode, ModelRoute, ProviderKey, RouteTable, ServerSettings};
use omoi_llm::upstream::AnswerLimits;
use omoi_llm::wire::anthropic::{ConversationMessage, MessagesRequest};
use omoi_llm::wire::dialect::Dialect;

/// Pauses pass at once and move the clock; guards wait until the clock has moved far enough.
pub(crate) struct VirtualPace {
    now: watch::Sender<i64>,
    pauses: Mutex<Vec<f64>>,
    dice: Mutex<StdRng>,
}

impl VirtualPace {
    pub(crate) fn seeded(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            now: watch::Sender::new(START.as_micros()),
            pauses: Mutex::default(),
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
        })
    }

    pub(crate) fn new() -> Arc<Self> {
        Self::seeded(7)
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by.as_micros() as i64);
    }

    /// Every pause so far, in seconds.
    pub(crate) fn pauses(&self) -> Vec<f64> {
        self.pauses.lock().unwrap().clone()
    }

    pub(crate) fn elapsed_s(&self) -> f64 {
        self.now().seconds_since(START)
    }
}

pub(crate) const START: Timestamp = Timestamp::from_micros(1_445_412_473_000_000);

impl CallPace for VirtualPace {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(*self.now.borrow())
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.pauses.lock().unwrap().push(pause.as_secs_f64());
        self.advance(pause);
        // Lets others run, as a pause does.
        tokio::task::yield_now().boxed()
    }

    fn expire(&self, limit: Duration) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        let until = (self.now() + limit).as_micros();
        async move {
            // The clock outlives every test body.
            let _ = now.wait_for(|now| *now >= until).await;
        }
        .boxed()
    }

    fn jitter(&self) -> f64 {
        self.dice.lock().unwrap().random()
    }
}

/// What `claude-sonnet-4-5` costs by the list: 3, 15, 0.3 and 3.75 USD for a million tokens.
fn price() -> ModelPrice {
    let list = ModelCatalogue::load_embedded().unwrap();
    list.price_of(Some("anthropic"), "anthropic", "claude-sonnet-4-5")
}

pub(crate) fn route(dialect: Dialect, url: &str) -> ModelRoute {
    ModelRoute {
        dialect,
        base_url: url.to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        key: match dialect {
            Dialect::Messages => ProviderKey::Header("sk-hidden".into()),
            Dialect::ChatCompletions | Dialect::Responses => {
                ProviderKey::Bearer("sk-hidden".into())
            }
        },
        answer_mode: AnswerMode::ToolCall,
        max_tokens: u32::MAX,
        price: price(),
        window_tokens: None,
        limits: AnswerLimits::default(),
        takes_sampling: true,
        thinking: ThinkingForm::of_server(dialect, false),
        settings: RoleSettings::default(),
        only_program: None,
        server: ServerSettings::default(),
        simulated: false,
    }
}

pub(crate) fn llm_of(route: ModelRoute, pace: &Arc<VirtualPace>) -> LlmClient {
    llm_of_list(vec![route], pace)
}

/// Models that are asked one after the other.
pub(crate) fn llm_of_list(list: Vec<ModelRoute>, pace: &Arc<VirtualPace>) -> LlmClient {
    let routes = RouteTable::from_lists([(RouteName::Agent, list)].into()).unwrap();
    LlmClient::new(routes, Arc::clone(pace) as Arc<dyn CallPace>).unwrap()
}

pub(crate) fn llm(url: &str, pace: &Arc<VirtualPace>) -> LlmClient {
    llm_of(route(Dialect::Messages, url), pace)
}

pub(crate) fn request() -> MessagesRequest {
    MessagesRequest::new(
        "agent",
        1_000,
        vec![ConversationMessage::from_user("Say hello.")],
    )
}

pub(crate) fn caller() -> ModelCaller {
    let id = |n| Uuid::from_u128(n);
    ModelCaller {
        principal: Principal {
            org: OrgId::from_uuid(id(1)),
            project: ProjectId::from_uuid(id(2)),
            spec: SpecId::from_uuid(id(3)),
            purpose: CallPurpose::Attempt(AttemptId::from_uuid(id(4))),
        },
        role: omoi_domain::attempt::AgentRole::Implementer,
        program: None,
        phase: "implementation".to_owned(),
        task: Some("TSK-003".to_owned()),
        task_type: None,
        title: Some("Add CSV – export".to_owned()),
        round: 2,
        n_turns: None,
    }
}

/// Remembers what it was asked and told; refuses what would pass the cap.
pub(crate) struct TestMeter {
    cap: NanoUsd,
    book: Arc<Book>,
    pub(crate) failed: Mutex<Vec<FailedTry>>,
    /// Attempts that were to be saved; whether they are is `saves`.
    pub(crate) saved: Mutex<Vec<FailedTry>>,
    pub(crate) saves: AtomicBool,
    /// Models that were passed over.
    pub(crate) fallbacks: Mutex<Vec<FallbackNote>>,
    /// What is kept of who made the reasoning of the attempt that asks.
    pub(crate) kept_maker: Mutex<Option<String>>,
    /// Whether it writes no failure down yet.
    holds_telling: watch::Sender<bool>,
}

#[derive(Default)]
struct Book {
    log: Mutex<Vec<Logged>>,
    /// How many records it does not take yet.
    refusals: Mutex<u32>,
    /// Whether grants do not get onto the disk.
    loses_grants: AtomicBool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Logged {
    Granted(CostProjection),
    Refused,
    NotTaken,
    Recorded(CallUsage),
}

impl TestMeter {
    pub(crate) fn with_cap(cap: NanoUsd) -> Arc<Self> {
        Arc::new(Self {
            cap,
            book: Arc::default(),
            failed: Mutex::default(),
            saved: Mutex::default(),
            saves: AtomicBool::default(),
            fallbacks: Mutex::default(),
            kept_maker: Mutex::default(),
            holds_telling: watch::Sender::new(false),
        })
    }

    /// Writes no failure down before it is let.
    pub(crate) fn hold_telling(&self) -> watch::Sender<bool> {
        self.holds_telling.send_replace(true);
        self.holds_telling.clone()
    }

    /// Takes no record before `refusals` were refused.
    pub(crate) fn failing(refusals: u32) -> Arc<Self> {
        let meter = Self::rich();
        *meter.book.refusals.lock().unwrap() = refusals;
        meter
    }

    /// Grants what it cannot get onto the disk.
    pub(crate) fn losing_grants() -> Arc<Self> {
        let meter = Self::rich();
        meter.book.loses_grants.store(true, Ordering::Relaxed);
        meter
    }

    pub(crate) fn rich() -> Arc<Self> {
        Self::with_cap(NanoUsd::MAX)
    }

    pub(crate) fn log(&self) -> Vec<Logged> {
        self.book.log.lock().unwrap().clone()
    }

    pub(crate) fn usages(&self) -> Vec<CallUsage> {
        let log = self.log();
        let usages = log.into_iter().filter_map(|l| match l {
            Logged::Recorded(usage) => Some(usage),
            _ => None,
        });
        usages.collect()
    }

    pub(crate) fn spent(&self) -> NanoUsd {
        self.usages().iter().map(|u| u.cost).sum()
    }
}

impl CallMeter for TestMeter {
    fn reserve_call<'a>(
        &'a self,
        _caller: &'a ModelCaller,
        projection: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>> {
        let fits = self.spent().saturating_add(projection.cost) <= self.cap;
        let mut log = self.book.log.lock().unwrap();
        if fits {
            log.push(Logged::Granted(projection.clone()));
            let call: Box<dyn ReservedCall> = Box::new(TestCall {
                book: Arc::clone(&self.book),
                cap: self.cap,
            });
            return futures::future::ready(Ok(call)).boxed();
        }
        log.push(Logged::Refused);
        let reason = format!("the phase budget of {:.8} is spent", self.cap);
        futures::future::ready(Err(ReserveError::Refused { reason })).boxed()
    }

    fn report_failure<'a>(
        &'a self,
        _caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, ()> {
        let mut holds = self.holds_telling.subscribe();
        async move {
            // The meter outlives every call.
            let _ = holds.wait_for(|holds| !holds).await;
            self.failed.lock().unwrap().push(failed.clone());
        }
        .boxed()
    }

    fn report_fallback<'a>(
        &'a self,
        _caller: &'a ModelCaller,
        note: &'a FallbackNote,
    ) -> BoxFuture<'a, ()> {
        self.fallbacks.lock().unwrap().push(note.clone());
        futures::future::ready(()).boxed()
    }

    fn keep_maker<'a>(
        &'a self,
        _caller: &'a ModelCaller,
        maker: &'a str,
    ) -> BoxFuture<'a, Option<String>> {
        let mut kept = self.kept_maker.lock().unwrap();
        let kept = kept.get_or_insert_with(|| maker.to_owned()).clone();
        futures::future::ready(Some(kept)).boxed()
    }

    fn save_attempt<'a>(
        &'a self,
        _caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, bool> {
        self.saved.lock().unwrap().push(failed.clone());
        futures::future::ready(self.saves.load(Ordering::Relaxed)).boxed()
    }
}

struct TestCall {
    book: Arc<Book>,
    cap: NanoUsd,
}

impl ReservedCall for TestCall {
    fn raise_cost(&self, cost: NanoUsd) -> BoxFuture<'_, Result<(), ReserveError>> {
        let raised = match cost <= self.cap {
            true => Ok(()),
            false => Err(ReserveError::Refused {
                reason: format!("the phase budget of {:.8} is spent", self.cap),
            }),
        };
        futures::future::ready(raised).boxed()
    }

    fn wait_kept(&self) -> BoxFuture<'_, Result<(), ReserveError>> {
        let kept = match self.book.loses_grants.load(Ordering::Relaxed) {
            false => Ok(()),
            true => {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(ReserveError::Unavailable(full.into()))
            }
        };
        futures::future::ready(kept).boxed()
    }

    fn record_usage<'a>(&'a self, usage: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>> {
        let Book { log, refusals, .. } = &*self.book;
        let (mut log, mut left) = (log.lock().unwrap(), refusals.lock().unwrap());
        let done = match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                log.push(Logged::NotTaken);
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(RecordError::Unavailable(full.into()))
            }
            None => {
                log.push(Logged::Recorded(usage.clone()));
                Ok(())
            }
        };
        futures::future::ready(done).boxed()
    }
}

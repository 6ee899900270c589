//! Every event wakes the consumers that the registry names for it, and no others, by the bus alone:
//! the clock stands still, so nothing is found by polling.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use omoi_domain::access::permission::Permission;
use omoi_domain::event::{Consumer, EntityType, Event, EventKind};
use omoi_domain::time::Timestamp;
use omoi_execution::consume::{ConsumerFactory, EventConsumer, publish_commits, start_consumers};
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, LocalBus, RedisBus};
use omoi_runtime::clock::SystemClock;
use omoi_runtime::options::RedisOptions;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_runtime::rng::Rng;
use omoi_testkit::deployment::TestDeployment;

const ID: &str = "01930000-0000-7000-8000-000000000009";
/// The drivers of the six consumers, the pump and the renewal of leases.
const SLEEPERS: usize = 8;

/// Tells of each of its passes and does nothing else.
struct Recorder {
    consumer: Consumer,
    passes: mpsc::UnboundedSender<Consumer>,
}

impl EventConsumer for Recorder {
    fn consumer(&self) -> Consumer {
        self.consumer
    }

    fn tick<'a>(
        &'a mut self,
        _now: Timestamp,
        _entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(async {
            self.passes.send(self.consumer)?;
            Ok(Next::Idle)
        })
    }
}

/// An event of `kind` with a payload of its type.
pub(crate) fn event(kind: EventKind) -> Event {
    let statuses = ["draft", "backlog", "pending", "starting", "creating"];
    let with_status = |status: &str| -> Option<Event> {
        let mut payload = json!({
            "from": status, "to": status, "subject": "task", "state": "queued", "phase": "explore",
            "success": true, "passed": true, "is_same_model": true, "coverage_percent": 100.0,
            "purpose": "attempt", "estimated": false, "is_hard": true, "unrecorded": false, "rung": "process", "stage": "base",
            "role": "planner", "task_type": "fix_bug", "message_type": "interrupt",
            "discovery_type": "bug", "route": "agent", "class": "away",
            "autonomous": true,
            "thread_type": "review", "thread_status": "active", "thread_message_type": "info",
            "verification_status": "verified", "result_status": "validated", "on_result_found": "do_nothing",
            "status": match kind {
                EventKind::ProjectUpdated => Some("active"),
                EventKind::OperationStarted | EventKind::OperationFinished => Some("succeeded"),
                _ => None,
            },
            "approval_kind": "ticket", "approval_state": "pending", "notification_kind": "mention",
            "kind": match kind {
                EventKind::AgentActivity => "agent.tool_use",
                EventKind::OperationStarted | EventKind::OperationFinished => "set_up_repository",
                _ => "proof",
            },
        });
        let words = "title section key target_branch commit command summary content branch head \
            model requirement provider message refusal from_model to_model to_column name";
        let counts = "number round attempt fence seq took_ms lines_added lines_removed \
            source_number latency_ms n_criteria tickets tasks requirements criteria checks tokens \
            cost_nanousd limit_nanousd spent_nanousd month_start n_calls calls_max until wakes_at place";
        let lists = "blockers phases_completed conflicts without verdicts forecast doubts added removed fields";
        let ids = "spec ticket task attempt subject sandbox message receipt check merge discovery \
            source_task hand_over month_budget comment depends_on approval project operation notification user thread \
            thread_message task_result workflow_result";
        let mut fill = |names: &str, suffix: &str, value: Value| {
            for name in names.split_whitespace() {
                payload[format!("{name}{suffix}")] = value.clone();
            }
        };
        fill(words, "", json!("text"));
        fill(counts, "", json!(1));
        fill(lists, "", json!([]));
        fill(ids, "_id", json!(ID));
        let event = json!({ "event_type": kind.as_str(), "payload": payload });
        serde_json::from_value(event).ok()
    };
    let made = statuses.into_iter().find_map(with_status);
    made.unwrap_or_else(|| panic!("no sample payload fits `{}`", kind.as_str()))
}

#[test]
fn an_event_knows_its_row_and_tells_money_under_its_own_permission() {
    for kind in EventKind::ALL {
        let event = event(*kind);
        let is_of_scope = matches!(kind.entity_type(), EntityType::Spec | EntityType::Project);
        let is_known = event.event_subject().entity_id().is_some() || is_of_scope;
        assert!(is_known, "`{}` does not name its row", kind.as_str());
        let told = serde_json::to_value(&event).unwrap();
        let fields = told["payload"].as_object().unwrap();
        let has_money = fields.keys().any(|field| field.ends_with("usd"));
        let is_costs = kind.read_permission() == Permission::CostRead;
        assert_eq!(has_money, is_costs, "money in `{}`", kind.as_str());
    }
}

/// Commits one event of every kind and compares who was woken with the registry.
async fn wakes_exactly_its_consumers(bus: impl FnOnce(&TestDeployment) -> Arc<dyn Bus>) {
    let it = TestDeployment::new().await;
    let bus = bus(&it);
    let (sender, mut seen) = mpsc::unbounded_channel();
    let recorder = |consumer| {
        let passes = sender.clone();
        ConsumerFactory::new(consumer, move |_| {
            let passes = passes.clone();
            Box::new(Recorder { consumer, passes })
        })
    };
    publish_commits(it.deployment.store.store(), &it.deployment.lifecycle, &bus);
    start_consumers(
        &it.build_part(),
        &bus,
        Consumer::ALL.iter().copied().map(recorder).collect(),
    );
    let mut at_start = BTreeSet::new();
    while at_start.len() < Consumer::ALL.len() {
        at_start.extend(seen.recv().await);
    }
    it.clock.wait_for_sleepers(SLEEPERS).await;
    while seen.try_recv().is_ok() {}
    let (mut passes, mut expected) = (BTreeMap::new(), BTreeMap::<_, u32>::new());
    for kind in EventKind::ALL {
        it.commit(async |tx| {
            tx.emit(None, None, event(*kind));
            Ok(())
        })
        .await
        .unwrap();
        let mut missing: BTreeSet<Consumer> = kind.consumers().iter().copied().collect();
        for consumer in &missing {
            *expected.entry(*consumer).or_insert(0) += 1;
        }
        while !missing.is_empty() {
            let woken = seen.recv().await.unwrap();
            assert!(missing.remove(&woken), "{} woke {woken:?}", kind.as_str());
            *passes.entry(woken).or_insert(0) += 1;
        }
        it.clock.wait_for_sleepers(SLEEPERS).await;
    }
    // Whoever was woken without being named shows up in the sum, if not at once.
    while let Ok(stray) = seen.try_recv() {
        *passes.entry(stray).or_insert(0) += 1;
    }
    assert_eq!(passes, expected);
}

#[tokio::test]
async fn each_event_wakes_its_consumers_in_one_process() {
    wakes_exactly_its_consumers(|_| Arc::new(LocalBus::default())).await;
}

#[tokio::test]
async fn each_event_wakes_its_consumers_over_redis() {
    wakes_exactly_its_consumers(redis_bus).await;
}

/// A bus over the Redis of all tests.
pub(crate) fn redis_bus(it: &TestDeployment) -> Arc<dyn Bus> {
    redis_bus_at(it, omoi_testkit::redis::url())
}

/// A bus over the Redis at `url`.
pub(crate) fn redis_bus_at(it: &TestDeployment, url: &str) -> Arc<dyn Bus> {
    let options = RedisOptions {
        url: url.to_owned(),
        key_prefix: omoi_testkit::redis::key_prefix(),
    };
    let (clock, rng) = (Arc::new(SystemClock), Rng::seeded(3));
    Arc::new(RedisBus::new(&options, clock, rng, &it.deployment.lifecycle).unwrap())
}

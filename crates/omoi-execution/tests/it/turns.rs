//! Several organisations on one loop: each has its turn, whatever becomes of the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use omoi_domain::event::{Consumer, EventKind};
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_execution::consume::{
    ConsumerFactory, EventConsumer, SlotWant, publish_commits, start_consumers,
};
use omoi_runtime::BoxError;
use omoi_runtime::bus::{Bus, LocalBus};
use omoi_runtime::reconcile::{Entities, Next, StatusReader};
use omoi_store::{StoreError, Tenant, Tx};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::organisations::add_organisation;

use crate::delivery::event;

/// Slots that all organisations share.
#[derive(Default)]
struct SlotPool {
    free: usize,
    /// Tasks that wait, of each organisation.
    waiting: BTreeMap<OrgId, usize>,
}

/// Takes what it can of the slots, and tells of each; fails where it is told to.
struct SlotTaker {
    org: OrgId,
    pool: Arc<Mutex<SlotPool>>,
    broken: Option<OrgId>,
    passes: mpsc::UnboundedSender<(OrgId, usize)>,
    want: SlotWant,
}

impl SlotTaker {
    fn run_pass(&mut self) -> Result<Next, BoxError> {
        if self.broken == Some(self.org) {
            return Err(BoxError::from("a row is broken"));
        }
        let mut pool = self.pool.lock().unwrap();
        let waiting = pool.waiting.get(&self.org).copied().unwrap_or(0);
        let n_taken = waiting.min(pool.free);
        pool.free -= n_taken;
        pool.waiting.insert(self.org, waiting - n_taken);
        self.want = match (waiting > n_taken, n_taken) {
            (false, _) => SlotWant::Nothing,
            (true, 0) => SlotWant::GotNone,
            (true, _) => SlotWant::GotSome,
        };
        self.passes.send((self.org, n_taken))?;
        Ok(Next::Idle)
    }
}

impl EventConsumer for SlotTaker {
    fn consumer(&self) -> Consumer {
        Consumer::Dispatcher
    }

    fn slot_want(&self) -> SlotWant {
        self.want
    }

    fn tick<'a>(
        &'a mut self,
        _now: Timestamp,
        _entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(async { self.run_pass() })
    }
}

/// A loop of [`SlotTaker`]s over several organisations.
struct TurnBench {
    _it: TestDeployment,
    orgs: Vec<Tenant>,
    pool: Arc<Mutex<SlotPool>>,
    seen: mpsc::UnboundedReceiver<(OrgId, usize)>,
    status: StatusReader,
}

impl TurnBench {
    /// One with the organisations of `waiting` tasks; the one at `broken` fails.
    async fn start(free: usize, waiting: &[usize], broken: Option<usize>) -> Self {
        let it = TestDeployment::new().await;
        let store = it.deployment.store.store();
        let mut orgs = vec![it.deployment.store.clone()];
        while orgs.len() < waiting.len() {
            orgs.push(add_organisation(store, store.new_id()).await);
        }
        // In the order of their turns.
        orgs.sort_by_key(Tenant::org);
        let ids = orgs.iter().map(Tenant::org);
        let pool = Arc::new(Mutex::new(SlotPool {
            free,
            waiting: ids.zip(waiting.iter().copied()).collect(),
        }));
        let broken = broken.map(|at| orgs[at].org());
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        publish_commits(store, &it.deployment.lifecycle, &bus);
        let (passes, seen) = mpsc::unbounded_channel();
        let shared = pool.clone();
        let factory = ConsumerFactory::new(Consumer::Dispatcher, move |tenant| {
            Box::new(SlotTaker {
                org: tenant.org(),
                pool: shared.clone(),
                broken,
                passes: passes.clone(),
                want: SlotWant::Nothing,
            })
        });
        let status = start_consumers(&it.build_part(), &bus, vec![factory]).remove(0);
        Self {
            _it: it,
            orgs,
            pool,
            seen,
            status,
        }
    }

    /// Something happens in the organisation at `place` that its loop is woken by.
    async fn tell(&self, place: usize) {
        let told = async |tx: &mut Tx| {
            tx.emit(None, None, event(EventKind::TaskCompleted));
            Ok::<_, StoreError>(())
        };
        let point = omoi_domain::crash::CrashPoint::TaskMoved;
        self.orgs[place].write(point, told).await.unwrap();
    }

    fn place_of(&self, org: OrgId) -> usize {
        self.orgs
            .iter()
            .position(|tenant| tenant.org() == org)
            .unwrap()
    }

    /// Who is next to get slots.
    async fn next_fed(&mut self) -> usize {
        loop {
            let (org, n_taken) = self.seen.recv().await.unwrap();
            if n_taken > 0 {
                return self.place_of(org);
            }
        }
    }

    /// Gives a slot back, which the organisation at `place` held.
    async fn free_slot(&self, place: usize) {
        self.pool.lock().unwrap().free += 1;
        self.tell(place).await;
    }
}

#[tokio::test]
async fn one_that_fails_keeps_no_other_from_its_turn() {
    let mut bench = TurnBench::start(9, &[1, 1, 1], Some(1)).await;
    let mut fed = vec![bench.next_fed().await, bench.next_fed().await];
    fed.sort_unstable();
    assert_eq!(fed, [0, 2]);
    // Its own news do not make it try again at once, and the others are served as ever.
    for place in [1, 2] {
        let org = bench.orgs[place].org();
        bench.pool.lock().unwrap().waiting.insert(org, 1);
        bench.tell(place).await;
    }
    assert_eq!(bench.next_fed().await, 2);
    let status = bench.status.read();
    let [failure] = status.entities.as_slice() else {
        panic!("{status:?}")
    };
    let broken = format!("organisation {}", bench.orgs[1].org());
    assert_eq!(
        (failure.entity.as_str(), failure.failing),
        (broken.as_str(), 1)
    );
    assert_eq!(status.failures, 0, "{status:?}");
}

#[tokio::test]
async fn a_slot_that_comes_free_goes_to_whoever_waits_longest() {
    // The first has a thousand tasks, each other one has one or two.
    let mut bench = TurnBench::start(4, &[1_000, 1, 2, 1], None).await;
    let mut fed = vec![bench.next_fed().await];
    let first = fed[0];
    assert_eq!(first, 0, "it takes all there are");
    for _ in 0..5 {
        bench.free_slot(first).await;
        fed.push(bench.next_fed().await);
    }
    // Each has a turn before any has another.
    assert_eq!(fed, [0, 1, 2, 3, 0, 2]);
}

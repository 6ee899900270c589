//! What an orchestrator does when there is nothing to do.

use std::sync::Arc;

use omoi_domain::access::provider_identity::{FlowStage, IdentityProvider};
use omoi_domain::event::Consumer;
use omoi_execution::blocker_sweep::BlockerSweep;
use omoi_execution::consume::{publish_commits, start_consumers};
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::janitor::Janitor;
use omoi_execution::reaper::Reaper;
use omoi_runtime::bus::{Bus, LocalBus};
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::{Entities, Next, Reconciler as _};
use omoi_store::provider_flows::{self, FlowDetails, ProviderFlow};
use omoi_store::{StoreError, Tx, one_time_tokens};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::organisations::add_organisation;

/// The drivers of the two consumers, the pump and the renewal of leases.
const SLEEPERS: usize = 4;

/// The bytes of the database and of its log.
fn files(it: &TestDeployment) -> Vec<Vec<u8>> {
    let path = it.database_url().split_once("://").unwrap().1;
    let path = path.split('?').next().unwrap();
    let read = |name: String| std::fs::read(name).unwrap();
    vec![read(path.to_owned()), read(format!("{path}-wal"))]
}

#[tokio::test]
async fn idle_loops_write_nothing() {
    let it = TestDeployment::new().await;
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
    let store = it.deployment.store.store();
    for _ in 0..3 {
        add_organisation(store, store.new_id()).await;
    }
    publish_commits(store, &it.deployment.lifecycle, &bus);
    let consumers = vec![
        it.deployment.consumer_factory::<Reaper>(Consumer::Reaper),
        it.deployment
            .consumer_factory::<Dispatcher>(Consumer::Dispatcher),
    ];
    let readers = start_consumers(&it.build_part(), &bus, consumers);
    it.clock.wait_for_sleepers(SLEEPERS).await;
    let before = files(&it);
    for _ in 0..20 {
        it.advance_clock(5);
        it.clock.wait_for_sleepers(SLEEPERS).await;
    }
    for reader in readers {
        let status = reader.read();
        assert!(status.ticks > 10 && status.failures == 0, "{status:?}");
    }
    assert!(files(&it) == before, "something was written");
    // Had anything been written it would show.
    it.add_task(1, &[]).await;
    assert!(files(&it) != before);
}

#[tokio::test]
async fn a_look_at_tickets_that_go_on_writes_nothing() {
    let it = TestDeployment::new().await;
    it.add_task(1, &[]).await;
    let mut sweep: BlockerSweep = it.build_part();
    let mut entities = Entities::new(sweep.name(), it.deployment.rng.fork());
    let mut pass = async || {
        let passed = sweep.tick(it.clock.now(), &mut entities).await.unwrap();
        assert_eq!(passed, Next::Idle);
        it.advance_clock(300);
    };
    let before = files(&it);
    for _ in 0..6 {
        pass().await;
    }
    assert!(files(&it) == before, "something was written");
    // Then it is stalled, and that shows.
    pass().await;
    assert!(files(&it) != before);
}

#[tokio::test]
async fn what_is_over_is_removed_in_steps_and_then_nothing_is_written() {
    let it = TestDeployment::new().await;
    let now = it.clock.now();
    let fill = async |tx: &mut Tx| -> Result<(), StoreError> {
        for n in 0..501 {
            let flow = ProviderFlow {
                digest: n.to_string(),
                user_id: None,
                expires_at: now,
                details: FlowDetails {
                    provider: IdentityProvider::GitHub,
                    stage: FlowStage::SignIn,
                    key_name: "key".to_owned(),
                    browser_digest: None,
                    return_to: "/docs".to_owned(),
                },
            };
            provider_flows::insert(tx, &flow).await?;
        }
        Ok(())
    };
    it.commit(fill).await.unwrap();
    let mut janitor = Janitor::new(it.deployment.store.store().clone());
    let mut entities = Entities::new(janitor.name(), it.deployment.rng.fork());
    let mut pass = async || janitor.tick(now, &mut entities).await.unwrap();
    assert_eq!(pass().await, Next::Now);
    assert_eq!(pass().await, Next::Idle);
    let left = one_time_tokens::find(&mut it.read_tx().await, "500").await;
    assert!(left.unwrap().is_none());
    let before = files(&it);
    assert_eq!(pass().await, Next::Idle);
    assert!(files(&it) == before, "something was written");
}

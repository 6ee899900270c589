//! What an orchestrator does when there is nothing to do.

use std::sync::Arc;

use omoi_domain::event::Consumer;
use omoi_execution::consume::{publish_commits, start_consumers};
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::reaper::Reaper;
use omoi_runtime::bus::{Bus, LocalBus};
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

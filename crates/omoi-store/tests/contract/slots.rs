//! Slots are held on three levels: of a project, of its organisation, of the deployment.

use std::slice;

use omoi_domain::slots::{SlotLimits, SlotsInUse};
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, events, projects, slots, specs, tickets};
use omoi_testkit::organisations::add_organisation_with;

use crate::bench::{Bench, commit};
use crate::claims::claim;
use crate::samples::{self, World};

both!(the_narrowest_of_three_limits_holds);

async fn slots_of(tenant: &Tenant) -> Result<SlotsInUse, StoreError> {
    tenant.read(async |tx| slots::in_use(tx).await).await
}

/// A task that can start, in a project of its own.
async fn add_elsewhere(tenant: &Tenant) -> Result<Task, StoreError> {
    commit(tenant, async |tx| {
        let project = projects::ensure(tx, "other", "/other").await?;
        let mut spec = samples::spec(tx, project.id, 1);
        spec.status = SpecStatus::Working;
        specs::insert(tx, &spec).await?;
        let ticket = samples::ticket(tx, &spec, 1);
        tickets::insert(tx, &ticket).await?;
        let task = samples::task(tx, &ticket, 1);
        tasks::insert(tx, &task).await?;
        Ok(task)
    })
    .await
}

async fn refused(tenant: &Tenant, wanted: &[Task], limits: SlotLimits) -> Result<(), StoreError> {
    let head = async || tenant.read(async |tx| events::head(tx).await).await;
    let (slots, before) = (slots_of(tenant).await?, head().await?);
    let claimed = claim(tenant, wanted, limits).await;
    assert!(
        matches!(claimed, Err(StoreError::SlotsTaken)),
        "{claimed:?}"
    );
    assert_eq!((slots_of(tenant).await?, head().await?), (slots, before));
    Ok(())
}

async fn the_narrowest_of_three_limits_holds(bench: Bench) -> Result<(), StoreError> {
    let most = |in_deployment| SlotLimits {
        per_project: 9,
        in_deployment,
    };
    let acme = add_organisation_with(&bench.store, bench.id(), |new| {
        new.max_concurrent_agents = Some(1);
    })
    .await;
    let world = World::new(&acme).await?;
    let elsewhere = add_elsewhere(&acme).await?;
    let both = [world.task, elsewhere];
    // The organisation's own limit: of one project, and of two in one commit.
    refused(&acme, &both, most(9)).await?;
    let mut held = claim(&acme, &both[..1], most(9)).await?.remove(0);
    refused(&acme, &both[1..], most(9)).await?;
    let slots = slots_of(&acme).await?;
    assert_eq!((slots.in_organisation, slots.in_deployment), (1, 1));
    assert_eq!(slots.organisation_max, Some(1));

    // What another organisation holds counts for the deployment alone.
    let local = World::new(&bench.local).await?;
    let elsewhere = add_elsewhere(&bench.local).await?;
    let slots = slots_of(&bench.local).await?;
    assert_eq!((slots.in_organisation, slots.in_deployment), (0, 1));
    assert_eq!(slots.organisation_max, None);
    let both = [local.task, elsewhere];
    refused(&bench.local, slice::from_ref(&both[0]), most(1)).await?;
    refused(&bench.local, &both, most(2)).await?;
    claim(&bench.local, &both, most(3)).await?;
    assert_eq!(slots_of(&acme).await?.in_deployment, 3);

    // Whoever ends is under no limit, and makes room for others.
    commit(&acme, async |tx| {
        tx.limit_slots(most(0));
        tasks::transition(tx, &mut held.task, TaskStatus::Cancelled, None).await
    })
    .await?;
    let slots = slots_of(&acme).await?;
    assert_eq!((slots.in_organisation, slots.in_deployment), (0, 2));
    Ok(())
}

//! New organisations: what they begin with, and which orchestrator works for them.

use omoi_domain::id::{OrgId, UserId};
use omoi_domain::money::NanoUsd;
use omoi_store::organisations::{self, NewOrganisation, Organisation};
use omoi_store::{Store, StoreError, Tenant, Tx, deployment, month_budgets, tasks};
use omoi_testkit::postgres::wait_until_blocked;

use crate::bench::{Bench, POINT, commit};
use crate::samples::World;

/// The budget of a month.
const MONTH: NanoUsd = NanoUsd::from_dollars(7);

both!(
    a_new_organisation_begins_with_what_it_is_given,
    a_change_that_was_overtaken_is_refused,
    the_present_orchestrator_works_for_a_new_organisation,
);

fn acme_draft() -> NewOrganisation {
    NewOrganisation {
        name: "Acme".to_owned(),
        slug: "acme".parse().unwrap(),
        description: None,
        owner_id: UserId::LOCAL,
        billing_email: None,
        max_concurrent_agents: Some(5),
        month_limit: Some(MONTH),
    }
}

async fn read_own(tenant: &Tenant) -> Result<Organisation, StoreError> {
    tenant.read(async |tx| organisations::get(tx).await).await
}

async fn a_new_organisation_begins_with_what_it_is_given(bench: Bench) -> Result<(), StoreError> {
    let acme = bench.store.tenant(bench.id());
    commit(&acme, async |tx| {
        organisations::create(tx, &acme_draft()).await
    })
    .await?;
    let made = read_own(&acme).await?;
    assert_eq!(
        (made.id, made.slug.as_str(), made.created_at),
        (acme.org(), "acme", Some(bench.now()))
    );
    let world = World::new(&acme).await?;
    let project = world.project.id;
    let budgets = acme.read(async |tx| month_budgets::of_project(tx, project).await);
    let limits: Vec<_> = budgets.await?.iter().map(|one| one.limit_nanousd).collect();
    assert_eq!(limits, [MONTH]);
    let system = bench.store.system();
    let found =
        system.read(async |tx| organisations::find_by_slug(tx, &"acme".parse().unwrap()).await);
    assert_eq!(found.await?, Some(made));
    // The organisation of a laptop has no budget of its own.
    let world = World::new(&bench.local).await?;
    let budgets = bench
        .local
        .read(async |tx| month_budgets::of_project(tx, world.project.id).await);
    assert!(budgets.await?.is_empty());

    let again = bench.store.tenant(bench.id::<OrgId>());
    let taken = commit(&again, async |tx: &mut Tx| {
        organisations::create(tx, &acme_draft()).await
    });
    assert!(matches!(
        taken.await,
        Err(StoreError::Exists {
            what: "organisation"
        })
    ));
    assert!(matches!(
        read_own(&again).await,
        Err(StoreError::NotFound { .. })
    ));
    Ok(())
}

async fn a_change_that_was_overtaken_is_refused(bench: Bench) -> Result<(), StoreError> {
    let acme = bench.foreign().await;
    let mut first = read_own(&acme).await?;
    let mut second = first.clone();
    first.description = Some("Kettles".to_owned());
    first.archived_at = Some(bench.now());
    commit(&acme, async |tx| organisations::save(tx, &mut first).await).await?;
    assert_eq!(read_own(&acme).await?, first);
    second.name = "Other".to_owned();
    let refused = commit(&acme, async |tx| organisations::save(tx, &mut second).await).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    let mut local = read_own(&bench.local).await?;
    local.slug = first.slug;
    let taken = commit(&bench.local, async |tx| {
        organisations::save(tx, &mut local).await
    })
    .await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })));
    Ok(())
}

async fn took_over(store: &Store) -> Result<Store, StoreError> {
    let system = store.system();
    let fence = system.write(POINT, async |tx| deployment::take_over(tx).await);
    Ok(store.fenced(fence.await?))
}

/// Whether the orchestrator of `store` may still write in the organisation of `world`.
async fn is_let(store: &Store, org: OrgId, world: &World) -> bool {
    let tenant = store.tenant(org);
    let scored = commit(&tenant, async |tx| {
        tasks::keep_score(tx, world.task.id, 1.0).await?;
        let mut task = tasks::get(tx, world.task.id).await?;
        tasks::save(tx, &mut task).await
    });
    match scored.await {
        Ok(()) => true,
        Err(StoreError::TakenOver) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn the_present_orchestrator_works_for_a_new_organisation(
    bench: Bench,
) -> Result<(), StoreError> {
    took_over(&bench.store).await?;
    let earlier = took_over(&bench.store).await?;
    let acme = bench.foreign().await;
    let worlds = [
        (bench.local.org(), World::new(&bench.local).await?),
        (acme.org(), World::new(&acme).await?),
    ];
    for (org, world) in &worlds {
        assert!(is_let(&earlier, *org, world).await);
    }
    let later = took_over(&bench.store).await?;
    for (org, world) in &worlds {
        assert!(!is_let(&earlier, *org, world).await);
        assert!(is_let(&later, *org, world).await);
    }
    Ok(())
}

/// An organisation that is made while another orchestrator takes over would otherwise keep the fence of the earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_over_waits_for_an_organisation_that_is_being_made() {
    let bench = Bench::postgres().await;
    let acme = bench.store.tenant(bench.id::<OrgId>());
    let mut making = acme.begin_write().await.unwrap();
    organisations::create(&mut making, &acme_draft())
        .await
        .unwrap();
    let store = bench.another().await;
    let make = async {
        wait_until_blocked(bench.url(), 1).await;
        making.commit(POINT).await
    };
    let (present, made) = tokio::join!(took_over(&store), make);
    made.unwrap();
    let present = present.unwrap();
    let world = World::new(&acme).await.unwrap();
    assert!(is_let(&present, acme.org(), &world).await);
}

//! Transactions as closures: what is written stands when the closure succeeds, and only then.

use omoi_domain::actor::Actor;
use omoi_domain::event::{Event, SpecChange};
use omoi_domain::id::UserId;
use omoi_domain::spec::SpecStatus;
use omoi_store::{StoreError, Tx, events, specs};

use crate::bench::{Bench, POINT};
use crate::samples::World;

both!(
    a_closure_that_succeeds_is_committed,
    a_closure_that_fails_leaves_nothing,
    a_closure_that_only_reads_commits_nothing,
    events_name_their_actor,
);

fn created(tx: &mut Tx, world: &World) {
    let change = SpecChange {
        spec_id: world.spec.id,
        number: world.spec.number,
        title: world.spec.title.clone(),
        from: None,
        to: SpecStatus::Draft,
        blocked_by: None,
        reason: None,
    };
    tx.emit(
        Some(world.project.id),
        Some(world.spec.id),
        Event::SpecCreated(change),
    );
}

async fn title(bench: &Bench, world: &World) -> Result<String, StoreError> {
    let spec = bench
        .local
        .read(async |tx| specs::get(tx, world.spec.id).await);
    Ok(spec.await?.title)
}

async fn a_closure_that_succeeds_is_committed(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let rename = async |tx: &mut Tx| {
        let mut spec = specs::get(tx, world.spec.id).await?;
        spec.title = "renamed".to_owned();
        specs::save(tx, &mut spec).await?;
        Ok::<_, StoreError>(spec.state_version)
    };
    let version = bench.local.write(POINT, rename).await?;
    assert_eq!(version, world.spec.state_version + 1);
    assert_eq!(title(&bench, &world).await?, "renamed");
    Ok(())
}

async fn a_closure_that_fails_leaves_nothing(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let head = bench.local.read(async |tx| events::head(tx).await).await?;
    let refused = async |tx: &mut Tx| {
        let mut spec = specs::get(tx, world.spec.id).await?;
        spec.title = "lost".to_owned();
        specs::save(tx, &mut spec).await?;
        created(tx, &world);
        Err::<(), _>(StoreError::TakenOver)
    };
    let answer = bench.local.write(POINT, refused).await;
    assert!(matches!(answer, Err(StoreError::TakenOver)), "{answer:?}");
    assert_eq!(title(&bench, &world).await?, world.spec.title);
    let after = bench.local.read(async |tx| events::head(tx).await).await?;
    assert_eq!(after, head, "no event is told");
    Ok(())
}

async fn a_closure_that_only_reads_commits_nothing(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let commits = bench.store.commits();
    let before = *commits.borrow();
    let looked = bench
        .local
        .write(POINT, async |tx| specs::get(tx, world.spec.id).await);
    assert_eq!(looked.await?.id, world.spec.id);
    let told = bench.local.write(POINT, async |tx| {
        created(tx, &world);
        Ok::<_, StoreError>(())
    });
    assert_eq!(*commits.borrow(), before, "reading wakes nobody");
    told.await?;
    assert_eq!(*commits.borrow(), before + 1, "an event alone is written");
    Ok(())
}

async fn events_name_their_actor(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let tell = async |tx: &mut Tx| {
        created(tx, &world);
        Ok::<_, StoreError>(())
    };
    let head = bench.local.read(async |tx| events::head(tx).await).await?;
    let others = [
        Actor::User(UserId::LOCAL),
        Actor::Key(bench.id()),
        Actor::Agent(bench.id()),
    ];
    for actor in others {
        let scope = bench.local.acting_as(actor);
        scope.write(POINT, tell).await?;
        assert_eq!(scope.org(), bench.local.org());
    }
    bench.local.write(POINT, tell).await?;
    let log = bench
        .local
        .read(async |tx| events::after(tx, head).await)
        .await?;
    let actors: Vec<Actor> = log.iter().map(|event| event.actor).collect();
    assert_eq!(actors[..3], others);
    assert_eq!(actors[3..], [Actor::System]);
    Ok(())
}

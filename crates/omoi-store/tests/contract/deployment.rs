//! One data folder per database, one orchestrator at a time, and what a clock set back leaves.

use std::time::Duration;

use omoi_store::deployment::{
    DataFolder, end_all_waits, end_waits_of_the_future, is_named, join, keep_models, known_models,
    take_over,
};
use omoi_store::{Store, StoreError, Tenant, Tx, attempts, tasks};

use crate::bench::{Bench, POINT, commit};
use crate::samples::{self, World};

both!(
    another_folder_is_refused,
    an_earlier_orchestrator_writes_nothing,
    what_is_no_event_is_fenced_too,
    a_clock_set_back_ends_every_wait,
    other_models_end_every_wait,
    a_rollback_of_the_database_itself_wedges_nothing,
);

fn folder(id: &str, place: &str) -> DataFolder {
    DataFolder {
        id: id.to_owned(),
        place: place.to_owned(),
    }
}

async fn joins(store: &Store, folder: &DataFolder) -> Result<bool, StoreError> {
    let system = store.system();
    system
        .write(POINT, async |tx| {
            join(tx, folder).await?;
            is_named(tx, folder).await
        })
        .await
}

async fn another_folder_is_refused(bench: Bench) -> Result<(), StoreError> {
    let (one, two) = (folder("a", "here:/one"), folder("b", "there:/two"));
    assert!(joins(&bench.store, &one).await?);
    assert!(joins(&bench.store, &one).await?);
    let refused = joins(&bench.another().await, &two).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::OtherFolder { here, named }
            if here == "there:/two" && named == "here:/one"),
        "{refused}"
    );
    // A folder that was moved is the same folder.
    assert!(joins(&bench.store, &folder("a", "there:/moved")).await?);
    Ok(())
}

async fn took_over(store: &Store) -> Result<Store, StoreError> {
    let system = store.system();
    let fence = system.write(POINT, async |tx| take_over(tx).await).await?;
    Ok(store.fenced(fence))
}

async fn an_earlier_orchestrator_writes_nothing(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let org = bench.local.org();
    let earlier = took_over(&bench.store).await?.tenant(org);
    let mut under_way = earlier.begin_write().await?;
    let mut task = tasks::get(&mut under_way, world.task.id).await?;
    if bench.store.backend() == omoi_store::dialect::Backend::Sqlite {
        // One writer at a time: it begins again afterwards.
        under_way.rollback().await?;
        let later = took_over(&bench.another().await).await?.tenant(org);
        under_way = earlier.begin_write().await?;
        drop(later);
    } else {
        took_over(&bench.another().await).await?;
    }
    tasks::transition(
        &mut under_way,
        &mut task,
        omoi_domain::task::TaskStatus::Cancelled,
        None,
    )
    .await?;
    let refused = under_way.commit(POINT).await.unwrap_err();
    assert!(matches!(refused, StoreError::TakenOver), "{refused}");
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(
        tasks::get(&mut tx, world.task.id).await?.status,
        omoi_domain::task::TaskStatus::Pending
    );
    drop(tx);
    // Whoever carries no fence, and the one that carries the new one, go on.
    let later = took_over(&bench.store).await?.tenant(org);
    for tenant in [&later, &bench.local] {
        commit(tenant, async |tx| {
            let mut task = tasks::get(tx, world.task.id).await?;
            tasks::keep_score(tx, task.id, 1.0).await?;
            task.round += 1;
            tasks::save(tx, &mut task).await
        })
        .await?;
    }
    Ok(())
}

/// Signs of life, leases and scores are written without an event.
async fn what_is_no_event_is_fenced_too(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let org = bench.local.org();
    let earlier = took_over(&bench.store).await?.tenant(org);
    let task = world.task.clone();
    let attempt = commit(&earlier, async |tx| {
        let attempt = samples::attempt(tx, &task, 1);
        attempts::insert(tx, &attempt).await?;
        Ok(attempt)
    })
    .await?;
    let (id, owner) = (attempt.id, attempt.owner.as_str());
    let write = async |tenant: &Tenant| {
        let touched = commit(tenant, async |tx| attempts::touch(tx, id, true).await).await;
        let renewed = commit(tenant, async |tx| {
            let until = tx.now();
            attempts::renew_lease(tx, owner, id, until).await
        });
        let renewed = renewed.await.map(|held| assert!(held));
        let scored = commit(tenant, async |tx| tasks::keep_score(tx, task.id, 2.0).await).await;
        [touched, renewed, scored]
    };
    for written in write(&earlier).await {
        written?;
    }
    let later = took_over(&bench.store).await?.tenant(org);
    for refused in write(&earlier).await {
        assert!(matches!(refused, Err(StoreError::TakenOver)), "{refused:?}");
    }
    for written in write(&later).await {
        written?;
    }
    // What is not there is no sign of another orchestrator.
    commit(&later, async |tx| {
        let nobody = tx.new_id();
        attempts::touch(tx, nobody, false).await
    })
    .await
}

async fn a_clock_set_back_ends_every_wait(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let hour = Duration::from_secs(3600);
    commit(&bench.local, async |tx| {
        let mut task = tasks::get(tx, world.task.id).await?;
        task.not_before = tx.now() + hour;
        tasks::save(tx, &mut task).await
    })
    .await?;
    let ended = async || commit(&bench.local, async |tx| end_waits_of_the_future(tx).await).await;
    let waits = async || -> Result<bool, StoreError> {
        let mut tx = bench.local.begin_read().await?;
        let task = tasks::get(&mut tx, world.task.id).await?;
        Ok(task.not_before > tx.now())
    };
    assert_eq!(ended().await?, None, "the clock goes on");
    assert!(waits().await?);
    bench.set_back(2 * hour);
    assert_eq!(ended().await?, Some(7_200_000_000));
    assert!(!waits().await?);
    Ok(())
}

async fn other_models_end_every_wait(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    joins(&bench.store, &folder("a", "here:/one")).await?;
    let noted = async |digest: &str| {
        let system = bench.store.system();
        let keep = async |tx: &mut Tx| keep_models(tx, digest).await;
        system.write(POINT, keep).await?;
        system.read(async |tx| known_models(tx).await).await
    };
    let foreign = bench.foreign().await;
    for (by, digest, ends) in [(&foreign, "one", false), (&bench.local, "two", true)] {
        let waiting = commit(&bench.local, async |tx| {
            let mut task = tasks::get(tx, world.task.id).await?;
            task.not_before = tx.now() + Duration::from_secs(3600);
            tasks::save(tx, &mut task).await
        });
        waiting.await?;
        assert_eq!(noted(digest).await?.as_deref(), Some(digest));
        let ended = commit(by, async |tx| end_all_waits(tx).await).await?;
        assert_eq!(ended, ends, "{digest}");
        let mut tx = bench.local.begin_read().await?;
        let task = tasks::get(&mut tx, world.task.id).await?;
        assert_eq!(task.not_before <= tx.now(), ends, "{digest}");
    }
    Ok(())
}

/// What SQLite does when the disk is full: the transaction is gone before anybody rolls it back.
async fn a_rollback_of_the_database_itself_wedges_nothing(bench: Bench) -> Result<(), StoreError> {
    if bench.store.backend() != omoi_store::dialect::Backend::Sqlite {
        // PostgreSQL keeps a failed transaction open until it is rolled back.
        return Ok(());
    }
    let world = World::new(&bench.local).await?;
    bench
        .raw(
            "create trigger refuse before update on tasks
             begin select raise(rollback, 'rolled back by itself'); end",
        )
        .await;
    for _ in 0..3 {
        let changed = commit(&bench.local, async |tx| {
            tasks::keep_score(tx, world.task.id, 1.0).await
        });
        let refused = changed.await.unwrap_err();
        assert!(
            format!("{refused:?}").contains("rolled back by itself"),
            "{refused:?}"
        );
    }
    bench.raw("drop trigger refuse").await;
    commit(&bench.local, async |tx| {
        tasks::keep_score(tx, world.task.id, 1.0).await
    })
    .await
}

//! One holder at a time, with a fence that grows at every change of hands.

use std::time::Duration;

use omoi_store::leases::{acquire, clear, held, release};
use omoi_store::{Store, StoreError};
use tokio::task::JoinSet;

use crate::bench::{Bench, POINT};

both!(a_lease_changes_hands, one_of_sixteen_wins);

const TTL: Duration = Duration::from_secs(15);

async fn take(store: &Store, owner: &str) -> Result<Option<i64>, StoreError> {
    let mut tx = store.system().write().await?;
    let lease = acquire(&mut tx, "loop:planner", owner, TTL).await?;
    tx.commit(POINT).await?;
    Ok(lease.map(|lease| lease.fence))
}

async fn a_lease_changes_hands(bench: Bench) -> Result<(), StoreError> {
    let store = &bench.store;
    assert_eq!(take(store, "one").await?, Some(1));
    assert_eq!(take(store, "two").await?, None);
    // A renewal keeps the fence and counts from now.
    bench.advance(Duration::from_secs(10));
    assert_eq!(take(store, "one").await?, Some(1));
    bench.advance(Duration::from_secs(10));
    assert_eq!(take(store, "two").await?, None);
    bench.advance(Duration::from_secs(5));
    let old = omoi_store::leases::Lease {
        name: "loop:planner".to_owned(),
        fence: 1,
    };
    let mut tx = store.system().read().await?;
    assert!(!held(&mut tx, &old, "one").await?, "it ran out");
    drop(tx);
    assert_eq!(take(store, "two").await?, Some(2));
    assert_eq!(take(store, "one").await?, None);
    let mut tx = store.system().write().await?;
    release(&mut tx, "loop:planner", "one").await?;
    assert!(
        !held(&mut tx, &old, "two").await?,
        "an old fence holds nothing"
    );
    tx.commit(POINT).await?;
    assert_eq!(
        take(store, "one").await?,
        None,
        "only its holder gives it up"
    );
    let mut tx = store.system().write().await?;
    release(&mut tx, "loop:planner", "two").await?;
    tx.commit(POINT).await?;
    assert_eq!(take(store, "one").await?, Some(3));
    let mut tx = store.system().write().await?;
    clear(&mut tx).await?;
    tx.commit(POINT).await?;
    assert_eq!(take(store, "two").await?, Some(4));
    Ok(())
}

async fn one_of_sixteen_wins(bench: Bench) -> Result<(), StoreError> {
    let stores = [bench.store.clone(), bench.another().await];
    for round in 1..=5 {
        let mut race = JoinSet::new();
        for n in 0..16 {
            let store = stores[n % 2].clone();
            race.spawn(async move { take(&store, &format!("owner {n} of {round}")).await });
        }
        let won: Vec<i64> = race
            .join_all()
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(won, [round]);
        bench.advance(TTL);
    }
    Ok(())
}

//! What a column keeps of a value, whatever its type is called on either database.

use omoi_domain::time::Timestamp;
use omoi_store::{Json, StoreError, attempts, tasks};
use serde_json::Value;

use crate::bench::{Bench, commit};
use crate::samples::{self, World};

both!(
    documents_keep_the_order_of_their_keys,
    instants_come_back_to_the_microsecond,
    a_flag_is_a_condition,
);

/// A transcript goes to the model again as it was, and outputs are digested as text.
async fn documents_keep_the_order_of_their_keys(bench: Bench) -> Result<(), StoreError> {
    const TEXT: &str = r#"{"zeta":{"long name":1,"b":2},"a":[{"y":1.50,"x":null}],"mm":"é"}"#;
    let document: Value = serde_json::from_str(TEXT).unwrap();
    let world = World::new(&bench.local).await?;
    let mut attempt = commit(&bench.local, async |tx| {
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        Ok(attempt)
    })
    .await?;
    commit(&bench.local, async |tx| {
        let mut turn = samples::turn(&attempt, 0);
        turn.response = Json(document.clone());
        turn.tool_results = Json(document.clone());
        attempts::append_turn(tx, &mut attempt, &turn)
            .await
            .map(drop)
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let turns = attempts::turns(&mut tx, attempt.id).await?;
    // Equality of values says nothing of the order.
    assert_eq!(turns[0].response.0.to_string(), document.to_string());
    assert_eq!(turns[0].tool_results.0.to_string(), document.to_string());
    Ok(())
}

async fn instants_come_back_to_the_microsecond(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    for micros in [-1, 0, 1, 1_760_000_000_123_457, i64::MAX] {
        let deadline = Some(Timestamp::from_micros(micros));
        commit(&bench.local, async |tx| {
            let mut task = tasks::get(tx, world.task.id).await?;
            task.deadline_at = deadline;
            tasks::save(tx, &mut task).await
        })
        .await?;
        let mut tx = bench.local.begin_read().await?;
        let read = tasks::get(&mut tx, world.task.id).await?;
        assert_eq!(read.deadline_at, deadline);
    }
    Ok(())
}

/// What statements ask of a flag holds after it was set and not before.
async fn a_flag_is_a_condition(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    bench.raw("update projects set autonomous = false").await;
    for (is_forced, expected) in [(false, 0), (true, 1)] {
        commit(&bench.local, async |tx| {
            let mut task = tasks::get(tx, world.task.id).await?;
            task.force_execute = is_forced;
            tasks::save(tx, &mut task).await
        })
        .await?;
        let mut tx = bench.local.begin_read().await?;
        let found = tasks::eligible(&mut tx, crate::queue::scan(10)).await?;
        assert_eq!(found.len(), expected, "forced: {is_forced}");
        tx.rollback().await?;
    }
    Ok(())
}

//! Attempts, their turns, events and messages.

use tokio::task::JoinSet;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::event::{AgentActivity, Event};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_store::attempts::{self, StoredTurns, append_event, append_turn, copy_turns, turns};
use omoi_store::{StoreError, events, messages};

use crate::bench::{Bench, POINT, START, commit};
use crate::samples::{self, World};

both!(
    a_subject_has_one_live_attempt,
    turns_come_in_order,
    the_same_event_is_stored_once,
    messages_are_had_once,
);

async fn a_subject_has_one_live_attempt(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let stores = [bench.store.clone(), bench.another().await];
    let mut race = JoinSet::new();
    for n in 0..16_u32 {
        let tenant = stores[n as usize % 2].tenant(bench.local.org());
        let task = world.task.clone();
        race.spawn(async move {
            commit(&tenant, async |tx| {
                let attempt = samples::attempt(tx, &task, n);
                attempts::insert(tx, &attempt).await?;
                Ok(attempt)
            })
            .await
        });
    }
    let mut won = Vec::new();
    for result in race.join_all().await {
        match result {
            Ok(attempt) => won.push(attempt),
            Err(StoreError::Exists { what: "attempt" }) => {}
            Err(other) => return Err(other),
        }
    }
    assert_eq!(won.len(), 1);
    let mut attempt = won.remove(0);
    let mut tx = bench.local.begin_write().await?;
    let spec = world.spec.id;
    let task_id = world.task.id;
    let subject = AttemptSubject::Task { task_id };
    let live = attempts::live(&mut tx, spec, subject).await?;
    assert_eq!(live.as_ref(), Some(&attempt));
    assert_eq!(
        attempts::live(&mut tx, spec, AttemptSubject::TaskChecks { task_id }).await?,
        None
    );
    assert!(attempts::renew_lease(&mut tx, "one", attempt.id, bench.now()).await?);
    assert!(!attempts::renew_lease(&mut tx, "two", attempt.id, bench.now()).await?);
    attempts::transition(&mut tx, &mut attempt, AttemptState::Lost).await?;
    assert!(!attempts::renew_lease(&mut tx, "one", attempt.id, START).await?);
    let next = samples::attempt(&tx, &world.task, 100);
    attempts::insert(&mut tx, &next).await?;
    let all = attempts::of_subject(&mut tx, spec, subject).await?;
    assert_eq!(
        all.iter().map(|a| a.id).collect::<Vec<_>>(),
        [attempt.id, next.id]
    );
    assert_eq!(attempts::live_ids(&mut tx).await?, [next.id]);
    assert_eq!(attempts::all_live(&mut tx).await?, [next]);
    tx.commit(POINT).await
}

async fn turns_come_in_order(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let mut attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let before = attempt.clone();
    let early = append_turn(&mut tx, &mut attempt, &samples::turn(&before, 1)).await;
    assert!(matches!(
        early.unwrap_err(),
        StoreError::Conflict { what: "turn", .. }
    ));
    for n in 0..3 {
        let mut turn = samples::turn(&before, n);
        turn.wip_sha = (n == 1).then(|| "w".repeat(40));
        assert!(append_turn(&mut tx, &mut attempt, &turn).await?);
        assert!(
            !append_turn(&mut tx, &mut attempt, &turn).await?,
            "once only"
        );
    }
    assert_eq!(
        attempt.wip_sha,
        Some("w".repeat(40)),
        "the last snapshot stays"
    );
    assert_eq!(attempts::get(&mut tx, attempt.id).await?, attempt);
    attempts::transition(&mut tx, &mut attempt, AttemptState::Lost).await?;
    let mut next = samples::attempt(&tx, &world.task, 2);
    attempts::insert(&mut tx, &next).await?;
    assert_eq!(copy_turns(&mut tx, attempt.id, next.id).await?, 3);
    let stored = attempts::stored_turns(&mut tx, next.id).await?;
    let expected = StoredTurns {
        n: 3,
        told_bytes: 300,
        session_bytes: 20,
    };
    assert_eq!(stored, expected, "the last one tells");
    let copied = turns(&mut tx, next.id).await?;
    assert_eq!(copied.iter().map(|t| t.n).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(copied.iter().all(|t| t.attempt_id == next.id));
    let turn = samples::turn(&next.clone(), 3);
    assert!(append_turn(&mut tx, &mut next, &turn).await?, "it goes on");
    assert_eq!(turns(&mut tx, attempt.id).await?.len(), 3);
    tx.commit(POINT).await
}

async fn the_same_event_is_stored_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let show = AgentActivity {
        attempt_id: attempt.id,
        subject: attempt.subject,
        kind: AgentEventKind::FileEdited,
        summary: "edited".to_owned(),
        lines_added: 1,
        lines_removed: 0,
    };
    let (first, second) = (
        samples::agent_event(&tx, &attempt),
        samples::agent_event(&tx, &attempt),
    );
    assert!(append_event(&mut tx, &attempt, first.clone(), Some(show.clone())).await?);
    assert!(!append_event(&mut tx, &attempt, first, Some(show)).await?);
    assert!(append_event(&mut tx, &attempt, second, None).await?);
    let stored = attempts::events(&mut tx, attempt.id, 0, 10).await?;
    assert_eq!(stored.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(attempts::events(&mut tx, attempt.id, 1, 10).await?.len(), 1);
    tx.commit(POINT).await?;
    let log = events::after(&mut bench.local.begin_read().await?, 0).await?;
    let shown = log
        .iter()
        .filter(|e| matches!(e.event, Event::AgentActivity(_)));
    assert_eq!(shown.count(), 1);
    Ok(())
}

async fn messages_are_had_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let (one, two) = (
        samples::attempt(&tx, &world.task, 1),
        samples::attempt(&tx, &world.task, 2),
    );
    let first = messages::queue(
        &mut tx,
        &world.task,
        MessageType::UserMessage,
        "one",
        MessageSender::User,
    )
    .await?;
    let second = messages::queue(
        &mut tx,
        &world.task,
        MessageType::UserMessage,
        "two",
        MessageSender::User,
    )
    .await?;
    assert_eq!(
        messages::open(&mut tx, world.task.id).await?,
        [first.clone(), second.clone()]
    );
    messages::ack(&mut tx, first.id, one.id).await?;
    messages::ack(&mut tx, first.id, two.id).await?;
    assert_eq!(messages::open(&mut tx, world.task.id).await?, [second]);
    let all = tx
        .all::<messages::Message>("1 = 1 order by created_at, id", omoi_store::Args::default())
        .await?;
    assert_eq!(all[0].acked_by, Some(one.id), "the first who had it");
    tx.commit(POINT).await
}

/// A turn is added by its number; what the earlier ones hold is not read again.
#[tokio::test]
async fn a_turn_is_added_without_reading_the_earlier_ones() {
    let bench = Bench::sqlite().await;
    let world = World::new(&bench.local).await.unwrap();
    let mut attempt = commit(&bench.local, async |tx| {
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        Ok(attempt)
    })
    .await
    .unwrap();
    for n in 0..3 {
        commit(&bench.local, async |tx| {
            let turn = samples::turn(&attempt, n);
            attempts::append_turn(tx, &mut attempt, &turn)
                .await
                .map(drop)
        })
        .await
        .unwrap();
        bench.raw("update turns set response = 'no json'").await;
    }
    let mut tx = bench.local.begin_read().await.unwrap();
    assert!(attempts::turns(&mut tx, attempt.id).await.is_err());
}

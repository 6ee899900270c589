//! The outbox: gap-free, in commit order, and never missed by a reader with a cursor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use omoi_domain::event::{Event, EventKind, LoggedEvent, SpecChange};
use omoi_domain::id::EventId;
use omoi_domain::spec::SpecStatus;
use omoi_store::events::EventSearch;
use omoi_store::{StoreError, Tenant, Tx, events, specs};

use crate::bench::{Bench, POINT, commit};
use crate::samples::World;

both!(
    writers_and_a_reader_agree,
    a_dropped_transaction_tells_nothing,
    logs_are_read_in_batches,
    the_newest_of_a_kind_are_told,
    a_spec_knows_since_when_it_works,
    what_follows_a_number_is_found_whatever_the_number,
    pages_hold_each_event_once_and_none_that_was_not_asked_for,
);

/// An event that says who wrote it and which of its own it was.
fn tell(tx: &mut Tx, world: &World, writer: i64, n: usize) {
    let event = Event::SpecCreated(SpecChange {
        spec_id: world.spec.id,
        number: writer,
        title: n.to_string(),
        from: None,
        to: SpecStatus::Draft,
        blocked_by: None,
        reason: None,
    });
    tx.emit(Some(world.project.id), Some(world.spec.id), event);
}

/// 60 transactions of one to three events; every tenth gives up.
async fn write(tenant: Tenant, world: Arc<World>, writer: i64) -> Result<Vec<usize>, StoreError> {
    let mut kept = Vec::new();
    let mut n = 0;
    for turn in 0..60 {
        let mut tx = tenant.begin_write().await?;
        let mut own = Vec::new();
        for _ in 0..=(turn % 3) {
            tell(&mut tx, &world, writer, n);
            own.push(n);
            n += 1;
        }
        if turn % 10 == 9 {
            tx.rollback().await?;
        } else {
            tx.commit(POINT).await?;
            kept.extend(own);
        }
    }
    Ok(kept)
}

async fn what_follows_a_number_is_found_whatever_the_number(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        tell(tx, &world, 1, 1);
        Ok(())
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let head = events::head(&mut tx).await?;
    let last = events::occurred_after(&mut tx, head - 1).await?;
    assert_eq!(last, Some(bench.now()));
    for unknown in [head, head + 1, i64::MAX - 1, i64::MAX, -1, i64::MIN] {
        let next = events::occurred_after(&mut tx, unknown).await?;
        assert_eq!(next, None, "{unknown}");
    }
    Ok(())
}

async fn writers_and_a_reader_agree(bench: Bench) -> Result<(), StoreError> {
    let world = Arc::new(World::new(&bench.local).await?);
    let start = events::head(&mut bench.local.begin_read().await?).await?;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        // Half of them live in another process.
        let store = if writer % 2 == 0 {
            bench.store.clone()
        } else {
            bench.another().await
        };
        let tenant = store.tenant(bench.local.org());
        let world = world.clone();
        writers.spawn(async move { (writer, write(tenant, world, writer).await) });
    }
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (tenant, done) = (bench.local.clone(), done.clone());
        let mut set = JoinSet::new();
        set.spawn(async move {
            let mut seen = Vec::new();
            let mut at = start;
            loop {
                let last_look = done.load(Ordering::SeqCst);
                let batch = events::after(&mut tenant.begin_read().await?, at).await?;
                at = batch.last().map_or(at, |e| e.seq);
                let empty = batch.is_empty();
                seen.extend(batch);
                if empty && last_look {
                    return Ok::<_, StoreError>(seen);
                }
                tokio::task::yield_now().await;
            }
        });
        set
    };
    let mut kept = vec![Vec::new(); 8];
    while let Some(ended) = writers.join_next().await {
        let (writer, result) = ended.unwrap();
        kept[usize::try_from(writer).unwrap()] = result?;
    }
    done.store(true, Ordering::SeqCst);
    let seen = reader.join_all().await.remove(0)?;
    let seqs: Vec<i64> = seen.iter().map(|e| e.seq).collect();
    let total: usize = kept.iter().map(Vec::len).sum();
    let expected: Vec<i64> = (start + 1..=start + i64::try_from(total).unwrap()).collect();
    assert_eq!(seqs, expected, "each number once, in order, without a gap");
    for (writer, kept) in kept.iter().enumerate() {
        let own: Vec<usize> = seen
            .iter()
            .filter_map(|e| match &e.event {
                Event::SpecCreated(c) if c.number == i64::try_from(writer).unwrap() => {
                    Some(c.title.parse().unwrap())
                }
                _ => None,
            })
            .collect();
        assert_eq!(&own, kept, "writer {writer} in its own order");
    }
    assert_eq!(
        events::head(&mut bench.local.begin_read().await?).await?,
        *expected.last().unwrap()
    );
    Ok(())
}

async fn a_spec_knows_since_when_it_works(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let id = world.spec.id;
    let times = async || {
        let mut tx = bench.local.begin_read().await?;
        let since = specs::working_since(&mut tx, id).await?;
        Ok::<_, StoreError>((since, specs::resumed_at(&mut tx, id).await?))
    };
    let mut spec = world.spec;
    let failed = SpecStatus::Failed;
    commit(&bench.local, async |tx| {
        specs::transition(tx, &mut spec, failed, None).await
    })
    .await?;
    assert_eq!(times().await?, (None, None));
    bench.advance(Duration::from_secs(60));
    let began = Some(bench.now());
    let working = SpecStatus::Working;
    commit(&bench.local, async |tx| {
        specs::transition(tx, &mut spec, working, None).await
    })
    .await?;
    assert_eq!(times().await?, (began, began));
    bench.advance(Duration::from_secs(60));
    let reason = "a person asked".to_owned();
    commit(&bench.local, async |tx| {
        specs::tell_resumed(tx, &spec, reason.clone()).await
    })
    .await?;
    assert_eq!(times().await?, (began, Some(bench.now())));
    Ok(())
}

async fn a_dropped_transaction_tells_nothing(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut commits = bench.store.commits();
    commits.mark_unchanged();
    let head = events::head(&mut bench.local.begin_read().await?).await?;
    let mut tx = bench.local.begin_write().await?;
    tell(&mut tx, &world, 1, 1);
    drop(tx);
    // A transaction without events is no news either.
    bench.local.begin_write().await?.commit(POINT).await?;
    assert!(!commits.has_changed().unwrap());
    assert_eq!(
        events::head(&mut bench.local.begin_read().await?).await?,
        head
    );
    let mut tx = bench.local.begin_write().await?;
    tell(&mut tx, &world, 1, 2);
    tx.commit(POINT).await?;
    tokio::time::timeout(Duration::from_secs(5), commits.changed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        events::head(&mut bench.local.begin_read().await?).await?,
        head + 1
    );
    Ok(())
}

async fn logs_are_read_in_batches(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        for n in 0..usize::try_from(events::BATCH_MAX).unwrap() + 7 {
            tell(tx, &world, 1, n);
        }
        Ok(())
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let head = events::head(&mut tx).await?;
    let first = events::of_spec(&mut tx, world.spec.id, 0).await?;
    assert_eq!(first.len() as i64, events::BATCH_MAX);
    let rest = events::of_spec(&mut tx, world.spec.id, first.last().unwrap().seq).await?;
    assert_eq!(rest.last().map(|e| e.seq), Some(head));
    assert!(rest.iter().all(|e| e.spec_id == Some(world.spec.id)));
    Ok(())
}

async fn the_newest_of_a_kind_are_told(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let most = usize::try_from(events::BATCH_MAX).unwrap();
    commit(&bench.local, async |tx| {
        for n in 0..most + 7 {
            tell(tx, &world, 1, n);
        }
        Ok(())
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let told = events::of_kind(&mut tx, world.spec.id, EventKind::SpecCreated).await?;
    let head = events::head(&mut tx).await?;
    let expected: Vec<i64> = (head - events::BATCH_MAX + 1..=head).collect();
    assert_eq!(told.iter().map(|e| e.seq).collect::<Vec<_>>(), expected);
    Ok(())
}

/// The numbers that the pages of `search` hold, and how many pages there are.
async fn walk_pages(
    tenant: &Tenant,
    mut search: EventSearch,
    is_wanted: impl Fn(&LoggedEvent) -> bool,
) -> Result<(Vec<i64>, usize), StoreError> {
    let (mut seqs, mut n_pages) = (Vec::new(), 0);
    loop {
        let mut tx = tenant.begin_read().await?;
        let page = events::read_page(&mut tx, &search, &is_wanted).await?;
        assert!(page.events.len() <= search.limit);
        seqs.extend(page.events.iter().map(|event| event.stored.seq));
        n_pages += 1;
        search.place = page.next;
        if search.place.is_none() {
            return Ok((seqs, n_pages));
        }
    }
}

fn search_all(limit: usize) -> EventSearch {
    EventSearch {
        after: 0,
        kinds: EventKind::ALL.to_vec(),
        projects: Vec::new(),
        spec: None,
        ticket: None,
        task: None,
        occurred_after: None,
        occurred_before: None,
        is_newest_first: false,
        place: None,
        limit,
    }
}

async fn pages_hold_each_event_once_and_none_that_was_not_asked_for(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let start = events::head(&mut bench.local.begin_read().await?).await?;
    commit(&bench.local, async |tx| {
        for n in 0..usize::try_from(events::BATCH_MAX).unwrap() + 7 {
            tell(tx, &world, 1, n);
        }
        Ok(())
    })
    .await?;
    let head = events::head(&mut bench.local.begin_read().await?).await?;
    let all: Vec<i64> = (1..=head).collect();
    let (oldest_first, n_pages) = walk_pages(&bench.local, search_all(100), |_| true).await?;
    assert_eq!(
        (oldest_first, n_pages),
        (all.clone(), all.len().div_ceil(100))
    );
    let newest_first = EventSearch {
        is_newest_first: true,
        ..search_all(100)
    };
    let (mut newest, _) = walk_pages(&bench.local, newest_first.clone(), |_| true).await?;
    newest.reverse();
    assert_eq!(newest, all);
    // What only its reader knows to leave out makes pages neither end early nor lose anything.
    let is_even = |event: &LoggedEvent| event.stored.seq % 2 == 0;
    let (even, _) = walk_pages(&bench.local, newest_first.clone(), is_even).await?;
    let mut expected: Vec<i64> = all.iter().copied().filter(|seq| seq % 2 == 0).collect();
    expected.reverse();
    assert_eq!(even, expected);
    let of_kind = |kind| EventSearch {
        kinds: vec![kind],
        after: start,
        ..newest_first.clone()
    };
    let found = walk_pages(&bench.local, of_kind(EventKind::SpecCreated), |_| true).await?;
    assert_eq!(found.0.len() as i64, head - start);
    let found = walk_pages(&bench.local, of_kind(EventKind::TaskFailed), |_| true).await?;
    assert_eq!(found, (Vec::new(), 1));
    let of_task = EventSearch {
        task: Some(world.task.id),
        spec: Some(world.spec.id),
        projects: vec![world.project.id],
        occurred_before: Some(bench.now() + Duration::from_secs(1)),
        ..search_all(100)
    };
    let mut tx = bench.local.begin_read().await?;
    let page = events::read_page(&mut tx, &of_task, |_| true).await?;
    assert!(!page.events.is_empty() && page.next.is_none());
    for event in &page.events {
        assert_eq!(event.related_ids().task_id, Some(world.task.id));
        let again = events::get_logged(&mut tx, event.stored.event_id).await?;
        assert_eq!(again, *event);
    }
    let later = EventSearch {
        occurred_after: Some(bench.now()),
        ..of_task
    };
    let page = events::read_page(&mut tx, &later, |_| true).await?;
    assert!(page.events.is_empty() && page.next.is_none());
    let unknown = events::get_logged(&mut tx, EventId::from_uuid(world.spec.id.as_uuid())).await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound { .. })),
        "{unknown:?}"
    );
    Ok(())
}

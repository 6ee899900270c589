//! Claims: each task once, up to sixteen in one statement, never beyond the slots.

use std::collections::BTreeSet;

use omoi_domain::event::EventKind;
use omoi_domain::slots::SlotLimits;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_store::tasks::{self, NewClaim, QueueScan, Task};
use omoi_store::{
    StoreError, Tenant, Tx, attempt_tokens, attempts, events, projects, slots, specs, tickets,
};
use omoi_testkit::organisations::add_organisation_with;
use omoi_testkit::raw_connection::RawConnection;
use tokio::task::JoinSet;

use crate::bench::{Bench, commit};
use crate::queue::scan;
use crate::samples::{self, World};

both!(
    a_claim_moves_the_task_its_attempt_and_its_slot,
    many_are_claimed_at_once,
    what_moved_on_is_skipped,
    slots_end_at_the_commit,
    claimers_never_exceed_the_slots,
);

pub(crate) const NO_LIMITS: SlotLimits = SlotLimits {
    per_project: 1_000,
    in_deployment: 1_000,
};

fn wanted(tx: &Tx, task: &Task) -> NewClaim {
    NewClaim {
        attempt: attempts::Attempt {
            base_sha: Some("a".repeat(40)),
            ..samples::attempt(tx, task, 1)
        },
        token_hash: samples::token_hash(tx),
        task: task.clone(),
    }
}

pub(crate) async fn claim(
    tenant: &Tenant,
    tasks: &[Task],
    limits: SlotLimits,
) -> Result<Vec<NewClaim>, StoreError> {
    commit(tenant, async |tx| {
        let all = tasks.iter().map(|task| wanted(tx, task)).collect();
        tasks::claim(tx, all, limits).await
    })
    .await
}

async fn a_claim_moves_the_task_its_attempt_and_its_slot(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let before = events::head(&mut bench.local.begin_read().await?).await?;
    let claimed = claim(&bench.local, std::slice::from_ref(&world.task), NO_LIMITS).await?;
    let [
        NewClaim {
            task,
            attempt,
            token_hash,
        },
    ] = claimed.as_slice()
    else {
        panic!("{claimed:?}");
    };
    let system = bench.store.system();
    let token = system.read(async |tx| attempt_tokens::find(tx, token_hash).await);
    assert_eq!(token.await?.map(|token| token.attempt_id), Some(attempt.id));
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(&tasks::get(&mut tx, task.id).await?, task);
    assert_eq!(&attempts::get(&mut tx, attempt.id).await?, attempt);
    assert_eq!((task.status, task.fence), (TaskStatus::Claiming, 1));
    assert_eq!((task.attempt_id, attempt.fence), (Some(attempt.id), 1));
    assert_eq!(task.base_sha, attempt.base_sha);
    let slots = slots::in_use(&mut tx).await?;
    assert_eq!(
        (slots.in_organisation, slots.of_project(task.project_id)),
        (1, 1)
    );
    let written = events::after(&mut tx, before).await?;
    let kinds: Vec<EventKind> = written.iter().map(|event| event.event.kind()).collect();
    assert_eq!(kinds, [EventKind::TaskClaimed]);
    Ok(())
}

/// A number of tasks that needs batches of every size.
const N_MANY: i64 = 39;

async fn many_are_claimed_at_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut all = vec![world.task.clone()];
    let more = commit(&bench.local, async |tx| {
        let mut more = Vec::new();
        for number in 2..=N_MANY {
            let task = samples::task(tx, &world.ticket, number);
            tasks::insert(tx, &task).await?;
            more.push(task);
        }
        Ok(more)
    });
    all.extend(more.await?);
    let before = events::head(&mut bench.local.begin_read().await?).await?;
    let claimed = claim(&bench.local, &all, NO_LIMITS).await?;
    let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id).collect::<Vec<_>>();
    let in_order: Vec<Task> = claimed.iter().map(|claim| claim.task.clone()).collect();
    assert_eq!(ids(&in_order), ids(&all));
    let mut tx = bench.local.begin_read().await?;
    for NewClaim { task, attempt, .. } in &claimed {
        assert_eq!(&tasks::get(&mut tx, task.id).await?, task);
        assert_eq!(&attempts::get(&mut tx, attempt.id).await?, attempt);
    }
    assert_eq!(slots::in_use(&mut tx).await?.in_organisation, N_MANY);
    let written = events::after(&mut tx, before).await?;
    assert_eq!(written.len() as i64, N_MANY);
    let seqs: Vec<i64> = written.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (before + 1..=before + N_MANY).collect::<Vec<_>>());
    Ok(())
}

async fn what_moved_on_is_skipped(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (stale, waiting, live) = commit(&bench.local, async |tx| {
        let mut made = Vec::new();
        for number in 2..=4 {
            let task = samples::task(tx, &world.ticket, number);
            tasks::insert(tx, &task).await?;
            made.push(task);
        }
        // Somebody wrote it since it was seen.
        tasks::save(tx, &mut made[0].clone()).await?;
        tasks::depend(tx, made[1].id, world.task.id).await?;
        // An attempt that nobody ended.
        attempts::insert(tx, &samples::attempt(tx, &made[2], 1)).await?;
        Ok((made.remove(0), made.remove(0), made.remove(0)))
    })
    .await?;
    let all = [stale, waiting, live, world.task.clone()];
    let claimed = claim(&bench.local, &all, NO_LIMITS).await?;
    let claimed: Vec<i64> = claimed.iter().map(|claim| claim.task.number).collect();
    assert_eq!(claimed, [1]);
    // Once is enough.
    assert!(claim(&bench.local, &all, NO_LIMITS).await?.is_empty());
    let slots = slots::in_use(&mut bench.local.begin_read().await?).await?;
    assert_eq!(slots.in_organisation, 1);
    Ok(())
}

async fn slots_end_at_the_commit(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let second = commit(&bench.local, async |tx| {
        let second = samples::task(tx, &world.ticket, 2);
        tasks::insert(tx, &second).await?;
        Ok(second)
    })
    .await?;
    let both = [world.task.clone(), second.clone()];
    for (per_project, in_deployment) in [(1, 9), (9, 1)] {
        let limits = SlotLimits {
            per_project,
            in_deployment,
        };
        let refused = claim(&bench.local, &both, limits).await.unwrap_err();
        assert!(matches!(refused, StoreError::SlotsTaken), "{refused:?}");
        let mut tx = bench.local.begin_read().await?;
        assert_eq!(tasks::get(&mut tx, second.id).await?, second);
        assert!(attempts::all_live(&mut tx).await?.is_empty());
        assert_eq!(slots::in_use(&mut tx).await?.in_organisation, 0);
    }
    let claimed = claim(&bench.local, &both, NO_LIMITS).await?;
    // Limits that were lowered meanwhile keep nobody from ending.
    let mut task = claimed[0].task.clone();
    commit(&bench.local, async |tx| {
        tx.limit_slots(SlotLimits {
            per_project: 0,
            in_deployment: 0,
        });
        tasks::transition(tx, &mut task, TaskStatus::Cancelled, None).await
    })
    .await?;
    let slots = slots::in_use(&mut bench.local.begin_read().await?).await?;
    assert_eq!(slots.in_organisation, 1);
    Ok(())
}

const PER_PROJECT: i64 = 2;
const IN_ALL: i64 = 3;

/// Claims what it can, at most `n` at once, until nothing is left, each time beside others that do the same.
async fn claimer(tenant: Tenant, url: String, n: i64) -> Result<Vec<String>, StoreError> {
    let limits = SlotLimits {
        per_project: PER_PROJECT,
        in_deployment: IN_ALL,
    };
    let mut conn = RawConnection::open(&url).await.unwrap();
    let mut all = Vec::new();
    loop {
        let mut tx = tenant.begin_read().await?;
        let seen = tasks::eligible(
            &mut tx,
            QueueScan {
                project_slots: PER_PROJECT,
                ..scan(n)
            },
        )
        .await?;
        let open = tasks::with_status(&mut tx, TaskStatus::Pending).await?;
        tx.rollback().await?;
        if open.is_empty() {
            conn.close().await.unwrap();
            return Ok(all);
        }
        let claimed = match claim(&tenant, &seen, limits).await {
            Ok(claimed) => claimed,
            Err(StoreError::SlotsTaken | StoreError::Busy(_)) => continue,
            Err(other) => return Err(other),
        };
        let counts = "select count(*) from tasks
             where status in ('claiming', 'assigned', 'running', 'validating')
             group by project_id";
        let counts = conn.rows(counts).await.unwrap();
        let counts = counts
            .into_iter()
            .map(|row| row[0].clone().unwrap().parse::<i64>().unwrap());
        let counts: Vec<i64> = counts.collect();
        assert!(counts.iter().all(|n| *n <= PER_PROJECT), "{counts:?}");
        assert!(counts.iter().sum::<i64>() <= IN_ALL, "{counts:?}");
        let over = "select cast(count(*) as text) from tasks t join organisations o on o.id = t.org_id
             where t.status in ('claiming', 'assigned', 'running', 'validating')
             group by o.id, o.max_concurrent_agents having count(*) > coalesce(o.max_concurrent_agents, 9)";
        let over = conn.texts(over).await.unwrap();
        assert!(over.is_empty(), "{over:?} of an organisation");
        for claim in claimed {
            let NewClaim {
                mut task, attempt, ..
            } = claim;
            all.push(task.title.clone());
            assert_eq!((task.fence, attempt.fence), (1, 1));
            commit(&tenant, async |tx| {
                tasks::transition(tx, &mut task, TaskStatus::Cancelled, None).await
            })
            .await?;
        }
    }
}

async fn claimers_never_exceed_the_slots(bench: Bench) -> Result<(), StoreError> {
    let acme = add_organisation_with(&bench.store, bench.id(), |new| {
        new.max_concurrent_agents = Some(1);
    })
    .await;
    add_queue(&bench.local, &["one", "two"]).await?;
    add_queue(&acme, &["three"]).await?;
    let stores = [bench.store.clone(), bench.another().await];
    let mut race = JoinSet::new();
    for n in 0..8_usize {
        let (org, most) = if n < 5 {
            (bench.local.org(), 2)
        } else {
            (acme.org(), 1)
        };
        let tenant = stores[n % 2].tenant(org);
        race.spawn(claimer(tenant, bench.url().to_owned(), most));
    }
    let mut all = BTreeSet::new();
    for claimed in race.join_all().await {
        for task in claimed? {
            assert!(!all.contains(&task), "{task} was claimed twice");
            all.insert(task);
        }
    }
    assert_eq!(all.len() as i64, 3 * N_TASKS);
    let slots = slots::in_use(&mut bench.local.begin_read().await?).await?;
    assert_eq!((slots.in_organisation, slots.in_deployment), (0, 0));
    Ok(())
}

/// Tasks of one project.
const N_TASKS: i64 = 12;

/// Tasks that can start, in projects at `paths`.
async fn add_queue(tenant: &Tenant, paths: &[&str]) -> Result<(), StoreError> {
    commit(tenant, async |tx| {
        for path in paths {
            let project = projects::ensure(tx, path, path).await?;
            let mut spec = samples::spec(tx, project.id, 1);
            spec.status = SpecStatus::Working;
            specs::insert(tx, &spec).await?;
            let ticket = samples::ticket(tx, &spec, 1);
            tickets::insert(tx, &ticket).await?;
            for number in 1..=N_TASKS {
                let mut task = samples::task(tx, &ticket, number);
                task.title = format!("{path} {number}");
                tasks::insert(tx, &task).await?;
            }
        }
        Ok(())
    })
    .await
}

//! What transactions lock, in which order, and what counts as written.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_domain::merge::IntegrationState;
use omoi_domain::slots::SlotLimits;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;
use omoi_store::tasks::{self, NewClaim, Task};
use omoi_store::{StoreError, Tenant, Tx, attempts, deployment, projects, specs, tickets};
use omoi_testkit::crash_points::{count_passed, note_crash_points};
use omoi_testkit::postgres::wait_until_blocked;
use omoi_testkit::raw_connection::RawConnection;
use tokio::sync::oneshot;

use crate::bench::{Bench, POINT, commit};
use crate::samples::{self, World};

both!(
    a_write_that_touches_no_row_is_none,
    an_earlier_orchestrator_learns_so_before_it_misses_slots,
);

async fn a_write_that_touches_no_row_is_none(bench: Bench) -> Result<(), StoreError> {
    const MOVED: CrashPoint = CrashPoint::LeaseMoved;
    let world = World::new(&bench.local).await?;
    let attempt = commit(&bench.local, async |tx| {
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        Ok(attempt)
    })
    .await?;
    note_crash_points();
    for (owner, n_passed) in [("nobody", 0), (attempt.owner.as_str(), 1)] {
        let renew = async |tx: &mut Tx| {
            let until = tx.now();
            attempts::renew_lease(tx, owner, attempt.id, until).await
        };
        let is_renewed = bench.local.write(MOVED, renew).await?;
        assert_eq!((is_renewed, count_passed(MOVED)), (n_passed > 0, n_passed));
    }
    // Rows that are only locked are not written.
    let hold = async |tx: &mut Tx| {
        tickets::hold_of_spec(tx, world.spec.id).await?;
        projects::hold(tx, world.project.id).await
    };
    bench.local.write(MOVED, hold).await?;
    assert_eq!(count_passed(MOVED), 1);
    Ok(())
}

async fn took_over(bench: &Bench) -> Result<Tenant, StoreError> {
    let system = bench.store.system();
    let fence = system.write(POINT, async |tx| deployment::take_over(tx).await);
    let fenced = bench.store.fenced(fence.await?);
    Ok(fenced.tenant(bench.local.org()))
}

async fn an_earlier_orchestrator_learns_so_before_it_misses_slots(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let other = commit(&bench.local, async |tx| {
        let project = projects::ensure(tx, "other", "/other").await?;
        let mut spec = samples::spec(tx, project.id, 1);
        spec.status = SpecStatus::Working;
        specs::insert(tx, &spec).await?;
        let ticket = samples::ticket(tx, &spec, 1);
        tickets::insert(tx, &ticket).await?;
        let mut made = Vec::new();
        for number in [1, 2] {
            let task = samples::task(tx, &ticket, number);
            tasks::insert(tx, &task).await?;
            made.push(task);
        }
        Ok(made)
    })
    .await?;
    let earlier = took_over(&bench).await?;
    took_over(&bench).await?;
    let limits = SlotLimits {
        per_project: 1,
        in_deployment: 9,
    };
    let claim = async |tx: &mut Tx| {
        let all = [&world.task, &other[0], &other[1]];
        let wanted = all.map(|task| NewClaim {
            token_hash: samples::token_hash(tx),
            attempt: samples::attempt(tx, task, 1),
            task: task.clone(),
        });
        tasks::claim(tx, wanted.to_vec(), limits).await
    };
    let refused = earlier.write(POINT, claim).await.unwrap_err();
    assert!(matches!(refused, StoreError::TakenOver), "{refused:?}");
    Ok(())
}

/// Two tasks that wait for the ticket and the task of `world`; the later one was written first.
async fn add_waiting(bench: &Bench, world: &World) -> Result<[TaskId; 2], StoreError> {
    commit(&bench.local, async |tx| {
        let (own, after) = (tx.new_id(), samples::ticket(tx, &world.spec, 2));
        tickets::insert(tx, &after).await?;
        tickets::depend(tx, after.id, world.ticket.id).await?;
        let first = Task {
            id: own,
            ..samples::task(tx, &after, 2)
        };
        let second = samples::task(tx, &after, 3);
        for task in [&second, &first] {
            tasks::insert(tx, task).await?;
        }
        for task in [&second, &first] {
            tasks::depend(tx, task.id, world.task.id).await?;
        }
        assert!(first.id < second.id);
        Ok([first.id, second.id])
    })
    .await
}

/// Both change the same two tasks; the scores are written while `other` is under way.
async fn keep_scores_beside(
    bench: &Bench,
    tasks: [TaskId; 2],
    other: impl Future<Output = Result<(), StoreError>>,
) {
    let (locked, is_locked) = oneshot::channel();
    let scores = async {
        let mut tx = bench.local.begin_write().await?;
        tasks::keep_score(&mut tx, tasks[0], 1.0).await?;
        let _ = locked.send(());
        wait_until_blocked(bench.url(), 1).await;
        tasks::keep_score(&mut tx, tasks[1], 1.0).await?;
        tx.commit(POINT).await
    };
    // Begun before the lock is held, it could be over before anybody waits.
    let other = async {
        let _ = is_locked.await;
        other.await
    };
    let (scores, other) = tokio::join!(scores, other);
    assert!(
        scores.is_ok() && other.is_ok(),
        "they waited for each other: {scores:?}, {other:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landing_locks_what_waits_for_it_by_id() {
    let bench = Bench::postgres().await;
    let world = World::new(&bench.local).await.unwrap();
    let waiting = add_waiting(&bench, &world).await.unwrap();
    let land = commit(&bench.local, async |tx| {
        let mut task = tasks::get(tx, world.task.id).await?;
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Merged;
        tasks::save(tx, &mut task).await
    });
    keep_scores_beside(&bench, waiting, land).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_done_locks_what_waits_for_it_by_id() {
    let bench = Bench::postgres().await;
    let world = World::new(&bench.local).await.unwrap();
    let waiting = add_waiting(&bench, &world).await.unwrap();
    let close = commit(&bench.local, async |tx| {
        let mut ticket = tickets::get(tx, world.ticket.id).await?;
        ticket.status = TicketStatus::Done;
        tickets::save(tx, &mut ticket).await
    });
    keep_scores_beside(&bench, waiting, close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_others_refer_to_can_be_claimed() {
    let bench = Bench::postgres().await;
    let world = World::new(&bench.local).await.unwrap();
    let mut other = RawConnection::open(bench.url()).await.unwrap();
    // As a row does that names the task, until its transaction ends.
    other
        .execute("begin; select id from tasks for key share")
        .await
        .unwrap();
    let limits = SlotLimits {
        per_project: 9,
        in_deployment: 9,
    };
    let claimed = commit(&bench.local, async |tx| {
        let wanted = NewClaim {
            token_hash: samples::token_hash(tx),
            attempt: samples::attempt(tx, &world.task, 1),
            task: world.task.clone(),
        };
        tasks::claim(tx, vec![wanted], limits).await
    });
    assert_eq!(claimed.await.unwrap().len(), 1);
    other.close().await.unwrap();
}

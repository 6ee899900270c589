//! Which tasks may start, and the numbers people call things by.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;

use omoi_domain::block::TaskBlock;
use omoi_domain::merge::IntegrationState;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::{Priority, TaskStatus};
use omoi_domain::ticket::{ApprovalStatus, TicketBlockReason, TicketStatus};
use omoi_domain::time::Timestamp;
use omoi_store::projects::{self, NumberCounter, take_numbers};

use omoi_store::tasks::{self, QueueScan, Task};
use omoi_store::{StoreError, Tenant, slots, specs, tickets};

use crate::bench::{Bench, POINT, START, commit};
use crate::samples::{self, World};

both!(
    only_what_can_start_is_eligible,
    the_best_guess_comes_first,
    edges_are_between_known_rows,
    slots_are_what_runs,
    numbers_are_taken_once,
);

/// A scan in which nothing starves and no project is full.
pub(crate) fn scan(limit: i64) -> QueueScan {
    QueueScan {
        starving_since: Timestamp::from_micros(0),
        project_slots: 100,
        limit,
        spec: None,
    }
}

async fn eligible(tenant: &Tenant) -> Result<Vec<i64>, StoreError> {
    let mut tx = tenant.begin_read().await?;
    let tasks = tasks::eligible(&mut tx, scan(100)).await?;
    Ok(tasks.into_iter().map(|task| task.number).collect())
}

async fn change(
    tenant: &Tenant,
    task: &Task,
    edit: impl FnOnce(&mut Task),
) -> Result<(), StoreError> {
    commit(tenant, async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        edit(&mut task);
        tasks::save(tx, &mut task).await
    })
    .await
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn only_what_can_start_is_eligible(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let local = &bench.local;
    let (first, second, mut blocker) = commit(local, async |tx| {
        let second = samples::task(tx, &world.ticket, 2);
        tasks::insert(tx, &second).await?;
        tasks::depend(tx, second.id, world.task.id).await?;
        let blocker = samples::ticket(tx, &world.spec, 2);
        tickets::insert(tx, &blocker).await?;
        Ok((world.task.clone(), second, blocker))
    })
    .await?;
    assert_eq!(eligible(local).await?, [1]);
    for (status, integration, expected) in [
        (TaskStatus::Running, IntegrationState::None, vec![]),
        (TaskStatus::Completed, IntegrationState::None, vec![]),
        (TaskStatus::Completed, IntegrationState::Queued, vec![]),
        (TaskStatus::Completed, IntegrationState::Conflict, vec![]),
        (TaskStatus::Failed, IntegrationState::Merged, vec![]),
        (TaskStatus::Completed, IntegrationState::Merged, vec![2]),
    ] {
        change(local, &first, |task| {
            task.status = status;
            task.integration_state = integration;
        })
        .await?;
        assert_eq!(eligible(local).await?, expected, "{status} {integration}");
    }
    // Its time has not come.
    let later = bench.now() + Duration::from_secs(30);
    change(local, &second, |task| task.not_before = later).await?;
    assert!(eligible(local).await?.is_empty());
    let due = tasks::next_due(&mut local.begin_read().await?).await?;
    assert_eq!(due, Some(later));
    bench.advance(Duration::from_secs(30));
    assert_eq!(eligible(local).await?, [2]);
    assert_eq!(tasks::next_due(&mut local.begin_read().await?).await?, None);
    // Its ticket waits for another.
    commit(local, async |tx| {
        tickets::depend(tx, world.ticket.id, blocker.id).await
    })
    .await?;
    assert!(eligible(local).await?.is_empty());
    for to in [
        TicketStatus::BuildingDone,
        TicketStatus::Testing,
        TicketStatus::Done,
    ] {
        assert!(eligible(local).await?.is_empty());
        commit(local, async |tx| {
            tickets::transition(tx, &mut blocker, to).await
        })
        .await?;
    }
    assert_eq!(eligible(local).await?, [2]);
    // Nobody lets its project run by itself.
    bench.raw("update projects set autonomous = false").await;
    assert!(eligible(local).await?.is_empty());
    change(local, &second, |task| task.force_execute = true).await?;
    assert_eq!(eligible(local).await?, [2]);
    // Nobody lets its ticket go on.
    for approval in [
        ApprovalStatus::PendingReview,
        ApprovalStatus::Rejected,
        ApprovalStatus::TimedOut,
    ] {
        commit(local, async |tx| {
            let mut ticket = tickets::get(tx, world.ticket.id).await?;
            tickets::set_approval(tx, &mut ticket, approval, None).await
        })
        .await?;
        assert!(eligible(local).await?.is_empty(), "{approval:?}");
    }
    commit(local, async |tx| {
        let mut ticket = tickets::get(tx, world.ticket.id).await?;
        tickets::set_approval(tx, &mut ticket, ApprovalStatus::Approved, None).await
    })
    .await?;
    for (blocked, expected) in [(true, vec![]), (false, vec![2])] {
        commit(local, async |tx| {
            let mut ticket = tickets::get(tx, world.ticket.id).await?;
            match blocked {
                true => {
                    let reason = TicketBlockReason::Environment;
                    tickets::block_ticket(tx, &mut ticket, reason, None).await
                }
                false => tickets::unblock_ticket(tx, &mut ticket).await,
            }
        })
        .await?;
        assert_eq!(eligible(local).await?, expected);
    }
    // The agents cannot do what it requires.
    for (capability, expected) in [("git", vec![2]), ("time_travel", vec![])] {
        commit(local, async |tx| {
            tasks::require(tx, second.id, capability).await
        })
        .await?;
        assert_eq!(eligible(local).await?, expected, "{capability}");
    }
    bench.raw("delete from task_capabilities").await;
    // Its project has no slot left.
    change(local, &first, |task| task.status = TaskStatus::Validating).await?;
    bench.raw("delete from task_dependencies").await;
    bench.raw("update tasks set n_open_prerequisites = 0").await;
    for (project_slots, expected) in [(1, vec![]), (2, vec![2])] {
        let mut tx = local.begin_read().await?;
        let scan = QueueScan {
            project_slots,
            ..scan(100)
        };
        let found = tasks::eligible(&mut tx, scan).await?;
        tx.rollback().await?;
        let found: Vec<_> = found.iter().map(|task| task.number).collect();
        assert_eq!(found, expected, "{project_slots} slots");
    }
    // Its spec does not work.
    let mut spec = world.spec.clone();
    for status in [
        SpecStatus::Completed,
        SpecStatus::Blocked,
        SpecStatus::Cancelled,
    ] {
        commit(local, async |tx| {
            spec.status = status;
            specs::save(tx, &mut spec).await
        })
        .await?;
        assert!(eligible(local).await?.is_empty(), "{status}");
    }
    Ok(())
}

async fn the_best_guess_comes_first(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        for (number, priority) in [
            (2, Priority::Low),
            (3, Priority::Critical),
            (4, Priority::High),
            (5, Priority::Low),
        ] {
            let mut task = samples::task(tx, &world.ticket, number);
            task.priority = priority;
            task.deadline_at = (number == 5).then(|| tx.now());
            tasks::insert(tx, &task).await?;
        }
        Ok(())
    })
    .await?;
    assert_eq!(eligible(&bench.local).await?, [5, 3, 4, 1, 2]);
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(tasks::eligible(&mut tx, scan(2)).await?.len(), 2);
    tx.rollback().await?;
    // Who waits too long goes before priority, so that no limit hides it for ever.
    change(&bench.local, &world.task, |task| {
        task.queued_at = START - Duration::from_secs(7_200);
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let scan = QueueScan {
        starving_since: START - Duration::from_secs(7_200),
        ..scan(2)
    };
    let found = tasks::eligible(&mut tx, scan).await?;
    let found: Vec<_> = found.iter().map(|task| task.number).collect();
    assert_eq!(found, [5, 1]);
    Ok(())
}

async fn edges_are_between_known_rows(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let second = samples::task(&tx, &world.ticket, 2);
    tasks::insert(&mut tx, &second).await?;
    for _ in 0..2 {
        tasks::depend(&mut tx, second.id, world.task.id).await?;
    }
    let edges = tasks::dependencies(&mut tx, world.spec.id).await?;
    assert_eq!(edges, [(second.id, world.task.id)]);
    let counts = tasks::dependent_counts(&mut tx, world.spec.id).await?;
    assert_eq!(counts, [(world.task.id, 1)]);
    let gone = |e: StoreError| matches!(e, StoreError::NotFound { .. });
    let (task, ticket) = (tx.new_id(), tx.new_id());
    assert!(gone(
        tasks::depend(&mut tx, second.id, task).await.unwrap_err()
    ));
    assert!(gone(
        tasks::depend(&mut tx, task, second.id).await.unwrap_err()
    ));
    let own = world.ticket.id;
    assert!(gone(
        tickets::depend(&mut tx, own, ticket).await.unwrap_err()
    ));
    assert!(gone(
        tickets::depend(&mut tx, ticket, own).await.unwrap_err()
    ));
    tx.commit(POINT).await
}

async fn slots_are_what_runs(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let other = commit(&bench.local, async |tx| {
        let other = projects::ensure(tx, "other", "/other").await?;
        let spec = samples::spec(tx, other.id, 1);
        let ticket = samples::ticket(tx, &spec, 1);
        specs::insert(tx, &spec).await?;
        tickets::insert(tx, &ticket).await?;
        for (number, status) in (1..).zip(TaskStatus::ALL) {
            let mut task = samples::task(tx, &ticket, number);
            task.status = *status;
            task.blocked_by = (*status == TaskStatus::Blocked).then_some(TaskBlock::NoCheck);
            tasks::insert(tx, &task).await?;
        }
        Ok(other)
    })
    .await?;
    change(&bench.local, &world.task, |task| {
        task.status = TaskStatus::Running;
    })
    .await?;
    let holding = TaskStatus::ALL
        .iter()
        .filter(|status| status.holds_slot())
        .count() as i64;
    let slots = slots::in_use(&mut bench.local.begin_read().await?).await?;
    assert_eq!(slots.of_project(other.id), holding);
    assert_eq!(slots.of_project(world.project.id), 1);
    assert_eq!(slots.in_organisation, holding + 1);
    Ok(())
}

async fn numbers_are_taken_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let stores = [bench.store.clone(), bench.another().await];
    let mut race = JoinSet::new();
    for n in 0..16_usize {
        let tenant = stores[n % 2].tenant(bench.local.org());
        let project = world.project.id;
        race.spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..5 {
                let mut tx = tenant.begin_write().await?;
                let first = take_numbers(&mut tx, project, NumberCounter::Task, 3).await?;
                tx.commit(POINT).await?;
                taken.extend(first..first + 3);
            }
            Ok::<_, StoreError>(taken)
        });
    }
    let mut all = BTreeSet::new();
    for taken in race.join_all().await {
        for number in taken? {
            assert!(all.insert(number), "{number} twice");
        }
    }
    assert_eq!(all, (1..=240).collect());
    let mut tx = bench.local.begin_read().await?;
    let project = projects::get(&mut tx, world.project.id).await?;
    assert_eq!((project.next_task_no, project.next_spec_no), (241, 1));
    Ok(())
}

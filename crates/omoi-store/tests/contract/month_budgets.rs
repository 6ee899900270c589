//! Budgets of a month hold what calls may cost, and count what they did.

use std::time::Duration;

use tokio::task::JoinSet;

use omoi_domain::event::{Event, EventKind};
use omoi_domain::id::ProjectId;
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::BudgetLevel;
use omoi_store::attempts::{self, Attempt};
use omoi_store::budgets;
use omoi_store::month_budgets::{self, MonthBudget};
use omoi_store::open_calls::{self, OpenCall};
use omoi_store::{StoreError, Tenant, Tx, events};

use crate::bench::{Bench, POINT, commit};
use crate::costs::open_call;
use crate::samples::{self, World};

both!(
    a_call_is_held_and_then_counted,
    a_budget_without_room_holds_nothing,
    of_many_calls_as_many_are_held_as_fit,
    a_new_month_begins_at_nothing,
    a_call_that_is_gone_is_held_no_more,
    a_raised_limit_is_told_of_anew,
    what_is_held_is_what_calls_under_way_may_cost,
);

fn usd_nanos(nanos: i64) -> NanoUsd {
    NanoUsd::from_nanos(nanos)
}

fn month_budget(tx: &Tx, project: Option<ProjectId>, limit: i64) -> MonthBudget {
    MonthBudget {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: project,
        limit_nanousd: usd_nanos(limit),
        month_start: tx.now().month_start(),
        spent_nanousd: NanoUsd::ZERO,
        held_nanousd: NanoUsd::ZERO,
        level_reached: BudgetLevel::Normal,
        is_hard: true,
        state_version: 1,
    }
}

/// An attempt of a project whose month has `project_limit`, in an organisation whose month has `limit`.
async fn paying_attempt(
    bench: &Bench,
    project_limit: Option<i64>,
    limit: i64,
) -> Result<Attempt, StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        let own = month_budget(tx, None, limit);
        month_budgets::insert(tx, &own).await?;
        if let Some(limit) = project_limit {
            let own = month_budget(tx, Some(attempt.project_id), limit);
            month_budgets::insert(tx, &own).await?;
        }
        Ok(attempt)
    })
    .await
}

/// Opens a call that may cost `nanos`; none where a budget has no room.
async fn open(
    tenant: &Tenant,
    attempt: &Attempt,
    nanos: i64,
) -> Result<Option<OpenCall>, StoreError> {
    let mut tx = tenant.begin_write().await?;
    let call = open_call(&tx, attempt, nanos);
    if !open_calls::insert_held(&mut tx, &call).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit(POINT).await?;
    Ok(Some(call))
}

async fn close(tenant: &Tenant, call: &OpenCall, nanos: i64) -> Result<bool, StoreError> {
    commit(tenant, async |tx| {
        open_calls::close(tx, call.id, usd_nanos(nanos)).await
    })
    .await
}

/// What the budgets have spent and hold, the project's first.
async fn counted(tenant: &Tenant, attempt: &Attempt) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut tx = tenant.begin_read().await?;
    let budgets = month_budgets::of_project(&mut tx, attempt.project_id).await?;
    let nanos = |budget: &MonthBudget| {
        (
            budget.spent_nanousd.as_nanos(),
            budget.held_nanousd.as_nanos(),
        )
    };
    Ok(budgets.iter().map(nanos).collect())
}

async fn a_call_is_held_and_then_counted(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, Some(100), 1_000).await?;
    let mut tx = bench.local.begin_read().await?;
    let sums = budgets::of_subject(&mut tx, attempt.spec_id, attempt.subject).await?;
    assert_eq!(sums.n_month_budgets, 2);
    drop(tx);
    let call = open(&bench.local, &attempt, 40).await?.unwrap();
    assert_eq!(counted(&bench.local, &attempt).await?, [(0, 40), (0, 40)]);
    let raised = commit(&bench.local, async |tx| {
        let call = open_calls::get(tx, call.id).await?;
        assert!(call.project_budget_id.is_some() && call.organisation_budget_id.is_some());
        open_calls::raise_cost(tx, &call, usd_nanos(70)).await
    });
    assert!(raised.await?);
    assert_eq!(counted(&bench.local, &attempt).await?, [(0, 70), (0, 70)]);
    assert!(close(&bench.local, &call, 85).await?);
    assert!(!close(&bench.local, &call, 85).await?);
    assert_eq!(counted(&bench.local, &attempt).await?, [(85, 0), (85, 0)]);
    let call = open(&bench.local, &attempt, 14).await?.unwrap();
    assert!(close(&bench.local, &call, 11).await?);
    assert_eq!(open(&bench.local, &attempt, 5).await?, None);
    // Each level of the project's was told once; the organisation is far from any.
    let project = Some(attempt.project_id);
    assert_eq!(
        told_levels(&bench.local).await?,
        [
            (EventKind::BudgetWarning, 85, project),
            (EventKind::BudgetCritical, 96, project)
        ]
    );
    Ok(())
}

/// Every level that was told of, with what was spent then and the project.
async fn told_levels(
    tenant: &Tenant,
) -> Result<Vec<(EventKind, i64, Option<ProjectId>)>, StoreError> {
    let told = events::after(&mut tenant.begin_read().await?, 0).await?;
    let levels = told.iter().filter_map(|event| match &event.event {
        Event::BudgetWarning(at) | Event::BudgetCritical(at) | Event::BudgetExceeded(at) => Some((
            event.event.kind(),
            at.spent_nanousd.as_nanos(),
            at.project_id,
        )),
        _ => None,
    });
    Ok(levels.collect())
}

/// Another process may have settled a call by the time its first try failed.
async fn a_call_that_is_gone_is_held_no_more(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, Some(100), 1_000).await?;
    let call = open(&bench.local, &attempt, 40).await?.unwrap();
    let call = open_calls::get(&mut bench.local.begin_read().await?, call.id).await?;
    assert!(close(&bench.local, &call, 10).await?);
    let raised = commit(&bench.local, async |tx| {
        open_calls::raise_cost(tx, &call, usd_nanos(70)).await
    });
    let refused = raised.await;
    assert!(
        matches!(refused, Err(StoreError::NotFound { .. })),
        "{refused:?}"
    );
    assert_eq!(counted(&bench.local, &attempt).await?, [(10, 0), (10, 0)]);
    Ok(())
}

async fn a_raised_limit_is_told_of_anew(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, None, 100).await?;
    let spend = async |nanos| {
        let call = open(&bench.local, &attempt, nanos).await?.unwrap();
        close(&bench.local, &call, nanos).await
    };
    spend(96).await?;
    let set_limit = async |nanos| {
        commit(&bench.local, async |tx| {
            let [mut budget] =
                <[_; 1]>::try_from(month_budgets::of_project(tx, attempt.project_id).await?)
                    .unwrap();
            budget.limit_nanousd = usd_nanos(nanos);
            month_budgets::save(tx, &mut budget).await?;
            Ok(budget.level_reached)
        })
        .await
    };
    assert_eq!(set_limit(200).await?, BudgetLevel::Normal);
    spend(64).await?;
    // A lower one is told of by the next call that is counted.
    assert_eq!(set_limit(170).await?, BudgetLevel::Warning);
    spend(2).await?;
    let levels = told_levels(&bench.local).await?;
    let levels: Vec<_> = levels
        .iter()
        .map(|(kind, spent, _)| (*kind, *spent))
        .collect();
    assert_eq!(
        levels,
        [
            (EventKind::BudgetCritical, 96),
            (EventKind::BudgetWarning, 160),
            (EventKind::BudgetCritical, 162),
        ]
    );
    Ok(())
}

async fn a_budget_without_room_holds_nothing(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, Some(100), 50).await?;
    assert_eq!(open(&bench.local, &attempt, 60).await?, None);
    assert_eq!(open(&bench.local, &attempt, 101).await?, None);
    assert_eq!(counted(&bench.local, &attempt).await?, [(0, 0), (0, 0)]);
    let call = open(&bench.local, &attempt, 30).await?.unwrap();
    let raised = async |tx: &mut Tx| {
        let call = open_calls::get(tx, call.id).await?;
        open_calls::raise_cost(tx, &call, usd_nanos(51)).await
    };
    let mut tx = bench.local.begin_write().await?;
    assert!(!raised(&mut tx).await?);
    tx.rollback().await?;
    assert_eq!(counted(&bench.local, &attempt).await?, [(0, 30), (0, 30)]);
    // One that people are only told of lets everything pass.
    commit(&bench.local, async |tx| {
        let budgets = month_budgets::of_project(tx, attempt.project_id).await?;
        for mut budget in budgets {
            budget.is_hard = false;
            month_budgets::save(tx, &mut budget).await?;
        }
        Ok(())
    })
    .await?;
    assert!(open(&bench.local, &attempt, 500).await?.is_some());
    assert_eq!(counted(&bench.local, &attempt).await?, [(0, 530), (0, 530)]);
    Ok(())
}

async fn of_many_calls_as_many_are_held_as_fit(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, Some(100), 70).await?;
    let stores = [bench.store.clone(), bench.another().await];
    let mut race = JoinSet::new();
    for n in 0..64_usize {
        let tenant = stores[n % 2].tenant(bench.local.org());
        let attempt = attempt.clone();
        race.spawn(async move {
            let Some(call) = open(&tenant, &attempt, 5).await? else {
                return Ok::<_, StoreError>(false);
            };
            // Every second one ends at once, for less than it held.
            if n % 2 == 0 {
                close(&tenant, &call, 4).await?;
            }
            Ok(true)
        });
    }
    let mut n_held = 0;
    for is_held in race.join_all().await {
        n_held += i64::from(is_held?);
    }
    let mut tx = bench.local.begin_read().await?;
    let open = open_calls::all(&mut tx).await?;
    let n_open = i64::try_from(open.len()).unwrap();
    drop(tx);
    let sums = (4 * (n_held - n_open), 5 * n_open);
    assert_eq!(counted(&bench.local, &attempt).await?, [sums, sums]);
    // No more than the limit, and as many as it has room for while each holds all of its 5.
    assert!((56..=70).contains(&(sums.0 + sums.1)), "{sums:?}");
    Ok(())
}

async fn a_new_month_begins_at_nothing(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, None, 100).await?;
    let kept = open(&bench.local, &attempt, 10).await?.unwrap();
    let full = open(&bench.local, &attempt, 90).await?.unwrap();
    close(&bench.local, &full, 90).await?;
    assert_eq!(open(&bench.local, &attempt, 1).await?, None);
    bench.advance(Duration::from_secs(31 * 24 * 3600));
    // What calls of before hold is held on, and counted in the month in which it is known.
    let next = open(&bench.local, &attempt, 90).await?.unwrap();
    assert_eq!(open(&bench.local, &attempt, 1).await?, None);
    assert_eq!(counted(&bench.local, &attempt).await?, [(0, 100)]);
    close(&bench.local, &kept, 8).await?;
    close(&bench.local, &next, 72).await?;
    assert_eq!(counted(&bench.local, &attempt).await?, [(80, 0)]);
    let mut tx = bench.local.begin_read().await?;
    let [budget] = &month_budgets::of_project(&mut tx, attempt.project_id).await?[..] else {
        panic!("one budget");
    };
    assert_eq!(budget.month_start, bench.now().month_start());
    assert_eq!(budget.level_reached, BudgetLevel::Warning);
    Ok(())
}

/// What the calls under way say that each of their budgets holds for them, the project's first.
async fn held_by_calls(tenant: &Tenant, attempt: &Attempt) -> Result<Vec<i64>, StoreError> {
    let mut tx = tenant.begin_read().await?;
    let budgets = month_budgets::of_project(&mut tx, attempt.project_id).await?;
    let calls = open_calls::all(&mut tx).await?;
    let held = |budget: &MonthBudget| {
        let holds = |call: &&OpenCall| {
            [call.project_budget_id, call.organisation_budget_id].contains(&Some(budget.id))
        };
        let nanos = calls.iter().filter(holds);
        nanos.map(|call| call.cost_nanousd.as_nanos()).sum()
    };
    Ok(budgets.iter().map(held).collect())
}

async fn what_is_held_is_what_calls_under_way_may_cost(bench: Bench) -> Result<(), StoreError> {
    let attempt = paying_attempt(&bench, Some(400), 600).await?;
    let mut under_way = Vec::new();
    let mut seed = 7_u64;
    for step in 0..150 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (pick, nanos) = (seed >> 60, 1 + i64::try_from((seed >> 33) % 90).unwrap());
        let at = usize::try_from((seed >> 40) % 64).unwrap();
        match pick {
            0..=6 => under_way.extend(open(&bench.local, &attempt, nanos).await?),
            7..=8 if at < under_way.len() => {
                let mut tx = bench.local.begin_write().await?;
                let call = open_calls::get(&mut tx, under_way[at].id).await?;
                let more = call.cost_nanousd.saturating_add(usd_nanos(nanos));
                match open_calls::raise_cost(&mut tx, &call, more).await? {
                    true => tx.commit(POINT).await?,
                    false => tx.rollback().await?,
                }
            }
            9..=13 if at < under_way.len() => {
                let call = under_way.swap_remove(at);
                assert!(close(&bench.local, &call, nanos).await?);
            }
            14 => bench.advance(Duration::from_secs(9 * 24 * 3600)),
            15 => replace_budget(&bench.local, &attempt, step % 2 == 0).await?,
            _ => {}
        }
        let counted = counted(&bench.local, &attempt).await?;
        let held: Vec<i64> = counted.iter().map(|(_, held)| *held).collect();
        assert_eq!(
            held,
            held_by_calls(&bench.local, &attempt).await?,
            "step {step}"
        );
    }
    Ok(())
}

/// Removes the budget of the project or of the organisation, which holds calls, and makes another.
async fn replace_budget(
    tenant: &Tenant,
    attempt: &Attempt,
    is_of_project: bool,
) -> Result<(), StoreError> {
    let project = is_of_project.then_some(attempt.project_id);
    commit(tenant, async |tx| {
        let all = month_budgets::list_all(tx).await?;
        let there = all
            .iter()
            .find(|budget| budget.project_id == project)
            .unwrap();
        month_budgets::delete(tx, there).await?;
        let stale = month_budgets::delete(tx, there).await;
        assert!(matches!(stale, Err(StoreError::Conflict { .. })));
        let next = month_budget(tx, project, there.limit_nanousd.as_nanos());
        month_budgets::insert(tx, &next).await
    })
    .await
}

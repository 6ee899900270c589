//! What model calls cost, and what open ones hold of a budget.

use tokio::task::JoinSet;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_store::attempts::{self, Attempt};
use omoi_store::budgets::{self, SpecBudgetUse};
use omoi_store::costs::{CostEntry, PurposeSpend};
use omoi_store::open_calls::OpenCall;
use omoi_store::{StoreError, Tenant, Tx, costs, deployment, open_calls, specs};

use crate::bench::{Bench, POINT, commit};
use crate::samples::{self, World};

both!(
    costs_add_up,
    open_calls_add_up_and_close_once,
    of_two_processes_one_has_its_turn_at_a_budget,
    an_earlier_owner_opens_no_call,
);

async fn costs_add_up(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let task = samples::attempt(&tx, &world.task, 1);
    let mut phase = samples::attempt(&tx, &world.task, 1);
    phase.subject = AttemptSubject::SpecPhase { phase: Phase::Prd };
    attempts::insert(&mut tx, &task).await?;
    attempts::insert(&mut tx, &phase).await?;
    for (attempt, cost) in [(&task, 4_000_000), (&task, 3), (&phase, 10)] {
        let entry = samples::cost(&tx, attempt, cost);
        costs::insert(&mut tx, world.project.id, &entry).await?;
    }
    let judge = PurposeKind::Judge;
    let asked = CostEntry {
        purpose: judge,
        attempt_id: None,
        estimated: true,
        unrecorded: true,
        ..samples::cost(&tx, &phase, 100)
    };
    costs::insert(&mut tx, world.project.id, &asked).await?;
    assert_eq!(costs::get(&mut tx, asked.id).await?, asked);
    let spend = |nanousd, calls: i64| costs::SpentCost {
        cost_nanousd: NanoUsd::from_nanos(nanousd),
        tokens: calls * 21,
        model_ms: calls * 7,
    };
    assert_eq!(
        costs::of_spec(&mut tx, world.spec.id).await?,
        spend(4_000_113, 4)
    );
    let nobody = AttemptSubject::HeadChecks;
    for (subject, own) in [(task.subject, 4_000_003), (phase.subject, 10), (nobody, 0)] {
        let went = budgets::of_subject(&mut tx, world.spec.id, subject).await?;
        let spent = [went.spec.spent, went.part.spent];
        assert_eq!(spent.map(NanoUsd::as_nanos), [4_000_113, own]);
    }
    let of_judge = budgets::of_purpose(&mut tx, world.spec.id, judge).await?;
    assert_eq!(of_judge.part.spent, NanoUsd::from_nanos(100));
    let by_purpose = costs::by_purpose(&mut tx, world.spec.id).await?;
    let agents = PurposeSpend {
        purpose: PurposeKind::Attempt,
        calls: 6,
        spend: spend(4_000_013, 3),
        estimated_nanousd: NanoUsd::ZERO,
    };
    let judges = PurposeSpend {
        purpose: judge,
        calls: 2,
        spend: spend(100, 1),
        estimated_nanousd: NanoUsd::from_nanos(100),
    };
    assert_eq!(by_purpose, [agents, judges]);
    tx.commit(POINT).await
}

/// A call of an attempt under way, which may cost `nanousd`.
pub(crate) fn open_call(tx: &Tx, attempt: &Attempt, nanousd: i64) -> OpenCall {
    OpenCall {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: attempt.project_id,
        spec_id: attempt.spec_id,
        purpose: PurposeKind::Attempt,
        attempt_id: Some(attempt.id),
        role: attempt.role,
        route: RouteName::Agent,
        model: "reader".to_owned(),
        simulated: true,
        input_tokens: 10,
        output_tokens: 5,
        cost_nanousd: NanoUsd::from_nanos(nanousd),
        owner: "one".to_owned(),
        opened_at: tx.now(),
        project_budget_id: None,
        organisation_budget_id: None,
    }
}

async fn open_calls_add_up_and_close_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let foreign = bench.foreign().await;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let one = open_call(&tx, &attempt, 4);
    let judge = OpenCall {
        purpose: PurposeKind::Judge,
        attempt_id: None,
        ..open_call(&tx, &attempt, 30)
    };
    for call in [&one, &judge] {
        open_calls::insert(&mut tx, call).await?;
    }
    tx.commit(POINT).await?;
    let mut tx = bench.local.begin_write().await?;
    assert_eq!(
        open_calls::all(&mut tx).await?,
        [one.clone(), judge.clone()]
    );
    let (spec, subject) = (world.spec.id, attempt.subject);
    let went = budgets::of_subject(&mut tx, spec, subject).await?;
    assert_eq!(open_nanos(went), (34, 4));
    let of_judge = budgets::of_purpose(&mut tx, spec, PurposeKind::Judge).await?;
    assert_eq!(open_nanos(of_judge), (34, 30));
    let mut foreign = foreign.begin_read().await?;
    assert!(open_calls::all(&mut foreign).await?.is_empty());
    let of_foreign = budgets::of_subject(&mut foreign, spec, subject).await?;
    assert_eq!(of_foreign, SpecBudgetUse::default());
    drop(foreign);
    assert!(open_calls::close(&mut tx, one.id, one.cost_nanousd).await?);
    assert!(!open_calls::close(&mut tx, one.id, one.cost_nanousd).await?);
    let went = budgets::of_subject(&mut tx, spec, subject).await?;
    assert_eq!(open_nanos(went), (30, 0));
    tx.commit(POINT).await
}

/// What the calls under way of a spec and of a part of it may cost.
fn open_nanos(went: SpecBudgetUse) -> (i64, i64) {
    (went.spec.open.as_nanos(), went.part.open.as_nanos())
}

/// Opens a call of 4 if the spec has not opened more than 8 yet.
async fn open_within_a_cap(tenant: &Tenant, attempt: &Attempt) -> Result<bool, StoreError> {
    let mut tx = tenant.begin_write().await?;
    open_calls::lock_budgets(&mut tx, attempt.spec_id).await?;
    let went = budgets::of_subject(&mut tx, attempt.spec_id, attempt.subject).await?;
    let open = went.spec.open;
    // Long enough for every other to look as well.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    if open.as_nanos() > 8 {
        return Ok(false);
    }
    let call = open_call(&tx, attempt, 4);
    open_calls::insert(&mut tx, &call).await?;
    tx.commit(POINT).await?;
    Ok(true)
}

async fn of_two_processes_one_has_its_turn_at_a_budget(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let attempt = commit(&bench.local, async |tx| {
        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        Ok(attempt)
    })
    .await?;
    let stores = [bench.store.clone(), bench.another().await];
    let mut race = JoinSet::new();
    for n in 0..12_usize {
        let tenant = stores[n % 2].tenant(bench.local.org());
        let attempt = attempt.clone();
        race.spawn(async move { open_within_a_cap(&tenant, &attempt).await });
    }
    let mut opened = 0;
    for is_open in race.join_all().await {
        opened += u32::from(is_open?);
    }
    assert_eq!(opened, 3, "12 in all");
    // Whoever changes the spec meanwhile is not disturbed.
    let mut tx = bench.local.begin_write().await?;
    let mut spec = specs::get(&mut tx, world.spec.id).await?;
    assert_eq!(spec.state_version, world.spec.state_version);
    specs::save(&mut tx, &mut spec).await?;
    tx.commit(POINT).await
}

async fn an_earlier_owner_opens_no_call(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let system = bench.store.system();
    let take_over = async |tx: &mut Tx| deployment::take_over(tx).await;
    let earlier = system.write(POINT, take_over).await?;
    let fence = system.write(POINT, take_over).await?;
    for (fence, is_refused) in [(earlier, true), (fence, false)] {
        let tenant = bench.store.fenced(fence).tenant(bench.local.org());
        let mut tx = tenant.begin_write().await?;
        let locked = open_calls::lock_budgets(&mut tx, world.spec.id).await;
        let refused = matches!(locked, Err(StoreError::TakenOver));
        assert_eq!(refused, is_refused, "{locked:?}");
    }
    Ok(())
}

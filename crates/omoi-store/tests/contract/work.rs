//! Attempts, their turns and events, receipts and costs.

use tokio::task::JoinSet;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::egress::EgressOutcome;
use omoi_domain::event::{AgentActivity, Event};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_store::attempts::{
    self, Attempt, StoredTurns, append_event, append_turn, copy_turns, turns,
};
use omoi_store::budgets::{self, SpecBudgetUse};
use omoi_store::checks::RunConditions;
use omoi_store::costs::{CostEntry, PurposeSpend};
use omoi_store::egress_entries::{EgressEntry, EgressFilter, PAGE_MAX};
use omoi_store::open_calls::OpenCall;
use omoi_store::{
    Json, StoreError, Tenant, Tx, checks, costs, deployment, egress_entries, events, messages,
    open_calls, specs,
};

use crate::bench::{Bench, POINT, START, commit};
use crate::samples::{self, World};

both!(
    a_subject_has_one_live_attempt,
    turns_come_in_order,
    the_same_event_is_stored_once,
    a_receipt_is_stored_once,
    only_proofs_are_linked_to_criteria,
    costs_add_up,
    open_calls_add_up_and_close_once,
    of_two_processes_one_has_its_turn_at_a_budget,
    an_earlier_owner_opens_no_call,
    messages_are_had_once,
    what_came_in_is_stored_once,
    entries_of_a_spec_are_read_in_pages,
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

async fn a_receipt_is_stored_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let requirement = samples::requirement(&tx, &world.spec, 1);
    tx.insert(&requirement).await?;
    let criterion = samples::criterion(&tx, &requirement, 1);
    tx.insert(&criterion).await?;
    let check = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &check, &[criterion.id]).await?;
    let links = checks::criteria_links(&mut tx, world.spec.id).await?;
    assert_eq!(links, [(check.id, criterion.id)]);
    let mut red = samples::receipt(&tx, &check, &attempt);
    red.passed = false;
    let mut by_another = samples::receipt(&tx, &check, &attempt);
    let mut other = samples::attempt(&tx, &world.task, 2);
    other.subject = AttemptSubject::TaskChecks {
        task_id: world.task.id,
    };
    other.token_hash = None;
    attempts::insert(&mut tx, &other).await?;
    by_another.attempt_id = other.id;
    let again = samples::receipt(&tx, &check, &attempt);
    let mut head = samples::receipt(&tx, &check, &attempt);
    head.stage = CheckStage::Head;
    head.task_id = None;
    let project = world.project.id;
    assert!(checks::store_receipt(&mut tx, project, &check, &red).await?);
    let receipt = by_another;
    let found = checks::passing(&mut tx, check.id, &receipt.commit_sha, CheckStage::Task).await?;
    assert_eq!(found, None);
    assert!(checks::store_receipt(&mut tx, project, &check, &receipt).await?);
    assert!(!checks::store_receipt(&mut tx, project, &check, &again).await?);
    assert!(checks::store_receipt(&mut tx, project, &check, &head).await?);
    let found = checks::passing(&mut tx, check.id, &receipt.commit_sha, CheckStage::Task).await?;
    assert_eq!(found, Some(receipt.clone()));
    assert_eq!(
        checks::receipts_of_task(&mut tx, world.task.id).await?,
        [red, receipt]
    );
    assert_eq!(
        checks::receipts_of_spec(&mut tx, world.spec.id)
            .await?
            .len(),
        3
    );
    tx.commit(POINT).await?;
    let log = events::after(&mut bench.local.begin_read().await?, 0).await?;
    let told = log
        .iter()
        .filter(|e| matches!(e.event, Event::ReceiptStored(_)));
    assert_eq!(told.count(), 3);
    Ok(())
}

async fn only_proofs_are_linked_to_criteria(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let requirement = samples::requirement(&tx, &world.spec, 1);
    tx.insert(&requirement).await?;
    let criterion = samples::criterion(&tx, &requirement, 1);
    tx.insert(&criterion).await?;
    tx.commit(POINT).await?;
    for (ordinal, kind) in [(1, CheckKind::Regression), (2, CheckKind::Suite)] {
        let mut tx = bench.local.begin_write().await?;
        let mut check = samples::check(&tx, &world.task, ordinal);
        check.kind = kind;
        let linked = checks::insert(&mut tx, &check, &[criterion.id]).await;
        assert!(linked.is_err(), "a {kind} check proves {}", criterion.id);
    }
    let mut tx = bench.local.begin_write().await?;
    let proof = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &proof, &[criterion.id]).await?;
    let mut regression = samples::check(&tx, &world.task, 2);
    regression.kind = CheckKind::Regression;
    checks::insert(&mut tx, &regression, &[]).await?;
    let links = checks::criteria_links(&mut tx, world.spec.id).await?;
    assert_eq!(links, [(proof.id, criterion.id)]);
    tx.commit(POINT).await
}

fn arrival(tx: &Tx, attempt: &Attempt, target: &str) -> EgressEntry {
    EgressEntry {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: attempt.project_id,
        spec_id: Some(attempt.spec_id),
        attempt_id: Some(attempt.id),
        packages_layer: None,
        outcome: EgressOutcome::CameIn,
        target: target.to_owned(),
        reason: None,
        detail: "file".to_owned(),
        remedy: None,
        digest: Some("d".to_owned()),
        bytes: Some(1),
        created_at: tx.now(),
    }
}

fn of_setup(entry: &EgressEntry, layer: &str) -> EgressEntry {
    EgressEntry {
        spec_id: None,
        attempt_id: None,
        packages_layer: Some(layer.to_owned()),
        ..entry.clone()
    }
}

async fn what_came_in_is_stored_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    for _ in 0..2 {
        let came = arrival(&tx, &attempt, "npm:b@1.0.0");
        egress_entries::insert(&mut tx, &came).await?;
        let again = EgressEntry {
            id: tx.new_id(),
            ..of_setup(&came, "used")
        };
        egress_entries::insert(&mut tx, &again).await?;
        let refused = EgressEntry {
            id: tx.new_id(),
            outcome: EgressOutcome::Refused,
            reason: Some("host_not_listed".to_owned()),
            digest: None,
            ..came
        };
        egress_entries::insert(&mut tx, &refused).await?;
    }
    let came = arrival(&tx, &attempt, "npm:B@1.0.0");
    egress_entries::insert(&mut tx, &came).await?;
    let (came_in, refused) = (EgressOutcome::CameIn, EgressOutcome::Refused);
    let targets = egress_entries::targets_of_attempt(&mut tx, attempt.id, came_in).await?;
    assert_eq!(targets.len(), 2, "{targets:?}");
    let targets = egress_entries::targets_of_attempt(&mut tx, attempt.id, refused).await?;
    assert_eq!(targets, ["npm:b@1.0.0"]);
    // The bytes of a list are the same on every database.
    let task = Some(world.task.id);
    let lines = egress_entries::arrival_lines(&mut tx, task, None).await?;
    let expected = ["npm:B@1.0.0 file sha256:d\n", "npm:b@1.0.0 file sha256:d\n"];
    assert_eq!(lines, expected);
    let lines = egress_entries::arrival_lines(&mut tx, None, Some("used")).await?;
    assert_eq!(lines, expected[1..]);
    assert!(
        egress_entries::arrival_lines(&mut tx, None, None)
            .await?
            .is_empty()
    );
    tx.commit(POINT).await
}

async fn entries_of_a_spec_are_read_in_pages(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    // Of set-ups before the spec, only the packages that a check was given are its own.
    for (layer, age) in [("used", 60), ("foreign", 60), ("new", 0)] {
        let entry = EgressEntry {
            id: tx.new_id(),
            created_at: world.spec.created_at - std::time::Duration::from_secs(age),
            ..of_setup(&arrival(&tx, &attempt, layer), layer)
        };
        egress_entries::insert(&mut tx, &entry).await?;
    }
    let check = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &check, &[]).await?;
    let mut receipt = samples::receipt(&tx, &check, &attempt);
    receipt.conditions = Json(RunConditions {
        packages_layer: Some("used".to_owned()),
        ..RunConditions::default()
    });
    checks::store_receipt(&mut tx, world.project.id, &check, &receipt).await?;
    for n in 0..PAGE_MAX {
        let entry = arrival(&tx, &attempt, &format!("npm:a@{n}"));
        egress_entries::insert(&mut tx, &entry).await?;
    }
    let page =
        async |tx: &mut Tx, filter| egress_entries::page_of_spec(tx, &world.spec, filter).await;
    let newest = page(&mut tx, EgressFilter::default()).await?;
    assert_eq!(newest.len(), PAGE_MAX);
    assert_eq!(newest[0].0.target, format!("npm:a@{}", PAGE_MAX - 1));
    assert_eq!(newest[0].1, Some(world.task.number));
    let older = EgressFilter {
        before: newest.last().map(|(entry, _)| entry.id),
        outcome: Some(EgressOutcome::CameIn),
    };
    let older = page(&mut tx, older).await?;
    let targets: Vec<_> = older.iter().map(|(entry, _)| &*entry.target).collect();
    assert_eq!(targets, ["new", "used"]);
    let refused = EgressFilter {
        outcome: Some(EgressOutcome::Refused),
        before: None,
    };
    assert!(page(&mut tx, refused).await?.is_empty());
    let packages = egress_entries::packages_of_spec(&mut tx, world.spec.id).await?;
    assert!(packages.contains(&"used sha256:d".to_owned()));
    assert_eq!(packages.len(), PAGE_MAX + 1);
    tx.commit(POINT).await
}

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
fn open_call(tx: &Tx, attempt: &Attempt, nanousd: i64) -> OpenCall {
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
    assert!(open_calls::close(&mut tx, one.id).await?);
    assert!(!open_calls::close(&mut tx, one.id).await?);
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

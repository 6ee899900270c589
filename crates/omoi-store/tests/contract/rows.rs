//! Every row comes back as it went in, to its own organisation only.

use serde_json::json;

use omoi_domain::attempt::{AttemptStopReason, AttemptSubject};
use omoi_domain::check::CheckKind;
use omoi_domain::id::{CheckId, RequirementId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::phase::Phase;
use omoi_domain::slots::SlotsInUse;
use omoi_domain::task::TaskStatus;
use omoi_store::attempts::{self, Attempt};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::deliveries::{self, HandOver};
use omoi_store::discoveries::{self, Discovery};
use omoi_store::merges::{self, Merge};
use omoi_store::messages::{self, Message};
use omoi_store::phases::{self, Item, PhaseRun};
use omoi_store::projects::{self, Project};
use omoi_store::requirements::{self, Criterion, Requirement};
use omoi_store::sandboxes::Sandbox;
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Args, Json, Row, StoreError, Tx, args, attempt_tokens, costs, slots};

use crate::bench::{Bench, POINT, START, commit};
use crate::samples::{self, ODD, World};

both!(
    every_row_comes_back,
    saved_fields_come_back,
    other_organisations_see_nothing,
    a_stale_row_is_a_conflict,
    taken_keys_exist,
    text_with_nul_is_kept_readable,
    plan_order_is_by_number_not_by_text,
);

pub(crate) async fn same<R: Row + PartialEq + std::fmt::Debug>(
    tx: &mut Tx,
    rows: Vec<R>,
) -> Result<(), StoreError> {
    for row in &rows {
        tx.insert(row).await?;
    }
    let read = tx.all::<R>("1 = 1", Args::default()).await?;
    for row in rows {
        assert!(read.contains(&row), "{row:#?} is not among {read:#?}");
    }
    Ok(())
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn every_row_comes_back(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        let project = samples::project(tx, tx.org(), ODD);
        same::<Project>(tx, vec![project]).await?;
        let bare = samples::spec(tx, world.project.id, 2);
        let full = samples::full_spec(&samples::spec(tx, world.project.id, 3));
        same::<Spec>(tx, vec![bare, full]).await?;
        let ticket = samples::ticket(tx, &world.spec, 2);
        same::<Ticket>(tx, vec![ticket.clone()]).await?;
        let bare = samples::task(tx, &ticket, 2);
        let mut full = samples::full_task(tx, &samples::task(tx, &ticket, 3));
        full.parent_task_id = Some(bare.id);
        full.discovery_depth = 2;
        same::<Task>(tx, vec![bare, full]).await?;

        let bare = samples::attempt(tx, &world.task, 1);
        let mut full = samples::attempt(tx, &world.task, 2);
        full.subject = AttemptSubject::SpecPhase { phase: Phase::Prd };
        let full = samples::full_attempt(&full);
        same::<Attempt>(tx, vec![bare.clone(), full]).await?;
        let mut turn = samples::turn(&bare, 1);
        turn.wip_sha = Some("w".repeat(40));
        same(tx, vec![samples::turn(&bare, 0), turn]).await?;
        let event = samples::agent_event(tx, &bare);
        same(tx, vec![event]).await?;
        let mut sandbox = samples::sandbox(tx, &bare);
        same::<Sandbox>(tx, vec![sandbox.clone()]).await?;
        sandbox.id = tx.new_id();
        sandbox.reason = Some(AttemptStopReason::OutOfMemory);
        same::<Sandbox>(tx, vec![sandbox]).await?;

        let requirement = samples::requirement(tx, &world.spec, 1);
        same::<Requirement>(tx, vec![requirement.clone()]).await?;
        let criterion = samples::criterion(tx, &requirement, 1);
        same::<Criterion>(tx, vec![criterion]).await?;
        let check = samples::check(tx, &world.task, 1);
        let mut suite = samples::check(tx, &world.task, 2);
        suite.task_id = None;
        suite.base_exit = None;
        suite.is_deploy = true;
        suite.kind = CheckKind::Suite;
        same::<Check>(tx, vec![check.clone(), suite.clone()]).await?;
        let receipt = samples::receipt(tx, &check, &bare);
        let mut red = samples::receipt(tx, &suite, &bare);
        red.exit_code = None;
        red.passed = false;
        red.exercised = Json(None);
        red.self_tested = false;
        same::<Receipt>(tx, vec![receipt, red]).await?;

        let bare_merge = samples::merge(tx, &world.task);
        let full = samples::full_merge(&samples::merge(tx, &world.task));
        same::<Merge>(tx, vec![bare_merge, full]).await?;
        let bare_run = samples::phase_run(&world.spec);
        let mut full = samples::full_phase_run(&bare_run);
        full.phase = Phase::Prd;
        same::<PhaseRun>(tx, vec![bare_run, full]).await?;
        same::<Item>(tx, vec![samples::item(&world.spec)]).await?;
        let open = samples::message(tx, &world.task);
        let mut had = samples::message(tx, &world.task);
        had.acked_at = Some(START);
        had.acked_by = Some(bare.id);
        had.expired_at = Some(START);
        same::<Message>(tx, vec![open, had]).await?;
        let mut hand_over = samples::hand_over(tx, &world.spec);
        hand_over.note = Some(ODD.to_owned());
        hand_over.completed_at = Some(START);
        same::<HandOver>(tx, vec![hand_over]).await?;
        let open = samples::discovery(tx, &world.task, "a");
        let mut full = samples::discovery(tx, &world.task, "b");
        full.task_id = Some(world.task.id);
        full.refused = Some(ODD.to_owned());
        same::<Discovery>(tx, vec![open, full]).await?;
        let mut cost = samples::cost(tx, &bare, i64::MAX);
        cost.simulated = false;
        same(tx, vec![cost]).await
    })
    .await
}

/// What a transition or `save` may change is what `update` writes.
async fn saved_fields_come_back(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let mut task = samples::full_task(&tx, &world.task);
    // Where a task stands in its plan is written once.
    task.branch.clone_from(&world.task.branch);
    tasks::save(&mut tx, &mut task).await?;
    assert_eq!(tasks::get(&mut tx, task.id).await?, task);
    assert_eq!(task.state_version, 1);

    let bare = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &bare).await?;
    let mut attempt = samples::full_attempt(&bare);
    attempts::save(&mut tx, &mut attempt).await?;
    assert_eq!(attempts::get(&mut tx, bare.id).await?, attempt);

    let bare = samples::merge(&tx, &world.task);
    merges::insert(&mut tx, &bare).await?;
    let mut merge = samples::full_merge(&bare);
    merges::save(&mut tx, &mut merge).await?;
    assert_eq!(merges::get(&mut tx, bare.id).await?, merge);

    let bare = phases::ensure(&mut tx, world.spec.id, Phase::Explore).await?;
    let mut run = samples::full_phase_run(&bare);
    phases::save(&mut tx, &mut run).await?;
    let read = phases::find(&mut tx, world.spec.id, Phase::Explore).await?;
    assert_eq!(read.as_ref(), Some(&run));
    assert_eq!(
        phases::ensure(&mut tx, world.spec.id, Phase::Explore).await?,
        run
    );

    let mut spec = samples::full_spec(&world.spec);
    spec.base_branch = None;
    spec.options.0.auto_start = false;
    spec.current_phase = Phase::Complete;
    specs::save(&mut tx, &mut spec).await?;
    assert_eq!(specs::get(&mut tx, spec.id).await?, spec);

    let mut ticket = world.ticket.clone();
    ticket.title = ODD.to_owned();
    tickets::save(&mut tx, &mut ticket).await?;
    assert_eq!(tickets::get(&mut tx, ticket.id).await?, ticket);
    tx.commit(POINT).await
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn other_organisations_see_nothing(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (attempt, check, ticket) = commit(&bench.local, async |tx| {
        let mut attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        attempt_tokens::insert(tx, attempt.id, "secret").await?;
        let turn = samples::turn(&attempt, 0);
        attempts::append_turn(tx, &mut attempt, &turn).await?;
        let check = samples::check(tx, &world.task, 1);
        checks::insert(tx, &check, &[]).await?;
        messages::queue(
            tx,
            &world.task,
            MessageType::UserMessage,
            "hello",
            MessageSender::User,
        )
        .await?;
        merges::insert(tx, &samples::merge(tx, &world.task)).await?;
        deliveries::plan(tx, world.spec.id, "sha", "branch").await?;
        discoveries::insert(tx, &samples::discovery(tx, &world.task, "k")).await?;
        costs::insert(tx, world.project.id, &samples::cost(tx, &attempt, 5)).await?;
        phases::ensure(tx, world.spec.id, Phase::Explore).await?;
        Ok((attempt, check, world.ticket.id))
    })
    .await?;
    let foreign = bench.foreign().await;
    let mut tx = foreign.begin_write().await?;
    let gone = |e: StoreError| matches!(e, StoreError::NotFound { .. });
    assert!(gone(specs::get(&mut tx, world.spec.id).await.unwrap_err()));
    assert!(gone(tasks::get(&mut tx, world.task.id).await.unwrap_err()));
    assert!(gone(tickets::get(&mut tx, ticket).await.unwrap_err()));
    assert!(gone(
        projects::get(&mut tx, world.project.id).await.unwrap_err()
    ));
    assert!(gone(attempts::get(&mut tx, attempt.id).await.unwrap_err()));
    assert!(gone(checks::get(&mut tx, check.id).await.unwrap_err()));
    let edge = tasks::depend(&mut tx, world.task.id, world.task.id).await;
    assert!(gone(edge.unwrap_err()));
    let edge = tickets::depend(&mut tx, ticket, ticket).await;
    assert!(gone(edge.unwrap_err()));
    let numbers =
        projects::take_numbers(&mut tx, world.project.id, projects::NumberCounter::Task, 1);
    assert!(gone(numbers.await.unwrap_err()));
    assert!(specs::list(&mut tx, 10).await?.is_empty());
    assert!(projects::list(&mut tx).await?.is_empty());
    assert!(tasks::of_spec(&mut tx, world.spec.id).await?.is_empty());
    assert!(
        tasks::with_status(&mut tx, TaskStatus::Pending)
            .await?
            .is_empty()
    );
    assert!(
        tasks::eligible(&mut tx, crate::queue::scan(10))
            .await?
            .is_empty()
    );
    let slots = SlotsInUse {
        in_deployment: 0,
        ..slots::in_use(&mut tx).await?
    };
    assert_eq!(slots, SlotsInUse::default());
    assert!(attempts::all_live(&mut tx).await?.is_empty());
    assert!(attempts::turns(&mut tx, attempt.id).await?.is_empty());
    assert!(!attempts::renew_lease(&mut tx, "one", attempt.id, START).await?);
    assert!(messages::open(&mut tx, world.task.id).await?.is_empty());
    assert!(merges::of_spec(&mut tx, world.spec.id).await?.is_empty());
    assert!(deliveries::find(&mut tx, world.spec.id).await?.is_none());
    assert!(
        discoveries::of_spec(&mut tx, world.spec.id)
            .await?
            .is_empty()
    );
    assert!(phases::of_spec(&mut tx, world.spec.id).await?.is_empty());
    assert_eq!(
        costs::of_spec(&mut tx, world.spec.id).await?,
        costs::SpentCost::default()
    );
    assert!(omoi_store::events::after(&mut tx, 0).await?.is_empty());
    assert_eq!(omoi_store::events::head(&mut tx).await?, 0);
    // Writes reach nothing either.
    let mut stolen = world.task.clone();
    stolen.title = "stolen".to_owned();
    assert!(matches!(
        tasks::save(&mut tx, &mut stolen).await.unwrap_err(),
        StoreError::Conflict { .. }
    ));
    attempts::touch(&mut tx, attempt.id, true).await?;
    phases::clear_items(&mut tx, world.spec.id, Phase::Explore).await?;
    tx.commit(POINT).await?;
    // The lookup by token is the one that spans organisations.
    let system = bench.store.system();
    let found = system.read(async |tx| attempt_tokens::find(tx, "secret").await);
    let found = found.await?.map(|token| (token.org_id, token.attempt_id));
    assert_eq!(found, Some((bench.local.org(), attempt.id)));
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(tasks::get(&mut tx, world.task.id).await?, world.task);
    let turned = attempts::get(&mut tx, attempt.id).await?;
    assert_eq!(turned.last_work_at, Some(START));
    Ok(())
}

async fn a_stale_row_is_a_conflict(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (mut one, mut two) = (world.task.clone(), world.task.clone());
    one.title = "one".to_owned();
    two.title = "two".to_owned();
    commit(&bench.local, async |tx| tasks::save(tx, &mut one).await).await?;
    let lost = commit(&bench.local, async |tx| tasks::save(tx, &mut two).await).await;
    let error = lost.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { what: "task", .. }));
    assert!(error.is_retryable());
    let lost = commit(&bench.local, async |tx| {
        tasks::transition(tx, &mut two, TaskStatus::Claiming, None).await
    })
    .await;
    assert!(matches!(lost.unwrap_err(), StoreError::Conflict { .. }));
    let mut tx = bench.local.begin_read().await?;
    let read = tasks::get(&mut tx, world.task.id).await?;
    assert_eq!(
        (read.title.as_str(), read.status),
        ("one", TaskStatus::Pending)
    );
    Ok(())
}

async fn taken_keys_exist(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let exists = |result: Result<(), StoreError>, kind: &str| match result {
        Err(StoreError::Exists { what }) => assert_eq!(what, kind),
        other => panic!("{kind}: {other:?}"),
    };
    let twin = commit(&bench.local, async |tx| {
        let mut twin = samples::task(tx, &world.ticket, 1);
        twin.local_id = "TSK-002".to_owned();
        tasks::insert(tx, &twin).await
    });
    exists(twin.await, "task");
    let twin = commit(&bench.local, async |tx| {
        specs::insert(tx, &samples::spec(tx, world.project.id, 1)).await
    });
    exists(twin.await, "spec");
    let twin = commit(&bench.local, async |tx| {
        discoveries::insert(tx, &samples::discovery(tx, &world.task, "k")).await?;
        discoveries::insert(tx, &samples::discovery(tx, &world.task, "k")).await
    });
    exists(twin.await, "discovery");
    let twin = commit(&bench.local, async |tx| {
        tx.insert(&samples::hand_over(tx, &world.spec)).await?;
        tx.insert(&samples::hand_over(tx, &world.spec)).await
    });
    exists(twin.await, "hand-over");
    // A hand-over is planned anew instead.
    commit(&bench.local, async |tx| {
        deliveries::plan(tx, world.spec.id, "one", "a").await?;
        let second = deliveries::plan(tx, world.spec.id, "two", "b").await?;
        assert_eq!(deliveries::find(tx, world.spec.id).await?, Some(second));
        Ok(())
    })
    .await?;
    // A missing parent is refused, whatever the backend.
    let orphan = commit(&bench.local, async |tx| {
        let mut criterion = samples::criterion(tx, &samples::requirement(tx, &world.spec, 1), 1);
        criterion.requirement_id = tx.new_id::<RequirementId>();
        tx.insert(&criterion).await
    });
    assert!(matches!(orphan.await, Err(StoreError::Database(_))));
    let unknown = commit(&bench.local, async |tx| {
        checks::get(tx, tx.new_id::<CheckId>()).await
    });
    assert!(matches!(
        unknown.await,
        Err(StoreError::NotFound { what: "check", .. })
    ));
    Ok(())
}

/// Programs print NUL; PostgreSQL has no such text. Both backends keep the same readable form.
async fn text_with_nul_is_kept_readable(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut task = world.task.clone();
    task.error_message = Some("before\0after".to_owned());
    task.title = "\0".to_owned();
    task.files = Json(vec!["a\0b".to_owned()]);
    commit(&bench.local, async |tx| tasks::save(tx, &mut task).await).await?;
    let mut tx = bench.local.begin_read().await?;
    let read = tasks::get(&mut tx, task.id).await?;
    assert_eq!(read.error_message.as_deref(), Some("before\u{fffd}after"));
    assert_eq!(read.title, "\u{fffd}");
    assert_eq!(read.files, Json(vec!["a\u{fffd}b".to_owned()]));
    Ok(())
}

async fn plan_order_is_by_number_not_by_text(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let mut expected = Vec::new();
    for (n, local_id) in [
        (1, "REQ-Z-FUNC-001"),
        (2, "REQ-a-FUNC-001"),
        (3, "REQ-B-FUNC-001"),
    ] {
        let mut requirement = samples::requirement(&tx, &world.spec, n);
        requirement.local_id = local_id.to_owned();
        tx.insert(&requirement).await?;
        for n in 1..=11 {
            let criterion = samples::criterion(&tx, &requirement, n);
            tx.insert(&criterion).await?;
            expected.push(criterion.local_id);
        }
    }
    let read = requirements::criteria_of_spec(&mut tx, world.spec.id).await?;
    let read: Vec<String> = read.into_iter().map(|c| c.local_id).collect();
    assert_eq!(read, expected);
    tx.commit(POINT).await?;
    // The journal of a phase and its digest.
    commit(&bench.local, async |tx| {
        for (key, digest, seq) in [("a", "1", 1), ("b", "1", 2), ("a", "1", 1), ("a", "2", 3)] {
            let new = phases::NewItem {
                spec_id: world.spec.id,
                project_id: world.project.id,
                phase: Phase::Prd,
                attempt_no: 1,
                section: "goals",
                key,
                value: json!({ "d": digest }),
                digest: digest.to_owned(),
            };
            assert_eq!(phases::append_item(tx, new).await?, seq);
        }
        assert_eq!(phases::items(tx, world.spec.id, Phase::Prd).await?.len(), 3);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_value_that_does_not_read_is_named() {
    let bench = Bench::sqlite().await;
    let world = World::new(&bench.local).await.unwrap();
    bench.raw("update tasks set files = 'no json'").await;
    let mut tx = bench.local.begin_read().await.unwrap();
    let error = tasks::get(&mut tx, world.task.id).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Corrupt {
                column: "files",
                ..
            }
        ),
        "{error}"
    );
    let found = tx.find::<Task>(
        "number = $2",
        (|| Ok::<_, StoreError>(args![1_i64]))().unwrap(),
    );
    assert!(found.await.is_err());
}

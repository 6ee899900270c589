//! A status moves along its machine's table and tells of it with the event the table names.

use omoi_domain::attempt::AttemptState;
use omoi_domain::block::TaskBlock;
use omoi_domain::event::EventKind;
use omoi_domain::machine::{StateMachine, transition};
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::phase::{Phase, PhaseVerdict};
use omoi_domain::sandbox::SandboxState;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;
use omoi_store::merges::MergeMove;
use omoi_store::{
    StoreError, Tenant, Tx, attempts, events, merges, phases, sandboxes, specs, tasks, tickets,
};

use crate::bench::{Bench, POINT};
use crate::samples::{self, World};

both!(every_pair_of_every_machine, moves_set_their_instants);

/// Runs one move; afterwards the log holds exactly the events it should.
async fn moves<S: StateMachine>(
    tenant: &Tenant,
    (from, to): (S, S),
    act: impl AsyncFnOnce(&mut Tx) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut tx = tenant.begin_write().await?;
    let head = events::head(&mut tx).await?;
    let result = act(&mut tx).await;
    match transition(from, to) {
        Err(_) => {
            let refused = matches!(result, Err(StoreError::Transition(_)));
            assert!(refused, "{} {from:?} -> {to:?}: {result:?}", S::NAME);
            tx.rollback().await
        }
        Ok(kind) => {
            result?;
            tx.commit(POINT).await?;
            let mut tx = tenant.begin_read().await?;
            let new = events::after(&mut tx, head).await?;
            let kinds: Vec<EventKind> = new.iter().map(|e| e.event.kind()).collect();
            assert_eq!(kinds, [kind], "{} {from:?} -> {to:?}", S::NAME);
            Ok(())
        }
    }
}

fn pairs<S: StateMachine>() -> Vec<(S, S)> {
    let all = S::ALL.iter();
    all.flat_map(|from| S::ALL.iter().map(move |to| (*from, *to)))
        .collect()
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn every_pair_of_every_machine(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let local = &bench.local;
    let scope = (world.project.id, world.spec.id);
    let mut task = world.task.clone();
    for pair in pairs::<TaskStatus>() {
        task.status = pair.0;
        task.blocked_by = (pair.0 == TaskStatus::Blocked).then_some(TaskBlock::Provider);
        moves(local, pair, async |tx| {
            let why = "why".to_owned();
            match pair.1 {
                TaskStatus::Blocked => tasks::block(tx, &mut task, TaskBlock::Provider, why).await,
                to => tasks::transition(tx, &mut task, to, Some(why)).await,
            }
        })
        .await?;
    }
    let mut spec = world.spec.clone();
    for pair in pairs::<SpecStatus>() {
        spec.status = pair.0;
        moves(local, pair, async |tx| {
            specs::transition(tx, &mut spec, pair.1, Some("why".to_owned())).await
        })
        .await?;
    }
    let mut ticket = world.ticket.clone();
    for pair in pairs::<TicketStatus>() {
        ticket.status = pair.0;
        moves(local, pair, async |tx| {
            tickets::transition(tx, &mut ticket, pair.1).await
        })
        .await?;
    }
    let mut tx = local.begin_write().await?;
    let mut attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let mut sandbox = samples::sandbox(&tx, &attempt);
    sandboxes::insert(&mut tx, &sandbox).await?;
    let mut run = phases::ensure(&mut tx, world.spec.id, Phase::Explore).await?;
    let mut merge = samples::merge(&tx, &world.task);
    merges::insert(&mut tx, &merge).await?;
    tx.commit(POINT).await?;
    for pair in pairs::<AttemptState>() {
        attempt.state = pair.0;
        moves(local, pair, async |tx| {
            attempts::transition(tx, &mut attempt, pair.1).await
        })
        .await?;
    }
    for pair in pairs::<SandboxState>() {
        sandbox.state = pair.0;
        moves(local, pair, async |tx| {
            sandboxes::transition(tx, scope, &mut sandbox, pair.1).await
        })
        .await?;
    }
    for pair in pairs::<PhaseState>() {
        run.state = pair.0;
        moves(local, pair, async |tx| {
            let verdict = PhaseVerdict::default();
            phases::transition(tx, world.project.id, &mut run, pair.1, verdict).await
        })
        .await?;
    }
    let mut task = tasks::get(&mut local.begin_read().await?, world.task.id).await?;
    for pair in pairs::<MergeState>() {
        merge.state = pair.0;
        moves(local, pair, async |tx| {
            let step = MergeMove::to(pair.1).because("why");
            merges::transition(tx, &mut merge, &mut task, step).await?;
            // The task's commits stand where their merge does.
            assert_eq!(task.integration_state, IntegrationState::of_merge(pair.1));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn moves_set_their_instants(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let mut task = world.task.clone();
    for to in [
        TaskStatus::Claiming,
        TaskStatus::Assigned,
        TaskStatus::Running,
    ] {
        tasks::transition(&mut tx, &mut task, to, None).await?;
    }
    tasks::block(&mut tx, &mut task, TaskBlock::Environment, "outside".into()).await?;
    assert_eq!(task.blocked_reason.as_deref(), Some("outside"));
    assert_eq!(task.blocked_by, Some(TaskBlock::Environment));
    tasks::transition(&mut tx, &mut task, TaskStatus::Pending, None).await?;
    let now = bench.now();
    let seen = (task.started_at, task.blocked_by);
    assert_eq!(seen, (Some(now), None));
    assert_eq!(tasks::get(&mut tx, task.id).await?, task);

    // What the machine lacked is no reason of a later stop.
    let mut merge = samples::merge(&tx, &world.task);
    merges::insert(&mut tx, &merge).await?;
    merge.state = MergeState::InProgress;
    merge.lacks_environment = true;
    for (to, lacks) in [
        (MergeState::Manual, true),
        (MergeState::Pending, false),
        (MergeState::InProgress, false),
        (MergeState::Manual, false),
    ] {
        merges::transition(&mut tx, &mut merge, &mut task, MergeMove::to(to)).await?;
        assert_eq!(merge.is_blocked_by_environment(), lacks, "{to}");
    }

    let mut attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    for to in [AttemptState::Starting, AttemptState::Running] {
        attempts::transition(&mut tx, &mut attempt, to).await?;
    }
    assert_eq!(attempt.last_heartbeat_at, Some(now));
    attempts::transition(&mut tx, &mut attempt, AttemptState::Lost).await?;
    assert_eq!(attempt.ended_at, Some(now));
    assert_eq!(attempts::get(&mut tx, attempt.id).await?, attempt);
    tx.commit(POINT).await
}

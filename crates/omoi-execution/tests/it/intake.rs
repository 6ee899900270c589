//! Tokens, events, heartbeats, turns and messages.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason, TurnKind};
use omoi_domain::id::{EventId, OrgId};
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::{lose_attempt, token_hash};
use omoi_execution::intake::{self, IntakeError};
use omoi_protocol::worker::{
    AckMessages, CommitTurn, EVENT_BYTES_MAX, EVENTS_MAX, ReportEvents, TurnRecord, WorkerEvent,
};
use omoi_store::{StoreError, attempts, messages};
use omoi_testkit::deployment::{TestDeployment, ended_report};

pub(crate) fn turn(n: u32) -> CommitTurn {
    CommitTurn {
        turn: TurnRecord {
            n,
            kind: TurnKind::Answer,
            request_digest: format!("digest {n}"),
            request_tokens: None,
            response: json!({ "n": n }),
            tool_results: json!([]),
            session: None,
        },
        snapshot: None,
        messages: Vec::new(),
    }
}

fn event(it: &TestDeployment, event_type: AgentEventKind, event_data: Value) -> WorkerEvent {
    let id = EventId::from_uuid(omoi_runtime::ids::uuid_v7(&it.clock, &it.deployment.rng));
    WorkerEvent {
        event_id: id,
        event_type,
        event_data,
        summary: None,
    }
}

#[tokio::test]
async fn a_token_opens_one_attempt_and_tells_when_it_is_over() {
    let it = TestDeployment::new().await;
    let (one, two) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let (one, two) = (it.run_task(one.id).await, it.run_task(two.id).await);
    for created in [&one, &two] {
        let found = intake::authenticate_worker(it.deployment.store.store(), &created.token).await;
        let (tenant, attempt) = found.unwrap();
        assert_eq!(
            (tenant.org(), attempt.id),
            (OrgId::LOCAL, created.attempt.id)
        );
        // What is stored opens nothing.
        let digest = token_hash(&created.token);
        let with_digest = intake::authenticate_worker(it.deployment.store.store(), &digest).await;
        assert!(matches!(with_digest, Err(IntakeError::Unauthorized)));
    }
    let unknown = intake::authenticate_worker(it.deployment.store.store(), "").await;
    assert!(matches!(unknown, Err(IntakeError::Unauthorized)));
    intake::complete_attempt(
        &it.build_part(),
        &one.attempt,
        ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt),
    )
    .await
    .unwrap();
    let (_, over) = intake::authenticate_worker(it.deployment.store.store(), &one.token)
        .await
        .unwrap();
    let refused = intake::expect_live(&it.deployment.store, &over, "turns").await;
    assert!(matches!(refused, Err(IntakeError::Superseded)));
    // However often it goes on, it leaves a number and no rows.
    for _ in 0..20 {
        let event = event(&it, AgentEventKind::ToolUse, json!({}));
        let events = vec![event];
        let report = ReportEvents { events };
        let refused = intake::report_events(&it.deployment.store, &over, report).await;
        assert!(matches!(refused, Err(IntakeError::Superseded)));
    }
    assert_eq!(it.attempt_now(&over).await.late_reports, 21);
    let kept = attempts::events(&mut it.read_tx().await, over.id, 0, 10).await;
    assert_eq!(kept.unwrap(), []);
    let (_, live) = intake::authenticate_worker(it.deployment.store.store(), &two.token)
        .await
        .unwrap();
    intake::expect_live(&it.deployment.store, &live, "turns")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_start_moves_attempt_sandbox_and_task_once() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let created = it.run_task(task.id).await;
    let seen = it.task_now(task.id).await;
    assert_eq!(seen.status, TaskStatus::Running);
    intake::report_started(
        &it.deployment.store,
        created.attempt.id,
        omoi_testkit::deployment::native_start(),
    )
    .await
    .unwrap();
    assert_eq!(it.task_now(task.id).await, seen);
    let attempt = it.attempt_now(&created.attempt).await;
    assert_eq!(attempt.state, AttemptState::Running);
}

#[tokio::test]
async fn events_have_limits_and_are_stored_once() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let report = async |events| {
        intake::report_events(&it.deployment.store, &attempt, ReportEvents { events }).await
    };
    let long = "x".repeat(101);
    // No names at all, what only the platform may say, and what nobody says.
    for name in [
        "",
        "a b",
        "ü",
        &long,
        "spec.delivered",
        "receipt.stored",
        "worker.late_report",
        "agent.made_up",
    ] {
        let read = serde_json::from_value::<AgentEventKind>(json!(name));
        assert!(read.is_err(), "{name}");
    }
    let huge = json!("x".repeat(EVENT_BYTES_MAX));
    let bad = event(&it, AgentEventKind::ToolUse, huge);
    let good = event(&it, AgentEventKind::ToolUse, json!({}));
    let result = report(vec![good, bad]).await;
    assert!(matches!(result, Err(IntakeError::Refused(_))), "{result:?}");
    let many = (0..=EVENTS_MAX)
        .map(|_| event(&it, AgentEventKind::ToolUse, json!({})))
        .collect();
    assert!(matches!(report(many).await, Err(IntakeError::Refused(_))));
    let stored = attempts::events(&mut it.read_tx().await, attempt.id, 0, 500).await;
    assert!(
        stored.unwrap().is_empty(),
        "a refused report stores nothing"
    );
    let batch: Vec<_> = (0..EVENTS_MAX)
        .map(|_| event(&it, AgentEventKind::ToolUse, json!({})))
        .collect();
    assert_eq!(
        report(batch.clone()).await.unwrap().stored as usize,
        EVENTS_MAX
    );
    assert_eq!(
        report(batch).await.unwrap().stored,
        0,
        "the same report again"
    );
    // Even from an attempt that is over, for the record.
    intake::complete_attempt(
        &it.build_part(),
        &attempt,
        ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt),
    )
    .await
    .unwrap();
    let before = it.task_now(task.id).await;
    let late = vec![event(&it, AgentEventKind::ToolUse, json!({}))];
    assert!(matches!(report(late).await, Err(IntakeError::Superseded)));
    let stored = attempts::events(&mut it.read_tx().await, attempt.id, 0, 500).await;
    assert_eq!(stored.unwrap().len(), EVENTS_MAX + 1);
    assert_eq!(it.task_now(task.id).await, before);
}

#[tokio::test]
async fn a_heartbeat_tells_a_superseded_worker_to_stop() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let old = it.run_task(task.id).await.attempt;
    it.advance_clock(5);
    let ack = intake::report_heartbeat(&it.deployment.store, old.id)
        .await
        .unwrap();
    assert!(ack.received && ack.commands.is_empty());
    let beat = it.attempt_now(&old).await.last_heartbeat_at;
    assert_eq!(beat, Some(omoi_runtime::clock::Clock::now(&it.clock)));
    give_up(&it, &old).await;
    it.run_task(task.id).await;
    let ack = intake::report_heartbeat(&it.deployment.store, old.id)
        .await
        .unwrap();
    assert_eq!(ack.commands, ["abort"]);
}

async fn give_up(it: &TestDeployment, attempt: &attempts::Attempt) {
    it.commit(async |tx| {
        let mut attempt = attempts::get(tx, attempt.id).await?;
        let loss = AttemptLoss {
            state: AttemptState::Lost,
            stop_reason: AttemptStopReason::PlatformRestarted,
            class: omoi_domain::retry::ErrorClass::SandboxLost,
            message: "gone".to_owned(),
            counts: false,
        };
        lose_attempt(tx, &it.build_part(), &mut attempt, loss).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_next_attempt_goes_on_from_the_turns_of_a_lost_one() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let first = it.run_task(task.id).await;
    for n in 0..2 {
        intake::commit_turn(&it.build_part(), &first.attempt, turn(n))
            .await
            .unwrap();
    }
    // The answer was lost and the worker says it again.
    intake::commit_turn(&it.build_part(), &first.attempt, turn(1))
        .await
        .unwrap();
    let early = intake::commit_turn(&it.build_part(), &first.attempt, turn(3)).await;
    assert!(matches!(
        early,
        Err(IntakeError::Store(StoreError::Conflict { .. }))
    ));
    give_up(&it, &first.attempt).await;
    let second = it.run_task(task.id).await;
    assert_eq!(second.turns, [turn(0).turn, turn(1).turn]);
    let late = intake::commit_turn(&it.build_part(), &first.attempt, turn(2)).await;
    assert!(matches!(late, Err(IntakeError::Superseded)));
    intake::commit_turn(&it.build_part(), &second.attempt, turn(2))
        .await
        .unwrap();
    // A round that was judged begins afresh.
    intake::complete_attempt(
        &it.build_part(),
        &second.attempt,
        ended_report(
            AttemptOutcome::Succeeded,
            AttemptStopReason::CompletionSignal,
        ),
    )
    .await
    .unwrap();
    let third = it.run_task(task.id).await;
    assert_eq!(third.attempt.round, 1);
    assert!(third.turns.is_empty());
}

#[tokio::test]
async fn messages_wait_for_whoever_works_on_the_task() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let old = it.run_task(task.id).await.attempt;
    let none = intake::read_messages(
        &it.deployment.store,
        &it.deployment.clock,
        &old,
        (Duration::ZERO, &BTreeSet::new()),
    )
    .await
    .unwrap();
    assert!(none.is_empty());
    let sent = it
        .commit(async |tx| {
            messages::queue(
                tx,
                &task,
                MessageType::UserMessage,
                "Use tabs",
                MessageSender::User,
            )
            .await
        })
        .await
        .unwrap();
    let got = intake::read_messages(
        &it.deployment.store,
        &it.deployment.clock,
        &old,
        (Duration::ZERO, &BTreeSet::new()),
    )
    .await
    .unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!((got[0].id, got[0].content.as_str()), (sent.id, "Use tabs"));
    // Who has it waits for others.
    let known = BTreeSet::from([sent.id]);
    let (store, clock) = (&it.deployment.store, &it.deployment.clock);
    let others = intake::read_messages(store, clock, &old, (Duration::ZERO, &known)).await;
    assert_eq!(others.unwrap(), []);
    let ack = AckMessages { ids: vec![sent.id] };
    // One that lost its task cannot take the message away from its successor.
    give_up(&it, &old).await;
    let new = it.run_task(task.id).await.attempt;
    let stolen = intake::ack_messages(&it.deployment.store, &old, ack.clone()).await;
    assert!(matches!(stolen, Err(IntakeError::Superseded)), "{stolen:?}");
    let got = intake::read_messages(
        &it.deployment.store,
        &it.deployment.clock,
        &new,
        (Duration::ZERO, &BTreeSet::new()),
    )
    .await
    .unwrap();
    assert_eq!(got.len(), 1);
    let mut read = turn(0);
    read.messages = vec![sent.id];
    intake::commit_turn(&it.build_part(), &new, read)
        .await
        .unwrap();
    let none = intake::read_messages(
        &it.deployment.store,
        &it.deployment.clock,
        &new,
        (Duration::ZERO, &BTreeSet::new()),
    )
    .await
    .unwrap();
    assert!(none.is_empty());
}

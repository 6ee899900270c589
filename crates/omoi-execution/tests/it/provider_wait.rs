//! Attempts that their provider turns away: saved, and taken up again when it answers.

use std::time::Duration;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject, TurnKind};
use omoi_domain::event::{Event, EventKind, SavedAttempt};
use omoi_domain::outage::{CallWait, OutageStep};
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::SandboxState;
use omoi_domain::task::TaskStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::FromParts as _;
use omoi_execution::attempt::{NewAttempt, insert_attempt};
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::intake::{AttemptIntake, IntakeError, commit_turn};
use omoi_execution::metering::CallLedger;
use omoi_execution::outage::step_of;
use omoi_execution::reaper::Reaper;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::{CallMeter as _, ModelCaller};
use omoi_protocol::worker::{CommitTurn, SessionPart, TurnRecord};
use omoi_runtime::clock::Clock as _;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{events, sandboxes};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, tick_once};

use crate::metering::successor;
use crate::open_attempt::{caller_of, open_attempt};

omoi_testkit::on_both_databases!(
    a_saved_attempt_goes_on_at_its_time,
    a_kill_between_save_and_end_loses_and_repeats_nothing,
);

const FIVE_HOURS: Duration = Duration::from_hours(5);

/// The last failure of a question that a provider turns away until `reset_at`.
pub(crate) fn turned_away(it: &TestDeployment, reset_at: Option<Timestamp>) -> FailedTry {
    FailedTry {
        provider: "api.example".to_owned(),
        model: "m".to_owned(),
        status: Some(429),
        words: "the window is used up".to_owned(),
        n_calls: 1,
        calls_max: 24,
        next_at: None,
        until: it.clock.now(),
        reset_at,
        wait: CallWait::Saved,
    }
}

/// Whether work that waits for `named` goes on then, or within the minute over which all such are spread.
fn is_soon_after(wakes_at: Timestamp, named: Timestamp) -> bool {
    wakes_at >= named && wakes_at <= named + Duration::from_mins(1)
}

/// Has `attempt` saved, as the gateway does.
pub(crate) async fn save(it: &TestDeployment, attempt: &Attempt, failed: &FailedTry) -> bool {
    let caller = caller_of(it, attempt).await;
    let ledger: CallLedger = it.build_part();
    ledger.save_attempt(&caller, failed).await
}

async fn saved_events(it: &TestDeployment) -> Vec<SavedAttempt> {
    let kind = EventKind::AttemptSaved;
    let told = events::of_kind(&mut it.read_tx().await, it.spec.id, kind).await;
    let told = told
        .unwrap()
        .into_iter()
        .filter_map(|stored| match stored.event {
            Event::AttemptSaved(saved) => Some(saved),
            _ => None,
        });
    told.collect()
}

/// A turn with the session of its program.
fn first_turn() -> CommitTurn {
    CommitTurn {
        turn: TurnRecord {
            n: 0,
            kind: TurnKind::Answer,
            request_digest: "digest".to_owned(),
            request_tokens: None,
            response: serde_json::json!([]),
            tool_results: serde_json::json!([]),
            session: Some(SessionPart {
                session_id: "its session".to_owned(),
                offset: 0,
                end: 3,
                added: "{}\n".to_owned(),
            }),
        },
        snapshot: None,
        messages: Vec::new(),
    }
}

/// A question may be turned away before the turn that it goes on from is kept.
#[tokio::test]
async fn an_attempt_is_saved_with_the_turn_that_is_on_its_way() {
    let it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let caller = ModelCaller {
        n_turns: Some(1),
        ..caller_of(&it, &attempt).await
    };
    let ledger: CallLedger = it.build_part();
    let failed = turned_away(&it, None);
    let keeping = async {
        it.clock.wait_for_sleepers(1).await;
        assert!(it.attempt_now(&attempt).await.state.is_live());
        let kept = commit_turn(&it.build_part(), &attempt, first_turn()).await;
        kept.expect("the turn is taken while its attempt is to be saved");
        it.advance_clock(1);
    };
    let (is_saved, ()) = tokio::join!(ledger.save_attempt(&caller, &failed), keeping);
    assert!(is_saved);
    let saved = it.attempt_now(&attempt).await;
    assert_eq!(saved.state, AttemptState::Interrupted);
    let turns = attempts::n_turns(&mut it.read_tx().await, attempt.id).await;
    assert_eq!(turns.unwrap(), 1);
}

async fn a_saved_attempt_goes_on_at_its_time(database: TestDatabase) {
    let (it, task, attempt) = open_attempt(database).await;
    commit_turn(&it.build_part(), &attempt, first_turn())
        .await
        .unwrap();
    let reset_at = it.clock.now() + FIVE_HOURS;
    let failed = turned_away(&it, Some(reset_at));
    assert!(save(&it, &attempt, &failed).await);

    let ended = it.attempt_now(&attempt).await;
    let end = (ended.state, ended.stop_reason, ended.error_class);
    let expected = (
        AttemptState::Interrupted,
        Some(AttemptStopReason::ProviderWait),
        Some(ErrorClass::RateLimited),
    );
    assert_eq!((end, ended.wakes_at), (expected, Some(reset_at)));
    let now = it.task_now(task.id).await;
    assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 0));
    let wakes_at = now.not_before;
    assert!(is_soon_after(wakes_at, reset_at), "{wakes_at:?}");
    assert_eq!(it.slots_in_use().await, 0, "its slot is free");
    let told = saved_events(&it).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].wakes_at, wakes_at);
    let at = wakes_at.date_and_time();
    assert_eq!(
        told[0].one_line(),
        format!(
            "api.example answered 429: the window is used up; the work is saved and goes on at {at}"
        )
    );
    // Another call of it is turned away at the same time: it is over, and told once.
    assert!(save(&it, &attempt, &failed).await);
    assert_eq!(saved_events(&it).await.len(), 1);

    // Whichever process looks, and however often: nothing before its time, then the next attempt.
    for (pause, n_attempts) in [(0, 1), (FIVE_HOURS.as_secs() - 1, 1), (61, 2)] {
        it.advance_clock(pause);
        let mut dispatcher = Dispatcher::from_parts(&it.deployment);
        tick_once(&mut dispatcher, it.clock.now()).await;
        let all = attempts::of_task(&mut it.read_tx().await, task.id).await;
        assert_eq!(all.unwrap().len(), n_attempts, "{pause}");
    }
    let next = attempts::newest_of_task(&mut it.read_tx().await, task.id).await;
    let next = next.unwrap().unwrap();
    assert_eq!(next.agent_session.as_deref(), Some("its session"));
    let turns = attempts::turns(&mut it.read_tx().await, next.id).await;
    assert_eq!(turns.unwrap().len(), 1, "it goes on from its turn");
}

#[tokio::test]
async fn a_saved_phase_waits_for_the_same_time() {
    let it = TestDeployment::new().await;
    let subject = AttemptSubject::SpecPhase { phase: Phase::Prd };
    let attempt = it
        .commit(async |tx| {
            let new = NewAttempt {
                agent: Some(AgentProgram::Native),
                ..it.new_attempt(subject, AgentRole::Planner)
            };
            Ok(insert_attempt(tx, &it.build_part(), new).await?.attempt)
        })
        .await
        .unwrap();
    let reset_at = it.clock.now() + FIVE_HOURS;
    assert!(save(&it, &attempt, &turned_away(&it, Some(reset_at))).await);
    let ended = it.attempt_now(&attempt).await;
    let class = ended.error_class.unwrap();
    let step = step_of(&it.deployment.store, &it.build_part(), &ended, class).await;
    let OutageStep::TryAgain { at, until } = step.unwrap() else {
        panic!("it goes on");
    };
    assert!(is_soon_after(at, reset_at), "{at:?}");
    assert_eq!(until, at + it.deployment.outage_wait);
    // What was told is what is done, however late the planner looks.
    let told = saved_events(&it).await;
    let wakes = told.iter().map(|saved| saved.wakes_at);
    assert_eq!(wakes.collect::<Vec<_>>(), [at]);
}

#[tokio::test]
async fn a_provider_that_names_no_time_is_asked_again_in_minutes_and_given_up_after_a_day() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    it.advance_clock(600);
    assert!(save(&it, &attempt, &turned_away(&it, None)).await);
    let now = it.task_now(task.id).await;
    assert_eq!(now.status, TaskStatus::Pending);
    let two_minutes = it.clock.now() + Duration::from_mins(2);
    assert!(is_soon_after(now.not_before, two_minutes), "{now:?}");
    assert_eq!(saved_events(&it).await.len(), 1);
    // The time of the outage is over, or the reset is later than any window: a person is asked.
    let too_late = it.clock.now() + Duration::from_hours(10 * 24);
    for (pause, reset_at) in [(24 * 3_600, None), (0, Some(too_late))] {
        it.advance_clock(pause);
        let other = it.add_task(2 + pause as i64, &[]).await;
        let attempt = match reset_at {
            None => it.run_task(task.id).await.attempt,
            Some(_) => it.run_task(other.id).await.attempt,
        };
        let failed = turned_away(&it, reset_at);
        assert!(save(&it, &attempt, &failed).await);
        let id = attempt.subject.task_id().unwrap();
        assert_eq!(it.task_now(id).await.status, TaskStatus::Blocked);
        assert_eq!(saved_events(&it).await.len(), 1, "no time is told");
    }
}

/// The process is killed when it has saved an attempt, before it has ended its sandbox.
async fn a_kill_between_save_and_end_loses_and_repeats_nothing(database: TestDatabase) {
    let (it, task, attempt) = open_attempt(database).await;
    commit_turn(&it.build_part(), &attempt, first_turn())
        .await
        .unwrap();
    let reset_at = it.clock.now() + FIVE_HOURS;
    assert!(save(&it, &attempt, &turned_away(&it, Some(reset_at))).await);

    let next_process = successor(&it);
    let sandbox = async || sandboxes::of_attempt(&mut it.read_tx().await, attempt.id).await;
    assert!(sandbox().await.unwrap().state.is_live());
    // Its worker lives on and reports what it did meanwhile.
    let seen = it.attempt_now(&attempt).await;
    let mut late = first_turn();
    late.turn.n = 1;
    let intake = AttemptIntake::from_parts(&next_process);
    let refused = commit_turn(&intake, &seen, late).await.unwrap_err();
    assert!(matches!(refused, IntakeError::Superseded), "{refused}");
    for _ in 0..2 {
        let mut reaper = Reaper::from_parts(&next_process);
        tick_once(&mut reaper, it.clock.now()).await;
        assert_eq!(sandbox().await.unwrap().state, SandboxState::Terminated);
        let now = it.task_now(task.id).await;
        assert_eq!((now.status, now.retry_count), (TaskStatus::Pending, 0));
    }
    it.advance_clock(FIVE_HOURS.as_secs() + 60);
    for _ in 0..2 {
        let mut dispatcher = Dispatcher::from_parts(&next_process);
        tick_once(&mut dispatcher, it.clock.now()).await;
        let mut tx = it.read_tx().await;
        let all = attempts::of_task(&mut tx, task.id).await.unwrap();
        let numbers: Vec<_> = all.iter().map(|attempt| attempt.attempt_no).collect();
        assert_eq!(numbers, [1, 2], "it goes on once");
        let turns = attempts::turns(&mut tx, all[1].id).await.unwrap();
        assert_eq!(turns.len(), 1, "from its turn");
    }
    assert_eq!(saved_events(&it).await.len(), 1);
}

//! What agents ask people: the attempt is saved and off its slot, and goes on with the answer.

use omoi_domain::actor::Actor;
use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason, TurnKind};
use omoi_domain::block::TaskBlock;
use omoi_domain::id::{TaskId, UserId};
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::commands::{self, TicketCommandError};
use omoi_execution::deployment::DeploymentParts;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::intake::{AttemptIntake, IntakeError, commit_turn, complete_attempt};
use omoi_execution::reaper::Reaper;
use omoi_execution::tasks::{cancel, retry_by_person};
use omoi_protocol::worker::{
    AskPerson, CommitTurn, QUESTION_BYTES_MAX, ReportComplete, TurnRecord,
};
use omoi_runtime::clock::Clock as _;
use omoi_store::approvals::{self, Approval};
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks::{self, Task};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, ended_report, tick_once};

use crate::metering::successor;
use crate::open_attempt::open_attempt;

omoi_testkit::on_both_databases!(
    a_question_rests_until_it_is_answered,
    a_kill_between_question_and_answer_loses_nothing,
    a_question_that_nobody_has_to_answer_is_withdrawn,
);

/// The turn with which an agent asks.
fn asking_turn() -> CommitTurn {
    let call = serde_json::json!({
        "type": "tool_use", "id": "t1", "name": "ask_person", "input": { "question": "Which port?" },
    });
    let told =
        serde_json::json!({ "type": "tool_result", "tool_use_id": "t1", "content": "asked." });
    CommitTurn {
        turn: TurnRecord {
            n: 0,
            kind: TurnKind::Answer,
            request_digest: "digest".to_owned(),
            request_tokens: None,
            response: serde_json::json!([call]),
            tool_results: serde_json::json!([told]),
            session: None,
        },
        snapshot: None,
        messages: Vec::new(),
    }
}

fn asked_report(question: &str) -> ReportComplete {
    ReportComplete {
        question: Some(AskPerson {
            question: question.to_owned(),
            choices: vec!["4317".to_owned(), "8080".to_owned()],
        }),
        ..ended_report(
            AttemptOutcome::Interrupted,
            AttemptStopReason::QuestionAsked,
        )
    }
}

/// Has the agent of `attempt` ask, and gives the question.
async fn ask(it: &TestDeployment, task: &Task, attempt: &Attempt) -> Approval {
    let intake: AttemptIntake = it.build_part();
    commit_turn(&intake, attempt, asking_turn()).await.unwrap();
    // Told again, as its worker does where it did not hear the answer.
    for _ in 0..2 {
        complete_attempt(&intake, attempt, asked_report("Which port?"))
            .await
            .unwrap();
    }
    let asked = approvals::of_task(&mut it.read_tx().await, task.id).await;
    let [asked] = asked.unwrap().try_into().unwrap();
    asked
}

async fn answer(it: &DeploymentParts, asked: &Approval) -> Result<Approval, TicketCommandError> {
    let person = it.store.clone().acting_as(Actor::User(UserId::LOCAL));
    commands::answer_approval(&person, asked.id, ApprovalDecision::Answer, Some("4317")).await
}

/// The numbers of the attempts at a task, and what answers the last turn of the newest.
async fn attempts_with_words(it: &TestDeployment, task: TaskId) -> (Vec<u32>, Vec<String>) {
    let mut tx = it.read_tx().await;
    let all = attempts::of_task(&mut tx, task).await.unwrap();
    let newest = all.last().unwrap().id;
    let turns = attempts::turns(&mut tx, newest).await.unwrap();
    let results = turns.last().unwrap().tool_results.0.as_array().cloned();
    let texts = results.unwrap().into_iter();
    let texts = texts.filter_map(|block| Some(block["text"].as_str()?.to_owned()));
    let numbers = all.iter().map(|attempt| attempt.attempt_no).collect();
    (numbers, texts.collect())
}

async fn a_question_rests_until_it_is_answered(database: TestDatabase) {
    let (it, task, attempt) = open_attempt(database).await;
    let waiting = it.add_task(2, &[task.id]).await;
    let asked = ask(&it, &task, &attempt).await;
    assert_eq!(
        (asked.kind, asked.state, asked.ticket_id),
        (
            ApprovalKind::Question,
            ApprovalState::Pending,
            Some(task.ticket_id)
        )
    );
    assert_eq!(asked.question.as_deref(), Some("Which port?"));
    assert_eq!(asked.choices.0, ["4317", "8080"]);
    let ended = it.attempt_now(&attempt).await;
    assert_eq!(ended.state, AttemptState::Interrupted);
    let now = it.task_now(task.id).await;
    assert_eq!(
        (now.status, now.blocked_by),
        (TaskStatus::Blocked, Some(TaskBlock::Question))
    );
    assert_eq!((now.retry_count, now.round), (0, 0), "nothing is counted");
    assert_eq!(it.slots_in_use().await, 0, "its slot is free");
    let waits = it.task_now(waiting.id).await.status;
    assert_eq!(waits, TaskStatus::Pending, "what waits for it waits on");
    for decision in [ApprovalDecision::Approve, ApprovalDecision::Reject] {
        let person = &it.deployment.store;
        let refused = commands::answer_approval(person, asked.id, decision, Some("no")).await;
        let Err(TicketCommandError::Approval(ApprovalRefusal::OtherDecision { .. })) = refused
        else {
            panic!("{refused:?}")
        };
    }
    let bare = commands::answer_approval(
        &it.deployment.store,
        asked.id,
        ApprovalDecision::Answer,
        Some("  "),
    )
    .await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::NoAnswer)) = bare else {
        panic!("{bare:?}")
    };
    let answered = answer(&it.deployment, &asked).await.unwrap();
    assert_eq!(answered.state, ApprovalState::Answered);
    assert!(
        answer(&it.deployment, &asked).await.is_err(),
        "it is heard once"
    );
    assert_eq!(it.task_now(task.id).await.status, TaskStatus::Pending);
    for _ in 0..2 {
        let mut dispatcher = Dispatcher::from_parts(&it.deployment);
        tick_once(&mut dispatcher, it.clock.now()).await;
        let (numbers, words) = attempts_with_words(&it, task.id).await;
        assert_eq!(numbers, [1, 2], "it goes on once");
        assert_eq!(words, ["Message from user (user_message):\n4317"]);
    }
}

/// The process is killed when the question is asked, before anybody has answered.
async fn a_kill_between_question_and_answer_loses_nothing(database: TestDatabase) {
    let (it, task, attempt) = open_attempt(database).await;
    let asked = ask(&it, &task, &attempt).await;
    let next_process = successor(&it);
    for _ in 0..2 {
        let mut reaper = Reaper::from_parts(&next_process);
        tick_once(&mut reaper, it.clock.now()).await;
        let mut dispatcher = Dispatcher::from_parts(&next_process);
        tick_once(&mut dispatcher, it.clock.now()).await;
    }
    let now = it.task_now(task.id).await;
    assert_eq!(now.blocked_by, Some(TaskBlock::Question));
    let open = approvals::get(&mut it.read_tx().await, asked.id).await;
    assert_eq!(open.unwrap().state, ApprovalState::Pending);
    // Its worker lives on and tells its end once more, in other words.
    let intake = AttemptIntake::from_parts(&next_process);
    let late = complete_attempt(
        &intake,
        &attempt,
        ended_report(
            AttemptOutcome::Interrupted,
            AttemptStopReason::ShutdownSignal,
        ),
    )
    .await
    .unwrap_err();
    assert!(matches!(late, IntakeError::Superseded), "{late}");
    answer(&next_process, &asked).await.unwrap();
    // And once more before the answer is heard.
    let last_process = successor(&it);
    for _ in 0..2 {
        let mut dispatcher = Dispatcher::from_parts(&last_process);
        tick_once(&mut dispatcher, it.clock.now()).await;
    }
    let (numbers, words) = attempts_with_words(&it, task.id).await;
    assert_eq!((numbers, words.len()), (vec![1, 2], 1));
}

async fn a_question_that_nobody_has_to_answer_is_withdrawn(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    it.leaves_open_attempts();
    for number in 1..=2 {
        let task = it.add_task(number, &[]).await;
        let attempt = it.run_task(task.id).await.attempt;
        let asked = ask(&it, &task, &attempt).await;
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            match number {
                1 => cancel(tx, &mut task, "not wanted").await,
                _ => retry_by_person(tx, &mut task).await,
            }
        })
        .await
        .unwrap();
        let left = approvals::get(&mut it.read_tx().await, asked.id).await;
        assert_eq!(left.unwrap().state, ApprovalState::Withdrawn, "{number}");
        let late = answer(&it.deployment, &asked).await;
        let Err(TicketCommandError::Approval(ApprovalRefusal::Closed(_))) = late else {
            panic!("{late:?}")
        };
    }
}

#[tokio::test]
async fn what_is_no_question_ends_no_attempt() {
    let it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let intake: AttemptIntake = it.build_part();
    let bare = ended_report(
        AttemptOutcome::Interrupted,
        AttemptStopReason::QuestionAsked,
    );
    let unasked = ReportComplete {
        stop_reason: AttemptStopReason::ShutdownSignal,
        ..asked_report("Which port?")
    };
    for body in [
        bare,
        unasked,
        asked_report(" "),
        asked_report(&"?".repeat(QUESTION_BYTES_MAX + 1)),
    ] {
        let refused = complete_attempt(&intake, &attempt, body).await;
        assert!(
            matches!(refused, Err(IntakeError::Refused(_))),
            "{refused:?}"
        );
    }
    assert_eq!(it.task_now(task.id).await.status, TaskStatus::Running);
    let asked = approvals::of_task(&mut it.read_tx().await, task.id).await;
    assert_eq!(asked.unwrap(), []);
}

//! Results of tasks and tickets, and what follows when they are judged.

use omoi_domain::actor::Actor;
use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::id::UserId;
use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::lifecycle::work_result::ResultJudgement;
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_domain::work_result::{
    OnResultFound, ResultRefusal, ResultScope, ResultType, VerificationStatus, WorkflowResultStatus,
};
use omoi_execution::commands::{
    judge_task_result, judge_workflow_result, set_result_criteria, submit_task_result,
    submit_workflow_result,
};
use omoi_execution::intake::{IntakeError, complete_attempt};
use omoi_execution::results::{ResultCommandError, report_result};
use omoi_execution::tasks::send_back;
use omoi_protocol::worker::{ReportResult, ResultAck};
use omoi_store::attempts::Attempt;
use omoi_store::task_results::NewTaskResult;
use omoi_store::{StoreError, Tenant, task_results, tasks};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, ended_report};

omoi_testkit::on_both_databases!(
    the_checks_of_a_task_judge_what_its_agent_says,
    a_validated_result_stops_its_ticket,
    a_result_is_judged_once_by_the_criteria_of_its_ticket,
);

fn about_task(markdown: &str) -> ReportResult {
    ReportResult {
        scope: ResultScope::Task,
        result_type: Some(ResultType::Analysis),
        summary: "Where dates are parsed".to_owned(),
        markdown: markdown.to_owned(),
    }
}

fn agent_rows(it: &TestDeployment, attempt: &Attempt) -> Tenant {
    it.deployment.store.acting_as(Actor::Agent(attempt.id))
}

fn person_rows(it: &TestDeployment) -> Tenant {
    it.deployment.store.acting_as(Actor::User(UserId::LOCAL))
}

fn said(passed: bool, feedback: &str, unmet: &[&str]) -> ResultJudgement {
    ResultJudgement {
        passed,
        feedback: feedback.to_owned(),
        unmet: unmet.iter().map(|text| (*text).to_owned()).collect(),
    }
}

async fn the_checks_of_a_task_judge_what_its_agent_says(database: TestDatabase) {
    use VerificationStatus::{Disputed, Unverified, Verified};
    let it = TestDeployment::on_database(database, |_| {}).await;
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    it.leaves_open_attempts();
    let rows = agent_rows(&it, &attempt);
    let first = report_result(&rows, &attempt, about_task("# Dates"))
        .await
        .unwrap();
    let again = report_result(&rows, &attempt, about_task("# Dates"))
        .await
        .unwrap();
    assert_eq!(first, again, "the worker lost the answer");
    let of_person = NewTaskResult {
        result_type: ResultType::Test,
        summary: "Tried".to_owned(),
        content: "It works here.".to_owned(),
    };
    let person = person_rows(&it);
    let of_person = submit_task_result(&person, task.id, of_person)
        .await
        .unwrap();
    for bad in [about_task(" "), about_task(&"x".repeat((100 << 10) + 1))] {
        let refused = report_result(&rows, &attempt, bad).await;
        assert!(
            matches!(refused, Err(IntakeError::Refused(_))),
            "{refused:?}"
        );
    }
    let statuses = async || {
        let mut tx = it.read_tx().await;
        let mut found = Vec::new();
        let ResultAck::Task { result_id, .. } = first else {
            panic!("{first:?}")
        };
        for id in [result_id, of_person.id] {
            found.push(task_results::get(&mut tx, id).await.unwrap().status);
        }
        found
    };
    assert_eq!(statuses().await, [Unverified, Unverified]);
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        send_back(tx, &mut task, unmet()).await
    })
    .await
    .unwrap();
    assert_eq!(
        statuses().await,
        [Disputed, Unverified],
        "people judge what people say"
    );
    let late = report_result(&rows, &attempt, about_task("late")).await;
    assert!(matches!(late, Err(IntakeError::Superseded)), "{late:?}");
    let judged = judge_task_result(&person, (of_person.id, None), &said(true, "", &[])).await;
    assert_eq!(judged.unwrap().status, Verified);
    let twice = judge_task_result(&person, (of_person.id, None), &said(false, "no", &[])).await;
    assert!(
        matches!(
            twice,
            Err(ResultCommandError::Refused(ResultRefusal::AlreadyJudged))
        ),
        "{twice:?}"
    );
}

/// Why a task is sent back.
fn unmet() -> UnmetResult {
    UnmetResult {
        code: UnmetCode::ChecksFailed,
        feedback: "red".to_owned(),
        recommendations: Vec::new(),
    }
}

async fn a_validated_result_stops_its_ticket(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let running = it.add_task(1, &[]).await;
    let waiting = it.add_task(2, &[running.id]).await;
    let attempt = it.run_task(running.id).await.attempt;
    it.leaves_open_attempts();
    let (rows, person) = (agent_rows(&it, &attempt), person_rows(&it));
    let report = ReportResult {
        scope: ResultScope::Workflow,
        ..about_task("# Done")
    };
    let refused = report_result(&rows, &attempt, report.clone()).await;
    assert!(
        matches!(&refused, Err(IntakeError::Refused(says)) if says.contains("no criteria")),
        "{refused:?}"
    );
    let criteria = ["fast".to_owned()];
    let ticket = running.ticket_id;
    set_result_criteria(&person, ticket, &criteria, OnResultFound::StopAll)
        .await
        .unwrap();
    let ResultAck::Workflow { result_id, .. } =
        report_result(&rows, &attempt, report).await.unwrap()
    else {
        panic!()
    };
    let rejected = submit_workflow_result(&person, ticket, ("One".to_owned(), "two".to_owned()));
    let rejected = rejected.await.unwrap().id;
    let verdict = said(false, "slow", &["fast"]);
    let judged = judge_workflow_result(&person, (rejected, None), &verdict);
    assert_eq!(judged.await.unwrap().status, WorkflowResultStatus::Rejected);
    assert_eq!(it.task_now(waiting.id).await.status, TaskStatus::Pending);
    let judged = judge_workflow_result(&person, (result_id, None), &said(true, "", &[])).await;
    assert_eq!(judged.unwrap().status, WorkflowResultStatus::Validated);
    for task in [running.id, waiting.id] {
        assert_eq!(it.task_now(task).await.status, TaskStatus::Cancelled);
    }
    // The agent is told so at its next report.
    let end = ended_report(
        AttemptOutcome::Succeeded,
        AttemptStopReason::CompletionSignal,
    );
    let late = complete_attempt(&it.build_part(), &attempt, end).await;
    assert!(matches!(late, Err(IntakeError::Superseded)), "{late:?}");
    let more = submit_workflow_result(&person, ticket, ("One".to_owned(), "more".to_owned())).await;
    assert!(
        matches!(
            more,
            Err(ResultCommandError::Refused(ResultRefusal::AlreadyValidated))
        ),
        "{more:?}"
    );
}

async fn a_result_is_judged_once_by_the_criteria_of_its_ticket(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let task = it.add_task(1, &[]).await;
    let (person, ticket) = (person_rows(&it), task.ticket_id);
    let set = async |criteria: &[&str]| {
        let criteria: Vec<String> = criteria.iter().map(|text| (*text).to_owned()).collect();
        set_result_criteria(&person, ticket, &criteria, OnResultFound::DoNothing).await
    };
    set(&["fast"]).await.unwrap();
    let none = set(&[]).await;
    assert!(
        matches!(
            none,
            Err(ResultCommandError::Refused(ResultRefusal::Criteria))
        ),
        "{none:?}"
    );
    let submit = async |text: &str| {
        submit_workflow_result(&person, ticket, ("One".to_owned(), text.to_owned())).await
    };
    let one = submit("a").await.unwrap();
    assert_eq!(submit("a").await.unwrap().id, one.id, "the same words");
    // What is asked later does not change what was submitted before.
    set(&["small"]).await.unwrap();
    let two = submit("b").await.unwrap();
    let judge = async |id, judgement: ResultJudgement| {
        judge_workflow_result(&person, (id, None), &judgement).await
    };
    let unknown = judge(one.id, said(false, "no", &["small"])).await;
    assert!(
        matches!(
            unknown,
            Err(ResultCommandError::Refused(ResultRefusal::UnknownCriterion))
        ),
        "{unknown:?}"
    );
    judge(one.id, said(true, "good", &[])).await.unwrap();
    assert_eq!(
        it.task_now(task.id).await.status,
        TaskStatus::Pending,
        "nothing follows"
    );
    let second = judge(two.id, said(true, "", &[])).await;
    assert!(
        matches!(
            second,
            Err(ResultCommandError::Refused(ResultRefusal::AlreadyValidated))
        ),
        "{second:?}"
    );
    judge(two.id, said(false, "there is one", &[]))
        .await
        .unwrap();
    let other = Some(it.spec.id.as_uuid().into());
    let foreign = judge_workflow_result(&person, (two.id, other), &said(true, "", &[])).await;
    assert!(
        matches!(
            foreign,
            Err(ResultCommandError::Store(StoreError::NotFound { .. }))
        ),
        "{foreign:?}"
    );
}

//! Budgets hold over attempts, phases and resumes.

use std::time::Duration;

use omoi_domain::attempt::{AttemptState, Subject};
use omoi_domain::event::{Event, EventKind};
use omoi_domain::money::NanoUsd;
use omoi_execution::attempt::{NewAttempt, insert, role};
use omoi_execution::metering::{Ledger, caller};
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::{Caller, Meter as _, Outcome, Projection, ReserveError, ReservedCall, Usage};
use omoi_llm::pricing::Tokens;
use omoi_llm::route::RouteName;
use omoi_runtime::clock::Clock as _;
use omoi_store::attempts::{self, Attempt};
use omoi_store::events;
use omoi_testkit::database::TestDatabase;

use crate::support::TestPlatform;

const fn usd(dollars: i64) -> NanoUsd {
    NanoUsd::from_dollars(dollars)
}

fn projection(cost: NanoUsd) -> Projection {
    Projection {
        route: RouteName::Agent,
        model: "simulated".to_owned(),
        tokens: Tokens::default(),
        cost,
    }
}

fn usage(cost: NanoUsd) -> Usage {
    Usage {
        route: RouteName::Agent,
        model: "simulated".to_owned(),
        tokens: Tokens {
            input: 10,
            output: 5,
            ..Tokens::default()
        },
        cost,
        latency_ms: 3,
        calls: 1,
        simulated: true,
        outcome: Outcome::Complete,
    }
}

/// A new attempt at a phase; an earlier one is ended.
async fn phase(it: &TestPlatform, phase: &str) -> Attempt {
    let subject_id = format!("{}/{phase}", it.spec.id);
    it.commit(async |tx| {
        if let Some(mut live) = attempts::live(tx, Subject::SpecPhase, &subject_id).await? {
            attempts::transition(tx, &mut live, AttemptState::Failed).await?;
        }
        let new = NewAttempt {
            project_id: it.spec.project_id,
            spec_id: it.spec.id,
            subject: Subject::SpecPhase,
            subject_id,
            round: 0,
            role: role::PLANNER,
            fence: 1,
            base_sha: None,
        };
        Ok(insert(tx, &it.platform, new).await?.attempt)
    })
    .await
    .unwrap()
}

/// Calls of 4 USD that the ledger lets through; and what it says to the first it does not.
async fn spend(it: &TestPlatform, ledger: &Ledger, attempt: &Attempt) -> (u32, String) {
    let caller = caller(&mut it.read().await, attempt).await.unwrap();
    for n in 0..100 {
        match ledger.reserve(&caller, &projection(usd(4))).await {
            Ok(held) => {
                held.record(&usage(usd(4))).await.unwrap();
            }
            Err(ReserveError::Refused { reason }) => return (n, reason),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("no budget holds");
}

#[tokio::test]
async fn a_phase_stops_within_its_cap_over_all_its_attempts() {
    let it = TestPlatform::new().await;
    let ledger = Ledger::new(it.platform.clone());
    let first = phase(&it, "prd").await;
    let (calls, said) = spend(&it, &ledger, &first).await;
    assert_eq!(calls, 2);
    assert!(
        said.contains("phase") && said.contains("10.00 USD"),
        "{said}"
    );
    // A second attempt has no money of its own.
    let second = phase(&it, "prd").await;
    assert_eq!(spend(&it, &ledger, &second).await.0, 0);
    let caller = caller(&mut it.read().await, &second).await.unwrap();
    assert_eq!(
        (caller.phase.as_str(), caller.role.as_str()),
        ("prd", "planner")
    );
    let _held = ledger.reserve(&caller, &projection(usd(2))).await.unwrap();
}

#[tokio::test]
async fn a_spec_stops_within_its_cap_over_phases_and_tasks() {
    let it = TestPlatform::new().await;
    let ledger = Ledger::new(it.platform.clone());
    let mut calls = 0;
    for name in ["explore", "prd", "requirements", "design", "tasks"] {
        let attempt = phase(&it, name).await;
        calls += spend(&it, &ledger, &attempt).await.0;
    }
    assert_eq!(calls, 10, "40 USD");
    let task = it.task(1, &[]).await;
    let attempt = it.run(task.id).await.attempt;
    let (more, said) = spend(&it, &ledger, &attempt).await;
    assert_eq!(more, 2, "48 of 50 USD");
    assert!(
        said.contains("spec") && said.contains("50.00 USD"),
        "{said}"
    );
    // Taken up again by a new process.
    let resumed = Ledger::new(it.platform.clone());
    let attempt = phase(&it, "design").await;
    let (more, said) = spend(&it, &resumed, &attempt).await;
    assert_eq!(more, 0, "{said}");
    let spent = omoi_store::costs::of_spec(&mut it.read().await, it.spec.id)
        .await
        .unwrap();
    assert_eq!(spent.cost_nanousd, usd(48));
}

/// Tries to open a call of 4 USD for each of `callers` at once; what was granted.
async fn open(ledger: &Ledger, callers: &[Caller]) -> Vec<Box<dyn ReservedCall>> {
    let four = projection(usd(4));
    let asked = callers.iter().map(|caller| ledger.reserve(caller, &four));
    let answers = futures::future::join_all(asked).await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    for error in refused {
        assert!(error.to_string().contains("calls under way"), "{error}");
    }
    answers.into_iter().filter_map(Result::ok).collect()
}

async fn side_by_side(database: TestDatabase) {
    let it = TestPlatform::on(database, |parts| {
        parts.settings.spec_budget = usd(14);
        parts.settings.task_budget = usd(9);
    })
    .await;
    let ledger = Ledger::new(it.platform.clone());
    let mut callers = Vec::new();
    for number in 1..=6 {
        let task = it.task(number, &[]).await;
        let attempt = it.run(task.id).await.attempt;
        callers.push(caller(&mut it.read().await, &attempt).await.unwrap());
    }
    let mut held = open(&ledger, &callers).await;
    assert_eq!(held.len(), 3, "12 of 14 USD");
    assert!(open(&ledger, &callers).await.is_empty());
    // What was not asked after all is free again.
    held.pop();
    let mut more = open(&ledger, &callers).await;
    assert_eq!(more.len(), 1);
    // The real cost takes the place of the projected one.
    for held in held {
        held.record(&usage(usd(1))).await.unwrap();
    }
    more.extend(open(&ledger, &callers).await);
    assert_eq!(more.len(), 3, "2 spent, 12 open");
    drop(more);
    // A subject has a cap of its own.
    let one = vec![callers[5].clone(); 3];
    assert_eq!(open(&ledger, &one).await.len(), 2, "8 of 9 USD");
}

#[tokio::test]
async fn calls_side_by_side_keep_to_a_cap_on_sqlite() {
    side_by_side(omoi_testkit::sqlite::database()).await;
}

#[tokio::test]
async fn calls_side_by_side_keep_to_a_cap_on_postgres() {
    side_by_side(omoi_testkit::postgres::database()).await;
}

#[tokio::test]
async fn a_failed_call_is_told_with_whose_it_is() {
    let it = TestPlatform::new().await;
    let ledger = Ledger::new(it.platform.clone());
    let task = it.task(1, &[]).await;
    let attempt = it.run(task.id).await.attempt;
    let caller = caller(&mut it.read().await, &attempt).await.unwrap();
    let at = it.clock.now();
    let failed = FailedTry {
        provider: "api.example".to_owned(),
        model: "m".to_owned(),
        status: Some(529),
        words: "Overloaded".to_owned(),
        n_calls: 1,
        calls_max: 12,
        next_at: Some(at + Duration::from_secs(1)),
        until: at + Duration::from_mins(2),
    };
    ledger.tell_failure(&caller, &failed).await;
    let mut tx = it.read().await;
    let kind = EventKind::ModelCallFailed;
    let told = events::of_kind(&mut tx, it.spec.id, kind).await.unwrap();
    let [Event::ModelCallFailed(told)] = told.iter().map(|e| &e.event).collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(
        (told.attempt_id, told.subject_id.as_str()),
        (attempt.id, task.id.to_string().as_str())
    );
    let (next, until) = (at + Duration::from_secs(1), at + Duration::from_mins(2));
    let expected = format!(
        "api.example answered 529: Overloaded; try 2 of 12 at {}, until {}",
        next.time_of_day(),
        until.time_of_day()
    );
    assert_eq!(told.line(), expected);
}

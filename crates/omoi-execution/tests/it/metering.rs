//! Budgets hold over attempts, phases and resumes.

use omoi_domain::attempt::{AttemptState, Subject};
use omoi_execution::attempt::{NewAttempt, insert, role};
use omoi_execution::metering::{Ledger, caller};
use omoi_llm::meter::{Meter as _, Outcome, Projection, ReserveError, Usage};
use omoi_llm::pricing::Tokens;
use omoi_llm::route::RouteName;
use omoi_store::attempts::{self, Attempt};

use crate::support::TestPlatform;

const USD: i64 = 1_000_000;

fn projection(cost_microusd: i64) -> Projection {
    Projection {
        route: RouteName::Agent,
        model: "simulated".to_owned(),
        tokens: Tokens::default(),
        cost_microusd,
    }
}

fn usage(cost_microusd: i64) -> Usage {
    Usage {
        route: RouteName::Agent,
        model: "simulated".to_owned(),
        tokens: Tokens {
            input: 10,
            output: 5,
            ..Tokens::default()
        },
        cost_microusd,
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
        match ledger.reserve(&caller, &projection(4 * USD)).await {
            Ok(()) => ledger.record(&caller, &usage(4 * USD)).await.unwrap(),
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
    ledger.reserve(&caller, &projection(2 * USD)).await.unwrap();
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
    assert_eq!(spent.cost_microusd, 48 * USD);
}

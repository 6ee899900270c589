//! Budgets hold over attempts, phases, purposes, processes and resumes, and no call is lost.

mod call_ends;

use std::time::Duration;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{CallFailed, CostDone, Event, EventKind};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::outage::CallWait;
use omoi_domain::phase::Phase;
use omoi_domain::principal::{CallPurpose, PurposeKind};
use omoi_execution::DeploymentParts;
use omoi_execution::FromParts as _;
use omoi_execution::attempt::{NewAttempt, insert_attempt};
use omoi_execution::metering::{CallLedger, HeldCalls};
use omoi_execution::reaper::Reaper;
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::setup::SetupBook;
use omoi_execution::spec_selection::WorkScope;
use omoi_llm::failed_try::FailedTry;
use omoi_llm::meter::{
    CallMeter as _, CallOutcome, CallUsage, CostProjection, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use omoi_llm::pricing::TokenCounts;
use omoi_runtime::clock::Clock as _;
use omoi_sandbox::GuardedPlaces;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{costs, events, open_calls};
use omoi_testkit::crash_points::{count_passed, note_crash_points};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, tick_once};
use omoi_testkit::raw_connection::RawConnection;

use crate::open_attempt::caller_of;

omoi_testkit::on_both_databases!(
    calls_side_by_side_keep_to_a_cap,
    a_further_try_is_paid_from_the_budgets,
);

const fn usd(dollars: i64) -> NanoUsd {
    NanoUsd::from_dollars(dollars)
}

fn projection(cost: NanoUsd) -> CostProjection {
    CostProjection {
        route: RouteName::Agent,
        model: "simulated".to_owned(),
        simulated: true,
        tokens: TokenCounts {
            input: 100,
            output: 1_000,
            ..TokenCounts::default()
        },
        cost,
    }
}

fn usage(cost: NanoUsd) -> CallUsage {
    CallUsage {
        route: RouteName::Agent,
        model: "simulated".to_owned(),
        tokens: TokenCounts {
            input: 10,
            output: 5,
            ..TokenCounts::default()
        },
        is_estimated: false,
        cost,
        latency_ms: 3,
        calls: 1,
        simulated: true,
        outcome: CallOutcome::Complete,
        cache_miss: None,
    }
}

/// A new attempt at a phase; an earlier one is ended.
async fn phase(it: &TestDeployment, phase: Phase) -> Attempt {
    let subject = AttemptSubject::SpecPhase { phase };
    it.commit(async |tx| {
        if let Some(mut live) = attempts::live(tx, it.spec.id, subject).await? {
            attempts::transition(tx, &mut live, AttemptState::Failed).await?;
        }
        let new = NewAttempt {
            agent: Some(AgentProgram::Native),
            ..it.new_attempt(subject, AgentRole::Planner)
        };
        Ok(insert_attempt(tx, &it.build_part(), new).await?.attempt)
    })
    .await
    .unwrap()
}

/// Who calls for the attempt at a new task.
async fn worker(it: &TestDeployment, number: i64) -> ModelCaller {
    let task = it.add_task(number, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    caller_of(it, &attempt).await
}

/// Who asks for a second opinion on the plan of `caller`'s spec.
fn judge(caller: &ModelCaller) -> ModelCaller {
    let mut judge = caller.clone();
    judge.principal.purpose = CallPurpose::Judge;
    AgentRole::Judge.clone_into(&mut judge.role);
    judge
}

/// Calls of 4 USD that the ledger lets through; and what it says to the first it does not.
async fn spend(it: &TestDeployment, caller: &ModelCaller) -> (u32, String) {
    for n in 0..100 {
        match it
            .build_part::<CallLedger>()
            .reserve_call(caller, &projection(usd(4)))
            .await
        {
            Ok(call) => call.record_usage(&usage(usd(4))).await.unwrap(),
            Err(ReserveError::Refused { reason }) => return (n, reason),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("no budget holds");
}

async fn spend_on_phase(it: &TestDeployment, of: Phase) -> (u32, String) {
    let attempt = phase(it, of).await;
    let caller = caller_of(it, &attempt).await;
    spend(it, &caller).await
}

async fn spent(it: &TestDeployment) -> NanoUsd {
    let spend = costs::of_spec(&mut it.read_tx().await, it.spec.id).await;
    spend.unwrap().cost_nanousd
}

async fn open_calls_of(it: &TestDeployment) -> usize {
    open_calls::all(&mut it.read_tx().await)
        .await
        .unwrap()
        .len()
}

/// The process that acts for the data folder after this one.
pub(crate) fn successor(it: &TestDeployment) -> DeploymentParts {
    let DeploymentParts {
        store,
        clock,
        rng,
        lifecycle,
        git,
        host,
        config,
        data,
        queue,
        monitoring,
        limits,
        outage_wait,
        agent_models,
        sandbox_limits,
        read_only,
        worker,
        model,
        mask,
        setup,
        ..
    } = &it.deployment;
    DeploymentParts {
        store: store.clone(),
        clock: clock.clone(),
        rng: rng.fork(),
        lifecycle: lifecycle.clone(),
        sandbox: None,
        git: git.clone(),
        host: host.clone(),
        config: config.clone(),
        data: data.clone(),
        queue: *queue,
        monitoring: *monitoring,
        limits: *limits,
        outage_wait: *outage_wait,
        agent_models: agent_models.clone(),
        sandbox_limits: *sandbox_limits,
        read_only: read_only.clone(),
        owner: "the next process".to_owned(),
        live: it.deployment.live.clone(),
        worker: worker.clone(),
        model: model.clone(),
        llm: None,
        scope: WorkScope::Every,
        running: RunningAttempts::default(),
        calls: HeldCalls::default(),
        disk: Default::default(),
        mask: mask.clone(),
        guarded: GuardedPlaces::default(),
        egress: None,
        copies: it.deployment.copies.clone(),
        programs: it.deployment.programs.clone(),
        setup: setup.clone(),
        registries: None,
        setups: SetupBook::default(),
        render_spec_files: it.deployment.render_spec_files,
    }
}

/// What the events tell of costs.
async fn told(it: &TestDeployment) -> Vec<CostDone> {
    let log = events::after(&mut it.read_tx().await, 0).await.unwrap();
    let costs = log.into_iter().filter_map(|stored| match stored.event {
        Event::CostRecorded(done) => Some(done),
        _ => None,
    });
    costs.collect()
}

#[tokio::test]
async fn a_phase_stops_within_its_cap_over_all_its_attempts() {
    let it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let (calls, said) = spend_on_phase(&it, Phase::Prd).await;
    assert_eq!(calls, 2);
    assert!(
        said.contains("phase") && said.contains("10.00 USD"),
        "{said}"
    );
    // A second attempt has no money of its own; what is refused is not written.
    note_crash_points();
    assert_eq!(spend_on_phase(&it, Phase::Prd).await.0, 0);
    assert_eq!(count_passed(CrashPoint::CallOpened), 0);
    let third = phase(&it, Phase::Prd).await;
    let caller = caller_of(&it, &third).await;
    assert_eq!(
        (caller.phase.as_str(), caller.role.as_str()),
        ("prd", "planner")
    );
    let reserved = it
        .build_part::<CallLedger>()
        .reserve_call(&caller, &projection(usd(2)))
        .await;
    assert!(reserved.is_ok());
}

#[tokio::test]
async fn a_spec_stops_within_its_cap_over_phases_and_tasks() {
    let it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let mut calls = 0;
    for phase in Phase::ALL_WORKING.into_iter().take(5) {
        calls += spend_on_phase(&it, phase).await.0;
    }
    assert_eq!(calls, 10, "40 USD");
    let (more, said) = spend(&it, &worker(&it, 1).await).await;
    assert_eq!(more, 2, "48 of 50 USD");
    assert!(
        said.contains("spec") && said.contains("50.00 USD"),
        "{said}"
    );
    let (more, said) = spend_on_phase(&it, Phase::Design).await;
    assert_eq!(more, 0, "{said}");
    assert_eq!(spent(&it).await, usd(48));
}

/// The budgets see calls of agents and of the judge alike, open ones and recorded ones.
#[tokio::test]
async fn a_call_without_an_attempt_counts_like_any_other() {
    let it = TestDeployment::with_parts(|parts| {
        parts.limits.spec_budget = usd(19);
        parts.limits.task.budget = usd(9);
    })
    .await;
    let agent = worker(&it, 1).await;
    let judge = judge(&agent);
    let agents_call = it
        .build_part::<CallLedger>()
        .reserve_call(&agent, &projection(usd(4)))
        .await;
    let (calls, said) = spend(&it, &judge).await;
    assert_eq!(calls, 2, "8 of its 9 USD");
    assert!(said.contains("the second opinion has spent 8"), "{said}");
    let other = worker(&it, 2).await;
    let (calls, said) = spend(&it, &other).await;
    assert_eq!(calls, 1, "12 spent, 4 open of 19 USD");
    assert!(said.contains("calls under way may cost 4"), "{said}");
    agents_call
        .unwrap()
        .record_usage(&usage(usd(1)))
        .await
        .unwrap();
    let told = told(&it).await;
    let purposes: Vec<_> = told.iter().map(|c| (c.purpose, c.attempt_id)).collect();
    let of_agent = (PurposeKind::Attempt, agent.principal.purpose.attempt());
    let of_other = (PurposeKind::Attempt, other.principal.purpose.attempt());
    let of_judge = (PurposeKind::Judge, None);
    assert_eq!(purposes, [of_judge, of_judge, of_other, of_agent]);
    assert_eq!(spent(&it).await, usd(13));
}

/// Tries to open a call of 4 USD for each of `callers` at once; what was granted.
async fn open(it: &TestDeployment, callers: &[ModelCaller]) -> Vec<Box<dyn ReservedCall>> {
    // Two processes, where the database lets in more than one.
    let [one, two] = [&it.deployment, &successor(it)].map(CallLedger::from_parts);
    let four = projection(usd(4));
    let processes = [&one, &two].into_iter().cycle();
    let asked = callers.iter().zip(processes);
    let asked = asked.map(|(caller, process)| process.reserve_call(caller, &four));
    let answers = futures::future::join_all(asked).await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    for error in refused {
        assert!(error.to_string().contains("calls under way"), "{error}");
    }
    answers.into_iter().filter_map(Result::ok).collect()
}

async fn calls_side_by_side_keep_to_a_cap(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |parts| {
        parts.limits.spec_budget = usd(14);
        parts.limits.task.budget = usd(9);
    })
    .await;
    let mut callers = Vec::new();
    for number in 1..=6 {
        callers.push(worker(&it, number).await);
    }
    let held = open(&it, &callers).await;
    assert_eq!(held.len(), 3, "12 of 14 USD");
    assert!(open(&it, &callers).await.is_empty());
    // The real cost takes the place of the projected one.
    for held in held {
        held.record_usage(&usage(usd(1))).await.unwrap();
    }
    let more = open(&it, &callers).await;
    assert_eq!(more.len(), 2, "3 spent, 8 open");
    for held in more {
        held.record_usage(&usage(usd(0))).await.unwrap();
    }
    // A subject has a cap of its own.
    let one = vec![callers[5].clone(); 3];
    assert_eq!(open(&it, &one).await.len(), 2, "8 of 9 USD");
}

/// What was told of a first try that failed at `at`.
async fn a_further_try_is_paid_from_the_budgets(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |parts| {
        parts.limits.spec_budget = usd(9);
    })
    .await;
    let callers = [worker(&it, 1).await, worker(&it, 2).await];
    let [one, other] = <[_; 2]>::try_from(open(&it, &callers).await).ok().unwrap();
    // Both have 4 of 9 USD. The first try of one may have cost 1, the next one may cost 4 again.
    one.raise_cost(usd(5)).await.unwrap();
    one.raise_cost(usd(3)).await.unwrap();
    let refused = other.raise_cost(usd(5)).await.unwrap_err();
    assert!(matches!(refused, ReserveError::Refused { .. }), "{refused}");
    let open = open_calls::all(&mut it.read_tx().await).await.unwrap();
    let may_cost: NanoUsd = open.iter().map(|call| call.cost_nanousd).sum();
    assert_eq!(may_cost, usd(9));
    // What it did cost gives the rest back.
    one.record_usage(&usage(usd(2))).await.unwrap();
    other.raise_cost(usd(7)).await.unwrap();
    end_attempt(&it, &callers[1]).await;
    let over = other.raise_cost(usd(8)).await.unwrap_err();
    assert!(matches!(over, ReserveError::Superseded), "{over}");
    other.record_usage(&usage(usd(7))).await.unwrap();
    assert_eq!(spent(&it).await, usd(9));
}

/// Ends the attempt for which `caller` asks.
async fn end_attempt(it: &TestDeployment, caller: &ModelCaller) {
    let id = caller.principal.purpose.attempt().unwrap();
    it.commit(async |tx| {
        let mut attempt = attempts::get(tx, id).await?;
        attempts::transition(tx, &mut attempt, AttemptState::Lost).await
    })
    .await
    .unwrap();
}

//! Several planners on one spec, and on one ticket.

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::{PhaseState, SpecKind, SpecStatus};
use omoi_domain::ticket::WorkflowMode;
use omoi_execution::FromParts as _;
use omoi_planning::planner::Planner;
use omoi_runtime::clock::Clock as _;
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, attempts, phases, projects, specs, tasks};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::repo::TestRepo;

use crate::create::own_config;

omoi_testkit::on_both_databases!(one_of_four_proceeds, one_of_four_begins_a_ticket);

fn four_planners(it: &TestDeployment) -> Vec<Planner> {
    let planners = (0..4).map(|_| Planner::from_parts(&it.deployment));
    planners.collect()
}

/// Has all of them tick at once. The losers may say that somebody else was first, and nothing else.
async fn tick_together(it: &TestDeployment, planners: &mut [Planner]) {
    let now = it.clock.now();
    let ticks = planners
        .iter_mut()
        .map(|planner| omoi_testkit::deployment::tick_with_failures(planner, now));
    for (_, failures) in futures::future::join_all(ticks).await {
        for failure in failures {
            let first = failure.error.contains("was changed by someone else")
                || failure.error.contains("already exists")
                || failure.error.contains("busy");
            assert!(first, "{failure:?}");
        }
    }
}

async fn one_of_four_begins_a_ticket(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |parts| parts.config = own_config()).await;
    let repo = TestRepo::with_files(&[("a.py", "x = 1\n")]);
    let path = repo.path().canonicalize().unwrap();
    let written = it.commit(async |tx| {
        let project = projects::ensure(tx, "shop", &path.to_string_lossy()).await?;
        let ticket = Ticket {
            title: "Export todos".to_owned(),
            workflow_mode: Some(WorkflowMode::Quick),
            check_commands: Json(vec!["test -e export.py".to_owned()]),
            ..Ticket::in_backlog(tx, project.id, 1)
        };
        tickets::insert(tx, &ticket).await?;
        Ok(ticket)
    });
    let ticket = written.await.unwrap();
    tick_together(&it, &mut four_planners(&it)).await;
    let mut tx = it.read_tx().await;
    let begun = tickets::get(&mut tx, ticket.id).await.unwrap();
    assert_eq!(begun.blocked_detail, None);
    let written = specs::bases_of_project(&mut tx, ticket.project_id).await;
    assert_eq!(written.unwrap().len(), 1, "exactly one begins it");
    let spec = specs::get(&mut tx, begun.spec_id.unwrap()).await.unwrap();
    assert_eq!((spec.kind, spec.number), (SpecKind::Direct, 1));
    let tasks = tasks::of_ticket(&mut tx, ticket.id).await.unwrap();
    assert_eq!(tasks.len(), 1);
}

async fn one_of_four_proceeds(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    it.leaves_open_attempts();
    it.commit(async |tx| {
        let mut spec = it.spec.clone();
        spec.status = SpecStatus::Executing;
        spec.current_phase = Phase::Explore;
        specs::save(tx, &mut spec).await
    })
    .await
    .unwrap();
    let mut planners = four_planners(&it);
    tick_together(&it, &mut planners).await;
    let mut tx = it.read_tx().await;
    let subject = AttemptSubject::SpecPhase {
        phase: Phase::Explore,
    };
    let made = attempts::of_subject(&mut tx, it.spec.id, subject)
        .await
        .unwrap();
    assert_eq!(made.len(), 1, "exactly one proceeds");
    let run = phases::find(&mut tx, it.spec.id, Phase::Explore)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(run.attempts, 1);
    assert_ne!(run.state, PhaseState::Pending);
}

/// Nobody mends a missing key by trying again.
#[tokio::test]
async fn a_useless_key_ends_planning_at_once() {
    let it = TestDeployment::new().await;
    it.commit(async |tx| {
        let mut spec = it.spec.clone();
        spec.status = SpecStatus::Executing;
        spec.current_phase = Phase::Explore;
        specs::save(tx, &mut spec).await
    })
    .await
    .unwrap();
    let mut planner = Planner::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut planner, it.clock.now()).await;
    let subject = AttemptSubject::SpecPhase {
        phase: Phase::Explore,
    };
    it.commit(async |tx| {
        let mut attempt = attempts::of_subject(tx, it.spec.id, subject)
            .await?
            .pop()
            .unwrap();
        attempt.error_class = Some(ErrorClass::AuthFailed);
        attempt.error_message = Some("set SOME_KEY".to_owned());
        match attempt.state.is_live() {
            true => attempts::transition(tx, &mut attempt, AttemptState::Failed).await,
            false => attempts::save(tx, &mut attempt).await,
        }
    })
    .await
    .unwrap();
    omoi_testkit::deployment::tick_once(&mut planner, it.clock.now()).await;
    let mut tx = it.read_tx().await;
    let spec = specs::get(&mut tx, it.spec.id).await.unwrap();
    assert_eq!(spec.status, SpecStatus::Blocked);
    let why = spec.last_error.unwrap();
    assert!(why.contains("(auth_failed): set SOME_KEY"), "{why}");
    let tried = attempts::of_subject(&mut tx, it.spec.id, subject)
        .await
        .unwrap();
    assert_eq!(tried.len(), 1);
}

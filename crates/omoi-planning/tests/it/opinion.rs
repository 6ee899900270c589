//! The second opinion on a plan: asked once, an objection goes back once, an absence stops nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;
use tokio::net::TcpListener;

use omoi_domain::attempt::{
    AgentRole, AttemptOutcome, AttemptState, AttemptStopReason, AttemptSubject,
};
use omoi_domain::event::{Event, PlanJudged};
use omoi_domain::model_route::RouteName;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::spec::PhaseState;
use omoi_domain::time::Timestamp;
use omoi_llm::llm_client::LlmClient;
use omoi_llm::pace::CallPace;
use omoi_llm::route::{ModelRoute, RouteTable};
use omoi_llm::scenario::Scenario;
use omoi_llm::simulated::{self, SimulatedModel};
use omoi_llm::wire::dialect::Dialect;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_store::attempts::{self, Attempt};
use omoi_store::opinions::{self, StoredOpinion};
use omoi_store::{costs, events};
use omoi_testkit::deployment::ended_report;

use crate::desk::Desk;

/// A clock that stands still, and never ends anything.
struct Standing;

impl CallPace for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(futures::future::pending())
    }
    fn jitter(&self) -> f64 {
        0.0
    }
}

/// Routes on which second opinions come from `model`.
fn judged_by(base: &str, model: &str) -> RouteTable {
    let routes = RouteTable::all_simulated(Dialect::Messages, base);
    let agent = routes.route_named(RouteName::Agent).clone();
    let judge = ModelRoute {
        model: model.to_owned(),
        ..agent.clone()
    };
    let table = [(RouteName::Agent, agent), (RouteName::Judge, judge)];
    RouteTable::from_table(table.into()).unwrap()
}

/// A desk whose judge is `model` and answers by these rules.
async fn desk(rules: &str, model: &str) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.yaml");
    let text = format!("version: 1\nname: judge\nrules:\n{rules}");
    std::fs::File::create(&file)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .unwrap();
    let scenario = Scenario::load_file(&file).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let llm = LlmClient::new(judged_by(&base, model), Arc::new(Standing)).unwrap();
    let desk = Desk::with(false, |parts| parts.llm = Some(llm)).await;
    let lifecycle = desk.it.deployment.lifecycle.clone();
    let soft = lifecycle.soft_token().cancelled_owned();
    lifecycle.spawn("model", SpawnKind::Critical, async move {
        let model = SimulatedModel::new(scenario, None);
        Ok(simulated::serve_scenario(listener, &model, soft).await?)
    });
    desk
}

fn doubting(desk_plan: &Desk, blocking: bool) -> String {
    let task = &desk_plan.plan.phase_output(Phase::Tasks)["tasks"][0];
    let checks = task["checks"].as_array().unwrap();
    let n = checks.iter().position(|c| c["kind"] == "proof").unwrap();
    let doubt = json!({
        "check": format!("{}/{}", task["id"].as_str().unwrap(), n + 1),
        "criterion": checks[n]["criteria"][0],
        "how": "An empty file makes it pass.",
        "blocking": blocking,
    });
    let unknown =
        json!({"check": "TSK-999/1", "criterion": "REQ-X#1", "how": "?", "blocking": true});
    let reply = json!([{"tool": {"name": "answer", "input": {"doubts": [doubt, unknown]}}}]);
    format!("  - when: {{role: judge, phase: tasks}}\n    reply: {reply}\n")
}

/// Brings the tasks phase to where its output passed the gate and the judge has said what it says.
async fn hand_in_tasks(desk: &mut Desk) {
    desk.tick().await;
    let (attempt, _) = desk.agent(Phase::Tasks).await;
    desk.hand_in(&attempt, Phase::Tasks).await;
    desk.end(
        &attempt,
        ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
    )
    .await;
    desk.tick().await;
    desk.proofs_ended().await;
    desk.tick().await;
    desk.until(async || {
        let all = asked(desk).await;
        (!all.iter().any(|attempt| attempt.state.is_live())).then_some(())
    })
    .await;
}

async fn asked(desk: &Desk) -> Vec<Attempt> {
    let subject = AttemptSubject::PlanOpinion;
    attempts::of_subject(&mut desk.it.read_tx().await, desk.spec.id, subject)
        .await
        .unwrap()
}

async fn opinion(desk: &Desk) -> StoredOpinion {
    let found = opinions::find(&mut desk.it.read_tx().await, desk.spec.id).await;
    found.unwrap().unwrap()
}

async fn told(desk: &Desk) -> Vec<PlanJudged> {
    let log = events::after(&mut desk.it.read_tx().await, 0)
        .await
        .unwrap();
    let told = log.into_iter().filter_map(|event| match event.event {
        Event::SpecPlanJudged(judged) => Some(judged),
        _ => None,
    });
    told.collect()
}

async fn planned_up_to_tasks(rules: &str) -> Desk {
    planned_before(rules, "simulated").await
}

/// A desk that comes to TASKS next, and whose judge is `model`.
async fn planned_before(rules: &str, model: &str) -> Desk {
    let mut desk = desk(rules, model).await;
    for phase in [
        Phase::Explore,
        Phase::Prd,
        Phase::Requirements,
        Phase::Design,
    ] {
        desk.work_through(phase).await;
    }
    desk
}

#[tokio::test]
async fn an_objection_goes_back_to_the_planner_once() {
    let rules = doubting(&Desk::new().await, true);
    let mut desk = planned_up_to_tasks(&rules).await;
    hand_in_tasks(&mut desk).await;
    let said = opinion(&desk).await;
    // What cites nothing that is there counts for nothing.
    assert_eq!(said.doubts.0.len(), 1, "{said:?}");
    assert!(said.is_same_model && said.skipped.is_none());
    desk.tick().await;
    let run = desk.run(Phase::Tasks).await;
    assert_eq!(run.state, PhaseState::Backoff);
    let feedback = run.feedback.unwrap();
    assert!(
        feedback.contains("An empty file makes it pass."),
        "{feedback}"
    );
    assert!(opinion(&desk).await.was_sent_back);

    // The same output again: nobody is asked twice, and it passes.
    desk.it.advance_clock(60);
    desk.tick().await;
    let (attempt, orders) = desk.agent(Phase::Tasks).await;
    assert!(orders.prompt.contains("An empty file makes it pass."));
    desk.hand_in(&attempt, Phase::Tasks).await;
    desk.end(
        &attempt,
        ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
    )
    .await;
    desk.tick().await;
    assert_eq!(desk.run(Phase::Tasks).await.state, PhaseState::Passed);
    let asked = asked(&desk).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].state, AttemptState::Succeeded);
    assert_eq!(told(&desk).await.len(), 1);
    // It is paid for like any other call.
    let mut tx = desk.it.read_tx().await;
    let spent = costs::by_purpose(&mut tx, asked[0].spec_id).await.unwrap();
    let of_judge = spent.iter().find(|of| of.purpose == PurposeKind::Judge);
    assert!(of_judge.unwrap().spend.tokens > 0);
}

#[tokio::test]
async fn a_remark_is_kept_and_stops_nothing() {
    let rules = doubting(&Desk::new().await, false);
    let mut desk = planned_up_to_tasks(&rules).await;
    hand_in_tasks(&mut desk).await;
    desk.tick().await;
    assert_eq!(desk.run(Phase::Tasks).await.state, PhaseState::Passed);
    let said = opinion(&desk).await;
    assert_eq!((said.doubts.0.len(), said.was_sent_back), (1, false));
}

#[tokio::test]
async fn a_scenario_without_a_rule_for_the_judge_goes_on_and_says_so() {
    let mut desk = planned_up_to_tasks("  - when: {role: planner}\n    reply: []\n").await;
    hand_in_tasks(&mut desk).await;
    desk.tick().await;
    assert_eq!(desk.run(Phase::Tasks).await.state, PhaseState::Passed);
    let skipped = told(&desk).await.remove(0).skipped.unwrap();
    assert_eq!(skipped, "the scenario has no rule for the role `judge`");
}

#[tokio::test]
async fn a_judge_that_fails_stops_nothing() {
    let rules = "  - when: {role: judge}\n    stop: refusal\n    reply: [{text: No.}]\n";
    let mut desk = planned_up_to_tasks(rules).await;
    hand_in_tasks(&mut desk).await;
    desk.tick().await;
    assert_eq!(desk.run(Phase::Tasks).await.state, PhaseState::Passed);
    let skipped = told(&desk).await.remove(0).skipped.unwrap();
    assert!(!skipped.is_empty(), "{skipped}");
}

#[tokio::test]
async fn the_run_says_which_model_gave_the_second_opinion() {
    let rules = doubting(&Desk::new().await, false);
    for (judge, is_same_model) in [("simulated", true), ("reader", false)] {
        let mut desk = planned_before(&rules, judge).await;
        hand_in_tasks(&mut desk).await;
        desk.tick().await;
        let said = opinion(&desk).await;
        assert_eq!(
            (said.model.as_str(), said.is_same_model),
            (judge, is_same_model)
        );
        let told = told(&desk).await.remove(0);
        assert_eq!(
            (told.model.as_str(), told.is_same_model),
            (judge, is_same_model)
        );
        // It is the one that was asked.
        let log = events::after(&mut desk.it.read_tx().await, 0)
            .await
            .unwrap();
        let paid = log.iter().filter_map(|event| match &event.event {
            Event::CostRecorded(done) if done.role == AgentRole::Judge => Some(done.model.as_str()),
            _ => None,
        });
        let asked: Vec<_> = paid.collect();
        assert_eq!(asked, [judge]);
    }
}

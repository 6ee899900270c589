//! What workers are told of the models that answer them, and how those are asked again.

use std::time::Duration;

use omoi_domain::model_route::RouteName;
use omoi_domain::phase::Phase;
use omoi_domain::prompt_family::PromptFamily;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskType;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::{AgentModelFacts, AgentModels, FromParts as _};
use omoi_planning::commands;
use omoi_protocol::api::ResumeSpec;
use omoi_protocol::worker::{AgentTool, AttemptContext};
use omoi_runtime::clock::Clock as _;
use omoi_store::{closed_credentials, specs, tasks};
use omoi_testkit::deployment::tick_once;

use crate::desk::Desk;

fn facts(window_tokens: u64, takes_images: bool, answer_tokens: u32) -> AgentModelFacts {
    AgentModelFacts {
        window_tokens: Some(window_tokens),
        takes_images,
        answer_tokens,
        prompts: PromptFamily::Open,
        only_program: None,
    }
}

fn told_facts(told: &AttemptContext) -> (Option<u64>, bool, u32) {
    let sees = told.tools.contains(&AgentTool::Image);
    (told.limits.window_tokens, sees, told.max_tokens)
}

#[tokio::test]
async fn each_worker_is_told_of_the_models_of_its_own_work() {
    let by_route = [
        (RouteName::Planner, facts(1_000_000, true, 64_000)),
        (RouteName::FixBug, facts(32_000, false, 8_000)),
    ];
    let models = AgentModels::new(facts(200_000, true, 32_000), by_route.into());
    let mut desk = Desk::with(false, |parts| {
        parts.agent_models = models;
        parts.queue.slots.per_project = 10;
        parts.queue.slots.in_deployment = 10;
    })
    .await;
    desk.tick().await;
    let (_, told) = desk.agent(Phase::Explore).await;
    assert_eq!(told_facts(&told), (Some(1_000_000), true, 64_000));
    let mut dispatcher = Dispatcher::from_parts(&desk.it.deployment);
    for (number, task_type, expected) in [
        (1, TaskType::FixBug, (Some(32_000), false, 8_000)),
        (2, TaskType::WriteTests, (Some(200_000), true, 32_000)),
    ] {
        let mut task = desk.it.add_task(number, &[]).await;
        task.task_type = task_type;
        desk.it
            .commit(async |tx| tasks::save(tx, &mut task).await)
            .await
            .unwrap();
        tick_once(&mut dispatcher, desk.it.clock.now()).await;
        let told = desk.told_of_task(task.id).await;
        assert_eq!(told_facts(&told), expected, "{task_type}");
    }
}

#[tokio::test]
async fn a_resumed_spec_asks_providers_again_whose_limit_was_used_up() {
    for status in [SpecStatus::Failed, SpecStatus::Executing] {
        let desk = Desk::new().await;
        desk.it
            .commit(async |tx| {
                let mut spec = specs::get(tx, desk.spec.id).await?;
                spec.status = status;
                specs::save(tx, &mut spec).await
            })
            .await
            .unwrap();
        let open_at = desk.it.clock.now() + Duration::from_hours(5);
        desk.it
            .commit(async |tx| closed_credentials::close(tx, "c", open_at).await)
            .await
            .unwrap();
        let (policy, tenant) = (desk.it.build_part(), &desk.it.deployment.store);
        commands::resume_spec(&policy, tenant, desk.spec.id, ResumeSpec::default())
            .await
            .unwrap();
        let closed = closed_credentials::closed_now(&mut desk.it.read_tx().await).await;
        assert_eq!(closed.unwrap().len(), 0, "{status}");
    }
}

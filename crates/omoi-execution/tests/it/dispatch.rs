//! What dispatchers start, and what keeps them from it.

use std::time::Duration;

use omoi_domain::model_kind::WorkModel;
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::{TaskStatus, TaskType};
use omoi_domain::time::Timestamp;
use omoi_execution::FromParts as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::spec_selection::SpecSelection;
use omoi_llm::catalogue::ModelCatalogue;
use omoi_llm::route::{LlmSettings, RouteTable};
use omoi_runtime::clock::Clock as _;
use omoi_store::provider_keys::{self, ProviderKeyRow};
use omoi_store::tasks::{self, QueueScan};
use omoi_store::{attempts, projects, specs, tickets};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, unasked_models};
use omoi_testkit::sample_rows;

omoi_testkit::on_both_databases!(each_task_is_claimed_once);

pub(crate) fn scan(it: &TestDeployment) -> QueueScan {
    QueueScan {
        starving_since: it.clock.now() - Duration::from_hours(2),
        project_slots: it.deployment.queue.slots.per_project,
        limit: 10,
        spec: None,
    }
}

async fn each_task_is_claimed_once(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |parts| {
        parts.queue.slots.per_project = 100;
        parts.queue.slots.in_deployment = 100;
    })
    .await;
    it.leaves_open_attempts();
    let mut all = Vec::new();
    for number in 1..=6 {
        all.push(it.add_task(number, &[]).await);
    }
    let waiting = it.add_task(7, &[all[0].id]).await;
    let now = it.clock.now();
    let mut dispatchers: Vec<_> = (0..4)
        .map(|_| Dispatcher::from_parts(&it.deployment))
        .collect();
    let ticks = dispatchers
        .iter_mut()
        .map(|one| omoi_testkit::deployment::tick_once(one, now));
    futures::future::join_all(ticks).await;
    for task in all {
        let mut tx = it.read_tx().await;
        let made = attempts::of_task(&mut tx, task.id).await.unwrap();
        let fences: Vec<i64> = made.iter().map(|a| a.fence).collect();
        assert_eq!(fences, [1], "TSK-{:03}", task.number);
        drop(tx);
        assert_eq!(it.task_now(task.id).await.fence, 1);
    }
    assert_eq!(it.task_now(waiting.id).await, waiting);
}

#[tokio::test]
async fn what_a_simulated_model_began_no_real_one_goes_on_with() {
    for (model, fence) in [
        (WorkModel::live_model("a-model"), 0),
        (WorkModel::simulated_model(None), 1),
    ] {
        let label = model.label.clone();
        let it = TestDeployment::with_parts(|parts| parts.model = model).await;
        it.leaves_open_attempts();
        let task = it.add_task(1, &[]).await;
        let now = it.clock.now();
        let mut dispatcher = Dispatcher::from_parts(&it.deployment);
        omoi_testkit::deployment::tick_once(&mut dispatcher, now).await;
        assert_eq!(it.task_now(task.id).await.fence, fence, "{label}");
    }
}

#[tokio::test]
async fn an_organisation_without_the_deployments_models_has_those_of_its_own_keys() {
    let list = ModelCatalogue::load_embedded().unwrap();
    let today = Timestamp::of_date("2026-11-28").unwrap();
    let routes = RouteTable::resolve_awaited(&LlmSettings::default(), &list, today).unwrap();
    let it = TestDeployment::with_parts(|parts| {
        parts.model = WorkModel::no_model();
        let models = unasked_models(routes.clone());
        parts.llm = Some(models.with_awaited_routes(routes, Some("set a key".to_owned())));
    })
    .await;
    let key = |provider: &str| ProviderKeyRow {
        org_id: it.spec.org_id,
        provider_name: provider.to_owned(),
        ring_key: "k1".to_owned(),
        wrapped_key: vec![1],
        sealed_key: vec![2],
        last_four: "x4f9".to_owned(),
        set_at: it.clock.now(),
    };
    let mut selection: SpecSelection = it.build_part();
    let store = &it.deployment.store;
    for (brought, maker) in [
        (&[] as &[&str], "none"),
        (&["rack"], "none"),
        (&["openai"], "gpt"),
        (&["openai", "anthropic"], "claude"),
        (&[], "none"),
    ] {
        let set = it.commit(async |tx| {
            for row in provider_keys::list_all(tx).await? {
                provider_keys::take_key(tx, &row.provider_name).await?;
            }
            for provider in brought {
                provider_keys::replace(tx, &key(provider)).await?;
            }
            Ok(())
        });
        set.await.unwrap();
        selection.refresh_model(store).await.unwrap();
        let label = &selection.model.label;
        assert!(label.starts_with(maker), "{brought:?}: {label}");
        assert_eq!(selection.begins_tickets(), maker != "none", "{brought:?}");
        // A script began it.
        assert_eq!(selection.works_on(&it.spec), maker == "none", "{brought:?}");
    }
}

#[tokio::test]
async fn one_bad_task_and_one_full_project_hold_up_nobody_else() {
    let it = TestDeployment::with_parts(|parts| parts.queue.slots.per_project = 1).await;
    it.leaves_open_attempts();
    let bad = it.add_task(1, &[]).await;
    let full = it.add_task(2, &[]).await;
    let (busy, other) = it
        .commit(async |tx| {
            let mut task = tasks::get(tx, bad.id).await?;
            // No branch can have such a name.
            task.branch = "..".to_owned();
            tasks::save(tx, &mut task).await?;
            let project = projects::ensure(tx, "other", "/other").await?;
            let spec = specs::Spec {
                id: tx.new_id(),
                project_id: project.id,
                ..it.spec.clone()
            };
            specs::insert(tx, &spec).await?;
            let ticket = tickets::Ticket {
                id: tx.new_id(),
                project_id: project.id,
                spec_id: Some(spec.id),
                ..it.ticket.clone()
            };
            tickets::insert(tx, &ticket).await?;
            let mirror = RepositoryFolders::from_parts(&it.deployment)
                .project_mirror(project.id)
                .await
                .unwrap();
            // The same commit in another repository.
            let base = omoi_testkit::deployment::start_commit(&mirror).await;
            assert_eq!(base, it.base);
            let mut made = Vec::new();
            for number in [1, 2] {
                let task = tasks::Task {
                    project_id: project.id,
                    ..sample_rows::task(tx, &ticket, number)
                };
                tasks::insert(tx, &task).await?;
                made.push(task);
            }
            Ok((made[0].clone(), made[1].clone()))
        })
        .await
        .unwrap();
    it.run_task(busy.id).await;
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut dispatcher, it.clock.now()).await;
    // The bad one fails, since no retry mends it; where a slot is free, the next one has it.
    let bad = it.task_now(bad.id).await;
    assert_eq!((bad.status, bad.retry_count), (TaskStatus::Failed, 0));
    assert!(bad.error_message.unwrap().starts_with("invalid_task"));
    let fences = [&full, &busy, &other].map(|task| task.id);
    let mut found = Vec::new();
    for id in fences {
        found.push(it.task_now(id).await.fence);
    }
    assert_eq!(found, [1, 1, 0]);
    // What is shown is what was reckoned.
    let kept = it.task_now(full.id).await.score;
    assert!((kept - 0.275).abs() < 0.01, "{kept}");
}

/// A start asks git for its branch, its base and the merge it is to begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_asks_git_while_no_transaction_is_open() {
    let guarded = omoi_testkit::deployment::WatchedDeployment::new().await;
    let it = &guarded.it;
    let source = it.add_task(1, &[]).await;
    let theirs = it.commit_work("src/new.txt").await;
    let resolve = it.add_task(2, &[]).await;
    it.commit(async |tx| {
        let merge = sample_rows::merge(
            tx,
            &source,
            omoi_domain::merge::MergeState::Resolving,
            theirs.as_str(),
        );
        omoi_store::merges::insert(tx, &merge).await?;
        let mut source = tasks::get(tx, source.id).await?;
        source.status = TaskStatus::Completed;
        tasks::save(tx, &mut source).await?;
        let mut resolve = tasks::get(tx, resolve.id).await?;
        resolve.task_type = TaskType::ResolveConflict;
        resolve.resolves_merge_id = Some(merge.id);
        tasks::save(tx, &mut resolve).await
    })
    .await
    .unwrap();
    guarded.watch_git();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut dispatcher, it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    assert_eq!(it.task_now(resolve.id).await.fence, 1);
    assert!(guarded.finish_watch() > 5);
}

/// A mirror that lost the commit everything starts from helps no retry.
#[tokio::test]
async fn a_start_without_its_commit_is_no_fault_of_the_sandbox() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let mirror = it.deployment.data.mirror_path(it.spec.project_id);
    std::fs::remove_dir_all(mirror).unwrap();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    omoi_testkit::deployment::tick_once(&mut dispatcher, it.clock.now()).await;
    let task = it.task_now(task.id).await;
    assert_eq!(task.error_class, Some(ErrorClass::RepoMissing));
    assert_eq!((task.status, task.retry_count), (TaskStatus::Failed, 0));
}

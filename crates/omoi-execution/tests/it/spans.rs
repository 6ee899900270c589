//! Lines of an attempt carry its ids, whoever started it.

use serde_json::Value;
use tracing::{Instrument as _, info_span};

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::live::event_filter::LiveFilter;
use omoi_execution::FromParts as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::live::ReaderAccess;
use omoi_execution::platform_run::{PlatformRunner, PlatformWork, begin_run};
use omoi_runtime::clock::Clock as _;
use omoi_testkit::deployment::{TestDeployment, tick_once};
use omoi_testkit::kept_log::{keep_log, new_lines};

/// The first line whose message has `says`.
fn find_line<'a>(lines: &'a [Value], says: &str) -> &'a Value {
    let mut lines_with = lines
        .iter()
        .filter(|line| line["message"].as_str().unwrap().contains(says));
    lines_with
        .next()
        .unwrap_or_else(|| panic!("`{says}` is not in {lines:#?}"))
}

#[tokio::test]
async fn lines_of_an_attempt_carry_its_ids_and_not_those_of_the_pass_that_claimed_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi=debug");
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let mut commits = it.deployment.store.store().commits();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    tick_once(&mut dispatcher, it.clock.now()).await;
    // It has no sandbox to run in, so that it ends by itself.
    while it
        .task_now(task.id)
        .await
        .attempt_id
        .is_some_and(|_| it.deployment.running.attempt_ids().len() == 1)
    {
        commits.changed().await.unwrap();
    }
    let lines = new_lines(&mut reader);
    let claimed = find_line(&lines, "Claimed task TSK-001");
    assert_eq!(claimed["spans"][0]["entity"], task.label());
    let attempt = claimed["attempt.id"].as_str().unwrap();
    let refused = find_line(&lines, "did not start");
    let span = &refused["spans"][0];
    assert_eq!(span["name"], "attempt", "{refused}");
    assert_eq!(span["attempt.id"], attempt);
    assert_eq!(span["task.id"], task.id.to_string());
    assert_eq!(span["spec.id"], it.spec.id.to_string());
    assert_eq!(span["subject"], "TSK-001");
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("runs no sandboxes"), "{error}");
}

#[tokio::test]
async fn lines_of_the_reader_of_events_carry_no_ids_of_who_listened_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi=debug");
    let it = TestDeployment::new().await;
    let (live, store) = (&it.deployment.live, &it.deployment.store);
    let request = info_span!("request", request.id = "who-listened-first");
    let opened = live
        .open_subscription(store, ReaderAccess::FULL, LiveFilter::default(), None)
        .instrument(request);
    let _subscription = opened.await.unwrap();
    it.clock.wait_for_sleepers(1).await;
    let lines = new_lines(&mut reader);
    let reading = find_line(&lines, "Reading events for those who listen");
    assert_eq!(reading["spans"][0]["name"], "spawned", "{reading}");
    assert!(
        !reading.to_string().contains("who-listened-first"),
        "{reading}"
    );
}

#[tokio::test]
async fn lines_of_a_run_of_the_platform_say_what_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path(), "warn,omoi=debug");
    let it = TestDeployment::new().await;
    let runner: PlatformRunner = it.build_part();
    let work = PlatformWork {
        subject: AttemptSubject::BaseSuite,
        round: 0,
    };
    let run = it
        .commit(async |tx| begin_run(tx, &runner, &it.spec, work).await)
        .await
        .unwrap();
    let attempt = run.attempt.id;
    run.spawn("base suite".to_owned(), async {
        Err("it cannot start".into())
    });
    while !it.deployment.running.attempt_ids().is_empty() {
        tokio::task::yield_now().await;
    }
    let lines = new_lines(&mut reader);
    let failed = find_line(&lines, "Could not finish the base suite");
    assert_eq!(failed["error"], "it cannot start");
    let span = &failed["spans"][0];
    assert_eq!(span["name"], "attempt", "{failed}");
    assert_eq!(span["attempt.id"], attempt.to_string());
    assert_eq!(span["spec.id"], it.spec.id.to_string());
    assert_eq!(span["subject"], "base_suite");
}

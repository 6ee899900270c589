//! Lines of an attempt carry its ids, whoever started it.

use std::path::Path;

use omoi_domain::secret_mask::SecretMask;
use omoi_execution::FromParts as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::options::LogFormat;
use omoi_runtime::telemetry::{LogFiles, LogOptions, LogReader, ProcessLog};
use omoi_testkit::deployment::{TestDeployment, tick_once};
use serde_json::Value;

/// Keeps the log of this process below `folder`.
fn keep_log(folder: &Path) -> LogReader {
    let log = ProcessLog::start(&LogOptions {
        filter: "off".to_owned(),
        file_filter: "warn,omoi=debug".to_owned(),
        format: LogFormat::Text,
        mask: SecretMask::default(),
    })
    .unwrap();
    log.open_file(folder).unwrap();
    LogReader::new(LogFiles::of_data_folder(folder))
}

#[tokio::test]
async fn lines_of_an_attempt_carry_its_ids_and_not_those_of_the_pass_that_claimed_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = keep_log(folder.path());
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
    let mut lines: Vec<Value> = Vec::new();
    reader
        .read_lines(|line| lines.push(serde_json::from_str(line).unwrap()))
        .unwrap();
    let find = |says: &str| {
        let mut found = lines
            .iter()
            .filter(|line| line["message"].as_str().unwrap().contains(says));
        found
            .next()
            .unwrap_or_else(|| panic!("`{says}` is not in {lines:#?}"))
    };
    let claimed = find("Claimed task TSK-001");
    assert_eq!(claimed["spans"][0]["entity"], task.label());
    let attempt = claimed["attempt.id"].as_str().unwrap();
    let refused = find("did not start");
    let span = &refused["spans"][0];
    assert_eq!(span["name"], "attempt", "{refused}");
    assert_eq!(span["attempt.id"], attempt);
    assert_eq!(span["task.id"], task.id.to_string());
    assert_eq!(span["spec.id"], it.spec.id.to_string());
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("runs no sandboxes"), "{error}");
}

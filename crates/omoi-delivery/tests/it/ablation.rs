//! Proofs without the work they are for: which need it, which do not, and what that stops.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::check::CheckStage;
use omoi_domain::event::Event;
use omoi_domain::id::MergeId;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::model_fallback::WorkModels;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_git::object::{ObjectId, RepoPath};
use omoi_git::process::Git;
use omoi_store::ablations::{self, Ablation};
use omoi_store::checks::{self, Receipt, RunConditions};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, attempts, events, merges};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::sample_rows;

use crate::landed_work::{criterion, land, landed_by, pass, resume, spec_now, tried};
use crate::{with_parts, with_sandbox};

async fn found(it: &TestDeployment) -> Vec<Ablation> {
    ablations::of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap()
}

async fn verdicts(it: &TestDeployment) -> Vec<AblationVerdict> {
    found(it).await.iter().map(|a| a.verdict).collect()
}

async fn receipts(it: &TestDeployment, stage: CheckStage) -> Vec<Receipt> {
    let all = checks::receipts_of_spec(&mut it.read_tx().await, it.spec.id)
        .await
        .unwrap();
    all.into_iter().filter(|r| r.stage == stage).collect()
}

/// Why the last proof could not hand over: its repository does not exist, so it came that far.
async fn reached_the_hand_over(it: &TestDeployment) -> bool {
    let subject = AttemptSubject::HeadChecks;
    let made = attempts::of_subject(&mut it.read_tx().await, it.spec.id, subject)
        .await
        .unwrap();
    let last = made.last().unwrap();
    let why = last.error_message.clone().unwrap_or_default();
    last.state == AttemptState::Failed && why.contains("could not be handed over")
}

#[tokio::test]
async fn a_proof_that_needs_the_work_is_red_without_it() {
    let (it, _state) = with_sandbox().await;
    let (one, _) = criterion(&it, 1, "test -e one").await;
    let (two, _) = criterion(&it, 2, "grep -q two shared").await;
    land(&it, &one, "one", "one\n").await;
    land(&it, &two, "shared", "two\n").await;
    pass(&it).await;
    assert_eq!(verdicts(&it).await, [AblationVerdict::Needed; 2]);
    let without = found(&it).await.into_iter().map(|a| a.without.0);
    assert_eq!(without.collect::<Vec<_>>(), [["TSK-001"], ["TSK-002"]]);
    assert!(
        receipts(&it, CheckStage::Ablation)
            .await
            .iter()
            .all(|r| !r.passed)
    );
    assert!(reached_the_hand_over(&it).await);
    // What is known of this head is not tried again.
    pass(&it).await;
    assert_eq!(receipts(&it, CheckStage::Ablation).await.len(), 2);
}

#[tokio::test]
async fn a_check_that_passes_without_the_work_stops_the_hand_over() {
    let (it, _state) = with_sandbox().await;
    // Red at the base for want of any commit, green after whatever anyone does.
    let (one, _) = criterion(&it, 1, "test -n \"$(ls)\"").await;
    let (two, _) = criterion(&it, 2, "test -e two").await;
    land(&it, &one, "one", "one\n").await;
    land(&it, &two, "two", "two\n").await;
    pass(&it).await;
    let expected = [AblationVerdict::Weak, AblationVerdict::Needed];
    assert_eq!(verdicts(&it).await, expected);
    let spec = spec_now(&it).await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    let why = spec.last_error.unwrap();
    for part in ["weak_proof", "AC-001", "TSK-001", "$(ls)", "--accept-weak"] {
        assert!(why.contains(part), "{why}");
    }
    assert!(!why.contains("AC-002"), "{why}");
    let log = events::after(&mut it.read_tx().await, 0).await.unwrap();
    let told = log.iter().filter_map(|event| match &event.event {
        Event::RequirementAblated(done) => Some((done.requirement.clone(), done.verdicts.clone())),
        _ => None,
    });
    let weak = ("AC-001".to_owned(), AblationVerdict::Weak);
    let needed = ("AC-002".to_owned(), AblationVerdict::Needed);
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("REQ-001".to_owned(), vec![weak]),
            ("REQ-002".to_owned(), vec![needed])
        ]
    );

    // Resumed without a word it stops again; once a person lets it stand, it goes on.
    resume(&it).await;
    pass(&it).await;
    assert_eq!(spec_now(&it).await.status, SpecStatus::Blocked);
    it.commit(async |tx| ablations::accept_weak(tx, it.spec.id).await)
        .await
        .unwrap();
    resume(&it).await;
    pass(&it).await;
    assert_eq!(spec_now(&it).await.status, SpecStatus::Working);
    assert!(reached_the_hand_over(&it).await);
    assert_eq!(receipts(&it, CheckStage::Ablation).await.len(), 2);
}

#[tokio::test]
async fn work_that_was_built_upon_cannot_be_taken_back() {
    let (it, _state) = with_sandbox().await;
    let (one, _) = criterion(&it, 1, "grep -q one file").await;
    let (two, _) = criterion(&it, 2, "grep -q two file").await;
    land(&it, &one, "file", "one\n").await;
    land(&it, &two, "file", "one and two\n").await;
    pass(&it).await;
    let expected = [AblationVerdict::Unknown, AblationVerdict::Needed];
    assert_eq!(verdicts(&it).await, expected);
    let why = found(&it).await[0].reason.clone().unwrap();
    assert_eq!(why, "taking back TSK-001 conflicts in file");
    assert!(reached_the_hand_over(&it).await);
}

/// Makes `task` the resolution of `source`'s conflict.
async fn resolves(it: &TestDeployment, task: &Task) {
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.resolves_merge_id = Some(tx.new_id::<MergeId>());
        task.status = TaskStatus::Completed;
        task.integration_state = IntegrationState::Merged;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn either_side_of_a_resolved_conflict_is_taken_back_alone() {
    let (it, _state) = with_sandbox().await;
    let (one, _) = criterion(&it, 1, "grep -q one file").await;
    let (two, _) = criterion(&it, 2, "grep -q two file").await;
    let resolution = it.add_task(3, &[]).await;
    resolves(&it, &resolution).await;
    let first = land(&it, &one, "file", "one\n").await;
    let second = it.commit_on(&it.base, "file", Some("two\n")).await;
    let both = it.commit_on(&first, "file", Some("one\ntwo\n")).await;
    let both = it.merge_commit(&[&first, &second], &both).await;
    landed_by(&it, &resolution, &both, &both).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, two.id).await?;
        task.head_sha = Some(second.as_str().to_owned());
        tasks::save(tx, &mut task).await?;
        let state = MergeState::Completed;
        let mut merge = sample_rows::merge(tx, &task, state, second.as_str());
        merge.merged_sha = Some(both.as_str().to_owned());
        merges::insert(tx, &merge).await
    })
    .await
    .unwrap();
    pass(&it).await;
    assert_eq!(verdicts(&it).await, [AblationVerdict::Needed; 2]);
    // Each without its own side only.
    let mirror = it.project_mirror().await;
    let path = RepoPath::new("file").unwrap();
    let mut left = Vec::new();
    for receipt in receipts(&it, CheckStage::Ablation).await {
        let commit = ObjectId::parse(&receipt.commit_sha).unwrap();
        left.push(mirror.read_blob(&commit, &path, 100).await.unwrap());
    }
    left.sort();
    assert_eq!(left, [Some(b"one\n".to_vec()), Some(b"two\n".to_vec())]);
}

#[tokio::test]
async fn work_found_on_the_way_is_taken_back_with_what_found_it() {
    let (it, _state) = with_sandbox().await;
    let (one, _) = criterion(&it, 1, "test -e one || test -e found").await;
    let by_the_way = it
        .commit(async |tx| {
            let mut task = sample_rows::task(tx, &it.ticket, 2);
            task.parent_task_id = Some(one.id);
            task.status = TaskStatus::Completed;
            task.integration_state = IntegrationState::Merged;
            tasks::insert(tx, &task).await?;
            Ok(task)
        })
        .await
        .unwrap();
    land(&it, &one, "one", "one\n").await;
    land(&it, &by_the_way, "found", "found\n").await;
    pass(&it).await;
    assert_eq!(verdicts(&it).await, [AblationVerdict::Needed]);
    assert_eq!(found(&it).await[0].without.0, ["TSK-001", "TSK-002"]);
}

#[tokio::test]
async fn what_the_time_is_not_enough_for_is_said() {
    let (it, _state) = with_sandbox().await;
    let (one, check) = criterion(&it, 1, "test -e one").await;
    let (two, _) = criterion(&it, 2, "test -e two").await;
    land(&it, &one, "one", "one\n").await;
    let head = land(&it, &two, "two", "two\n").await;
    // As if the first had taken a minute at this head, which is more than a quarter of all.
    tried(&it, AttemptState::Lost).await;
    it.commit(async |tx| {
        let subject = AttemptSubject::HeadChecks;
        let attempt = attempts::of_subject(tx, it.spec.id, subject)
            .await?
            .remove(0);
        let receipt = Receipt {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: it.spec.id,
            check_id: check.id,
            task_id: check.task_id,
            attempt_id: attempt.id,
            stage: CheckStage::Head,
            commit_sha: head.as_str().to_owned(),
            tree_sha: head.as_str().to_owned(),
            rung: SandboxRung::Process,
            conditions: Json(RunConditions::default()),
            exit_code: Some(0),
            passed: true,
            output: String::new(),
            output_digest: String::new(),
            exercised: Json(None),
            tests: Json(None),
            packages: Json(None),
            models: Json(WorkModels::default()),
            self_tested: false,
            started_at: tx.now(),
            took_ms: 60_000,
        };
        checks::store_receipt(tx, it.spec.project_id, &check, &receipt).await
    })
    .await
    .unwrap();
    pass(&it).await;
    let expected = [AblationVerdict::NotTried, AblationVerdict::Needed];
    assert_eq!(verdicts(&it).await, expected);
    let why = found(&it).await[0].reason.clone().unwrap();
    assert!(why.contains("time left"), "{why}");
    assert!(reached_the_hand_over(&it).await);
}

#[tokio::test]
async fn proofs_without_their_work_run_side_by_side() {
    let (it, state) = with_sandbox().await;
    let pipe = state.path().join("meeting");
    let pipe = pipe.display();
    // Without its work each waits at one end of a pipe until the other comes; alone it is cut off there.
    let meets = |work: &str, end: &str| {
        format!("test -e {work} || {{ mkfifo '{pipe}'; : {end} '{pipe}'; exit 1; }} 2> /dev/null")
    };
    let (one, _) = criterion(&it, 1, &meets("one", "<")).await;
    let (two, _) = criterion(&it, 2, &meets("two", ">")).await;
    land(&it, &one, "one", "one\n").await;
    land(&it, &two, "two", "two\n").await;
    pass(&it).await;
    assert_eq!(verdicts(&it).await, [AblationVerdict::Needed; 2]);
}

/// A git two merges of which wait for each other at a pipe. One by one the first waits in vain and fails.
const MEETING_GIT: &str = r#"#!/bin/sh
folder=${0%/*}
PATH=/usr/local/bin:/usr/bin:/bin
case " $* " in *" merge-tree "*)
    mkfifo "$folder/pipe" 2> /dev/null
    if mkdir "$folder/first"; then
        timeout 10 sh -c ": < '$folder/pipe'" || exit 9
    elif mkdir "$folder/second"; then
        timeout 10 sh -c ": > '$folder/pipe'" || exit 9
    fi 2> /dev/null ;;
esac
exec git "$@"
"#;

#[tokio::test]
async fn work_is_taken_back_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("git");
    let mut file = std::fs::File::create(&program).unwrap();
    std::io::Write::write_all(&mut file, MEETING_GIT.as_bytes()).unwrap();
    drop(file);
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let git = Git::find_on_path(folder.path().as_os_str()).await.unwrap();
    let (it, _state) = with_parts(|parts| parts.git = git).await;
    let (one, _) = criterion(&it, 1, "test -e one").await;
    let (two, _) = criterion(&it, 2, "test -e two").await;
    land(&it, &one, "one", "one\n").await;
    land(&it, &two, "two", "two\n").await;
    pass(&it).await;
    assert_eq!(verdicts(&it).await, [AblationVerdict::Needed; 2]);
    assert!(folder.path().join("second").exists(), "none met the other");
}

//! What becomes of work that is not accepted, and what a resolution must hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::merge::MergeState;
use omoi_domain::task::{TaskStatus, TaskType};
use omoi_execution::copied_files::CopyRules;
use omoi_execution::intake::complete_attempt;
use omoi_git::object::ObjectId;
use omoi_protocol::worker::{GitBundle, ReportComplete};
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError};
use omoi_testkit::deployment::{TestDeployment, ended_report};
use omoi_testkit::repo::TestRepo;

use omoi_testkit::sample_rows::merge;

fn brings(head: &ObjectId, outcome: AttemptOutcome) -> ReportComplete {
    ReportComplete {
        bundle: Some(GitBundle {
            sha: head.as_str().to_owned(),
            data_b64: String::new(),
        }),
        ..ended_report(outcome, AttemptStopReason::MaxTurnsReached)
    }
}

/// The first word of why a task was sent back.
fn unmet(task: &Task) -> Option<&str> {
    let revision = task.revision.as_ref()?;
    revision.0.feedback.split(':').next()
}

/// A file that may not be committed, and one of another project that may.
fn copies() -> CopyRules {
    let rows = [
        "project=repo; secret=config/.env",
        "project=other; path=src",
    ];
    CopyRules {
        rows: rows.map(|row| row.parse().unwrap()).into(),
        ..CopyRules::default()
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn work_that_is_sent_back_stays_on_the_branch() {
    let it = TestDeployment::with_parts(|parts| parts.copies = copies()).await;
    let with_test = it.commit_on(&it.base, "tests/test_a.py", Some("a")).await;
    let good = it.commit_on(&with_test, "src/a.py", Some("a")).await;
    let weakened = it.commit_on(&with_test, "tests/test_a.py", None).await;
    // One marker is enough, whichever it is.
    let ours = "<<<<<<< ours\na = 1\n";
    let ours = it.commit_on(&with_test, "src/a.py", Some(ours)).await;
    let ancestor = "a = 1\n||||||| 1c9e2b4\n";
    let ancestor = it.commit_on(&with_test, "src/a.py", Some(ancestor)).await;
    let theirs = "a = 1\n>>>>>>> theirs\n";
    let theirs = it.commit_on(&with_test, "src/a.py", Some(theirs)).await;
    // More of one than git is asked to print.
    let huge = format!("<<<<<<< {}\n", "x".repeat(65 << 20));
    let huge = it.commit_on(&with_test, "src/a.py", Some(&huge)).await;
    let protected = it.commit_on(&with_test, ".omoi_os/a.md", Some("a")).await;
    let settings = it.commit_on(&with_test, ".mcp.json", Some("{}")).await;
    let copied = it.commit_on(&with_test, "config/.env", Some("A=b")).await;
    let in_place = it.commit_on(&with_test, "config", Some("A=b")).await;
    let outside = ReportComplete {
        refused_paths: vec!["../etc".to_owned()],
        ..brings(&good, AttemptOutcome::Succeeded)
    };
    let done = |head| brings(head, AttemptOutcome::Succeeded);
    let cases = [
        (
            brings(&good, AttemptOutcome::Incomplete),
            "incomplete",
            Some(&good),
        ),
        (
            brings(&weakened, AttemptOutcome::Incomplete),
            "incomplete",
            Some(&weakened),
        ),
        (
            brings(&protected, AttemptOutcome::Incomplete),
            "incomplete",
            None,
        ),
        (done(&weakened), "test_weakened", Some(&weakened)),
        (done(&ours), "conflict_markers", Some(&ours)),
        (done(&ancestor), "conflict_markers", Some(&ancestor)),
        (done(&theirs), "conflict_markers", Some(&theirs)),
        (done(&huge), "conflict_markers", Some(&huge)),
        (outside, "outside_workspace", Some(&good)),
        // Nobody could take these back.
        (done(&protected), "protected_path", None),
        (done(&settings), "protected_path", None),
        (done(&copied), "protected_path", None),
        (done(&in_place), "protected_path", None),
        (done(&it.base), "history_rewritten", None),
    ];
    for (number, (body, code, stands)) in (1..).zip(cases) {
        let task = it.add_task(number, &[]).await;
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.base_sha = Some(with_test.as_str().to_owned());
            tasks::save(tx, &mut task).await
        })
        .await
        .unwrap();
        let created = it.run_task(task.id).await;
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        let task = it.task_now(task.id).await;
        assert_eq!(
            (task.status, unmet(&task)),
            (TaskStatus::Pending, Some(code))
        );
        assert_eq!(
            it.branch_head(&task.branch).await.as_ref(),
            stands,
            "{code}"
        );
    }
}

#[tokio::test]
async fn kept_work_is_done_when_the_next_agent_says_so() {
    let it = TestDeployment::new().await;
    let task = it.add_task(1, &[]).await;
    let good = it.commit_work("src/a.py").await;
    let created = it.run_task(task.id).await;
    let body = brings(&good, AttemptOutcome::Incomplete);
    complete_attempt(&it.build_part(), &created.attempt, body)
        .await
        .unwrap();
    let created = it.run_from(task.id, &good).await;
    let says = ended_report(
        AttemptOutcome::Succeeded,
        AttemptStopReason::CompletionSignal,
    );
    complete_attempt(&it.build_part(), &created.attempt, says.clone())
        .await
        .unwrap();
    let now = it.task_now(task.id).await;
    assert_eq!(now.status, TaskStatus::PendingValidation);
    assert_eq!(now.head_sha.as_deref(), Some(good.as_str()));
    // What the checks refused is not done by saying so again.
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.status = TaskStatus::Pending;
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    let created = it.run_from(task.id, &good).await;
    complete_attempt(&it.build_part(), &created.attempt, says)
        .await
        .unwrap();
    assert_eq!(unmet(&it.task_now(task.id).await), Some("no_change"));
}

/// A task cut from `base` that resolves the merge of `incoming`.
async fn resolver(it: &TestDeployment, number: i64, base: &ObjectId, incoming: &ObjectId) -> Task {
    let (source, task) = (
        it.add_task(number, &[]).await,
        it.add_task(number + 1, &[]).await,
    );
    let made: Result<Task, StoreError> = it
        .commit(async |tx| {
            let merge = Merge {
                resolve_task_id: Some(task.id),
                ..merge(tx, &source, MergeState::Resolving, incoming.as_str())
            };
            merges::insert(tx, &merge).await?;
            let mut task = tasks::get(tx, task.id).await?;
            task.task_type = TaskType::ResolveConflict;
            task.resolves_merge_id = Some(merge.id);
            task.base_sha = Some(base.as_str().to_owned());
            tasks::save(tx, &mut task).await?;
            Ok(task)
        })
        .await;
    made.unwrap()
}

#[tokio::test]
async fn a_resolution_holds_both_sides_and_their_tests() {
    let it = TestDeployment::new().await;
    let start = it
        .commit_on(&it.base, "tests/test_both.py", Some("0"))
        .await;
    let ours = it.commit_on(&start, "tests/test_ours.py", Some("a")).await;
    let ours = it.commit_on(&ours, "tests/test_both.py", Some("1")).await;
    let theirs = it
        .commit_on(&start, "tests/test_theirs.py", Some("b"))
        .await;
    let theirs = it.commit_on(&theirs, "tests/test_both.py", Some("2")).await;
    // What both sides meant, and ways to fall short of it.
    let whole = it.commit_on(&ours, "tests/test_theirs.py", Some("b")).await;
    let whole = it
        .commit_on(&whole, "tests/test_both.py", Some("1 2"))
        .await;
    let less_theirs = it.commit_on(&whole, "tests/test_theirs.py", None).await;
    let less_ours = it.commit_on(&whole, "tests/test_ours.py", Some("")).await;
    let less_both = it.commit_on(&whole, "tests/test_both.py", None).await;
    let more = it.commit_on(&whole, "tests/test_new.py", Some("c")).await;
    let left_over = it
        .commit_on(&whole, "tests/test_both.py", Some("1\n=======\n2\n"))
        .await;
    let sides = [&ours, &theirs];
    let cases = [
        (
            it.merge_commit(&sides, &left_over).await,
            Some("conflict_markers"),
        ),
        (it.merge_commit(&sides, &whole).await, None),
        (it.merge_commit(&sides, &more).await, None),
        (whole.clone(), Some("side_dropped")),
        (
            it.merge_commit(&sides, &less_theirs).await,
            Some("test_weakened"),
        ),
        (
            it.merge_commit(&sides, &less_ours).await,
            Some("test_weakened"),
        ),
        (
            it.merge_commit(&sides, &less_both).await,
            Some("test_weakened"),
        ),
    ];
    for (n, (head, code)) in (0..).zip(cases) {
        let task = resolver(&it, 10 * n + 1, &ours, &theirs).await;
        let created = it.run_task(task.id).await;
        let body = brings(&head, AttemptOutcome::Succeeded);
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        assert_eq!(unmet(&it.task_now(task.id).await), code, "case {n}");
    }
}

#[tokio::test]
async fn what_an_agent_found_is_no_licence_to_change_tests() {
    let it = TestDeployment::new().await;
    let with_test = it.commit_on(&it.base, "tests/test_a.py", Some("a")).await;
    let changed = it.commit_on(&with_test, "tests/test_a.py", Some("b")).await;
    let source = it.add_task(9, &[]).await;
    for (number, parent, code) in [(1, None, None), (2, Some(source.id), Some("test_weakened"))] {
        let task = it.add_task(number, &[]).await;
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.id = tx.new_id();
            task.number += 100;
            task.local_id = format!("DIS-{number:03}");
            task.base_sha = Some(with_test.as_str().to_owned());
            task.files = Json(vec!["tests/test_a.py".to_owned()]);
            task.parent_task_id = parent;
            tasks::insert(tx, &task).await
        })
        .await
        .unwrap();
        let task = tasks::numbered(&mut it.read_tx().await, number + 100)
            .await
            .unwrap()
            .remove(0);
        let created = it.run_task(task.id).await;
        let body = brings(&changed, AttemptOutcome::Succeeded);
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        assert_eq!(unmet(&it.task_now(task.id).await), code);
    }
}

#[tokio::test]
async fn markers_that_stood_in_the_base_are_no_conflict() {
    let it = TestDeployment::new().await;
    let quoted = "How a conflict looks\n<<<<<<< ours\n=======\n>>>>>>> theirs\n";
    let base = it.commit_on(&it.base, "doc.md", Some(quoted)).await;
    let more = format!("{quoted}Resolve it.\n\nSummary\n=======\n");
    let head = it.commit_on(&base, "doc.md", Some(&more)).await;
    let task = it.add_task(1, &[]).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, task.id).await?;
        task.base_sha = Some(base.as_str().to_owned());
        tasks::save(tx, &mut task).await
    })
    .await
    .unwrap();
    let created = it.run_task(task.id).await;
    complete_attempt(
        &it.build_part(),
        &created.attempt,
        brings(&head, AttemptOutcome::Succeeded),
    )
    .await
    .unwrap();
    let task = it.task_now(task.id).await;
    assert_eq!(task.status, TaskStatus::PendingValidation);
}

#[tokio::test]
async fn commits_that_are_refused_are_sent_back_with_the_reason() {
    let it = TestDeployment::new().await;
    let repo = TestRepo::with_files(&[(
        ".gitmodules",
        "[submodule \"s\"]\n\tpath = s\n\turl = ./s\n\tupdate = !touch x\n",
    )]);
    repo.git(&["bundle", "create", "--quiet", "out", "refs/heads/main"]);
    let task = it.add_task(1, &[]).await;
    let created = it.run_task(task.id).await;
    let bundle = std::fs::read(repo.path().join("out")).unwrap();
    let body = ReportComplete {
        bundle: Some(GitBundle {
            sha: repo.head(),
            data_b64: STANDARD.encode(bundle),
        }),
        ..ended_report(
            AttemptOutcome::Succeeded,
            AttemptStopReason::CompletionSignal,
        )
    };
    complete_attempt(&it.build_part(), &created.attempt, body)
        .await
        .unwrap();
    let task = it.task_now(task.id).await;
    assert_eq!(
        (task.status, task.retry_count, unmet(&task)),
        (TaskStatus::Pending, 0, Some("bundle_refused"))
    );
    let feedback = task.revision.unwrap().0.feedback;
    assert!(feedback.contains("gitmodulesUpdate"), "{feedback}");
}

#[tokio::test]
async fn work_that_could_not_be_saved_is_sent_back_with_the_reason() {
    let it = TestDeployment::new().await;
    let said = |outcome| ReportComplete {
        unsaved: Some("data/big.bin is too long".to_owned()),
        ..ended_report(outcome, AttemptStopReason::CompletionSignal)
    };
    let hidden = ReportComplete {
        ignored_paths: vec!["build/out.py".to_owned()],
        ..ended_report(
            AttemptOutcome::Succeeded,
            AttemptStopReason::CompletionSignal,
        )
    };
    let cases = [
        (
            said(AttemptOutcome::Succeeded),
            "work_unsaved",
            "data/big.bin",
        ),
        (
            said(AttemptOutcome::Incomplete),
            "incomplete",
            "data/big.bin",
        ),
        (hidden, "no_change", "build/out.py"),
    ];
    for (number, (body, code, named)) in (1..).zip(cases) {
        let task = it.add_task(number, &[]).await;
        let created = it.run_task(task.id).await;
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        let task = it.task_now(task.id).await;
        assert_eq!(
            (task.status, task.retry_count, unmet(&task)),
            (TaskStatus::Pending, 0, Some(code))
        );
        assert!(task.revision.unwrap().0.feedback.contains(named));
    }
}

#[tokio::test]
async fn files_that_decide_what_the_suite_runs_count_as_tests() {
    let it = TestDeployment::new().await;
    let manifest = "{\"scripts\": {\"test\": \"node --test\"}}";
    let base = it.commit_on(&it.base, "package.json", Some(manifest)).await;
    let off = manifest.replace("node --test", "true");
    let more = manifest.replace("{\"scripts\"", "{\"license\": \"MIT\", \"scripts\"");
    let weakened = Some("test_weakened");
    let cases = [
        ("package.json", off.as_str(), &[][..], weakened),
        ("package.json", off.as_str(), &["package.json"][..], None),
        ("package.json", more.as_str(), &[], None),
        ("conftest.py", "collect_ignore_glob = ['*']", &[], weakened),
        ("lib/conftest.py", "a", &[], weakened),
        ("Cargo.toml", "[lib]\ntest = false\n", &[], weakened),
        ("json.py", "a", &[], weakened),
        ("unittest/__init__.py", "a", &[], weakened),
        ("sitecustomize.py", "a", &[], weakened),
        ("node_modules/jest/index.js", "a", &[], weakened),
        ("src/json.py", "a", &[], None),
    ];
    for (number, (path, text, planned, code)) in (1..).zip(cases) {
        let task = it.add_task(number, &[]).await;
        it.commit(async |tx| {
            let mut task = tasks::get(tx, task.id).await?;
            task.id = tx.new_id();
            task.number += 100;
            task.local_id = format!("SUI-{number:03}");
            task.base_sha = Some(base.as_str().to_owned());
            task.files = Json(planned.iter().map(|path| (*path).to_owned()).collect());
            tasks::insert(tx, &task).await
        })
        .await
        .unwrap();
        let task = tasks::numbered(&mut it.read_tx().await, number + 100)
            .await
            .unwrap()
            .remove(0);
        let created = it.run_task(task.id).await;
        let head = it.commit_on(&base, path, Some(text)).await;
        let body = brings(&head, AttemptOutcome::Succeeded);
        complete_attempt(&it.build_part(), &created.attempt, body)
            .await
            .unwrap();
        assert_eq!(unmet(&it.task_now(task.id).await), code, "{path}: {text}");
    }
}

//! A conflict that no agent resolved: people are asked, and what they say happens.

use omoi_delivery::finisher::Finisher;
use omoi_delivery::merger::Merger;
use omoi_domain::actor::Actor;
use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::id::UserId;
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::merge::SidesFault;
use omoi_domain::merge::{ConflictSide, IntegrationState, MergeState};
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::commands::{self, TicketCommandError};
use omoi_git::object::{ObjectId, RepoPath};
use omoi_runtime::clock::Clock as _;
use omoi_store::approvals::{self, Approval};
use omoi_store::checks::{self, Check};
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, specs};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, tick_once};

use crate::landed_work::task_check;
use crate::queued_work::enqueue;
use crate::with_sandbox;

omoi_testkit::on_both_databases!(
    a_conflict_is_tried_again_with_a_note_and_then_given_up,
    a_conflict_that_went_on_otherwise_is_asked_about_no_more,
);

/// A conflict that nobody resolved.
struct LostConflict {
    merger: Merger,
    /// The task that landed first, and the one that conflicts with it.
    sides: [Task; 2],
    merge: Merge,
    /// The task that was to resolve it.
    resolution: Task,
    asked: Approval,
}

async fn pass(it: &TestDeployment, merger: &mut Merger) {
    tick_once(merger, it.clock.now()).await;
    while !it.deployment.running.attempt_ids().is_empty() {
        tokio::task::yield_now().await;
    }
}

async fn finish(it: &TestDeployment) -> SpecStatus {
    tick_once(&mut Finisher::from_parts(&it.deployment), it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    let spec = specs::get(&mut it.read_tx().await, it.spec.id).await;
    spec.unwrap().status
}

async fn merge_now(it: &TestDeployment, merge: &Merge) -> Merge {
    let merge = merges::get(&mut it.read_tx().await, merge.id).await;
    merge.unwrap()
}

/// What people are asked about a task, the newest last.
async fn asked_about(it: &TestDeployment, task: &Task) -> Vec<Approval> {
    let asked = approvals::of_task(&mut it.read_tx().await, task.id).await;
    asked.unwrap()
}

async fn answer(
    it: &TestDeployment,
    asked: &Approval,
    decision: ApprovalDecision,
    comment: &str,
) -> Result<Approval, TicketCommandError> {
    let store = it.deployment.store.clone();
    let person = store.acting_as(Actor::User(UserId::LOCAL));
    commands::answer_approval(&person, asked.id, decision, Some(comment)).await
}

/// Has the agents of a resolution give it up for good.
async fn lose(it: &TestDeployment, resolution: &Task) {
    let lost = it.commit(async |tx| {
        let mut task = tasks::get(tx, resolution.id).await?;
        task.error_message = Some("no round left".to_owned());
        tasks::fail_permanently(tx, &mut task, "no round left".to_owned()).await
    });
    lost.await.unwrap();
}

impl LostConflict {
    /// Two tasks that write another text to `f`; the second one also writes `g`.
    async fn new(it: &TestDeployment) -> Self {
        let first = it.commit_on(&it.base, "f", Some("1\n")).await;
        let second = it.commit_on(&it.base, "f", Some("2\n")).await;
        let second = it.commit_on(&second, "g", Some("2\n")).await;
        Self::of_commits(it, &first, &second).await
    }

    /// Two tasks whose commits conflict.
    async fn of_commits(it: &TestDeployment, first: &ObjectId, second: &ObjectId) -> Self {
        let mut merger = Merger::from_parts(&it.deployment);
        let sides = [it.add_task(1, &[]).await, it.add_task(2, &[]).await];
        enqueue(it, sides[0].id, MergeState::Pending, first.as_str()).await;
        pass(it, &mut merger).await;
        let (_, merge) = enqueue(it, sides[1].id, MergeState::Pending, second.as_str()).await;
        pass(it, &mut merger).await;
        let resolution = merge_now(it, &merge).await.resolve_task_id.unwrap();
        let resolution = it.task_now(resolution).await;
        lose(it, &resolution).await;
        for _ in 0..2 {
            pass(it, &mut merger).await;
        }
        let merge = merge_now(it, &merge).await;
        assert_eq!(merge.state, MergeState::Manual);
        let [asked] = asked_about(it, &sides[1]).await.try_into().unwrap();
        Self {
            merger,
            sides,
            merge,
            resolution,
            asked,
        }
    }
}

async fn a_conflict_is_tried_again_with_a_note_and_then_given_up(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let mut lost = LostConflict::new(&it).await;
    let asked = &lost.asked;
    assert_eq!(
        (asked.kind, asked.merge_id),
        (ApprovalKind::MergeConflict, Some(lost.merge.id))
    );
    let question = asked.question.as_deref().unwrap();
    assert!(
        question.contains("TSK-002") && question.contains("in: f. "),
        "{question}"
    );
    assert!(question.contains("no round left"), "{question}");
    assert_eq!(finish(&it).await, SpecStatus::Failed);
    let both = answer(&it, asked, ApprovalDecision::Answer, "both").await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::OtherAnswer { .. })) = both else {
        panic!("{both:?}")
    };
    let yes = ApprovalDecision::Approve;
    answer(&it, asked, yes, "Keep both lines.").await.unwrap();
    let spec = specs::get(&mut it.read_tx().await, it.spec.id).await;
    assert_eq!(spec.unwrap().status, SpecStatus::Working);
    pass(&it, &mut lost.merger).await;
    let merge = merge_now(&it, &lost.merge).await;
    assert_eq!(merge.state, MergeState::Resolving);
    let second = it.task_now(merge.resolve_task_id.unwrap()).await;
    assert_ne!(second.id, lost.resolution.id);
    assert!(
        second.description.ends_with("Keep both lines."),
        "{second:?}"
    );
    let ended = it.task_now(lost.resolution.id).await;
    assert_eq!((ended.status, ended.needed), (TaskStatus::Cancelled, false));
    // The next one does not do either, and it is not worth a third.
    lose(&it, &second).await;
    pass(&it, &mut lost.merger).await;
    let [_, asked] = asked_about(&it, &lost.sides[1]).await.try_into().unwrap();
    answer(&it, &asked, ApprovalDecision::Reject, "not worth it")
        .await
        .unwrap();
    let task = it.task_now(lost.sides[1].id).await;
    let stands = (task.status, task.integration_state);
    assert_eq!(stands, (TaskStatus::Cancelled, IntegrationState::None));
    assert_eq!(
        merge_now(&it, &lost.merge).await.state,
        MergeState::Cancelled
    );
    assert_eq!(finish(&it).await, SpecStatus::Blocked);
    let late = answer(&it, &asked, yes, "again").await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::Closed(_))) = late else {
        panic!("{late:?}")
    };
}

async fn a_conflict_that_went_on_otherwise_is_asked_about_no_more(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let lost = LostConflict::new(&it).await;
    it.commit(async |tx| {
        let mut task = tasks::get(tx, lost.sides[1].id).await?;
        omoi_execution::tasks::retry_by_person(tx, &mut task).await
    })
    .await
    .unwrap();
    let [asked] = asked_about(&it, &lost.sides[1]).await.try_into().unwrap();
    assert_eq!(asked.state, ApprovalState::Withdrawn);
    let late = answer(&it, &asked, ApprovalDecision::Answer, "ours").await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::Closed(_))) = late else {
        panic!("{late:?}")
    };
}

#[tokio::test]
async fn one_side_is_taken_where_the_checks_of_both_hold() {
    for (side, command, text) in [
        (ConflictSide::Ours, "grep -q 1 f", Some("1\n")),
        (ConflictSide::Theirs, "test -e f", Some("2\n")),
        // What landed first would be broken.
        (ConflictSide::Theirs, "grep -q 1 f", None),
    ] {
        let (it, _state) = with_sandbox().await;
        let mut lost = LostConflict::new(&it).await;
        add_check(&it, &lost.sides[0], command, &["", ""]).await;
        let decision = ApprovalDecision::Answer;
        answer(&it, &lost.asked, decision, side.as_str())
            .await
            .unwrap();
        pass(&it, &mut lost.merger).await;
        let merge = merge_now(&it, &lost.merge).await;
        let task = it.task_now(lost.sides[1].id).await;
        let head = it.branch_head(&it.spec.integration_branch).await.unwrap();
        let Some(text) = text else {
            assert_eq!((merge.state, task.round), (MergeState::Failed, 1));
            continue;
        };
        assert_eq!(merge.state, MergeState::Completed, "{side}: {merge:?}");
        assert_eq!(task.integration_state, IntegrationState::Merged);
        let read = [
            text_at(&it, &head, "f").await,
            text_at(&it, &head, "g").await,
        ];
        // What does not conflict is merged.
        assert_eq!(read.map(Option::unwrap), [text, "2\n"], "{side}");
    }
}

/// The text of a file at `head`; none where it is not there.
async fn text_at(it: &TestDeployment, head: &ObjectId, path: &str) -> Option<String> {
    let mirror = it.project_mirror().await;
    let path = RepoPath::new(path).unwrap();
    let bytes = mirror.read_blob(head, &path, 100).await.unwrap();
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Adds a check to the plan of `task`, with the files it brings.
async fn add_check(it: &TestDeployment, task: &Task, command: &str, files: &[&str; 2]) {
    let [path, text] = files.map(str::to_owned);
    let files = (!path.is_empty()).then_some((path, text));
    it.commit(async |tx| {
        let check = Check {
            command: command.to_owned(),
            files: Json(files.into_iter().collect()),
            ..task_check(tx, task)
        };
        checks::insert(tx, &check, &[]).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn each_file_in_conflict_may_be_taken_from_another_side() {
    let (it, _state) = with_sandbox().await;
    let first = it.commit_on(&it.base, "f", Some("1\n")).await;
    let first = it.commit_on(&first, "h", Some("1\n")).await;
    let second = it.commit_on(&it.base, "f", Some("2\n")).await;
    let second = it.commit_on(&second, "g", Some("2\n")).await;
    let second = it.commit_on(&second, "h", Some("2\n")).await;
    let mut lost = LostConflict::of_commits(&it, &first, &second).await;
    let [first, second] = &lost.sides;
    add_check(&it, first, "grep -q 1 f", &["", ""]).await;
    add_check(&it, second, "grep -q 2 h", &["", ""]).await;
    let decision = ApprovalDecision::Answer;
    for (said, expected) in [
        ("ours f", SidesFault::Unanswered(vec!["h".to_owned()])),
        (
            "theirs\nours g",
            SidesFault::NotInConflict {
                named: vec!["g".to_owned()],
                conflicts: vec!["f".to_owned(), "h".to_owned()],
            },
        ),
    ] {
        let refused = answer(&it, &lost.asked, decision, said).await;
        let Err(TicketCommandError::Approval(ApprovalRefusal::Sides(fault))) = refused else {
            panic!("{said}: {refused:?}")
        };
        assert_eq!(fault, expected);
    }
    let asked = asked_about(&it, second).await.remove(0);
    assert_eq!(
        asked.state,
        ApprovalState::Pending,
        "it can still be answered"
    );
    answer(&it, &lost.asked, decision, "theirs\nours f")
        .await
        .unwrap();
    pass(&it, &mut lost.merger).await;
    let merge = merge_now(&it, &lost.merge).await;
    assert_eq!(merge.state, MergeState::Completed, "{merge:?}");
    let head = it.branch_head(&it.spec.integration_branch).await.unwrap();
    for (path, text) in [("f", "1\n"), ("g", "2\n"), ("h", "2\n")] {
        let found = text_at(&it, &head, path).await;
        assert_eq!(found.as_deref(), Some(text), "{path}");
    }
}

/// The file of a check of what landed first is deleted or changed by the side that is taken.
#[tokio::test]
async fn taking_a_side_drops_no_proof() {
    const PROOF: &str = "grep -q 1 f\n";
    const RUN: &str = "test -e proof.sh && sh proof.sh";
    let declared = ["proof.sh", PROOF];
    for (theirs, files, said, is_landed) in [
        // The check brings its own file: a weaker one in the tree says nothing.
        (Some("true\n"), declared, "theirs", false),
        (None, declared, "theirs\nours f", true),
        // The file was in the tree alone, and is gone from it.
        (None, ["", ""], "theirs\nours f", false),
    ] {
        let (it, _state) = with_sandbox().await;
        let base = it.commit_on(&it.base, "proof.sh", Some("false\n")).await;
        let first = it.commit_on(&base, "f", Some("1\n")).await;
        let first = it.commit_on(&first, "proof.sh", Some(PROOF)).await;
        let second = it.commit_on(&base, "f", Some("2\n")).await;
        let second = it.commit_on(&second, "proof.sh", theirs).await;
        let mut lost = LostConflict::of_commits(&it, &first, &second).await;
        assert_eq!(lost.merge.conflicts.0, ["f", "proof.sh"]);
        add_check(&it, &lost.sides[0], RUN, &files).await;
        let before = it.branch_head(&it.spec.integration_branch).await;
        let decision = ApprovalDecision::Answer;
        answer(&it, &lost.asked, decision, said).await.unwrap();
        pass(&it, &mut lost.merger).await;
        let merge = merge_now(&it, &lost.merge).await;
        let expected = match is_landed {
            true => MergeState::Completed,
            false => MergeState::Failed,
        };
        assert_eq!(merge.state, expected, "{theirs:?} {files:?}: {merge:?}");
        let head = it.branch_head(&it.spec.integration_branch).await;
        assert_eq!(head != before, is_landed, "{theirs:?} {files:?}");
    }
}

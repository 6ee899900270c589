//! One entry's turn: forecast, merge tree, checks on it, compare-and-set, or a conflict's task.

use tracing::info;

use omoi_domain::block::TaskBlockKind;
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, HumanRef, MergeId};
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::task::{Priority, TaskStatus, TaskType, UnmetCode};
use omoi_domain::ticket::TicketStatus;
use omoi_execution::Platform;
use omoi_execution::integration::{branch_ref, ensure_for, task_branch};
use omoi_execution::platform_run::{RunEnding, end_run};
use omoi_execution::tasks::{block_waiting, resolved_by, send_back};
use omoi_git::mirror::{CommitMeta, Identity, MergeTree, Mirror, UpdateRefError, score};
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_git::trailers::Trailer;
use omoi_runtime::BoxError;
use omoi_store::merges::{self, Merge, MergeMove};
use omoi_store::projects::{Counter, take_numbers};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tx, tickets};

use super::restart;
use crate::receipts::{self, Run};
use crate::suite::fault_after_merge;

/// One entry that has its turn.
pub(super) struct Turn<'a> {
    pub(super) platform: &'a Platform,
    pub(super) spec: &'a Spec,
    pub(super) merge: MergeId,
    pub(super) attempt: AttemptId,
}

/// What the merge would be.
enum Candidate {
    /// The target holds it already.
    Landed(ObjectId),
    /// The target is where the task was cut from.
    FastForward(ObjectId),
    /// A new commit with both parents.
    Merged(ObjectId),
    /// These paths conflict.
    Conflict(Vec<String>),
}

/// Lands the entry, refuses it, or hands its conflict to a task.
pub(super) async fn land(turn: Turn<'_>) -> Result<(), BoxError> {
    let platform = turn.platform;
    let mirror = platform.mirror(turn.spec.project_id).await?;
    let target = ensure_for(platform, &mirror, turn.spec).await?;
    let (mut merge, task) = {
        let mut tx = platform.store.begin_read().await?;
        let merge = merges::get(&mut tx, turn.merge).await?;
        let task = tasks::get(&mut tx, merge.task_id).await?;
        (merge, task)
    };
    merge.forecast = Json(forecast(platform, &mirror, turn.spec, &target).await?);
    match candidate(&mirror, turn.spec, &task, &merge, &target).await? {
        Candidate::Conflict(paths) => conflict(&turn, merge, paths).await,
        Candidate::Landed(commit) => complete(&turn, merge, commit).await,
        // Its checks passed on this very tree.
        Candidate::FastForward(commit) => advance(&turn, &mirror, merge, &target, commit).await,
        Candidate::Merged(commit) => {
            let merge = verifying(&turn, merge, &commit).await?;
            let checks = receipts::of_task(platform, &task, &commit).await?;
            let run = Run {
                spec: turn.spec,
                attempt: turn.attempt,
                stage: CheckStage::Merge,
                commit: &commit,
                checks,
                task: Some(task.id),
            };
            let receipts = receipts::run(platform, run).await?;
            match receipts::unmet(UnmetCode::MergeRed, &receipts) {
                None => advance(&turn, &mirror, merge, &target, commit).await,
                Some(unmet) => {
                    let at = (&mirror, &commit);
                    match fault_after_merge(platform, at, &receipts).await? {
                        Some(fault) => wait_for_machine(&turn, merge, &fault).await,
                        None => refuse(&turn, &mirror, merge, (&target, &commit), unmet).await,
                    }
                }
            }
        }
    }
}

async fn candidate(
    mirror: &Mirror,
    spec: &Spec,
    task: &Task,
    merge: &Merge,
    target: &ObjectId,
) -> Result<Candidate, BoxError> {
    let incoming = ObjectId::parse(&merge.incoming_sha)?;
    if mirror.is_ancestor(&incoming, target).await? {
        return Ok(Candidate::Landed(target.clone()));
    }
    if mirror.is_ancestor(target, &incoming).await? {
        return Ok(Candidate::FastForward(incoming));
    }
    let MergeTree { tree, conflicts } = mirror.merge_tree(target, &incoming).await?;
    if !conflicts.is_empty() {
        return Ok(Candidate::Conflict(
            conflicts.iter().map(|c| c.path.to_string()).collect(),
        ));
    }
    let task_ref = HumanRef::task(task.number).to_string();
    let meta = CommitMeta {
        message: format!("Merge {task_ref} {}", task.title),
        trailers: vec![
            Trailer::new("OmoiOS-Task", &task_ref),
            Trailer::new("OmoiOS-Spec", &HumanRef::spec(spec.number).to_string()),
        ],
        author: Identity::platform(),
        // Equal merges are equal commits, so that a repetition makes nothing twice.
        time: merge.created_at,
    };
    let commit = mirror
        .commit_tree(&tree, &[target.clone(), incoming], &meta)
        .await?;
    Ok(Candidate::Merged(commit))
}

/// How many paths each queued branch would conflict in with the target as it is.
async fn forecast(
    platform: &Platform,
    mirror: &Mirror,
    spec: &Spec,
    target: &ObjectId,
) -> Result<Vec<(i64, u32)>, BoxError> {
    let queued = {
        let mut tx = platform.store.begin_read().await?;
        let mut queued = Vec::new();
        for merge in merges::of_spec(&mut tx, spec.id).await? {
            if matches!(merge.state, MergeState::Pending | MergeState::InProgress) {
                let task = tasks::get(&mut tx, merge.task_id).await?;
                queued.push((task.number, merge.incoming_sha));
            }
        }
        queued
    };
    let mut scores = Vec::new();
    for (number, incoming) in queued {
        let incoming = ObjectId::parse(&incoming)?;
        scores.push((number, score(&mirror.merge_tree(target, &incoming).await)));
    }
    Ok(scores)
}

async fn verifying(
    turn: &Turn<'_>,
    mut merge: Merge,
    commit: &ObjectId,
) -> Result<Merge, BoxError> {
    let mut tx = turn.platform.store.begin_write().await?;
    merge.merged_sha = Some(commit.as_str().to_owned());
    let mut task = tasks::get(&mut tx, merge.task_id).await?;
    let step = MergeMove::to(MergeState::Verifying);
    merges::transition(&mut tx, &mut merge, &mut task, step).await?;
    tx.commit(CrashPoint::MergeMoved).await?;
    Ok(merge)
}

/// Moves the branch if it is still where the merge was made from.
async fn advance(
    turn: &Turn<'_>,
    mirror: &Mirror,
    merge: Merge,
    target: &ObjectId,
    commit: ObjectId,
) -> Result<(), BoxError> {
    let branch = branch_ref(turn.spec)?;
    match mirror
        .update_ref_cas(&branch, &commit, Some(target), CrashPoint::RefMoved)
        .await
    {
        Ok(()) => complete(turn, merge, commit).await,
        Err(UpdateRefError::Moved { .. }) => again(turn, merge).await,
        Err(other) => Err(other.into()),
    }
}

async fn again(turn: &Turn<'_>, mut merge: Merge) -> Result<(), BoxError> {
    let mut tx = turn.platform.store.begin_write().await?;
    if !end_run(&mut tx, turn.attempt, RunEnding::Failed("the target moved")).await? {
        return Ok(());
    }
    restart(&mut tx, &mut merge, "the target moved").await?;
    tx.commit(CrashPoint::MergeMoved).await?;
    Ok(())
}

/// The commits are in the branch: the task, what it resolves, and their tickets move on.
async fn complete(turn: &Turn<'_>, mut merge: Merge, commit: ObjectId) -> Result<(), BoxError> {
    let brought = brought(turn, &merge, &commit).await?;
    let mut tx = turn.platform.store.begin_write().await?;
    if !end_run(&mut tx, turn.attempt, RunEnding::Done).await? {
        return Ok(());
    }
    merge.merged_sha = Some(commit.as_str().to_owned());
    let mut task = tasks::get(&mut tx, merge.task_id).await?;
    let landed = MergeMove::to(MergeState::Completed);
    merges::transition(&mut tx, &mut merge, &mut task, landed.clone()).await?;
    for mut resolved in resolved_by(&mut tx, &task).await? {
        if resolved.state != MergeState::Resolving {
            continue;
        }
        if !brought.contains(&resolved.id) {
            restart(&mut tx, &mut resolved, "its resolution left it out").await?;
            continue;
        }
        resolved.merged_sha.clone_from(&merge.merged_sha);
        let mut source = tasks::get(&mut tx, resolved.task_id).await?;
        merges::transition(&mut tx, &mut resolved, &mut source, landed.clone()).await?;
        close_ticket(&mut tx, &source).await?;
    }
    close_ticket(&mut tx, &task).await?;
    tx.commit(CrashPoint::MergeEnded).await?;
    info!(task.id = %task.id, "Merged TSK-{:03}", task.number);
    Ok(())
}

/// The merges resolved by the task of `merge` whose commits really are in `commit`.
async fn brought(
    turn: &Turn<'_>,
    merge: &Merge,
    commit: &ObjectId,
) -> Result<Vec<MergeId>, BoxError> {
    let resolved = {
        let mut tx = turn.platform.store.begin_read().await?;
        let task = tasks::get(&mut tx, merge.task_id).await?;
        resolved_by(&mut tx, &task).await?
    };
    let mirror = turn.platform.mirror(turn.spec.project_id).await?;
    let mut brought = Vec::new();
    for merge in resolved {
        let incoming = ObjectId::parse(&merge.incoming_sha)?;
        if mirror.is_ancestor(&incoming, commit).await? {
            brought.push(merge.id);
        }
    }
    Ok(brought)
}

/// A ticket is done when all that it needs is merged.
async fn close_ticket(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let settled = |t: &Task| {
        let given_up = matches!(
            t.status,
            TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::Blocked
        ) || t.integration_state == IntegrationState::Manual;
        (t.status == TaskStatus::Completed && t.integration_state.satisfies_dependents())
            || (given_up && !t.needed)
    };
    if !tasks::of_ticket(tx, task.ticket_id)
        .await?
        .iter()
        .all(settled)
    {
        return Ok(());
    }
    let mut ticket = tickets::get(tx, task.ticket_id).await?;
    if ticket.status == TicketStatus::Building {
        tickets::transition(tx, &mut ticket, TicketStatus::BuildingDone).await?;
    }
    if ticket.status == TicketStatus::BuildingDone {
        tickets::transition(tx, &mut ticket, TicketStatus::Done).await?;
    }
    Ok(())
}

/// Has the merge wait for what the machine lacks. That is no round: the agent cannot mend it.
async fn wait_for_machine(turn: &Turn<'_>, mut merge: Merge, fault: &str) -> Result<(), BoxError> {
    let mut tx = turn.platform.store.begin_write().await?;
    if !end_run(&mut tx, turn.attempt, RunEnding::Done).await? {
        return Ok(());
    }
    let mut task = tasks::get(&mut tx, merge.task_id).await?;
    info!(task.id = %task.id, "The merge of TSK-{:03} waits: {fault}", task.number);
    let error = format!("{}: {fault}", TaskBlockKind::Environment);
    merge.error = Some(error.clone());
    merge.lacks_environment = true;
    let step = MergeMove::to(MergeState::Manual).because(error);
    merges::transition(&mut tx, &mut merge, &mut task, step).await?;
    block_waiting(&mut tx, &task).await?;
    tx.commit(CrashPoint::MergeEnded).await?;
    Ok(())
}

/// The merged tree is red: the task goes back for a round that starts from the merged tree.
async fn refuse(
    turn: &Turn<'_>,
    mirror: &Mirror,
    mut merge: Merge,
    commits: (&ObjectId, &ObjectId),
    unmet: omoi_domain::lifecycle::task::UnmetResult,
) -> Result<(), BoxError> {
    let (target, merged) = commits;
    let task = tasks::get(&mut turn.platform.store.begin_read().await?, merge.task_id).await?;
    let branch = RefName::branch(&task.branch)?;
    let before = mirror.read_ref(&branch).await?;
    if before.as_ref() != Some(merged) {
        mirror
            .update_ref_cas(&branch, merged, before.as_ref(), CrashPoint::RefMoved)
            .await?;
    }
    let mut tx = turn.platform.store.begin_write().await?;
    if !end_run(&mut tx, turn.attempt, RunEnding::Done).await? {
        return Ok(());
    }
    let mut task = tasks::get(&mut tx, merge.task_id).await?;
    let error = unmet.feedback.lines().next().unwrap_or_default();
    merge.error = Some(error.to_owned());
    let step = MergeMove::to(MergeState::Failed).because(error);
    merges::transition(&mut tx, &mut merge, &mut task, step).await?;
    // From here on its own work is what stands on top of the target.
    task.base_sha = Some(target.as_str().to_owned());
    send_back(&mut tx, &mut task, unmet).await?;
    tx.commit(CrashPoint::MergeEnded).await?;
    Ok(())
}

/// A conflict becomes a task cut from the integration head with the merge begun.
async fn conflict(turn: &Turn<'_>, mut merge: Merge, paths: Vec<String>) -> Result<(), BoxError> {
    let mut tx = turn.platform.store.begin_write().await?;
    if !end_run(&mut tx, turn.attempt, RunEnding::Done).await? {
        return Ok(());
    }
    merge.conflicts = Json(paths);
    let mut source = tasks::get(&mut tx, merge.task_id).await?;
    let step = MergeMove::to(MergeState::Conflict);
    merges::transition(&mut tx, &mut merge, &mut source, step).await?;
    let resolve = resolve_task(&mut tx, &source, &merge).await?;
    merge.resolve_task_id = Some(resolve.id);
    let step = MergeMove::to(MergeState::Resolving);
    merges::transition(&mut tx, &mut merge, &mut source, step).await?;
    tx.commit(CrashPoint::MergeMoved).await?;
    Ok(())
}

async fn resolve_task(tx: &mut Tx, source: &Task, merge: &Merge) -> Result<Task, StoreError> {
    let number = take_numbers(tx, source.project_id, Counter::Task, 1).await?;
    let all = tasks::of_spec(tx, source.spec_id).await?;
    let n = all
        .iter()
        .filter(|task| task.resolves_merge_id.is_some())
        .count()
        + 1;
    let title = format!("resolve: {}", source.title);
    let paths = merge.conflicts.0.join(", ");
    let fresh = source.fresh(tx);
    let task = Task {
        number,
        local_id: format!("RES-{n:03}"),
        description: format!(
            "Merging {} ({}) into the integration branch conflicts in: {paths}.",
            HumanRef::task(source.number),
            source.title
        ),
        task_type: TaskType::ResolveConflict,
        priority: source.priority.max(Priority::High),
        files: merge.conflicts.clone(),
        branch: task_branch(fresh.id, &title),
        title,
        resolves_merge_id: Some(merge.id),
        ..fresh
    };
    tasks::insert(tx, &task).await?;
    Ok(task)
}

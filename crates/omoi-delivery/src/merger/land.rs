//! One entry's turn: forecast, merge tree, checks on it, compare-and-set, or a conflict's task.

use tracing::{debug, info};

use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, MergeId};
use omoi_domain::lifecycle::merge::{
    ConflictAnswer, ConflictedWork, MergeAction, MergedTree, ResolvedWork, TakenSides, TreeVerdict,
    check_merge, close_after_landing, conflict_answer, judge_merged_tree, land_merge,
    land_resolved, restart_merge, turn_conflict_into_task,
};
use omoi_domain::task::UnmetCode;
use omoi_execution::integration::{branch_ref, ensure_for};
use omoi_execution::merges::apply_to_merge;
use omoi_execution::platform_run::{RunEnding, end_run};
use omoi_execution::tasks::resolved_by;
use omoi_git::mirror::UpdateRefError;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_store::checks::Check;
use omoi_store::merges::Merge;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tenant, approvals};

use super::candidate::{MergeCandidate, TargetHead, forecast_scores, make_candidate};
use super::tries;
use crate::branch::{BranchProver, move_task_branch};
use crate::receipts::{self, CheckBatch};
use crate::suite::{CommitAt, fault_after_merge};

/// Why a merge starts over when somebody else moved the branch meanwhile.
const TARGET_MOVED: &str = "the target moved";

/// One entry that has its turn.
#[derive(Clone, Copy)]
pub(super) struct MergeTurn<'a> {
    pub(super) prover: &'a BranchProver,
    pub(super) spec: &'a Spec,
    pub(super) attempt: AttemptId,
    /// The task whose commits it lands, as the turn began.
    pub(super) task: &'a Task,
    /// The sides that a person takes where files conflict.
    pub(super) sides: Option<&'a TakenSides>,
}

/// Lands the entry, refuses it, or hands its conflict to a task.
pub(super) async fn take_merge_turn(turn: MergeTurn<'_>, mut merge: Merge) -> Result<(), BoxError> {
    let mirror = turn
        .prover
        .runner
        .folders
        .project_mirror(turn.spec.project_id)
        .await?;
    let head = ensure_for(&turn.prover.renderer, &mirror, turn.spec).await?;
    let target = TargetHead {
        mirror: &mirror,
        head: &head,
    };
    let sides = read_sides(&turn.prover.store, &merge).await?;
    let turn = MergeTurn {
        sides: sides.as_ref(),
        ..turn
    };
    // Written with the next move.
    merge.forecast = Json(forecast_scores(turn, target).await?);
    debug!(merge.id = %merge.id, %head, forecast = ?merge.forecast.0, "Forecast the conflicts of the queue");
    let candidate = make_candidate(turn, &merge, target).await?;
    debug!(merge.id = %merge.id, ?candidate, "Made a merge candidate");
    match candidate {
        MergeCandidate::Conflict(paths) => Ok(turn.hand_to_task(merge, paths).await?),
        MergeCandidate::Landed(commit) => turn.complete(merge, target, &commit).await,
        // Its checks passed on this very tree.
        MergeCandidate::FastForward(commit) => turn.advance(merge, target, &commit).await,
        MergeCandidate::Merged(commit) => turn.check(merge, target, &commit).await,
    }
}

/// The sides that a person takes: one for all files is kept with the merge, a choice per file is in what the person said.
async fn read_sides(store: &Tenant, merge: &Merge) -> Result<Option<TakenSides>, StoreError> {
    if let Some(side) = merge.taken_side {
        return Ok(Some(TakenSides::same_for_all(side)));
    }
    let decided = store.read(async |tx| approvals::last_decided_of_merge(tx, merge.id).await);
    let answer = decided
        .await?
        .and_then(|asked| conflict_answer(asked.state, asked.comment.as_deref()));
    Ok(match answer {
        Some(ConflictAnswer::TakeSides(sides)) => Some(sides),
        Some(ConflictAnswer::Retry { .. } | ConflictAnswer::GiveUp { .. }) | None => None,
    })
}

impl MergeTurn<'_> {
    /// Lands the merge commit if its checks pass, else sends the task back or has it wait.
    async fn check(
        self,
        mut merge: Merge,
        target: TargetHead<'_>,
        commit: &ObjectId,
    ) -> Result<(), BoxError> {
        let store = &self.prover.store;
        let begun = store.write(CrashPoint::MergeMoved, async |tx| {
            let actions = check_merge(commit.as_str().to_owned());
            apply_to_merge(tx, &mut merge, actions).await
        });
        begun.await?;
        let run = CheckBatch {
            spec: self.spec,
            attempt: self.attempt,
            stage: CheckStage::Merge,
            commit,
            checks: self.checks_at(commit).await?,
            task: Some(self.task.id),
        };
        let receipts = receipts::run_checks(&self.prover.runner, run).await?;
        let at = CommitAt {
            mirror: target.mirror,
            commit,
        };
        let fault = fault_after_merge(&self.prover.store, at, &receipts).await?;
        let unmet = receipts::unmet_checks(UnmetCode::MergeRed, &receipts);
        let tree = MergedTree::from_checks(unmet, fault);
        info!(merge.id = %merge.id, "The merged tree of TSK-{:03} {tree}", self.task.number);
        let actions = match judge_merged_tree(tree, target.head.as_str()) {
            TreeVerdict::Land => return self.advance(merge, target, commit).await,
            TreeVerdict::Wait(actions) => actions,
            TreeVerdict::SendBack(actions) => {
                move_task_branch(&self.prover.store, self.task.id, target.mirror, commit).await?;
                actions
            }
        };
        let (point, ending) = (CrashPoint::MergeEnded, RunEnding::Done);
        let end = TurnEnd {
            point,
            ending,
            actions,
        };
        Ok(self.end(merge, end).await?)
    }

    /// What must pass on the merged tree; where a person took sides in a conflict, the checks of both.
    async fn checks_at(self, commit: &ObjectId) -> Result<Vec<Check>, receipts::ReceiptError> {
        let runner = &self.prover.runner;
        match self.sides {
            Some(_) => receipts::of_both_sides(runner, self.task, commit).await,
            None => receipts::of_task(runner, self.task, commit).await,
        }
    }

    /// Moves the branch if it is still where the merge was made from.
    async fn advance(
        self,
        merge: Merge,
        target: TargetHead<'_>,
        commit: &ObjectId,
    ) -> Result<(), BoxError> {
        let branch = branch_ref(self.spec)?;
        let moved = target
            .mirror
            .update_ref_cas(&branch, commit, Some(target.head), CrashPoint::RefMoved)
            .await;
        match moved {
            Ok(()) => self.complete(merge, target, commit).await,
            Err(UpdateRefError::Moved { .. }) => {
                info!(merge.id = %merge.id, "`{branch}` moved during the merge, which starts over");
                let end = TurnEnd {
                    point: CrashPoint::MergeMoved,
                    ending: RunEnding::Failed(TARGET_MOVED),
                    actions: restart_merge(tries(&merge, self.task), TARGET_MOVED),
                };
                Ok(self.end(merge, end).await?)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The commits are in the branch: the task, what it resolves, and their tickets move on.
    async fn complete(
        self,
        mut merge: Merge,
        target: TargetHead<'_>,
        commit: &ObjectId,
    ) -> Result<(), BoxError> {
        let brought = self.brought(target, commit).await?;
        let store = &self.prover.store;
        let ended = store.write(CrashPoint::MergeEnded, async |tx| {
            if !end_run(tx, self.attempt, RunEnding::Done).await? {
                return Ok(());
            }
            apply_to_merge(tx, &mut merge, land_merge(commit.as_str())).await?;
            for mut resolved in resolved_by(tx, self.task).await? {
                let source = tasks::get(tx, resolved.task_id).await?;
                let work = ResolvedWork {
                    state: resolved.state,
                    is_brought: brought.contains(&resolved.id),
                    tries: tries(&resolved, &source),
                };
                let actions = land_resolved(work, commit.as_str());
                apply_to_merge(tx, &mut resolved, actions).await?;
            }
            // Last: what it left out may settle the ticket too.
            apply_to_merge(tx, &mut merge, close_after_landing()).await?;
            let number = self.task.number;
            info!(task.id = %self.task.id, merge.id = %merge.id, %commit, "Merged TSK-{number:03}");
            Ok::<_, StoreError>(())
        });
        Ok(ended.await?)
    }

    /// The merges resolved by the task whose commits really are in `commit`.
    async fn brought(
        self,
        target: TargetHead<'_>,
        commit: &ObjectId,
    ) -> Result<Vec<MergeId>, BoxError> {
        let store = &self.prover.store;
        let resolved = store.read(async |tx| resolved_by(tx, self.task).await);
        let mut brought = Vec::new();
        for merge in resolved.await? {
            let incoming = ObjectId::parse(&merge.incoming_sha)?;
            if target.mirror.is_ancestor(&incoming, commit).await? {
                brought.push(merge.id);
            }
        }
        Ok(brought)
    }

    /// A conflict becomes a task cut from the integration head with the merge begun.
    async fn hand_to_task(self, mut merge: Merge, paths: Vec<String>) -> Result<(), StoreError> {
        info!(
            merge.id = %merge.id, task.id = %self.task.id, ?paths,
            "TSK-{:03} conflicts and gets a task that resolves it", self.task.number
        );
        let store = &self.prover.store;
        store
            .write(CrashPoint::MergeMoved, async |tx| {
                if !end_run(tx, self.attempt, RunEnding::Done).await? {
                    return Ok(());
                }
                let tasks = tasks::standing_of_spec(tx, self.spec.id).await?;
                let resolutions = tasks.iter().filter(|task| task.resolves_merge_id.is_some());
                let work = ConflictedWork {
                    number: self.task.number,
                    title: self.task.title.clone(),
                    priority: self.task.priority,
                    paths,
                    resolutions: resolutions.count(),
                    note: merge.person_note.clone(),
                };
                apply_to_merge(tx, &mut merge, turn_conflict_into_task(work)).await
            })
            .await
    }

    /// Ends the attempt and applies what was decided; nothing, when it is over already.
    async fn end(self, mut merge: Merge, end: TurnEnd) -> Result<(), StoreError> {
        let store = &self.prover.store;
        store
            .write(end.point, async |tx| {
                match end_run(tx, self.attempt, end.ending).await? {
                    true => apply_to_merge(tx, &mut merge, end.actions).await,
                    false => Ok(()),
                }
            })
            .await
    }
}

/// How a turn ends that did not land.
struct TurnEnd {
    point: CrashPoint,
    ending: RunEnding<'static>,
    actions: Vec<MergeAction>,
}

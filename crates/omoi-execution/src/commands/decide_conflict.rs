//! What people decide about a conflict that no agent resolved.

use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::id::{ApprovalId, MergeId};
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::merge::{ConflictAnswer, TakenSides, conflict_answer};
use omoi_domain::lifecycle::spec::{SpecFacts, spec_of_retried_task};
use omoi_domain::merge::MergeState;
use omoi_domain::spec::SpecStatus;
use omoi_store::approvals::{self, Approval};
use omoi_store::merges::{self, Merge};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, Tx, specs};

use super::TicketCommandError;
use super::decide_approval::answer_approval;
use crate::specs::apply_to_spec;
use crate::tasks::{give_up, retry_by_person};

/// Whether nobody waits for an answer about the conflict of `merge` any more.
pub(super) async fn is_conflict_over(tx: &mut Tx, merge: MergeId) -> Result<bool, StoreError> {
    let merge = merges::get(tx, merge).await?;
    let spec = specs::get(tx, merge.spec_id).await?.status;
    let is_open = matches!(
        spec,
        SpecStatus::Working | SpecStatus::Blocked | SpecStatus::Failed
    );
    Ok(merge.state != MergeState::Manual || !is_open)
}

/// Answers a question about a conflict with the side of each file.
///
/// # Errors
/// As [`answer_approval`]; [`ApprovalRefusal::NoConflict`] where it is about another thing, [`ApprovalRefusal::Sides`] where files
/// have no side, or do not conflict.
pub async fn take_conflict_sides(
    tenant: &Tenant,
    id: ApprovalId,
    sides: &TakenSides,
) -> Result<Approval, TicketCommandError> {
    let asked = tenant.read(async |tx| approvals::get(tx, id).await).await?;
    if asked.kind != ApprovalKind::MergeConflict {
        return Err(ApprovalRefusal::NoConflict.into());
    }
    let answer = sides.to_string();
    answer_approval(tenant, id, ApprovalDecision::Answer, Some(&answer)).await
}

/// Has the conflict tried again with a note, or sides taken, by another turn of its merge; or gives the task up whose commits
/// conflict. Its spec goes on where it stopped for want of that.
pub(super) async fn settle_conflict(
    tx: &mut Tx,
    approval: &Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), TicketCommandError> {
    let Some(merge) = approval.merge_id else {
        return Ok(());
    };
    let mut merge = merges::get(tx, merge).await?;
    let mut task = tasks::get(tx, merge.task_id).await?;
    match conflict_answer(to, comment) {
        Some(ConflictAnswer::Retry { note }) => {
            merge.person_note = note;
            merge.taken_side = None;
            merge_again(tx, &mut merge, &mut task).await?;
        }
        Some(ConflictAnswer::TakeSides(sides)) => {
            sides
                .check_paths(&merge.conflicts.0)
                .map_err(ApprovalRefusal::from)?;
            // A choice per file is read from the answer.
            merge.taken_side = sides.only_side();
            merge_again(tx, &mut merge, &mut task).await?;
        }
        Some(ConflictAnswer::GiveUp { reason }) => give_up(tx, &mut task, &reason).await?,
        None => return Ok(()),
    }
    let mut spec = specs::get(tx, task.spec_id).await?;
    // It has merges, so its whole plan was written.
    let facts = SpecFacts {
        status: spec.status,
        is_planned: true,
    };
    let actions = spec_of_retried_task(facts, spec.options.0.as_it_stands);
    let actions = actions.map_err(|_| ApprovalRefusal::Outdated)?;
    Ok(apply_to_spec(tx, &mut spec, actions, false).await?)
}

/// Queues a merge again whose conflict nobody resolved; the task that was to do so is over.
async fn merge_again(tx: &mut Tx, merge: &mut Merge, task: &mut Task) -> Result<(), StoreError> {
    merges::save(tx, merge).await?;
    match merge.resolve_task_id {
        Some(resolution) => {
            let mut resolution = tasks::get(tx, resolution).await?;
            retry_by_person(tx, &mut resolution).await
        }
        None => retry_by_person(tx, task).await,
    }
}

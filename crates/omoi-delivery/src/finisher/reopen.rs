//! A check that is red at the head sends the task it belongs to back for a round.

use std::collections::BTreeMap;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TaskId;
use omoi_domain::lifecycle::spec::finish::RedTask;
use omoi_domain::lifecycle::task::reopen_task;
use omoi_domain::task::UnmetCode;
use omoi_execution::platform_run::{RunEnding, end_run};
use omoi_execution::tasks::apply_to_task;
use omoi_runtime::BoxError;
use omoi_store::checks::{Check, Receipt};
use omoi_store::{StoreError, tasks};

use super::head::HeadProof;
use crate::branch::move_task_branch;
use crate::receipts;

/// Tasks with a red check of their own, with what each is told.
pub(super) fn red_tasks(receipts: &[(Check, Receipt)]) -> Vec<RedTask> {
    let mut own: BTreeMap<TaskId, Vec<(Check, Receipt)>> = BTreeMap::new();
    for (check, receipt) in receipts {
        if let Some(task) = check.task_id {
            let all = own.entry(task).or_default();
            all.push((check.clone(), receipt.clone()));
        }
    }
    let red = own.into_iter().filter_map(|(id, all)| {
        let unmet = receipts::unmet_checks(UnmetCode::HeadRed, &all)?;
        Some(RedTask { id, unmet })
    });
    red.collect()
}

/// Sends every one of these tasks back, to go on from the head.
pub(super) async fn reopen_all(proof: HeadProof<'_>, red: Vec<RedTask>) -> Result<(), BoxError> {
    for task in &red {
        move_task_branch(&proof.prover.store, task.id, proof.mirror, proof.head).await?;
    }
    let store = &proof.prover.store;
    let reopened = store.write(CrashPoint::SpecMoved, async |tx| {
        if !end_run(tx, proof.attempt, RunEnding::Done).await? {
            return Ok(());
        }
        for RedTask { id, unmet } in red {
            let mut task = tasks::get(tx, id).await?;
            info!(task.id = %id, "TSK-{:03} is red at the head", task.number);
            let actions = reopen_task(task.status, task.round, proof.head.as_str(), unmet);
            apply_to_task(tx, &mut task, actions).await?;
        }
        Ok::<_, StoreError>(())
    });
    Ok(reopened.await?)
}

#[cfg(test)]
mod tests {
    use omoi_domain::check::CheckKind;

    use super::*;
    use crate::samples::{sample_check, sample_receipt, task_id};

    #[test]
    fn only_tasks_with_a_red_check_of_their_own_are_red() {
        let of = |n, owner: Option<u128>| Check {
            task_id: owner.map(task_id),
            ..sample_check(n, CheckKind::Proof, "test")
        };
        let run = |check: Check, passed| {
            let receipt = sample_receipt(&check, passed, "boom");
            (check, receipt)
        };
        let receipts = [
            run(of(1, Some(1)), true),
            run(of(2, Some(1)), false),
            run(of(3, Some(2)), true),
            run(of(4, None), false),
            run(of(5, Some(3)), false),
        ];
        let red = red_tasks(&receipts);
        let ids: Vec<_> = red.iter().map(|task| task.id).collect();
        assert_eq!(ids, [task_id(1), task_id(3)]);
        // Each is told of its own checks alone.
        assert!(red[0].unmet.feedback.starts_with("1 of 2 checks failed"));
        assert!(red[1].unmet.feedback.starts_with("1 of 1 checks failed"));
    }
}

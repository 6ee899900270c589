//! How the checks of tasks ended on the tree that merging them gave, as their receipts say.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::id::{CheckId, SpecId, TaskId};
use omoi_domain::lifecycle::ticket::GateReceipt;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::tx::Tx;

/// The checks of tasks, and how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedWork {
    /// Checks that there are, the suite of the project among them.
    pub n_named: u32,
    /// Of each that ran on the merged tree its last receipt there, oldest first.
    pub receipts: Vec<GateReceipt>,
}

/// How the checks of `tasks` and the suite of their spec ended on trees that were merged into its branch: by a merge attempt
/// before it landed, by the check attempt of a task whose commit became the head of the branch, or at the head in the end.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_tasks(
    tx: &mut Tx,
    spec: SpecId,
    tasks: &BTreeSet<TaskId>,
) -> Result<CheckedWork, StoreError> {
    let named = tx
        .rows(
            "select id, task_id from checks where org_id = $1 and spec_id = $2
             and (task_id is not null or kind = 'suite')",
            args![spec],
        )
        .await?;
    let mut checks = BTreeSet::new();
    for row in &named {
        let owner = Option::<TaskId>::read(row, "task_id")?;
        if owner.is_none_or(|task| tasks.contains(&task)) {
            checks.insert(CheckId::read(row, "id")?);
        }
    }
    let runs = tx
        .rows(
            "select id, attempt_id, check_id, passed from receipts
             where org_id = $1 and spec_id = $2 and (stage = 'head' or (stage in ('task', 'merge')
                 and commit_sha in (select merged_sha from merges
                     where org_id = $1 and spec_id = $2 and state = 'completed')))
             order by started_at, id",
            args![spec],
        )
        .await?;
    let mut last = BTreeMap::new();
    for (n, row) in runs.iter().enumerate() {
        let receipt = GateReceipt {
            receipt_id: Column::read(row, "id")?,
            attempt_id: Column::read(row, "attempt_id")?,
            passed: bool::read(row, "passed")?,
        };
        last.insert(CheckId::read(row, "check_id")?, (n, receipt));
    }
    last.retain(|check, _| checks.contains(check));
    let mut receipts: Vec<_> = last.into_values().collect();
    receipts.sort_by_key(|(n, _)| *n);
    Ok(CheckedWork {
        n_named: checks.len() as u32,
        receipts: receipts.into_iter().map(|(_, receipt)| receipt).collect(),
    })
}

/// How the check `command` ended last on what was handed over of a spec; none where it did not run there.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_deployment(
    tx: &mut Tx,
    spec: SpecId,
    command: &str,
) -> Result<Option<GateReceipt>, StoreError> {
    let runs = tx
        .rows(
            "select r.id, r.attempt_id, r.passed from receipts r join checks c on c.id = r.check_id
             where r.org_id = $1 and r.spec_id = $2 and c.is_deploy and c.command = $3
                 and r.commit_sha in (select h.head_sha from hand_overs h where h.org_id = $1 and h.spec_id = $2)
             order by r.started_at desc, r.id desc limit 1",
            args![spec, command.to_owned()],
        )
        .await?;
    let Some(row) = runs.first() else {
        return Ok(None);
    };
    Ok(Some(GateReceipt {
        receipt_id: Column::read(row, "id")?,
        attempt_id: Column::read(row, "attempt_id")?,
        passed: bool::read(row, "passed")?,
    }))
}

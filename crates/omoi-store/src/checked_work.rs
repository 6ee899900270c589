//! How the checks of a task ended, as its receipts say.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use omoi_domain::id::CheckId;

use crate::args;
use crate::column::Column as _;
use crate::error::StoreError;
use crate::tasks::Task;
use crate::tx::Tx;

/// How checks ended, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckedWork {
    /// Checks that there are, the suite of the project among them.
    pub n_named: u32,
    /// Those whose last run passed.
    pub n_passed: u32,
    /// Those whose last run did not.
    pub n_failed: u32,
}

impl CheckedWork {
    /// Checks that ran.
    pub const fn n_runs(self) -> u32 {
        self.n_passed + self.n_failed
    }
}

impl AddAssign for CheckedWork {
    fn add_assign(&mut self, more: Self) {
        self.n_named += more.n_named;
        self.n_passed += more.n_passed;
        self.n_failed += more.n_failed;
    }
}

/// How the checks of `task` ended on its own branch and on the tree that merging it gave: of each the last run counts.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_task(tx: &mut Tx, task: &Task) -> Result<CheckedWork, StoreError> {
    let named = tx
        .rows(
            "select count(*) as n from checks where org_id = $1
             and (task_id = $2 or (spec_id = $3 and task_id is null and kind = 'suite'))",
            args![task.id, task.spec_id],
        )
        .await?;
    let runs = tx
        .rows(
            "select check_id, passed from receipts
             where org_id = $1 and task_id = $2 and stage in ('task', 'merge') order by started_at, id",
            args![task.id],
        )
        .await?;
    let mut last = BTreeMap::new();
    for run in &runs {
        last.insert(CheckId::read(run, "check_id")?, bool::read(run, "passed")?);
    }
    let n_passed = last.values().filter(|passed| **passed).count() as u32;
    Ok(CheckedWork {
        n_named: named.first().map_or(Ok(0), |row| u32::read(row, "n"))?,
        n_passed,
        n_failed: last.len() as u32 - n_passed,
    })
}

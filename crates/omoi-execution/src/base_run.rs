//! A check run on the commit that its work starts from, and the receipt of it.

use std::time::Duration;

use omoi_domain::check::CheckStage;
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::suite::report::SuiteReport;
use omoi_domain::time::Timestamp;
use omoi_git::mirror::MirrorError;
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::Spec;
use omoi_store::{Json, StoreError, Tenant, Tx};

use crate::check_receipt::{CheckRun, receipt_of};
use crate::command::{self, CheckoutCommand, CheckoutRunner, CommandError, CommandRun};
use crate::egress::work_setup_mode;

/// A check that is run on the commit its work starts from.
#[derive(Clone, Copy)]
pub struct BaseRun<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The check.
    pub check: &'a Check,
    /// The task it is run for; none for the project's suite.
    pub task: Option<TaskId>,
    /// The platform's attempt that runs it.
    pub attempt: AttemptId,
    /// The commit.
    pub commit: &'a ObjectId,
}

/// How the run went.
pub struct FinishedBaseRun {
    /// How the command ended.
    pub command: CommandRun,
    tree: ObjectId,
    started_at: Timestamp,
}

/// The check could not be run; says nothing about what it would have found.
#[derive(Debug, thiserror::Error)]
pub enum BaseRunError {
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// The command could not be run.
    #[error("a check could not be run")]
    Command(#[from] CommandError),
    /// The mirror could not be opened.
    #[error("the mirror could not be opened")]
    Mirror(#[from] MirrorError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
}

impl BaseRun<'_> {
    /// Runs the check, for as long as it may take.
    ///
    /// # Errors
    /// [`BaseRunError`] when it could not be run at all.
    pub async fn run_check(
        self,
        store: &Tenant,
        checkouts: &CheckoutRunner,
    ) -> Result<FinishedBaseRun, BaseRunError> {
        let toolbox = checkouts.toolchains.toolchain_of(self.spec).await;
        let toolbox = toolbox.map_err(CommandError::from)?;
        let mirror = checkouts
            .folders
            .project_mirror(self.spec.project_id)
            .await?;
        let tree = mirror.tree_of(self.commit).await?;
        let read = store.read(async |tx| {
            let mode = work_setup_mode(tx, self.spec.id, self.task).await?;
            Ok::<_, StoreError>((mode, tx.now()))
        });
        let (setup_mode, started_at) = read.await?;
        let command = CheckoutCommand {
            spec: self.spec,
            commit: self.commit,
            command: &self.check.command,
            files: &self.check.files.0,
            timeout: check_timeout(self.check),
            toolbox: &toolbox,
            setup_mode,
        };
        Ok(FinishedBaseRun {
            command: command::run_in_checkout(checkouts, command).await?,
            tree,
            started_at,
        })
    }

    /// Stores the receipt of a finished run; `tests` is what was read of them from its output.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn store_base_receipt(
        self,
        tx: &mut Tx,
        finished: FinishedBaseRun,
        tests: Option<SuiteReport>,
    ) -> Result<(), StoreError> {
        let run = CheckRun {
            spec: self.spec.id,
            check: self.check.id,
            task: self.task,
            attempt: self.attempt,
            stage: CheckStage::Base,
            commit: self.commit,
            tree: finished.tree.as_str(),
        };
        let receipt = Receipt {
            tests: Json(tests),
            started_at: finished.started_at,
            ..receipt_of(tx, run, finished.command)
        };
        checks::store_receipt(tx, self.spec.project_id, self.check, &receipt).await?;
        Ok(())
    }
}

/// Wall time a check may take.
pub fn check_timeout(check: &Check) -> Duration {
    Duration::from_secs(u64::try_from(check.timeout_s).unwrap_or(0))
}

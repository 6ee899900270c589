//! Runs the deploy check of a project on what was handed over of a spec, for the tickets that wait for it.

use std::time::Duration;

use tracing::info;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, SpecId};
use omoi_domain::lifecycle::spec::finish::{ProofStart, start_proof};
use omoi_execution::deploy_checks::{
    ensure_deploy_check, hold_deploying, settle_deploying, stop_deploying,
};
use omoi_execution::platform_run::{
    PlatformRun, PlatformRunner, PlatformWork, RunEnding, begin_run, earlier_runs, end_run,
};
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_store::checks::Check;
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, Tx, deliveries, tickets};

use super::Finisher;
use crate::branch::BranchProver;
use crate::receipts::{self, CheckBatch};

/// A deploy check that has begun.
struct BegunDeployCheck {
    run: PlatformRun,
    check: Check,
    /// What was handed over.
    head: String,
}

/// Specs that were delivered and whose tickets wait for their deployment.
pub(super) async fn deploying_specs(store: &Tenant) -> Result<Vec<Spec>, StoreError> {
    let read = store.read(async |tx| {
        let mut found: Vec<Spec> = Vec::new();
        for ticket in tickets::list_deploying(tx).await? {
            let spec = ticket.follows_spec_id.or(ticket.spec_id);
            if let Some(spec) = spec.filter(|spec| found.iter().all(|known| known.id != *spec)) {
                found.push(specs::get(tx, spec).await?);
            }
        }
        Ok(found)
    });
    read.await
}

impl Finisher {
    /// Closes what is deployed; else runs the check that shows it.
    pub(super) async fn check_deployment(&self, spec: Spec) -> Result<(), BoxError> {
        let limit = spec.work_limits(self.limits).check_timeout;
        let begun = self.store.write(CrashPoint::ValidationStarted, async |tx| {
            begin_deploy_check(tx, &self.platform, &spec, limit).await
        });
        let Some(BegunDeployCheck { run, check, head }) = begun.await? else {
            return Ok(());
        };
        let (prover, attempt) = (self.prover.clone(), run.attempt.id);
        info!(spec.id = %spec.id, attempt.id = %attempt, head, "Looking whether SPEC-{} is deployed", spec.number);
        run.spawn(
            format!("deploy check of SPEC-{}", spec.number),
            async move {
                let done = DeployRun {
                    prover: &prover,
                    spec: &spec,
                    attempt,
                };
                done.run_check(check, &ObjectId::parse(&head)?).await
            },
        );
        Ok(())
    }
}

async fn begin_deploy_check(
    tx: &mut Tx,
    platform: &PlatformRunner,
    spec: &Spec,
    limit: Duration,
) -> Result<Option<BegunDeployCheck>, StoreError> {
    let waiting = hold_deploying(tx, spec.id).await?;
    let handed_over = deliveries::find(tx, spec.id).await?;
    let (Some(command), Some(handed_over), false) =
        (&waiting.command, handed_over, waiting.is_deployed)
    else {
        settle_deploying(tx, spec.id).await?;
        return Ok(None);
    };
    let work = PlatformWork {
        subject: AttemptSubject::HeadChecks,
        round: 0,
    };
    let runs = earlier_runs(tx, spec.id, work.subject).await?;
    // What a person had go on has all its tries again.
    let Some(since) = waiting.tickets.iter().map(|ticket| ticket.updated_at).max() else {
        return Ok(None);
    };
    match start_proof(&runs, Some(since)) {
        ProofStart::Wait => Ok(None),
        ProofStart::GiveUp(stop) => {
            stop_deploying(tx, waiting, &stop.reason).await?;
            Ok(None)
        }
        ProofStart::Begin => {
            let check = ensure_deploy_check(tx, spec, command, limit.as_secs()).await?;
            let run = begin_run(tx, platform, spec, work).await?;
            let head = handed_over.head_sha;
            Ok(Some(BegunDeployCheck { run, check, head }))
        }
    }
}

/// A run of a deploy check.
struct DeployRun<'a> {
    prover: &'a BranchProver,
    spec: &'a Spec,
    attempt: AttemptId,
}

impl DeployRun<'_> {
    async fn run_check(self, check: Check, head: &ObjectId) -> Result<(), BoxError> {
        let batch = CheckBatch {
            spec: self.spec,
            attempt: self.attempt,
            stage: CheckStage::Head,
            commit: head,
            checks: vec![check],
            task: None,
        };
        receipts::run_checks(&self.prover.runner, batch).await?;
        let ended = self
            .prover
            .store
            .write(CrashPoint::TicketChanged, async |tx| {
                end_and_settle(tx, self.attempt, self.spec.id).await
            });
        Ok(ended.await?)
    }
}

async fn end_and_settle(tx: &mut Tx, attempt: AttemptId, spec: SpecId) -> Result<(), StoreError> {
    match end_run(tx, attempt, RunEnding::Done).await? {
        true => settle_deploying(tx, spec).await,
        false => Ok(()),
    }
}

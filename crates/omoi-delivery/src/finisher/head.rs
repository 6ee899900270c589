//! Runs every check and the suite at the head of the branch, and does what follows from them.

use tracing::{debug, info};

use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, HumanRef};
use omoi_domain::lifecycle::spec::finish::{
    BranchSearch, CHECKED_NOTE, HeadResult, HeadVerdict, SpecStop, StandingHead, ablation_note,
    judge_as_it_stands, judge_found_secrets, judge_head, refuse_weak_proofs,
};
use omoi_domain::secret_scan::SecretScan;
use omoi_domain::spec::SpecKind;
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_execution::integration::ensure_for;
use omoi_execution::platform_run::{RunEnding, end_run};
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, TaskStanding};
use omoi_store::{StoreError, Tx, requirements};

use super::hand_over::hand_over;
use super::reopen::{red_tasks, reopen_all};
use super::{ablation, stop_spec};
use crate::branch::BranchProver;
use crate::receipts::{self, CheckBatch};
use crate::suite::{CommitAt, fault_after_merge};

/// Text of a branch and its history that is searched for secrets; of what has more a person decides.
const PATCH_BYTES_MAX: usize = 256 << 20;

/// A head under proof.
#[derive(Clone, Copy)]
pub(super) struct HeadProof<'a> {
    pub(super) prover: &'a BranchProver,
    pub(super) spec: &'a Spec,
    pub(super) attempt: AttemptId,
    pub(super) mirror: &'a Mirror,
    pub(super) head: &'a ObjectId,
}

/// Proves the head and hands the branch over, or says what is red.
pub(super) async fn finish_spec(
    prover: &BranchProver,
    spec: &Spec,
    attempt: AttemptId,
) -> Result<(), BoxError> {
    let mirror = prover
        .runner
        .folders
        .project_mirror(spec.project_id)
        .await?;
    let head = ensure_for(&prover.renderer, &mirror, spec).await?;
    let store = &prover.store;
    let checks = store.read(async |tx| final_checks(tx, spec).await).await?;
    let run = CheckBatch {
        spec,
        attempt,
        stage: CheckStage::Head,
        commit: &head,
        checks,
        task: None,
    };
    let receipts = receipts::run_checks(&prover.runner, run).await?;
    let n_passed = receipts
        .iter()
        .filter(|(_, receipt)| receipt.passed)
        .count();
    debug!(spec.id = %spec.id, %head, n_passed, n_checks = receipts.len(), "Ran every check at the head");
    let proof = HeadProof {
        prover,
        spec,
        attempt,
        mirror: &mirror,
        head: &head,
    };
    if spec.options.0.as_it_stands {
        return proof.finish_as_it_stands(&receipts).await;
    }
    match judge_head(proof.result(&receipts).await?) {
        HeadVerdict::Stop(stop) => proof.stop(stop).await,
        HeadVerdict::SendBack(red) => reopen_all(proof, red).await,
        HeadVerdict::Proven => proof.finish_proven(&receipts).await,
        HeadVerdict::Checked => {
            proof
                .scan_and_hand_over(Some(CHECKED_NOTE.to_owned()))
                .await
        }
    }
}

impl HeadProof<'_> {
    /// Tries the proofs without the work, then hands the branch over.
    async fn finish_proven(self, receipts: &[(Check, Receipt)]) -> Result<(), BoxError> {
        let found = ablation::ablate_proofs(self, receipts).await?;
        let spec = ablation::spec_reference(self).await?;
        match refuse_weak_proofs(&found, &spec) {
            Some(stop) => self.stop(stop).await,
            None => self.scan_and_hand_over(ablation_note(&found)).await,
        }
    }

    /// Hands the branch over unless it or its history adds secrets; `known` is what its reader should know.
    async fn scan_and_hand_over(self, known: Option<String>) -> Result<(), BoxError> {
        let search = self.find_secrets().await?;
        let spec = HumanRef::spec(self.spec.number).to_string();
        match judge_found_secrets(&search, &spec, self.spec.options.0.as_it_stands) {
            Ok(note) => {
                let notes: Vec<String> = known.into_iter().chain(note).collect();
                hand_over(self, (!notes.is_empty()).then(|| notes.join("; "))).await
            }
            Err(stop) => self.stop(stop).await,
        }
    }

    /// Searches every commit that leaves with the branch: what one adds leaves even if a later one takes it away.
    async fn find_secrets(self) -> Result<BranchSearch, BoxError> {
        let base = ObjectId::parse(&self.spec.base_sha)?;
        let mirror = self.mirror;
        let commits = mirror.new_commits(&base, self.head, PATCH_BYTES_MAX);
        let commits = commits.await?;
        let patches = mirror.new_patches(&base, self.head, PATCH_BYTES_MAX);
        let patches = patches.await?;
        let is_cut = patches.truncated;
        let runner = &self.prover.runner;
        // This process may have given no agent a secret yet, and an earlier one has.
        let copies = &runner.checkouts.copies;
        copies.learn_secrets(self.spec.project_id).await?;
        let mask = runner.checkouts.secrets_of(self.spec.org_id).await?;
        // Tens of seconds of work where a branch is long.
        let search = runner
            .lifecycle
            .run_blocking("search for secrets", move || {
                let mut scan = SecretScan::new(&mask);
                for commit in &commits {
                    scan.add_commit(commit.id.as_str(), &commit.text);
                }
                scan.add_patches(&patches.text);
                scan.into_findings()
            });
        Ok(BranchSearch {
            found: search.await?,
            ended_at: is_cut.then(|| format!("{} MiB", PATCH_BYTES_MAX >> 20)),
        })
    }

    /// Hands over what has landed, saying what of the plan it does not prove.
    async fn finish_as_it_stands(self, receipts: &[(Check, Receipt)]) -> Result<(), BoxError> {
        let others = receipts
            .iter()
            .filter(|(check, _)| check.kind != CheckKind::Proof);
        let others: Vec<(Check, Receipt)> = others.cloned().collect();
        let fault = fault_after_merge(&self.prover.store, self.at(), &others).await?;
        let store = &self.prover.store;
        let head = store.read(async |tx| {
            let tasks = tasks::standing_of_spec(tx, self.spec.id).await?;
            Ok::<_, StoreError>(StandingHead {
                fault,
                unmet: receipts::unmet_checks(UnmetCode::HeadRed, &others),
                unproven: criteria_at_head(tx, self.spec, receipts).await?.unproven,
                open_tasks: open_tasks(&tasks),
            })
        });
        match judge_as_it_stands(head.await?) {
            Ok(says) => self.scan_and_hand_over(Some(says)).await,
            Err(stop) => self.stop(stop).await,
        }
    }

    async fn result(self, receipts: &[(Check, Receipt)]) -> Result<HeadResult, BoxError> {
        let fault = fault_after_merge(&self.prover.store, self.at(), receipts).await?;
        let store = &self.prover.store;
        let criteria = store.read(async |tx| criteria_at_head(tx, self.spec, receipts).await);
        let criteria = criteria.await?;
        Ok(HeadResult {
            fault,
            red_tasks: red_tasks(receipts),
            unmet: receipts::unmet_checks(UnmetCode::HeadRed, receipts),
            has_criteria: criteria.total > 0,
            suite_decides: self.spec.kind == SpecKind::Direct
                && self.spec.suite_command().is_some(),
            unproven: criteria.unproven,
        })
    }

    fn at(&self) -> CommitAt<'_> {
        CommitAt {
            mirror: self.mirror,
            commit: self.head,
        }
    }

    /// Ends the attempt, and the spec with it.
    async fn stop(self, stop: SpecStop) -> Result<(), BoxError> {
        info!(spec.id = %self.spec.id, "SPEC-{} stops: {}", self.spec.number, stop.reason);
        let store = &self.prover.store;
        let stopped = store.write(CrashPoint::SpecMoved, async |tx| {
            match end_run(tx, self.attempt, RunEnding::Done).await? {
                true => stop_spec(tx, self.spec, stop).await,
                false => Ok(()),
            }
        });
        Ok(stopped.await?)
    }
}

/// Needed tasks that are not merged, with where each stands.
fn open_tasks(tasks: &[TaskStanding]) -> Vec<String> {
    let is_open =
        |task: &&TaskStanding| task.needed && !task.integration_state.satisfies_dependents();
    let open = tasks.iter().filter(is_open);
    open.map(|task| format!("{} ({})", HumanRef::task(task.number), task.status))
        .collect()
}

/// Every check of what landed, and the suite.
async fn final_checks(tx: &mut Tx, spec: &Spec) -> Result<Vec<Check>, StoreError> {
    let tasks = tasks::standing_of_spec(tx, spec.id).await?;
    let landed: Vec<_> = tasks
        .iter()
        .filter(|task| task.status == TaskStatus::Completed)
        .filter(|task| task.integration_state.satisfies_dependents())
        .map(|task| task.id)
        .collect();
    let all = checks::of_spec(tx, spec.id).await?;
    Ok(all
        .into_iter()
        .filter(|check| !check.is_deploy)
        // Work found on the way is judged by the suite when it has no check of its own.
        .filter(|check| receipts::proves(check, &tasks))
        .filter(|check| match check.task_id {
            None => true,
            Some(task) => landed.contains(&task) && check.kind != CheckKind::Suite,
        })
        .collect())
}

/// The criteria of a plan at its head.
struct HeadCriteria {
    total: usize,
    /// `REQ-…#n` of those that no check proves.
    unproven: Vec<String>,
}

async fn criteria_at_head(
    tx: &mut Tx,
    spec: &Spec,
    receipts: &[(Check, Receipt)],
) -> Result<HeadCriteria, StoreError> {
    let links = checks::criteria_links(tx, spec.id).await?;
    let criteria = requirements::criteria_of_spec(tx, spec.id).await?;
    let total = criteria.len();
    let is_unproven = |criterion: &requirements::Criterion| {
        !receipts
            .iter()
            .any(|(check, receipt)| receipt.passed && links.contains(&(check.id, criterion.id)))
    };
    let unproven = criteria.into_iter().filter(is_unproven);
    Ok(HeadCriteria {
        total,
        unproven: unproven.map(|criterion| criterion.local_id).collect(),
    })
}

//! What the rows and the branch say about which work serves which requirement.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use omoi_domain::ablation::{
    BranchLanding, CheckBudget, MergedWork, ServingTask, TakeBackStep, branch_landings,
    take_back_ways, tasks_serving,
};
use omoi_domain::id::{CheckId, CriterionId, HumanRef, TaskId};
use omoi_domain::lifecycle::spec::finish::AblatedCriterion;
use omoi_domain::merge::MergeState;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_store::StoreError;
use omoi_store::ablations::{self, Ablation};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::merges::{self, Merge};
use omoi_store::requirements::{self, Criterion, Requirement};
use omoi_store::tasks::{self, Task};

use super::STAGE;
use crate::finisher::head::HeadProof;

/// Requirements that the same commits serve.
pub(super) struct AblationGroup<'a> {
    pub(super) requirements: Vec<&'a Requirement>,
    /// `TSK-n` of the tasks taken back; empty when nothing of them is in the branch.
    pub(super) without: Vec<String>,
    /// Empty where a commit of them was not found.
    pub(super) ways: Vec<Vec<TakeBackStep>>,
}

/// Everything read before anything is run.
pub(super) struct AblationFacts {
    pub(super) criteria: Vec<Criterion>,
    pub(super) checks: Vec<Check>,
    pub(super) links: Vec<(CheckId, CriterionId)>,
    requirements: Vec<Requirement>,
    tasks: Vec<Task>,
    merged: Vec<MergedWork>,
    landings: Vec<BranchLanding>,
    receipts: Vec<Receipt>,
    known: Vec<Ablation>,
}

impl AblationFacts {
    pub(super) async fn load(proof: HeadProof<'_>) -> Result<Self, BoxError> {
        let spec = proof.spec;
        let start = ObjectId::parse(&spec.base_sha)?;
        let chain = proof.mirror.first_parents(&start, proof.head).await?;
        let chain: Vec<String> = chain.iter().map(|c| c.as_str().to_owned()).collect();
        // Where the plan's files go along, they are the first commit, and no task's.
        let (start, chain) = match chain.split_first() {
            Some((plan, rest)) if spec.options.0.spec_files => (plan.as_str(), rest),
            _ => (spec.base_sha.as_str(), chain.as_slice()),
        };
        let store = &proof.prover.store;
        let facts = store.read(async |tx| {
            let tasks = tasks::of_spec(tx, spec.id).await?;
            let merges = merges::of_spec(tx, spec.id).await?;
            let merged = merged(&merges, &tasks);
            Ok::<_, StoreError>(Self {
                criteria: requirements::criteria_of_spec(tx, spec.id).await?,
                checks: checks::of_spec(tx, spec.id).await?,
                links: checks::criteria_links(tx, spec.id).await?,
                requirements: requirements::of_spec(tx, spec.id).await?,
                landings: branch_landings(start, chain, &merged),
                tasks,
                merged,
                receipts: checks::receipts_of_spec(tx, spec.id).await?,
                known: ablations::of_spec(tx, spec.id).await?,
            })
        });
        Ok(facts.await?)
    }

    /// What is `known` of every criterion, in plan order.
    pub(super) fn ablated_criteria(&self, known: Vec<Ablation>) -> Vec<AblatedCriterion> {
        let ablated = self.criteria.iter().filter_map(|criterion| {
            let found = known.iter().find(|a| a.criterion_id == criterion.id)?;
            Some(AblatedCriterion {
                local_id: criterion.local_id.clone(),
                verdict: found.verdict,
                reason: found.reason.clone(),
                is_accepted: found.is_accepted,
            })
        });
        ablated.collect()
    }

    /// Time left for proofs without the work.
    pub(super) fn budget(&self) -> CheckBudget {
        let took = |ablation: bool| {
            let those = self
                .receipts
                .iter()
                .filter(|r| (r.stage == STAGE) == ablation);
            those.map(|r| r.took_ms).sum::<i64>()
        };
        CheckBudget::of_run(took(false), took(true))
    }

    /// Requirements of which something is not known at `head`, grouped by what must be taken back;
    /// the most important first, since the time may not be enough for all.
    pub(super) fn groups(&self, head: &str) -> Vec<AblationGroup<'_>> {
        let mut open: Vec<&Requirement> = self
            .requirements
            .iter()
            .filter(|requirement| {
                let mut own = self.criteria_of(requirement);
                own.any(|c| {
                    !self
                        .known
                        .iter()
                        .any(|a| a.criterion_id == c.id && a.head_sha == head)
                })
            })
            .collect();
        open.sort_by_key(|r| (Reverse(r.priority), r.ordinal));
        let mut groups: Vec<AblationGroup<'_>> = Vec::new();
        for requirement in open {
            let (without, ways) = self.taken_back(requirement);
            match groups
                .iter_mut()
                .find(|g| g.ways == ways && g.without == without)
            {
                Some(group) => group.requirements.push(requirement),
                None => groups.push(AblationGroup {
                    requirements: vec![requirement],
                    without,
                    ways,
                }),
            }
        }
        groups
    }

    /// Whether a check proves a criterion of the group.
    pub(super) fn proves(&self, check: &Check, group: &AblationGroup<'_>) -> bool {
        let mut all = group.requirements.iter().flat_map(|r| self.criteria_of(r));
        all.any(|criterion| self.links.contains(&(check.id, criterion.id)))
    }

    /// The criteria of a requirement, in plan order.
    pub(super) fn criteria_of<'a>(
        &'a self,
        requirement: &Requirement,
    ) -> impl Iterator<Item = &'a Criterion> + use<'a> {
        let id = requirement.id;
        self.criteria.iter().filter(move |c| c.requirement_id == id)
    }

    /// The tasks whose commits serve a requirement, and the ways to take these back.
    fn taken_back(&self, requirement: &Requirement) -> (Vec<String>, Vec<Vec<TakeBackStep>>) {
        let own: Vec<CriterionId> = self.criteria_of(requirement).map(|c| c.id).collect();
        let provers: BTreeSet<TaskId> = self
            .checks
            .iter()
            .filter(|check| own.iter().any(|c| self.links.contains(&(check.id, *c))))
            .filter_map(|check| check.task_id)
            .collect();
        let all: Vec<ServingTask> = self.tasks.iter().map(serving).collect();
        let mut serving = tasks_serving(&requirement.local_id, &provers, &all);
        serving.retain(|task| self.merged.iter().any(|merged| merged.task == *task));
        let named = self.tasks.iter().filter(|task| serving.contains(&task.id));
        let mut numbers: Vec<i64> = named.map(|task| task.number).collect();
        numbers.sort_unstable();
        let without = numbers
            .into_iter()
            .map(|number| HumanRef::task(number).to_string())
            .collect();
        let is_found = |task: &TaskId| self.landings.iter().any(|l| l.tasks.contains(task));
        let ways = match serving.iter().all(is_found) {
            true => take_back_ways(&self.landings, &serving),
            false => Vec::new(),
        };
        (without, ways)
    }
}

fn serving(task: &Task) -> ServingTask {
    ServingTask {
        id: task.id,
        requirements: task.requirements.0.iter().cloned().collect(),
        found_by: task.parent_task_id,
    }
}

/// The merges that landed. A resolution's own merge brings what it resolves.
fn merged(merges: &[Merge], tasks: &[Task]) -> Vec<MergedWork> {
    let is_resolution = |id: TaskId| {
        let task = tasks.iter().find(|task| task.id == id);
        task.is_some_and(|task| task.resolves_merge_id.is_some())
    };
    merges
        .iter()
        .filter(|merge| merge.state == MergeState::Completed)
        .filter_map(|merge| {
            Some(MergedWork {
                task: merge.task_id,
                incoming: merge.incoming_sha.clone(),
                commit: merge.merged_sha.clone()?,
                is_resolution: is_resolution(merge.task_id),
            })
        })
        .collect()
}

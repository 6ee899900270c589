//! Requirement → criterion → task → commit → receipt, for a reviewer to trust.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::event::{Event, EventKind, StoredEvent};
use omoi_domain::id::{CheckId, CriterionId, HumanRef, SpecId, TaskId};
use omoi_domain::merge::MergeState;
use omoi_domain::spec::{SpecKind, WorkEvidence};
use omoi_execution::integration::{IntegrationError, integration_head};
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::mirror::{Mirror, MirrorError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_protocol::api::{
    AblationView, OpinionView, PackageListView, ReceiptView, SpecTrace, TraceCriterion,
    TraceRequirement,
};
use omoi_store::ablations::{self, Ablation};
use omoi_store::attempts::{self, Attempt};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::opinions::{self, StoredOpinion};
use omoi_store::requirements::{self, Criterion, Requirement};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, Tx, egress_entries, events, merges};

use crate::finisher::ablation::STAGE;
use crate::suite::{BranchRange, outside_plan};

/// The trace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// The mirror could not be opened.
    #[error("the mirror could not be opened")]
    Mirror(#[from] MirrorError),
    /// The integration branch could not be read.
    #[error("the integration branch could not be read")]
    Integration(#[from] IntegrationError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// A stored object name is broken.
    #[error("a stored object name is broken")]
    ObjectId(#[from] BadObjectId),
}

/// A receipt as people see it.
pub fn receipt_view(check: &Check, receipt: &Receipt, tasks: &[Task]) -> ReceiptView {
    let task = receipt
        .task_id
        .and_then(|id| tasks.iter().find(|task| task.id == id));
    ReceiptView {
        command: check.command.clone(),
        kind: check.kind,
        stage: receipt.stage,
        commit: receipt.commit_sha.clone(),
        tree: receipt.tree_sha.clone(),
        passed: receipt.passed,
        exit_code: receipt.exit_code,
        rung: receipt.rung,
        held: receipt.conditions.0.held.clone(),
        mounts: receipt.conditions.0.mounts.clone(),
        workspace: receipt.conditions.0.workspace.clone(),
        start_steps: receipt.conditions.0.start_steps.clone(),
        self_tested: receipt.self_tested,
        tests: receipt.tests.0.clone(),
        exercised: receipt.exercised.0.clone(),
        models: receipt.models.0.models.clone(),
        estimated_models: receipt.models.0.estimated.clone(),
        fallbacks: receipt.models.0.fallbacks.clone(),
        packages: receipt.packages.0.clone().map(|list| PackageListView {
            n_files: list.n_files,
            digest: list.digest,
        }),
        output: receipt.output.clone(),
        took_ms: receipt.took_ms,
        task_ref: task.map(|task| HumanRef::task(task.number).to_string()),
    }
}

/// A second opinion as people see it.
pub fn opinion_view(opinion: StoredOpinion) -> OpinionView {
    OpinionView {
        model: opinion.model,
        is_same_model: opinion.is_same_model,
        doubts: opinion.doubts.0,
        skipped: opinion.skipped,
        was_sent_back: opinion.was_sent_back,
    }
}

/// A model call that failed, with when and whose it was.
fn failed_call(stored: &StoredEvent, tasks: &[Task]) -> Option<String> {
    let Event::ModelCallFailed(failed) = &stored.event else {
        return None;
    };
    let is_own = |task: &&Task| Some(task.id) == failed.subject.task_id();
    let who = match tasks.iter().find(is_own) {
        Some(task) => HumanRef::task(task.number).to_string(),
        None => failed.role.to_string(),
    };
    let at = stored.occurred_at.time_of_day();
    Some(format!("{at} {who}: {}", failed.one_line()))
}

/// Everything a trace is made of.
struct TraceMaterial {
    spec: Spec,
    mirror: Mirror,
    head: Option<ObjectId>,
    tasks: Vec<Task>,
    checks: Vec<Check>,
    receipts: Vec<Receipt>,
    ablations: Vec<Ablation>,
    landed: BTreeMap<TaskId, String>,
    links: Vec<(CheckId, CriterionId)>,
}

/// The rows a trace is made of.
struct TraceRows {
    spec: Spec,
    landed: BTreeMap<TaskId, String>,
    receipts: Vec<Receipt>,
    tasks: Vec<Task>,
    checks: Vec<Check>,
    ablations: Vec<Ablation>,
    links: Vec<(CheckId, CriterionId)>,
    criteria: Vec<Criterion>,
    requirements: Vec<Requirement>,
    opinion: Option<OpinionView>,
    failed: Vec<StoredEvent>,
    agents: Vec<String>,
    packages: Vec<String>,
    dependency_changes: Vec<StoredEvent>,
}

impl TraceRows {
    async fn read(tx: &mut Tx, id: SpecId) -> Result<Self, StoreError> {
        let merges = merges::of_spec(tx, id).await?.into_iter();
        let landed = merges.filter(|merge| merge.state == MergeState::Completed);
        Ok(Self {
            spec: specs::get(tx, id).await?,
            landed: landed
                .filter_map(|merge| Some((merge.task_id, merge.merged_sha?)))
                .collect(),
            receipts: checks::receipts_of_spec(tx, id).await?,
            tasks: tasks::of_spec(tx, id).await?,
            checks: checks::of_spec(tx, id).await?,
            ablations: ablations::of_spec(tx, id).await?,
            links: checks::criteria_links(tx, id).await?,
            criteria: requirements::criteria_of_spec(tx, id).await?,
            requirements: requirements::of_spec(tx, id).await?,
            opinion: opinions::find(tx, id).await?.map(opinion_view),
            failed: events::of_kind(tx, id, EventKind::ModelCallFailed).await?,
            agents: agents_of(&attempts::of_spec(tx, id).await?),
            packages: egress_entries::packages_of_spec(tx, id).await?,
            dependency_changes: events::of_kind(tx, id, EventKind::TaskDependenciesChanged).await?,
        })
    }
}

/// What took the turns of `attempts`, each once, with the version it said it has.
fn agents_of(attempts: &[Attempt]) -> Vec<String> {
    let agents = attempts.iter().filter_map(|attempt| {
        let version = attempt.agent_version.as_deref()?;
        Some(format!("{} {version}", attempt.agent?))
    });
    agents.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the last commits of each task changed in lock files.
fn last_dependency_changes(events: &[StoredEvent]) -> Vec<String> {
    let changes = events.iter().filter_map(|stored| match &stored.event {
        Event::TaskDependenciesChanged(change) => Some((change.number, change)),
        _ => None,
    });
    let last: BTreeMap<i64, _> = changes.collect();
    let said = last.into_values().map(|change| {
        let task = HumanRef::task(change.number);
        format!("{task}: {}", change.one_line())
    });
    said.collect()
}

/// The trace of a spec as it stands.
///
/// # Errors
/// [`TraceError`] when rows or git cannot be read.
pub async fn of_spec(
    store: &Tenant,
    folders: &RepositoryFolders,
    id: SpecId,
) -> Result<SpecTrace, TraceError> {
    let rows = store.read(async |tx| TraceRows::read(tx, id).await);
    let TraceRows {
        spec,
        landed,
        receipts,
        tasks,
        checks,
        ablations,
        links,
        criteria: all,
        requirements,
        opinion,
        failed,
        agents,
        packages,
        dependency_changes,
    } = rows.await?;
    let failed = failed.iter().filter_map(|event| failed_call(event, &tasks));
    let failed_calls = failed.collect();
    let mirror = folders.project_mirror(spec.project_id).await?;
    let material = TraceMaterial {
        head: integration_head(&mirror, &spec).await?,
        tasks,
        checks,
        receipts: receipts.into_iter().filter(|r| r.stage != STAGE).collect(),
        ablations,
        links,
        landed,
        spec,
        mirror,
    };
    let mut traced = Vec::new();
    for requirement in requirements {
        let mut criteria = Vec::new();
        for criterion in all.iter().filter(|c| c.requirement_id == requirement.id) {
            criteria.push(material.criterion(criterion).await?);
        }
        let text = requirement
            .body
            .0
            .get("text")
            .and_then(|text| text.as_str());
        traced.push(TraceRequirement {
            text: text.unwrap_or_default().to_owned(),
            id: requirement.local_id,
            title: requirement.title,
            criteria,
        });
    }
    let is_direct = material.spec.kind == SpecKind::Direct;
    Ok(SpecTrace {
        evidence: is_direct.then(|| WorkEvidence::of_direct(!traced.is_empty())),
        outside_plan: material.files_outside_plan().await?,
        failed_calls,
        spec_ref: HumanRef::spec(material.spec.number).to_string(),
        title: material.spec.title.clone(),
        head: material.head.as_ref().map(|head| head.as_str().to_owned()),
        model: material.spec.model.clone(),
        model_kind: material.spec.model_kind,
        agents,
        packages,
        dependencies_changed: last_dependency_changes(&dependency_changes),
        opinion,
        requirements: traced,
    })
}

impl TraceMaterial {
    /// Files of the branch that no task of the plan names; none before there is a branch.
    async fn files_outside_plan(&self) -> Result<Vec<String>, TraceError> {
        let Some(head) = &self.head else {
            return Ok(Vec::new());
        };
        let base = ObjectId::parse(&self.spec.base_sha)?;
        let range = BranchRange { base: &base, head };
        Ok(outside_plan(&self.mirror, range, &self.tasks).await?)
    }

    async fn criterion(&self, criterion: &Criterion) -> Result<TraceCriterion, TraceError> {
        let proving: Vec<&Check> = self
            .checks
            .iter()
            .filter(|check| self.links.contains(&(check.id, criterion.id)))
            .collect();
        let mut tasks = Vec::new();
        let mut receipts = Vec::new();
        let mut proven = false;
        let mut stale_since = None;
        for check in proving {
            if let Some(task) = self
                .tasks
                .iter()
                .find(|task| Some(task.id) == check.task_id)
            {
                let sha = self.landed.get(&task.id).cloned();
                tasks.push((HumanRef::task(task.number).to_string(), sha));
            }
            let newest = self.receipts.iter().rfind(|r| r.check_id == check.id);
            let at_head = self.receipts.iter().rfind(|r| {
                r.check_id == check.id
                    && self
                        .head
                        .as_ref()
                        .is_some_and(|h| h.as_str() == r.commit_sha)
            });
            if let Some(receipt) = at_head.or(newest) {
                receipts.push(receipt_view(check, receipt, &self.tasks));
                proven |= at_head.is_some_and(|r| r.passed);
                if at_head.is_none() {
                    stale_since = self.touched_since(receipt).await?;
                }
            }
        }
        Ok(TraceCriterion {
            id: criterion.local_id.clone(),
            text: criterion.body.clone(),
            proven,
            stale_since: if proven { None } else { stale_since },
            ablation: self.ablation(criterion),
            tasks,
            receipts,
        })
    }

    fn ablation(&self, criterion: &Criterion) -> Option<AblationView> {
        let found = self
            .ablations
            .iter()
            .find(|a| a.criterion_id == criterion.id)?;
        Some(AblationView {
            verdict: found.verdict,
            head: found.head_sha.clone(),
            without: found.without.0.clone(),
            reason: found.reason.clone(),
            is_accepted: found.is_accepted,
        })
    }

    /// The head, when it differs from the receipt's commit in a file the check read.
    async fn touched_since(&self, receipt: &Receipt) -> Result<Option<String>, TraceError> {
        let Some(head) = &self.head else {
            return Ok(None);
        };
        let commit = ObjectId::parse(&receipt.commit_sha)?;
        let changes = self.mirror.changed_files(&commit, head).await?;
        let touched = changes.iter().any(|change| {
            let path = change.path.to_string();
            receipt
                .exercised
                .0
                .as_ref()
                .is_none_or(|files| files.contains(&path))
        });
        Ok(touched.then(|| head.as_str().to_owned()))
    }
}

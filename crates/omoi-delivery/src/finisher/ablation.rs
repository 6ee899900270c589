//! Runs the proofs of each requirement without the work that serves it, and says whose criteria are
//! proven by something else.

mod facts;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tracing::debug;

use omoi_domain::ablation::{
    AblationVerdict, CheckBudget, ProofWithout, TakeBackStep, ablation_verdict,
};
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::AblationDone;
use omoi_domain::id::{CheckId, HumanRef};
use omoi_domain::lifecycle::spec::finish::AblatedCriterion;
use omoi_git::mirror::{CommitMeta, Identity};
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_store::ablations::{self, Ablation};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::requirements::{Criterion, Requirement};
use omoi_store::{Json, StoreError, Tx, attempts, projects};

use self::facts::{AblationFacts, AblationGroup};
use super::head::HeadProof;
use crate::receipts::{self, CheckBatch, PARALLEL};

/// Why runs of this kind are made.
pub(crate) const STAGE: CheckStage = CheckStage::Ablation;

/// The head without some work.
enum Without {
    /// As a commit.
    Commit(ObjectId),
    /// No such work is in it.
    Nothing,
    /// The work cannot be taken back, and why.
    Conflict(String),
}

/// Requirements served by the same commits, and the head without these.
struct GroupTry<'a> {
    group: AblationGroup<'a>,
    without: Without,
}

/// One proof to be run without the work.
#[derive(Clone, Copy)]
struct ProofTry<'a> {
    check: &'a Check,
    /// What it took at the head.
    expected_ms: i64,
    /// The head without the work.
    commit: &'a ObjectId,
}

/// Finds out of every criterion whether the checks that prove it at the head need the work for its
/// requirement. What is known of this head is not tried again, so that a process that died here is
/// gone on from. Returns what is known in the end, in plan order.
pub(super) async fn ablate_proofs(
    proof: HeadProof<'_>,
    proven: &[(Check, Receipt)],
) -> Result<Vec<AblatedCriterion>, BoxError> {
    let facts = AblationFacts::load(proof).await?;
    let groups = facts.groups(proof.head.as_str());
    let spec = proof.spec;
    debug!(spec.id = %spec.id, n_groups = groups.len(), "Trying the proofs of SPEC-{} without their work", spec.number);
    let mut reverts = Vec::new();
    for group in &groups {
        reverts.push(without(proof, group));
    }
    let reverts = stream::iter(reverts).buffered(PARALLEL);
    let reverts: Vec<Without> = reverts.try_collect().await?;
    let groups = groups.into_iter().zip(reverts);
    let tries: Vec<GroupTry<'_>> = groups
        .map(|(group, without)| GroupTry { group, without })
        .collect();
    let budget = Mutex::new(facts.budget());
    let mut jobs = Vec::new();
    for (at, GroupTry { group, without }) in tries.iter().enumerate() {
        let Without::Commit(commit) = without else {
            continue;
        };
        for (check, receipt) in proven
            .iter()
            .filter(|(check, _)| facts.proves(check, group))
        {
            let proof_try = ProofTry {
                check,
                expected_ms: receipt.took_ms,
                commit,
            };
            let budget = &budget;
            jobs.push(async move {
                let ended = try_proof(proof, proof_try, budget).await?;
                Ok::<_, BoxError>((at, check.id, ended))
            });
        }
    }
    let ended: Vec<(usize, CheckId, ProofWithout)> =
        stream::iter(jobs).buffered(PARALLEL).try_collect().await?;
    for (at, group) in tries.iter().enumerate() {
        let of_group = ended.iter().filter(|(group, _, _)| *group == at);
        let of_group: Vec<_> = of_group.map(|(_, check, ended)| (*check, *ended)).collect();
        conclude(proof, &facts, group, &of_group).await?;
    }
    let store = &proof.prover.store;
    let known = store.read(async |tx| ablations::of_spec(tx, proof.spec.id).await);
    Ok(facts.ablated_criteria(known.await?))
}

/// The head without the commits of a group's tasks.
async fn without(proof: HeadProof<'_>, group: &AblationGroup<'_>) -> Result<Without, BoxError> {
    if group.without.is_empty() {
        return Ok(Without::Nothing);
    }
    let mut conflict = None;
    for way in &group.ways {
        match take_back(proof, way).await? {
            Ok(tree) => {
                let meta = CommitMeta {
                    message: format!("Take back {}", group.without.join(", ")),
                    trailers: Vec::new(),
                    author: Identity::platform(),
                    // Equal trees are equal commits, so that a repetition makes nothing twice.
                    time: proof.spec.created_at,
                };
                let parents = std::slice::from_ref(proof.head);
                let commit = proof.mirror.commit_tree(&tree, parents, &meta).await?;
                return Ok(Without::Commit(commit));
            }
            Err(paths) => {
                debug!(without = ?group.without, ?paths, "Taking work back conflicts");
                conflict = conflict.or(Some(paths));
            }
        }
    }
    let what = group.without.join(", ");
    Ok(Without::Conflict(match conflict {
        Some(paths) => format!("taking back {what} conflicts in {}", paths.join(", ")),
        None => format!("the commits of {what} were not found in the branch"),
    }))
}

/// The tree a way leads to, or the paths in conflict.
async fn take_back(
    proof: HeadProof<'_>,
    way: &[TakeBackStep],
) -> Result<Result<ObjectId, Vec<String>>, BoxError> {
    let mirror = proof.mirror;
    let mut tree = mirror.tree_of(proof.head).await?;
    for step in way {
        let (base, theirs) = match step {
            TakeBackStep::TakeBack { commit, before } => {
                (ObjectId::parse(commit)?, ObjectId::parse(before)?)
            }
            TakeBackStep::MergeAgain { incoming, before } => {
                let incoming = ObjectId::parse(incoming)?;
                let before = ObjectId::parse(before)?;
                let fork = mirror.merge_base(&before, &incoming).await?;
                (fork.unwrap_or(before), incoming)
            }
        };
        let merged = mirror.merge_trees(&base, &tree, &theirs).await?;
        if !merged.conflicts.is_empty() {
            let paths = merged.conflicts.iter().map(|c| c.path.to_string());
            return Ok(Err(paths.collect()));
        }
        tree = merged.tree;
    }
    Ok(Ok(tree))
}

/// Runs one proof without the work, in what is left of the time for all of them.
async fn try_proof(
    proof: HeadProof<'_>,
    proof_try: ProofTry<'_>,
    budget: &Mutex<CheckBudget>,
) -> Result<ProofWithout, BoxError> {
    let ProofTry {
        check,
        expected_ms,
        commit,
    } = proof_try;
    let of = |receipt: &Receipt| match receipt.passed {
        true => ProofWithout::Green,
        false => ProofWithout::Red,
    };
    let store = &proof.prover.store;
    let known = store
        .read(async |tx| checks::newest(tx, check.id, commit.as_str(), STAGE).await)
        .await?;
    if let Some(receipt) = known {
        return Ok(of(&receipt));
    }
    let lock = || budget.lock().unwrap_or_else(PoisonError::into_inner);
    let timeout_ms = check.timeout_s.saturating_mul(1000);
    let reserved = lock().reserve_time(expected_ms, timeout_ms, PARALLEL as i64);
    let Some(limit_ms) = reserved else {
        debug!(check.id = %check.id, "No time is left to try a proof without its work");
        return Ok(ProofWithout::Cut);
    };
    let run = CheckBatch {
        spec: proof.spec,
        attempt: proof.attempt,
        stage: STAGE,
        commit,
        checks: Vec::new(),
        task: None,
    };
    let limit = Duration::from_millis(u64::try_from(limit_ms).unwrap_or(0));
    let receipt = receipts::run_within(&proof.prover.runner, &run, check, limit).await?;
    lock().settle_time(limit_ms, receipt.as_ref().map_or(limit_ms, |r| r.took_ms));
    Ok(receipt.as_ref().map_or(ProofWithout::Cut, of))
}

/// Stores what was found out about a group's requirements, each with its event.
async fn conclude(
    proof: HeadProof<'_>,
    facts: &AblationFacts,
    group: &GroupTry<'_>,
    ended: &[(CheckId, ProofWithout)],
) -> Result<(), BoxError> {
    let store = &proof.prover.store;
    store
        .write(CrashPoint::AblationStored, async |tx| {
            if !attempts::get(tx, proof.attempt).await?.state.is_live() {
                return Err(BoxError::from(
                    "the attempt at the last checks is over already",
                ));
            }
            for requirement in &group.group.requirements {
                let found = found(
                    tx,
                    proof,
                    facts,
                    FoundBy {
                        group,
                        requirement,
                        ended,
                    },
                );
                let names = facts.criteria_of(requirement).map(|c| c.local_id.clone());
                let told = AblationDone {
                    spec_id: proof.spec.id,
                    requirement: requirement.local_id.clone(),
                    head: proof.head.as_str().to_owned(),
                    without: group.group.without.clone(),
                    verdicts: names.zip(found.iter().map(|a| a.verdict)).collect(),
                    reason: found.iter().find_map(|ablation| ablation.reason.clone()),
                };
                ablations::store(tx, proof.spec.project_id, &found, told).await?;
            }
            Ok(())
        })
        .await
}

/// What the verdicts on a requirement's criteria follow from.
#[derive(Clone, Copy)]
struct FoundBy<'a> {
    group: &'a GroupTry<'a>,
    requirement: &'a Requirement,
    ended: &'a [(CheckId, ProofWithout)],
}

/// The rows of a requirement's criteria, in plan order.
fn found(tx: &Tx, proof: HeadProof<'_>, facts: &AblationFacts, by: FoundBy<'_>) -> Vec<Ablation> {
    let GroupTry { group, without } = by.group;
    let criteria = facts.criteria_of(by.requirement).map(|criterion| {
        let (verdict, reason) = match without {
            Without::Conflict(why) => (AblationVerdict::Unknown, Some(why.clone())),
            Without::Nothing | Without::Commit(_) => judged(facts, group, criterion, by.ended),
        };
        Ablation {
            criterion_id: criterion.id,
            org_id: tx.org(),
            spec_id: proof.spec.id,
            verdict,
            head_sha: proof.head.as_str().to_owned(),
            without: Json(group.without.clone()),
            reason,
            is_accepted: false,
            attempt_id: proof.attempt,
            created_at: tx.now(),
        }
    });
    criteria.collect()
}

/// The verdict on one criterion, and what a person should know of it.
fn judged(
    facts: &AblationFacts,
    group: &AblationGroup<'_>,
    criterion: &Criterion,
    ended: &[(CheckId, ProofWithout)],
) -> (AblationVerdict, Option<String>) {
    let own = ended
        .iter()
        .filter(|(check, _)| facts.links.contains(&(*check, criterion.id)));
    let proofs: Vec<ProofWithout> = own.map(|(_, ended)| *ended).collect();
    let verdict = ablation_verdict(&proofs);
    let reason = match verdict {
        AblationVerdict::Needed | AblationVerdict::Unknown => None,
        AblationVerdict::Weak if group.without.is_empty() => {
            Some("no commit of a task that serves it is in the branch".to_owned())
        }
        AblationVerdict::Weak => {
            let checks = facts.checks.iter().filter(|check| {
                let ran = ended.iter().any(|(id, _)| *id == check.id);
                ran && facts.links.contains(&(check.id, criterion.id))
            });
            let commands: Vec<String> = checks.map(|c| format!("`{}`", c.command)).collect();
            let what = group.without.join(", ");
            Some(format!(
                "without {what}, {} still passes",
                commands.join(", ")
            ))
        }
        AblationVerdict::NotTried => {
            Some("its proofs would have taken more than the time left for it".to_owned())
        }
    };
    (verdict, reason)
}

/// How a person names the spec.
pub(super) async fn spec_reference(proof: HeadProof<'_>) -> Result<String, StoreError> {
    let number = HumanRef::spec(proof.spec.number);
    let store = &proof.prover.store;
    store
        .read(async |tx| projects::reference(tx, proof.spec.project_id, number).await)
        .await
}

//! Runs the proofs of each requirement without the work that serves it, and says whose criteria are
//! proven by something else.

mod facts;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use omoi_domain::ablation::{AblationVerdict, CheckBudget, ProofWithout, Step, verdict};
use omoi_domain::block::SpecBlock;
use omoi_domain::check::CheckStage;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::AblationDone;
use omoi_domain::id::{AttemptId, CheckId, HumanRef};
use omoi_execution::Platform;
use omoi_git::mirror::{CommitMeta, Identity, Mirror};
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_store::ablations::{self, Ablation};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::requirements::Criterion;
use omoi_store::specs::Spec;
use omoi_store::{Json, attempts, projects};

use self::facts::{Facts, Group};
use crate::receipts::{self, PARALLEL, Run};

/// Why runs of this kind are made.
pub(crate) const STAGE: CheckStage = CheckStage::Ablation;

/// A head under proof.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) platform: &'a Platform,
    pub(super) spec: &'a Spec,
    pub(super) attempt: AttemptId,
    pub(super) mirror: &'a Mirror,
    pub(super) head: &'a ObjectId,
}

/// The head without some work.
enum Without {
    /// As a commit.
    Commit(ObjectId),
    /// No such work is in it.
    Nothing,
    /// The work cannot be taken back, and why.
    Conflict(String),
}

/// Finds out of every criterion whether the checks that prove it at the head need the work for its
/// requirement. What is known of this head is not tried again, so that a process that died here is
/// gone on from. Returns what is known in the end, in plan order.
pub(super) async fn ablate(
    proof: Proof<'_>,
    proven: &[(Check, Receipt)],
) -> Result<Vec<Ablation>, BoxError> {
    let facts = Facts::load(proof).await?;
    let groups = facts.groups(proof.head.as_str());
    let mut reverts = Vec::new();
    for group in &groups {
        reverts.push(without(proof, group));
    }
    let reverts = stream::iter(reverts).buffered(PARALLEL);
    let reverts: Vec<Without> = reverts.try_collect().await?;
    let runs: Vec<(Group<'_>, Without)> = groups.into_iter().zip(reverts).collect();
    let budget = Mutex::new(facts.budget());
    let mut jobs = Vec::new();
    for (at, (group, without)) in runs.iter().enumerate() {
        let Without::Commit(commit) = without else {
            continue;
        };
        for (check, receipt) in proven
            .iter()
            .filter(|(check, _)| facts.proves(check, group))
        {
            let (budget, expected_ms) = (&budget, receipt.took_ms);
            jobs.push(async move {
                let ended = one(proof, (check, expected_ms), commit, budget).await?;
                Ok::<_, BoxError>((at, check.id, ended))
            });
        }
    }
    let ended: Vec<(usize, CheckId, ProofWithout)> =
        stream::iter(jobs).buffered(PARALLEL).try_collect().await?;
    for (at, (group, without)) in runs.iter().enumerate() {
        let of_group = ended.iter().filter(|(group, _, _)| *group == at);
        let of_group: Vec<_> = of_group.map(|(_, check, ended)| (*check, *ended)).collect();
        conclude(proof, &facts, (group, without), &of_group).await?;
    }
    let mut tx = proof.platform.store.begin_read().await?;
    Ok(ablations::of_spec(&mut tx, proof.spec.id).await?)
}

/// The head without the commits of a group's tasks.
async fn without(proof: Proof<'_>, group: &Group<'_>) -> Result<Without, BoxError> {
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
            Err(paths) => conflict = conflict.or(Some(paths)),
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
    proof: Proof<'_>,
    way: &[Step],
) -> Result<Result<ObjectId, Vec<String>>, BoxError> {
    let mirror = proof.mirror;
    let mut tree = mirror.tree_of(proof.head).await?;
    for step in way {
        let (base, theirs) = match step {
            Step::TakeBack { commit, before } => {
                (ObjectId::parse(commit)?, ObjectId::parse(before)?)
            }
            Step::MergeAgain { incoming, before } => {
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

/// One proof without the work.
async fn one(
    proof: Proof<'_>,
    (check, expected_ms): (&Check, i64),
    commit: &ObjectId,
    budget: &Mutex<CheckBudget>,
) -> Result<ProofWithout, BoxError> {
    let of = |receipt: &Receipt| match receipt.passed {
        true => ProofWithout::Green,
        false => ProofWithout::Red,
    };
    let known = {
        let mut tx = proof.platform.store.begin_read().await?;
        checks::newest(&mut tx, check.id, commit.as_str(), STAGE).await?
    };
    if let Some(receipt) = known {
        return Ok(of(&receipt));
    }
    let lock = || budget.lock().unwrap_or_else(PoisonError::into_inner);
    let timeout_ms = check.timeout_s.saturating_mul(1000);
    let reserved = lock().reserve(expected_ms, timeout_ms, PARALLEL as i64);
    let Some(limit_ms) = reserved else {
        return Ok(ProofWithout::Cut);
    };
    let run = Run {
        spec: proof.spec,
        attempt: proof.attempt,
        stage: STAGE,
        commit,
        checks: Vec::new(),
        task: None,
    };
    let limit = Duration::from_millis(u64::try_from(limit_ms).unwrap_or(0));
    let receipt = receipts::run_within(proof.platform, &run, check, limit).await?;
    lock().settle(limit_ms, receipt.as_ref().map_or(limit_ms, |r| r.took_ms));
    Ok(receipt.as_ref().map_or(ProofWithout::Cut, of))
}

/// Stores what was found out about a group's requirements, each with its event.
async fn conclude(
    proof: Proof<'_>,
    facts: &Facts,
    (group, without): (&Group<'_>, &Without),
    ended: &[(CheckId, ProofWithout)],
) -> Result<(), BoxError> {
    let mut tx = proof.platform.store.begin_write().await?;
    if !attempts::get(&mut tx, proof.attempt).await?.state.is_live() {
        return Err("the attempt at the last checks is over already".into());
    }
    for requirement in &group.requirements {
        let mut found = Vec::new();
        let mut verdicts = Vec::new();
        for criterion in facts
            .criteria
            .iter()
            .filter(|c| c.requirement_id == requirement.id)
        {
            let (verdict, reason) = match without {
                Without::Conflict(why) => (AblationVerdict::Unknown, Some(why.clone())),
                Without::Nothing | Without::Commit(_) => judged(facts, group, criterion, ended),
            };
            verdicts.push((criterion.local_id.clone(), verdict));
            found.push(Ablation {
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
            });
        }
        let told = AblationDone {
            spec_id: proof.spec.id,
            requirement: requirement.local_id.clone(),
            head: proof.head.as_str().to_owned(),
            without: group.without.clone(),
            verdicts,
            reason: found.iter().find_map(|ablation| ablation.reason.clone()),
        };
        ablations::store(&mut tx, proof.spec.project_id, &found, told).await?;
    }
    tx.commit(CrashPoint::AblationStored).await?;
    Ok(())
}

/// The verdict on one criterion, and what a person should know of it.
fn judged(
    facts: &Facts,
    group: &Group<'_>,
    criterion: &Criterion,
    ended: &[(CheckId, ProofWithout)],
) -> (AblationVerdict, Option<String>) {
    let own = ended
        .iter()
        .filter(|(check, _)| facts.links.contains(&(*check, criterion.id)));
    let proofs: Vec<ProofWithout> = own.map(|(_, ended)| *ended).collect();
    let verdict = verdict(&proofs);
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

/// Why the branch is not handed over: criteria that are weak and that no person let stand.
pub(super) async fn refusal(
    proof: Proof<'_>,
    found: &[Ablation],
) -> Result<Option<String>, BoxError> {
    let weak = found
        .iter()
        .filter(|ablation| ablation.verdict == AblationVerdict::Weak && !ablation.is_accepted);
    let weak: Vec<&Ablation> = weak.collect();
    let Some(first) = weak.first() else {
        return Ok(None);
    };
    let names = names(proof, &weak).await?;
    let is = if weak.len() == 1 { "is" } else { "are" };
    let spec = {
        let mut tx = proof.platform.store.begin_read().await?;
        let number = HumanRef::spec(proof.spec.number);
        projects::reference(&mut tx, proof.spec.project_id, number).await?
    };
    Ok(Some(format!(
        "{}: {names} {is} proven, but not by this work: {}. See `omoi trace {spec}`; to hand \
         it over all the same, resume it with `--accept-weak`",
        SpecBlock::WeakProof,
        first
            .reason
            .as_deref()
            .unwrap_or("its proofs pass without it")
    )))
}

/// What whoever gets the branch should know; none when every criterion needs its work.
pub(super) async fn note(proof: Proof<'_>, found: &[Ablation]) -> Result<Option<String>, BoxError> {
    let mut parts = Vec::new();
    for (verdict, says) in [
        (AblationVerdict::Weak, "proven, but not by this work"),
        (
            AblationVerdict::Unknown,
            "proven, but whether by this work is unknown",
        ),
        (
            AblationVerdict::NotTried,
            "proven, but not tried without this work for lack of time",
        ),
    ] {
        let those: Vec<&Ablation> = found.iter().filter(|a| a.verdict == verdict).collect();
        if !those.is_empty() {
            parts.push(format!("{says}: {}", names(proof, &those).await?));
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join("; ")))
}

async fn names(proof: Proof<'_>, those: &[&Ablation]) -> Result<String, BoxError> {
    let mut tx = proof.platform.store.begin_read().await?;
    let criteria = omoi_store::requirements::criteria_of_spec(&mut tx, proof.spec.id).await?;
    let names: Vec<&str> = criteria
        .iter()
        .filter(|criterion| those.iter().any(|a| a.criterion_id == criterion.id))
        .map(|criterion| criterion.local_id.as_str())
        .collect();
    Ok(names.join(", "))
}

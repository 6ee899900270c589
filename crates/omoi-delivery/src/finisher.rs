//! When nothing of a spec is open: proves every criterion at the head and hands the branch over.

pub(crate) mod ablation;
mod reopen;

use futures::future::BoxFuture;

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::block::SpecBlock;
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::{AttemptId, HumanRef};
use omoi_domain::merge::MergeState;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_domain::time::Timestamp;
use omoi_execution::Platform;
use omoi_execution::consume::Consume;
use omoi_execution::integration::{branch_ref, ensure_for};
use omoi_execution::platform_run::{PlatformWork, RunEnding, begin_run, end_run};
use omoi_git::object::ObjectId;
use omoi_git::push::{PushError, Pushed, Renamed, push_branch};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_runtime::telemetry::chain;
use omoi_store::checks::{Check, Receipt};
use omoi_store::merges::{self, Merge};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tx, attempts, checks, deliveries, projects, requirements, tasks};

use self::ablation::Proof;
use crate::receipts::{self, Run};
use crate::suite::fault_after_merge;

/// Times the last proof may fail to run at all.
const PROOFS_MAX: usize = 3;

/// The finisher of one process.
pub struct Finisher {
    platform: Platform,
}

/// What the rows of a working spec say.
enum Standing {
    /// Something is still open.
    Open,
    /// Everything needed is merged.
    Ready,
    /// Something needed failed for good.
    Failed(String),
    /// Something needed waits for a person.
    Blocked(SpecBlock, String),
}

impl Finisher {
    /// A finisher on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let working = self.platform.own_specs(SpecStatus::Working).await?;
        for spec in working {
            let entity = spec.label();
            entities.turn(now, entity, self.go_on(spec)).await;
        }
        Ok(Next::Idle)
    }

    /// Proves or ends a spec that has nothing open.
    async fn go_on(&self, spec: Spec) -> Result<(), BoxError> {
        let standing = {
            let mut tx = self.platform.store.begin_read().await?;
            standing(&mut tx, &spec).await?
        };
        match standing {
            Standing::Open => Ok(()),
            Standing::Ready => self.prove(spec).await,
            Standing::Failed(reason) => end(&self.platform, &spec, None, reason).await,
            Standing::Blocked(block, reason) => {
                end(&self.platform, &spec, Some(block), reason).await
            }
        }
    }

    async fn prove(&self, spec: Spec) -> Result<(), BoxError> {
        let mut tx = self.platform.store.begin_write().await?;
        let subject = AttemptSubject::HeadChecks;
        if attempts::live(&mut tx, spec.id, subject).await?.is_some() {
            return Ok(());
        }
        let earlier = attempts::of_subject(&mut tx, spec.id, subject).await?;
        let since = specs::working_since(&mut tx, spec.id).await?;
        // A process that died says nothing about the proof, and a resumed spec has all its tries.
        let failed: Vec<_> = earlier
            .iter()
            .filter(|a| a.state == AttemptState::Failed)
            .filter(|a| since.is_none_or(|since| a.created_at >= since))
            .collect();
        if failed.len() >= PROOFS_MAX {
            let why = failed
                .last()
                .and_then(|a| a.error_message.clone())
                .unwrap_or_else(|| "the last checks could not be run".to_owned());
            drop(tx);
            return end(&self.platform, &spec, None, why).await;
        }
        let named = HumanRef::spec(spec.number);
        let named = projects::reference(&mut tx, spec.project_id, named).await?;
        let work = PlatformWork { subject, round: 0 };
        let run = begin_run(&mut tx, &self.platform, &spec, work).await?;
        tx.commit(CrashPoint::ValidationStarted).await?;
        let (platform, attempt) = (self.platform.clone(), run.attempt.id);
        run.spawn(format!("proof of SPEC-{}", spec.number), async move {
            let finished = finish(&platform, &spec, attempt).await;
            finished.map_err(|error| unfinished(&named, &error).into())
        });
        Ok(())
    }
}

/// The proven branch is not in the user's repository.
#[derive(Debug, thiserror::Error)]
#[error("the branch could not be handed over to `{repo}`")]
struct NotHandedOver {
    repo: String,
    #[source]
    source: PushError,
}

/// Why a spec could not be finished, and what to do where a person can help.
fn unfinished(spec: &str, error: &BoxError) -> String {
    let why = chain(error.as_ref());
    match error.downcast_ref::<NotHandedOver>() {
        Some(_) => format!("{why}; once it can be written to, run `omoi spec resume {spec}`"),
        None => format!("the last checks could not be run: {why}"),
    }
}

async fn standing(tx: &mut Tx, spec: &Spec) -> Result<Standing, StoreError> {
    let all = tasks::of_spec(tx, spec.id).await?;
    let merges = merges::of_spec(tx, spec.id).await?;
    let active = |t: &Task| !t.status.is_final() && t.status != TaskStatus::Blocked;
    let settled = |id| {
        let done = |t: &&Task| matches!(t.status, TaskStatus::Completed | TaskStatus::Blocked);
        all.iter().filter(done).any(|t| Some(t.id) == id)
    };
    let landing = |merge: &Merge| match merge.state {
        MergeState::Pending
        | MergeState::InProgress
        | MergeState::Conflict
        | MergeState::Verifying => true,
        // It lands with its resolution, whose own merge says how that goes, and waits with one that is
        // blocked.
        MergeState::Resolving => !settled(merge.resolve_task_id),
        _ => false,
    };
    if all.iter().any(active) || merges.iter().any(landing) {
        return Ok(Standing::Open);
    }
    if spec.options.0.as_it_stands {
        return Ok(Standing::Ready);
    }
    if let Some(task) = all
        .iter()
        .find(|t| t.needed && t.status == TaskStatus::Failed)
    {
        let why = task.error_message.clone().unwrap_or_default();
        return Ok(Standing::Failed(format!(
            "{} failed: {why}",
            HumanRef::task(task.number)
        )));
    }
    let needed = |id| all.iter().any(|t| t.id == id && t.needed);
    let stuck = |m: &&Merge| m.state == MergeState::Manual && needed(m.task_id);
    if let Some(merge) = merges.iter().find(stuck) {
        let why = merge.error.clone().unwrap_or_default();
        let reason = format!("a merge waits for a person: {why}");
        return Ok(Standing::Blocked(SpecBlock::Merge, reason));
    }
    let stopped = |status| move |t: &&Task| t.needed && t.status == status;
    // What waits says less than what it waits for.
    let cancelled = all.iter().find(stopped(TaskStatus::Cancelled));
    let outside = || all.iter().find(|t| t.needed && t.waits_for_outside());
    let blocked = || all.iter().find(stopped(TaskStatus::Blocked));
    if let Some(task) = cancelled.or_else(outside).or_else(blocked) {
        let why = match &task.blocked_reason {
            Some(why) if task.status == TaskStatus::Blocked => why.clone(),
            _ => {
                let names = projects::names(tx).await?;
                format!(
                    "try it again with `omoi task retry {}`, or hand over what stands with `omoi \
                     spec deliver {}`",
                    names.reference(spec.project_id, HumanRef::task(task.number)),
                    names.reference(spec.project_id, HumanRef::spec(spec.number))
                )
            }
        };
        let reason = format!("{} is {}: {why}", HumanRef::task(task.number), task.status);
        return Ok(Standing::Blocked(SpecBlock::Task, reason));
    }
    Ok(Standing::Ready)
}

async fn end(
    platform: &Platform,
    spec: &Spec,
    block: Option<SpecBlock>,
    reason: String,
) -> Result<(), BoxError> {
    let mut tx = platform.store.begin_write().await?;
    let mut spec = specs::get(&mut tx, spec.id).await?;
    if spec.status == SpecStatus::Working {
        stopped(&mut tx, &mut spec, block, reason).await?;
        tx.commit(CrashPoint::SpecMoved).await?;
    }
    Ok(())
}

/// Runs every check and the suite at the head, then hands the branch over or says what is red.
async fn finish(platform: &Platform, spec: &Spec, attempt: AttemptId) -> Result<(), BoxError> {
    let mirror = platform.mirror(spec.project_id).await?;
    let head = ensure_for(platform, &mirror, spec).await?;
    let checks = {
        let mut tx = platform.store.begin_read().await?;
        final_checks(&mut tx, spec).await?
    };
    let run = Run {
        spec,
        attempt,
        stage: CheckStage::Head,
        commit: &head,
        checks,
        task: None,
    };
    let receipts = receipts::run(platform, run).await?;
    let proof = Proof {
        platform,
        spec,
        attempt,
        mirror: &mirror,
        head: &head,
    };
    if spec.options.0.as_it_stands {
        return as_it_stands(proof, &receipts).await;
    }
    if waits_for_machine(proof, &receipts).await? {
        return Ok(());
    }
    if reopen::owners(platform, spec, attempt, (&mirror, &head), &receipts).await? {
        return Ok(());
    }
    if let Some(reason) = red(platform, spec, &receipts).await? {
        return stop(proof, None, reason).await;
    }
    let found = ablation::ablate(proof, &receipts).await?;
    if let Some(reason) = ablation::refusal(proof, &found).await? {
        return stop(proof, Some(SpecBlock::WeakProof), reason).await;
    }
    let weak = ablation::note(proof, &found).await?;
    hand_over(proof, weak).await
}

/// Blocks the spec when nothing is red but for what the machine lacks: no agent can mend that, so no
/// task goes back for a round. False when that is not so.
async fn waits_for_machine(
    proof: Proof<'_>,
    receipts: &[(Check, Receipt)],
) -> Result<bool, BoxError> {
    let at = (proof.mirror, proof.head);
    let Some(fault) = fault_after_merge(proof.platform, at, receipts).await? else {
        return Ok(false);
    };
    let block = SpecBlock::Environment;
    let reason = format!("{block}: at the head {fault}");
    stop(proof, Some(block), reason).await?;
    Ok(true)
}

/// Hands over what has landed, saying what of the plan it does not prove.
async fn as_it_stands(proof: Proof<'_>, receipts: &[(Check, Receipt)]) -> Result<(), BoxError> {
    let others = receipts
        .iter()
        .filter(|(check, _)| check.kind != CheckKind::Proof);
    let others: Vec<(Check, Receipt)> = others.cloned().collect();
    if waits_for_machine(proof, &others).await? {
        return Ok(());
    }
    if let Some(unmet) = receipts::unmet(UnmetCode::HeadRed, &others) {
        let headline = unmet.feedback.lines().next().unwrap_or_default();
        let reason = format!("what stands is not handed over: at the head {headline}");
        return stop(proof, None, reason).await;
    }
    let mut says = vec!["handed over as it stands, because a person said so".to_owned()];
    {
        let mut tx = proof.platform.store.begin_read().await?;
        let unproven = unproven(&mut tx, proof.spec, receipts).await?;
        if !unproven.is_empty() {
            says.push(format!("not proven: {}", unproven.join(", ")));
        }
        let all = tasks::of_spec(&mut tx, proof.spec.id).await?;
        let open = all
            .iter()
            .filter(|task| task.needed && !task.integration_state.satisfies_dependents());
        let open: Vec<String> = open
            .map(|task| format!("{} ({})", HumanRef::task(task.number), task.status))
            .collect();
        if !open.is_empty() {
            says.push(format!("not done: {}", open.join(", ")));
        }
    }
    says.push("whether the proofs need this work was not tried".to_owned());
    hand_over(proof, Some(says.join("; "))).await
}

/// Ends the attempt, and the spec with it.
async fn stop(proof: Proof<'_>, block: Option<SpecBlock>, reason: String) -> Result<(), BoxError> {
    let mut tx = proof.platform.store.begin_write().await?;
    if end_run(&mut tx, proof.attempt, RunEnding::Done).await? {
        let mut spec = specs::get(&mut tx, proof.spec.id).await?;
        stopped(&mut tx, &mut spec, block, reason).await?;
        tx.commit(CrashPoint::SpecMoved).await?;
    }
    Ok(())
}

/// Has a spec wait for `block`, or fails it where nothing can be waited for.
async fn stopped(
    tx: &mut Tx,
    spec: &mut Spec,
    block: Option<SpecBlock>,
    reason: String,
) -> Result<(), StoreError> {
    match block {
        Some(block) => specs::block(tx, spec, block, reason).await,
        None => specs::transition(tx, spec, SpecStatus::Failed, Some(reason)).await,
    }
}

/// Writes the proven branch into the user's repository; `known` is what they should know of it.
async fn hand_over(proof: Proof<'_>, known: Option<String>) -> Result<(), BoxError> {
    let Proof {
        platform,
        spec,
        attempt,
        mirror,
        head,
    } = proof;
    let (mut hand_over, repo) = {
        let mut tx = platform.store.begin_write().await?;
        let project = projects::get(&mut tx, spec.project_id).await?;
        let planned = match deliveries::find(&mut tx, spec.id).await? {
            Some(planned) if planned.head_sha == head.as_str() => planned,
            _ => {
                let name = branch_ref(spec)?;
                let name = name
                    .as_branch()
                    .unwrap_or(&spec.integration_branch)
                    .to_owned();
                deliveries::plan(&mut tx, spec.id, head.as_str(), &name).await?
            }
        };
        tx.commit(CrashPoint::HandOverPlanned).await?;
        (planned, project.repo_path)
    };
    let pushed = push_branch(
        mirror,
        repo.as_ref(),
        &ObjectId::parse(&hand_over.head_sha)?,
        &hand_over.branch,
    )
    .await
    .map_err(|source| NotHandedOver { repo, source })?;
    let mut tx = platform.store.begin_write().await?;
    if !end_run(&mut tx, attempt, RunEnding::Done).await? {
        return Ok(());
    }
    let mut spec = specs::get(&mut tx, spec.id).await?;
    let notes: Vec<String> = known.into_iter().chain(note(&pushed)).collect();
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    deliveries::confirm(&mut tx, &spec, &mut hand_over, &pushed.branch, note).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Delivered, None).await?;
    tx.commit(CrashPoint::HandOverConfirmed).await?;
    Ok(())
}

fn note(pushed: &Pushed) -> Option<String> {
    let why = match pushed.renamed? {
        Renamed::Taken => "a branch of the wanted name has other content",
        Renamed::CheckedOut => "the wanted name is checked out",
        Renamed::Nested => "a branch stands in the way of the wanted name",
    };
    Some(format!("handed over as `{}`: {why}", pushed.branch))
}

/// Every check of what landed, and the suite.
async fn final_checks(tx: &mut Tx, spec: &Spec) -> Result<Vec<Check>, StoreError> {
    let tasks = tasks::of_spec(tx, spec.id).await?;
    let landed: Vec<_> = tasks
        .iter()
        .filter(|task| task.status == TaskStatus::Completed)
        .filter(|task| task.integration_state.satisfies_dependents())
        .map(|task| task.id)
        .collect();
    let all = checks::of_spec(tx, spec.id).await?;
    Ok(all
        .into_iter()
        // Work found on the way is judged by the suite when it has no check of its own.
        .filter(|check| receipts::proves(check, &tasks))
        .filter(|check| match check.task_id {
            None => true,
            Some(task) => landed.contains(&task) && check.kind != CheckKind::Suite,
        })
        .collect())
}

/// What is not proven at the head; none when all is.
async fn red(
    platform: &Platform,
    spec: &Spec,
    receipts: &[(Check, Receipt)],
) -> Result<Option<String>, StoreError> {
    if let Some(unmet) = receipts::unmet(UnmetCode::HeadRed, receipts) {
        let headline = unmet.feedback.lines().next().unwrap_or_default().to_owned();
        return Ok(Some(format!("at the head {headline}")));
    }
    let mut tx = platform.store.begin_read().await?;
    if requirements::criteria_of_spec(&mut tx, spec.id)
        .await?
        .is_empty()
    {
        let says = "the plan has no acceptance criterion, so nothing could be proven";
        return Ok(Some(says.to_owned()));
    }
    let unproven = unproven(&mut tx, spec, receipts).await?;
    if unproven.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!("no check proves {}", unproven.join(", "))))
}

/// Criteria that no check of these receipts proves.
async fn unproven(
    tx: &mut Tx,
    spec: &Spec,
    receipts: &[(Check, Receipt)],
) -> Result<Vec<String>, StoreError> {
    let links = checks::criteria_links(tx, spec.id).await?;
    let criteria = requirements::criteria_of_spec(tx, spec.id).await?;
    Ok(criteria
        .into_iter()
        .filter(|criterion| {
            !receipts
                .iter()
                .any(|(check, receipt)| receipt.passed && links.contains(&(check.id, criterion.id)))
        })
        .map(|criterion| criterion.local_id)
        .collect())
}

impl Consume for Finisher {
    fn consumer(&self) -> Consumer {
        Consumer::Finisher
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.pass(now, entities))
    }
}

//! One durable step of a spec whose plan is its ticket: nothing of it runs before its suite has passed on the base commit,
//! and its commands have failed there.

use tracing::{debug, info, warn};

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, SpecId};
use omoi_domain::lifecycle::spec::{
    BaseEnding, DirectFacts, DirectProof, DirectStep, SpecAction, direct_step as rule,
    give_up_direct,
};
use omoi_domain::lifecycle::tries::EarlierRun;
use omoi_execution::base_run::BaseRun;
use omoi_execution::platform_run::{PlatformWork, RunEnding, begin_run, earlier_runs, end_run};
use omoi_execution::specs::apply_to_spec;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, Tx, tasks, tickets};

use super::documents::document_step;
use super::step::PhaseDriver;
use crate::base_runner::BaseRunner;
use crate::{base_suite, direct_plan};

/// What is stored of the proofs of a direct spec.
struct ProofRows {
    /// Each with its run on the base commit, once it was made.
    proofs: Vec<(Check, Option<Receipt>)>,
    has_suite: bool,
    runs: Vec<EarlierRun>,
}

impl ProofRows {
    async fn read(tx: &mut Tx, spec: &Spec) -> Result<Self, StoreError> {
        let mut proofs = Vec::new();
        for check in own_proofs(tx, spec.id).await? {
            let base = checks::base_receipt(tx, check.id).await?;
            proofs.push((check, base));
        }
        Ok(Self {
            proofs,
            has_suite: checks::suite_of_spec(tx, spec.id).await?.is_some(),
            runs: earlier_runs(tx, spec.id, AttemptSubject::PlanProofs).await?,
        })
    }

    fn next_step(&self, spec: &Spec) -> DirectStep {
        let proofs = self.proofs.iter().map(|(check, base)| DirectProof {
            command: check.command.clone(),
            base: base.as_ref().map(|base| {
                base.exit_code
                    .map_or(BaseEnding::Stopped, BaseEnding::Exited)
            }),
        });
        rule(&DirectFacts {
            proofs: &proofs.collect::<Vec<_>>(),
            has_suite: self.has_suite,
            runs: &self.runs,
            // It changed last when a person had it go on.
            since: spec.updated_at,
        })
    }
}

async fn own_proofs(tx: &mut Tx, spec: SpecId) -> Result<Vec<Check>, StoreError> {
    let mut all = checks::of_spec(tx, spec).await?;
    all.retain(|check| check.kind == CheckKind::Proof);
    Ok(all)
}

/// Takes the step that the rows of a direct spec ask for.
pub(super) async fn direct_step(driver: &PhaseDriver, spec: Spec) -> Result<Next, BoxError> {
    let runner = &driver.runner;
    if let Some(next) = base_suite::hold_for_suite(runner, &spec, None).await? {
        return Ok(next);
    }
    if spec.current_phase.is_document() {
        return document_step(driver, &spec).await;
    }
    take_checks_over(runner, &spec).await?;
    let rows = runner
        .store
        .read(async |tx| ProofRows::read(tx, &spec).await);
    let rows = rows.await?;
    match rows.next_step(&spec) {
        DirectStep::Await => {}
        DirectStep::RunProofs => run_proofs(runner, &spec, rows).await?,
        DirectStep::Move(actions) => {
            info!(spec.id = %spec.id, ?actions, "SPEC-{} is known on its base commit", spec.number);
            move_direct(&runner.store, spec.id, |_| actions).await?;
        }
    }
    Ok(Next::Idle)
}

/// Gives the spec the commands that its ticket names by now, and its task where that waited for the documents of the ticket.
async fn take_checks_over(runner: &BaseRunner, spec: &Spec) -> Result<(), StoreError> {
    let read = runner.store.read(async |tx| {
        let ticket = tickets::of_direct_spec(tx, spec.id).await?;
        let proofs = own_proofs(tx, spec.id).await?;
        let has_task = !tasks::of_spec(tx, spec.id).await?.is_empty();
        Ok::<_, StoreError>((has_task, direct_plan::has_checks_of(&ticket, &proofs)))
    });
    match read.await? {
        (true, true) => return Ok(()),
        (true, false) => {}
        (false, _) => {
            let written = runner.store.write(CrashPoint::SpecMoved, async |tx| {
                let ticket = tickets::of_direct_spec(tx, spec.id).await?;
                direct_plan::write_task(tx, &runner.limits, spec, &ticket).await
            });
            return written.await;
        }
    }
    debug!(spec.id = %spec.id, "The commands of the ticket of SPEC-{} changed", spec.number);
    let replaced = runner.store.write(CrashPoint::SpecMoved, async |tx| {
        let ticket = tickets::of_direct_spec(tx, spec.id).await?;
        direct_plan::replace_checks(tx, &runner.limits, spec, &ticket).await
    });
    replaced.await
}

async fn run_proofs(runner: &BaseRunner, spec: &Spec, rows: ProofRows) -> Result<(), StoreError> {
    let open = rows.proofs.into_iter().filter(|(_, base)| base.is_none());
    let open: Vec<Check> = open.map(|(check, _)| check).collect();
    let begun = runner.store.write(CrashPoint::AttemptCreated, async |tx| {
        let work = PlatformWork {
            subject: AttemptSubject::PlanProofs,
            round: 0,
        };
        begin_run(tx, &runner.platform, spec, work).await
    });
    let run = begun.await?;
    let name = format!("commands of SPEC-{} on its base", spec.number);
    let (runner, spec, attempt) = (runner.clone(), spec.clone(), run.attempt.id);
    run.spawn(name, async move {
        try_proofs(&runner, &spec, attempt, open).await
    });
    Ok(())
}

/// Runs `open` on the base commit, one after the other, and keeps how they ended with the end of the attempt.
async fn try_proofs(
    runner: &BaseRunner,
    spec: &Spec,
    attempt: AttemptId,
    open: Vec<Check>,
) -> Result<(), BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let run_of = |check| BaseRun {
        spec,
        check,
        task: None,
        attempt,
        commit: &base,
    };
    let mut finished = Vec::new();
    for check in &open {
        let run = run_of(check);
        finished.push((
            check,
            run.run_check(&runner.store, &runner.checkouts).await?,
        ));
    }
    let kept = runner.store.write(CrashPoint::AttemptEnded, async |tx| {
        if !end_run(tx, attempt, RunEnding::Done).await? {
            return Ok(());
        }
        for (check, done) in finished {
            let exit = done.command.exit_code;
            checks::set_base_exit(tx, check.id, exit.unwrap_or(-1)).await?;
            run_of(check).store_base_receipt(tx, done, None).await?;
        }
        Ok::<_, StoreError>(())
    });
    Ok(kept.await?)
}

/// Moves a direct spec as `decide` says of it.
async fn move_direct(
    store: &Tenant,
    id: SpecId,
    decide: impl FnOnce(&Spec) -> Vec<SpecAction>,
) -> Result<(), StoreError> {
    let moved = store.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        let actions = decide(&spec);
        apply_to_spec(tx, &mut spec, actions, false).await
    });
    moved.await
}

/// Fails a direct spec whose step did not succeed.
pub(super) async fn give_up(store: &Tenant, id: SpecId, why: &str) -> Result<(), StoreError> {
    warn!(spec.id = %id, "Gave up beginning the work of `{id}`");
    move_direct(store, id, |spec| give_up_direct(spec.status, why)).await
}

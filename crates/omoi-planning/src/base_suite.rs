//! The project's own suite on the base commit, before any model is asked.
//!
//! It runs as an attempt of the platform, so that a kill in the middle costs one more run and nothing
//! else. A suite that is red there, or cannot start, would send back every task for what no agent did.

use tracing::{info, trace};

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::lifecycle::spec::{
    BaseSuiteFacts, BaseSuiteStep, SpecAction, SuiteBaseRun, base_suite_step,
};
use omoi_domain::phase::Phase;
use omoi_domain::suite::report::read_suite_report;
use omoi_execution::base_run::BaseRun;
use omoi_execution::platform_run::{PlatformWork, RunEnding, begin_run, end_run};
use omoi_execution::specs::apply_to_spec;
use omoi_git::object::ObjectId;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::attempts::{self, Attempt};
use omoi_store::checks::{self, Check, Receipt};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tenant, Tx};

use crate::base_runner::BaseRunner;
use crate::planner::end_planning;

/// What is stored of a spec's suite.
struct SuiteRows {
    suite: Check,
    base: Option<Receipt>,
    tried: Vec<Attempt>,
}

impl SuiteRows {
    /// None for a spec without a suite.
    async fn read(tx: &mut Tx, spec: &Spec) -> Result<Option<Self>, StoreError> {
        let Some(suite) = checks::suite_of_spec(tx, spec.id).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            base: checks::base_receipt(tx, suite.id).await?,
            tried: attempts::of_subject(tx, spec.id, AttemptSubject::BaseSuite).await?,
            suite,
        }))
    }

    fn facts(&self, spec: &Spec) -> BaseSuiteFacts<'_> {
        let base = self.base.as_ref().map(|base| SuiteBaseRun {
            run: base.suite_run(),
            exit_code: base.exit_code,
            output: &base.output,
        });
        // One that failed before a person changed something says nothing any more.
        let last = self.tried.last().filter(|last| {
            last.state == AttemptState::Failed && last.created_at >= spec.updated_at
        });
        BaseSuiteFacts {
            command: &self.suite.command,
            accept_red: spec.options.0.accept_red,
            base,
            is_running: self.tried.iter().any(|attempt| attempt.state.is_live()),
            failure: last.map(|last| last.error_message.as_deref().unwrap_or_default()),
        }
    }
}

/// Keeps a spec from its first model call until its suite has passed on the base commit, or a person
/// has accepted how it fails. None when planning, which stands at `phase` where there is any, may go on.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn hold_for_suite(
    runner: &BaseRunner,
    spec: &Spec,
    phase: Option<Phase>,
) -> Result<Option<Next>, BoxError> {
    if spec.suite_command().is_none() {
        return Ok(None);
    }
    let rows = runner
        .store
        .read(async |tx| SuiteRows::read(tx, spec).await);
    let Some(rows) = rows.await? else {
        return Ok(None);
    };
    match base_suite_step(rows.facts(spec)) {
        BaseSuiteStep::GoOn => return Ok(None),
        BaseSuiteStep::Await => trace!(spec.id = %spec.id, "The suite runs on the base"),
        BaseSuiteStep::Run => start(runner, spec, rows.suite).await?,
        BaseSuiteStep::Stop(actions) => {
            let stopped = StoppedPlanning { phase, actions };
            stop_planning(&runner.store, spec, stopped).await?;
        }
    }
    Ok(Some(Next::Idle))
}

/// Planning that does not begin.
struct StoppedPlanning {
    phase: Option<Phase>,
    actions: Vec<SpecAction>,
}

/// Has the spec wait until a person changes something.
async fn stop_planning(
    store: &Tenant,
    spec: &Spec,
    stopped: StoppedPlanning,
) -> Result<(), StoreError> {
    info!(spec.id = %spec.id, "The suite of SPEC-{} does not pass on its base", spec.number);
    let mut spec = spec.clone();
    let written = store.write(CrashPoint::SpecMoved, async |tx| {
        if let Some(phase) = stopped.phase {
            end_planning(tx, &spec, Some(phase)).await?;
        }
        apply_to_spec(tx, &mut spec, stopped.actions, false).await
    });
    written.await
}

async fn start(runner: &BaseRunner, spec: &Spec, suite: Check) -> Result<(), StoreError> {
    let begun = runner.store.write(CrashPoint::AttemptCreated, async |tx| {
        let work = PlatformWork {
            subject: AttemptSubject::BaseSuite,
            round: 0,
        };
        begin_run(tx, &runner.platform, spec, work).await
    });
    let run = begun.await?;
    let name = format!("suite of SPEC-{} on its base", spec.number);
    let (runner, spec, attempt) = (runner.clone(), spec.clone(), run.attempt.id);
    run.spawn(name, async move {
        run_suite(&runner, &spec, &suite, attempt).await
    });
    Ok(())
}

async fn run_suite(
    runner: &BaseRunner,
    spec: &Spec,
    suite: &Check,
    attempt: AttemptId,
) -> Result<(), BoxError> {
    let base = ObjectId::parse(&spec.base_sha)?;
    let run = BaseRun {
        spec,
        check: suite,
        task: None,
        attempt,
        commit: &base,
    };
    let finished = run.run_check(&runner.store, &runner.checkouts).await?;
    let kept = runner.store.write(CrashPoint::AttemptEnded, async |tx| {
        if !end_run(tx, attempt, RunEnding::Done).await? {
            return Ok(());
        }
        let tests = read_suite_report(&finished.command.output);
        run.store_base_receipt(tx, finished, Some(tests)).await
    });
    Ok(kept.await?)
}

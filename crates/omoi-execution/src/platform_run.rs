//! Work that the platform does itself, as an attempt: checks, proofs, merges, the second opinion.
//!
//! A run begins in its caller's transaction, together with what it begins for. Its work then goes on
//! beside the loop that started it, so that a command which hangs holds up nobody else. It ends in
//! the transaction that keeps what it found.

use tracing::{Instrument as _, debug, info, info_span, warn};

use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, SpecId};
pub use omoi_domain::lifecycle::attempt::RunEnding;
use omoi_domain::lifecycle::attempt::{begin_attempt, end_platform_run};
use omoi_domain::lifecycle::tries::EarlierRun;
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_runtime::telemetry::error_chain;
use omoi_store::attempts::{self, Attempt};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tenant, Tx};

use crate::attempt::{AttemptIssuer, NewAttempt, apply_to_attempt, insert_attempt};
use crate::deployment::{DeploymentParts, FromParts};
use crate::running_attempts::{HeldAttempt, RunningAttempts};

/// What the platform is to do.
#[derive(Clone, Copy, Debug)]
pub struct PlatformWork {
    /// What the attempt is about.
    pub subject: AttemptSubject,
    /// Times the subject was sent back.
    pub round: u32,
}

/// Begins runs of the platform itself.
#[derive(Clone)]
pub struct PlatformRunner {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// Gives each run its attempt.
    pub issuer: AttemptIssuer,
    /// The attempts that this process works on.
    pub running: RunningAttempts,
    /// Starts the work of a run.
    pub lifecycle: LifecycleHandle,
}

impl FromParts for PlatformRunner {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            issuer: AttemptIssuer::from_parts(parts),
            running: parts.running.clone(),
            lifecycle: parts.lifecycle.clone(),
        }
    }
}

/// A run that has begun. Its attempt counts as lost once this is dropped: see [`PlatformRun::spawn`].
#[must_use = "a run that is dropped is lost"]
pub struct PlatformRun {
    /// The attempt, as it began.
    pub attempt: Attempt,
    store: Tenant,
    lifecycle: LifecycleHandle,
    held: HeldAttempt,
}

/// The runs that were made at a subject of `spec`, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn earlier_runs(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Vec<EarlierRun>, StoreError> {
    let attempts = attempts::of_subject(tx, spec, subject).await?;
    let runs = attempts.into_iter().map(|attempt| EarlierRun {
        state: attempt.state,
        round: attempt.round,
        begun_at: attempt.created_at,
        error: attempt.error_message,
    });
    Ok(runs.collect())
}

/// Begins a run inside the caller's transaction; it is live until [`end_run`].
///
/// # Errors
/// [`StoreError::Exists`] when the subject has a live attempt.
pub async fn begin_run(
    tx: &mut Tx,
    platform: &PlatformRunner,
    spec: &Spec,
    work: PlatformWork,
) -> Result<PlatformRun, StoreError> {
    let PlatformWork { subject, round } = work;
    let (role, base_sha) = run_origin(subject, spec);
    let new = NewAttempt {
        project_id: spec.project_id,
        spec_id: spec.id,
        subject,
        round,
        role,
        agent: None,
        fence: attempts::count_of_subject(tx, spec.id, subject).await? + 1,
        base_sha,
    };
    let mut attempt = insert_attempt(tx, &platform.issuer, new).await?.attempt;
    apply_to_attempt(tx, &mut attempt, begin_attempt(None)).await?;
    // Before the commit: an attempt that nobody holds is taken for one of a process that died.
    let held = platform.running.hold_attempt(attempt.org_id, attempt.id);
    Ok(PlatformRun {
        attempt,
        store: platform.store.clone(),
        lifecycle: platform.lifecycle.clone(),
        held,
    })
}

/// Who makes a run at `subject`, and the commit it starts from where that is the base of the spec.
fn run_origin(subject: AttemptSubject, spec: &Spec) -> (AgentRole, Option<String>) {
    let base = || Some(spec.base_sha.clone());
    match subject {
        AttemptSubject::PlanOpinion => (AgentRole::Judge, base()),
        AttemptSubject::BaseSuite | AttemptSubject::PlanProofs => (AgentRole::Platform, base()),
        _ => (AgentRole::Platform, None),
    }
}

impl PlatformRun {
    /// Does `work` beside the caller, once the transaction the run began in is committed. An error
    /// ends the attempt with the whole chain of causes; `name` is for the log.
    pub fn spawn<W>(self, name: String, work: W)
    where
        W: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let Self {
            attempt,
            store,
            lifecycle,
            held,
        } = self;
        let title = name.clone();
        // It outlives the pass that began it, so it is not below its span.
        let span = info_span!(
            parent: None, "attempt", attempt.id = %attempt.id, spec.id = %attempt.spec_id,
            task.id = attempt.subject.task_id().map(tracing::field::display),
            subject = attempt.subject.kind().as_str()
        );
        let work = async move {
            let _held = held;
            debug!("Began the {title}");
            if let Err(error) = work.await {
                let why = error_chain(error.as_ref());
                warn!(error = %why, "Could not finish the {title}");
                give_up(&store, attempt.id, &why).await?;
            }
            debug!("Ended the {title}");
            Ok(())
        };
        lifecycle.spawn(name, SpawnKind::Work, work.instrument(span));
    }
}

/// Ends a run inside the caller's transaction. False when it is over already, as after a lost lease:
/// then the caller must write nothing.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_run(
    tx: &mut Tx,
    attempt: AttemptId,
    ending: RunEnding<'_>,
) -> Result<bool, StoreError> {
    let mut attempt = attempts::get(tx, attempt).await?;
    let actions = end_platform_run(attempt.state, ending);
    let is_ended = !actions.is_empty();
    if !is_ended {
        info!(attempt.id = %attempt.id, "The run `{}` is over already; its result is dropped", attempt.id);
    }
    apply_to_attempt(tx, &mut attempt, actions).await?;
    Ok(is_ended)
}

/// Ends a run that could not do its work, in a transaction of its own.
async fn give_up(store: &Tenant, attempt: AttemptId, why: &str) -> Result<(), StoreError> {
    store
        .write(CrashPoint::AttemptEnded, async |tx| {
            end_run(tx, attempt, RunEnding::Failed(why)).await?;
            Ok(())
        })
        .await
}

//! What people ask of a spec.

mod edit;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, SpecId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::phase::Phase;
use omoi_domain::retry::PhaseFailure;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::task::TaskStatus;
use omoi_execution::Platform;
use omoi_execution::platform::{NO_MODEL, SIMULATED, WorkScope};
use omoi_protocol::control::ResumeSpec;
use omoi_protocol::shell_word::shell_word;
use omoi_runtime::BoxError;
use omoi_store::phases::{self, Verdict};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, ablations, projects};

use crate::suite;

pub use edit::{Edit, edit, retitle};

/// Why something asked of a spec was not done; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no whole plan whose tasks could be released.
    #[error("{spec} is {status}; only the tasks of a whole plan can be worked on")]
    NotPlanned {
        /// The spec, as every command takes it.
        spec: String,
        /// Where it stands.
        status: SpecStatus,
    },
    /// What a simulated model began would be told as a real one's work, or the reverse, or as another
    /// script's.
    #[error("{spec} was begun with the model {begun}, and this process works with {now}")]
    OtherModel {
        /// The spec, as every command takes it.
        spec: String,
        /// The model it was begun with.
        begun: String,
        /// The model of this process.
        now: String,
        /// The command that goes on with it.
        resume: String,
    },
    /// A task waits for another that is lost.
    #[error("{task} waits for {on}, which is {status}")]
    Waits {
        /// The task, as every command takes it.
        task: String,
        /// The other.
        on: String,
        /// Where the other stands.
        status: TaskStatus,
    },
    /// All that is left waits for a task that a person called off.
    #[error("{spec} cannot go on: {task} is cancelled, and it is needed")]
    CalledOff {
        /// The spec, as every command takes it.
        spec: String,
        /// The task.
        task: String,
    },
    /// There is no work that could be handed over.
    #[error("nothing of {spec} has landed, so there is nothing to hand over")]
    NothingLanded {
        /// The spec, as every command takes it.
        spec: String,
    },
    /// What stands may still change.
    #[error("{task} is {status}; what stands is handed over when nothing is at work any more")]
    StillOpen {
        /// A task that is not over.
        task: String,
        /// Where it stands.
        status: TaskStatus,
    },
    /// Its plan is in use or of no use any more.
    #[error("{spec} is {status}; what it was planned from cannot be changed now")]
    AtWork {
        /// The spec, as every command takes it.
        spec: String,
        /// Where it stands.
        status: SpecStatus,
    },
    /// An edit that cannot stand, with what was expected.
    #[error("{0}")]
    Edit(String),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// An edited output could not be judged.
    #[error("the edited output could not be judged")]
    Judge(#[source] BoxError),
}

impl CommandError {
    /// What the person can do about it.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::NotPlanned { spec, status } => match status {
                SpecStatus::Failed | SpecStatus::Blocked | SpecStatus::Completed => {
                    Some(format!("finish its plan: omoi spec resume {spec}"))
                }
                SpecStatus::Draft | SpecStatus::Executing => {
                    Some(format!("wait for its plan: omoi spec show {spec}"))
                }
                _ => None,
            },
            Self::OtherModel { resume, .. } => Some(format!(
                "stop that process and go on as it began: {resume}; or run the idea anew"
            )),
            Self::Waits { on, .. } => Some(format!("try that one again: omoi task retry {on}")),
            Self::CalledOff { spec, task } => Some(format!(
                "try it again: omoi task retry {task}; or hand over what stands: omoi spec deliver {spec}"
            )),
            Self::NothingLanded { spec } => Some(format!("see why: omoi spec show {spec}")),
            Self::StillOpen { task, .. } => Some(format!(
                "wait for it, or call it off: omoi task cancel {task}"
            )),
            Self::AtWork { .. } | Self::Edit(_) | Self::Store(_) | Self::Judge(_) => None,
        }
    }
}

/// A spec as every command takes it, wherever it is typed.
async fn name_of(tx: &mut Tx, spec: &Spec) -> Result<String, StoreError> {
    projects::reference(tx, spec.project_id, HumanRef::spec(spec.number)).await
}

/// Releases the tasks of a planned spec. One released already is left alone.
///
/// # Errors
/// [`CommandError::NotPlanned`], [`CommandError::OtherModel`].
pub async fn approve(platform: &Platform, id: SpecId) -> Result<Spec, CommandError> {
    let mut tx = platform.store.begin_write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    match spec.status {
        SpecStatus::Working => {
            take_model(platform, &mut tx, &mut spec).await?;
            platform.scope.ask_for(spec.id);
            return Ok(spec);
        }
        SpecStatus::Completed if planned(&mut tx, &spec).await? => {}
        status => {
            let spec = name_of(&mut tx, &spec).await?;
            return Err(CommandError::NotPlanned { spec, status });
        }
    }
    take_model(platform, &mut tx, &mut spec).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Working, None).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    platform.scope.ask_for(spec.id);
    Ok(spec)
}

/// Takes a spec up where it stopped: what is missing of its plan is planned, or its failed tasks go
/// back into the queue. One that runs, waits for approval with a whole plan or is delivered is left
/// alone. Who accepts what is weak lets those criteria stand that are weak now, at this head.
///
/// # Errors
/// [`CommandError::OtherModel`]; [`StoreError::Transition`] when it is cancelled.
pub async fn resume(
    platform: &Platform,
    id: SpecId,
    asked: ResumeSpec,
) -> Result<Spec, CommandError> {
    let mut tx = platform.store.begin_write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    // It may have been delivered while the person asked.
    if spec.status == SpecStatus::Delivered {
        return Ok(spec);
    }
    let renamed = take_model(platform, &mut tx, &mut spec).await?;
    let planned = planned(&mut tx, &spec).await?;
    match spec.status {
        SpecStatus::Executing | SpecStatus::Working => {
            if renamed {
                specs::save(&mut tx, &mut spec).await?;
                tx.commit(CrashPoint::SpecMoved).await?;
            }
            platform.scope.ask_for(spec.id);
            return Ok(spec);
        }
        SpecStatus::Completed if planned => return Ok(spec),
        _ => {}
    }
    if asked.accept_red {
        spec.options.0.accept_red = true;
    }
    if planned {
        retry_all(&mut tx, id).await?;
        can_go_on(&mut tx, &spec).await?;
        spec.options.0.as_it_stands = false;
        let mut reason = None;
        if asked.accept_weak {
            let n = ablations::accept_weak(&mut tx, id).await?;
            reason = Some(format!("a person lets weak criteria stand: {n}"));
        }
        specs::transition(&mut tx, &mut spec, SpecStatus::Working, reason).await?;
    } else {
        suite::set_up_again(&mut tx, platform, &mut spec, asked.suite.as_deref()).await?;
        reopen(&mut tx, &spec).await?;
        specs::transition(&mut tx, &mut spec, SpecStatus::Executing, None).await?;
    }
    tx.commit(CrashPoint::SpecMoved).await?;
    platform.scope.ask_for(spec.id);
    Ok(spec)
}

/// Refuses to go on where nothing is left to do but what a person called off.
async fn can_go_on(tx: &mut Tx, spec: &Spec) -> Result<(), CommandError> {
    let all = tasks::of_spec(tx, spec.id).await?;
    if all.iter().any(is_open) {
        return Ok(());
    }
    let called_off = |task: &&Task| task.needed && task.status == TaskStatus::Cancelled;
    let Some(task) = all.iter().find(called_off) else {
        return Ok(());
    };
    let names = projects::names(tx).await?;
    Err(CommandError::CalledOff {
        spec: names.reference(spec.project_id, HumanRef::spec(spec.number)),
        task: names.reference(spec.project_id, HumanRef::task(task.number)),
    })
}

/// Whether something may still happen to a task by itself.
fn is_open(task: &Task) -> bool {
    !task.status.is_final() && task.status != TaskStatus::Blocked
}

/// Has what has landed of a spec handed over as it stands, because a person says so: what is not
/// proven or not done is told with it. The suite and every check of what landed that proves no
/// criterion must still pass.
///
/// # Errors
/// [`CommandError::NotPlanned`], [`CommandError::OtherModel`], [`CommandError::NothingLanded`],
/// [`CommandError::StillOpen`].
pub async fn deliver(platform: &Platform, id: SpecId) -> Result<Spec, CommandError> {
    let mut tx = platform.store.begin_write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    if spec.status == SpecStatus::Delivered {
        return Ok(spec);
    }
    let may = matches!(
        spec.status,
        SpecStatus::Working | SpecStatus::Blocked | SpecStatus::Failed
    );
    let name = name_of(&mut tx, &spec).await?;
    if !may || !planned(&mut tx, &spec).await? {
        let status = spec.status;
        return Err(CommandError::NotPlanned { spec: name, status });
    }
    take_model(platform, &mut tx, &mut spec).await?;
    let all = tasks::of_spec(&mut tx, id).await?;
    if let Some(open) = all.iter().find(|task| is_open(task)) {
        let number = HumanRef::task(open.number);
        return Err(CommandError::StillOpen {
            task: projects::reference(&mut tx, spec.project_id, number).await?,
            status: open.status,
        });
    }
    if !all
        .iter()
        .any(|task| task.integration_state.satisfies_dependents())
    {
        return Err(CommandError::NothingLanded { spec: name });
    }
    spec.options.0.as_it_stands = true;
    if spec.status == SpecStatus::Working {
        specs::save(&mut tx, &mut spec).await?;
    } else {
        let reason = Some("a person wants what stands".to_owned());
        specs::transition(&mut tx, &mut spec, SpecStatus::Working, reason).await?;
    }
    tx.commit(CrashPoint::SpecMoved).await?;
    platform.scope.ask_for(spec.id);
    Ok(spec)
}

/// Puts every failed task, and every one whose merge waits for a person, back into the queue.
async fn retry_all(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    let is_stuck = |task: &Task| {
        task.status == TaskStatus::Failed
            || task.integration_state == IntegrationState::Manual
            || task.waits_for_outside()
    };
    let mut stuck = tasks::of_spec(tx, spec).await?;
    stuck.retain(is_stuck);
    // A resolution tried again takes the work it resolves along, which is done already.
    stuck.sort_by_key(|task| task.resolves_merge_id.is_none());
    for task in stuck {
        let mut task = tasks::get(tx, task.id).await?;
        if is_stuck(&task) {
            omoi_execution::tasks::retry(tx, &mut task).await?;
        }
    }
    Ok(())
}

/// Puts a failed task back into the queue, and its spec to work where it stopped for want of it.
///
/// # Errors
/// [`CommandError::NotPlanned`], [`CommandError::OtherModel`], [`CommandError::Waits`];
/// [`StoreError::Transition`] when the task or its spec cannot go on.
pub async fn retry_task(
    platform: &Platform,
    tx: &mut Tx,
    task: &mut Task,
) -> Result<(), CommandError> {
    if task.status == TaskStatus::Blocked
        && let Some(lost) = omoi_execution::tasks::lost_prerequisite(tx, task).await?
    {
        let names = projects::names(tx).await?;
        let name = |task: &Task| names.reference(task.project_id, HumanRef::task(task.number));
        return Err(CommandError::Waits {
            task: name(task),
            on: name(&lost),
            status: lost.status,
        });
    }
    omoi_execution::tasks::retry(tx, task).await?;
    let mut spec = specs::get(tx, task.spec_id).await?;
    let renamed = take_model(platform, tx, &mut spec).await?;
    if renamed || spec.options.0.as_it_stands {
        spec.options.0.as_it_stands = false;
        specs::save(tx, &mut spec).await?;
    }
    platform.scope.ask_for(spec.id);
    if spec.status == SpecStatus::Working {
        return Ok(());
    }
    if !planned(tx, &spec).await? {
        return Err(CommandError::NotPlanned {
            spec: name_of(tx, &spec).await?,
            status: spec.status,
        });
    }
    Ok(specs::transition(tx, &mut spec, SpecStatus::Working, None).await?)
}

/// Whether every phase has passed and sync has written the rows.
async fn planned(tx: &mut Tx, spec: &Spec) -> Result<bool, StoreError> {
    if spec.current_phase != Phase::Complete {
        return Ok(false);
    }
    let runs = phases::of_spec(tx, spec.id).await?;
    Ok(Phase::ALL_WORKING.iter().all(|phase| {
        runs.iter()
            .any(|run| run.phase == *phase && run.state == PhaseState::Passed)
    }))
}

/// Gives the spec the model that will go on with it; true when that is another one than before.
/// What a simulated model did and what a real one did is never told under one name. A process that
/// runs no agents has none to give.
async fn take_model(
    platform: &Platform,
    tx: &mut Tx,
    spec: &mut Spec,
) -> Result<bool, CommandError> {
    let now = platform.model_label.as_str();
    if now == NO_MODEL || matches!(platform.scope, WorkScope::Nothing) {
        return Ok(false);
    }
    if platform.is_of_another_kind(spec) {
        let name = name_of(tx, spec).await?;
        return Err(CommandError::OtherModel {
            begun: told_model(&spec.model, spec.scenario.as_deref()),
            now: told_model(now, platform.scenario.as_deref()),
            resume: resume_command(&name, spec),
            spec: name,
        });
    }
    if spec.model == now {
        return Ok(false);
    }
    now.clone_into(&mut spec.model);
    spec.scenario.clone_from(&platform.scenario);
    Ok(true)
}

fn told_model(model: &str, scenario: Option<&str>) -> String {
    match scenario.filter(|_| model == SIMULATED) {
        Some(file) => format!("`{model}` of `{file}`"),
        None => format!("`{model}`"),
    }
}

/// The command that goes on with `spec`, called `name`, with the kind of model that began it.
pub fn resume_command(name: &str, spec: &Spec) -> String {
    let (name, model) = (shell_word(name), shell_word(&spec.model));
    match (spec.model.as_str(), spec.scenario.as_deref()) {
        (NO_MODEL, _) => format!("omoi spec resume {name}"),
        (SIMULATED, Some(file)) => {
            let file = shell_word(file);
            format!("omoi spec resume {name} --model {SIMULATED} --scenario {file}")
        }
        _ => format!("omoi spec resume {name} --model {model}"),
    }
}

/// Gives the phase at fault all its attempts again; its items and feedback stay.
async fn reopen(tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
    for mut run in phases::of_spec(tx, spec.id).await? {
        let at_fault = run.state == PhaseState::Failed
            || (run.state == PhaseState::Passed && run.phase == spec.current_phase);
        if at_fault {
            run.attempts = 0;
            let reason = Some("resumed by a person".to_owned());
            let verdict = Verdict {
                reason,
                ..Verdict::default()
            };
            phases::transition(tx, spec.project_id, &mut run, PhaseState::Pending, verdict).await?;
        }
    }
    Ok(())
}

/// Calls a spec off. What runs for it is stopped; what was done stays where it is.
///
/// # Errors
/// [`StoreError::Transition`] when it is over already.
pub async fn cancel(platform: &Platform, id: SpecId) -> Result<Spec, StoreError> {
    let mut tx = platform.store.begin_write().await?;
    let mut spec = specs::get(&mut tx, id).await?;
    for mut task in tasks::of_spec(&mut tx, id).await? {
        if !task.status.is_final() {
            let reason = Some("its spec was cancelled".to_owned());
            tasks::transition(&mut tx, &mut task, TaskStatus::Cancelled, reason).await?;
        }
    }
    for mut run in phases::of_spec(&mut tx, id).await? {
        if matches!(run.state, PhaseState::Running | PhaseState::Backoff) {
            let verdict = Verdict {
                reason: Some(PhaseFailure::Cancelled.as_str().to_owned()),
                ..Verdict::default()
            };
            phases::transition(
                &mut tx,
                spec.project_id,
                &mut run,
                PhaseState::Failed,
                verdict,
            )
            .await?;
        }
    }
    let reason = Some("cancelled by a person".to_owned());
    specs::transition(&mut tx, &mut spec, SpecStatus::Cancelled, reason).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(spec)
}

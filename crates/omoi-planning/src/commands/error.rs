//! Why a command was refused, and what the person can do about it.

use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_execution::commands::TaskCommandError;
use omoi_runtime::BoxError;
use omoi_store::StoreError;
use omoi_store::specs::Spec;

/// Why something asked of a spec was not done; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum SpecCommandError {
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
    /// All that is left waits for a task that a person cancelled.
    #[error("{spec} cannot go on: {task} is cancelled, and it is needed")]
    TaskCancelled {
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
    /// It is worked on, or may go on by itself.
    #[error("{spec} is {status}; only what nobody works on is put away")]
    GoesOn {
        /// The spec, as every command takes it.
        spec: String,
        /// Where it stands.
        status: SpecStatus,
    },
    /// It was changed after the version that the change is meant for.
    #[error("the spec was changed meanwhile")]
    StaleVersion(Box<Spec>),
    /// An edit that cannot stand, with what was expected.
    #[error("{0}")]
    InvalidEdit(String),
    /// What was asked of a task was refused.
    #[error(transparent)]
    Task(#[from] TaskCommandError),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// An edited output could not be judged.
    #[error("the edited output could not be judged")]
    Judge(#[source] BoxError),
}

impl SpecCommandError {
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
                SpecStatus::Working | SpecStatus::Delivered | SpecStatus::Cancelled => None,
            },
            Self::OtherModel { resume, .. } => Some(format!(
                "stop that process and go on as it began: {resume}; or run the idea anew"
            )),
            Self::Waits { on, .. } => Some(format!("try that one again: omoi task retry {on}")),
            Self::TaskCancelled { spec, task } => Some(format!(
                "try it again: omoi task retry {task}; or hand over what stands: omoi spec deliver {spec}"
            )),
            Self::NothingLanded { spec } => Some(format!("see why: omoi spec show {spec}")),
            Self::StillOpen { task, .. } => Some(format!(
                "wait for it, or call it off: omoi task cancel {task}"
            )),
            Self::GoesOn { spec, .. } => Some(format!("cancel it first: omoi spec cancel {spec}")),
            Self::Task(refused) => refused.next_step(),
            Self::AtWork { .. }
            | Self::StaleVersion(_)
            | Self::InvalidEdit(_)
            | Self::Store(_)
            | Self::Judge(_) => None,
        }
    }
}

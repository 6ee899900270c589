//! Blocks: what a task or a spec waits for before it can go on.
//!
//! The kind has a column of its own, by which code decides; the reason beside it is only shown to people.

use serde::{Deserialize, Serialize};

use crate::id::TaskId;

crate::closed_set! {
    /// What kind of thing a blocked task waits for.
    TaskBlockKind {
        /// A task before it that failed, was cancelled, or waits itself.
        Prerequisite = "dependency_failed",
        /// Something the machine lacks.
        Environment = "environment_fault",
        /// The model provider to answer again.
        Provider = "provider_unavailable",
        /// A budget that has room for the next model call.
        Budget = "budget_exceeded",
        /// A check that could prove it.
        NoCheck = "needs_check",
        /// The answer of a person to what its agent asked.
        Question = "question",
    }
}

/// What a blocked task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind")]
pub enum TaskBlock {
    /// A task before it that failed, was cancelled, or waits itself.
    #[serde(rename = "dependency_failed")]
    Prerequisite {
        /// Row id of that task.
        task_id: TaskId,
    },
    /// Something the machine lacks.
    #[serde(rename = "environment_fault")]
    Environment,
    /// The model provider to answer again.
    #[serde(rename = "provider_unavailable")]
    Provider,
    /// A budget that has room for the next model call.
    #[serde(rename = "budget_exceeded")]
    Budget,
    /// A check that could prove it.
    #[serde(rename = "needs_check")]
    NoCheck,
    /// The answer of a person to what its agent asked.
    #[serde(rename = "question")]
    Question,
}

impl TaskBlock {
    /// The kind of thing it waits for.
    pub const fn kind(self) -> TaskBlockKind {
        match self {
            Self::Prerequisite { .. } => TaskBlockKind::Prerequisite,
            Self::Environment => TaskBlockKind::Environment,
            Self::Provider => TaskBlockKind::Provider,
            Self::Budget => TaskBlockKind::Budget,
            Self::NoCheck => TaskBlockKind::NoCheck,
            Self::Question => TaskBlockKind::Question,
        }
    }

    /// The task it waits for, where it waits for one.
    pub const fn prerequisite_task(self) -> Option<TaskId> {
        match self {
            Self::Prerequisite { task_id } => Some(task_id),
            Self::Environment | Self::Provider | Self::Budget | Self::NoCheck | Self::Question => {
                None
            }
        }
    }

    /// Whether it waits for something outside of the plan: the machine, the model provider or a budget.
    pub const fn is_outside(self) -> bool {
        match self {
            Self::Environment | Self::Provider | Self::Budget => true,
            Self::Prerequisite { .. } | Self::NoCheck | Self::Question => false,
        }
    }
}

crate::closed_set! {
    /// What a blocked spec waits for.
    SpecBlock {
        /// The project's suite to pass on the base commit.
        SuiteRed = "suite_red",
        /// A sandbox that can run the project's suite at all.
        SuiteNotRun = "suite_not_run",
        /// A plan that is ready to be worked on.
        PlanNotReady = "not_ready",
        /// The model provider to answer again.
        Provider = "provider_unavailable",
        /// A budget that has room for the next model call.
        Budget = "budget_exceeded",
        /// Something the machine lacks.
        Environment = "environment_fault",
        /// A task that was cancelled or is blocked.
        Task = "task_stopped",
        /// A merge that only a person can go on with.
        Merge = "merge_stopped",
        /// A person's word on criteria that are proven without the work for them.
        WeakProof = "weak_proof",
        /// A person's word on what looks like secrets in what is to be handed over, or is too long to be searched.
        SecretDetected = "secret_detected",
    }
}

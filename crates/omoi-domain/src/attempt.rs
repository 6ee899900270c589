//! Attempts: one try at a task, a spec phase, a check or a merge.

use serde::{Deserialize, Serialize};

use crate::id::{MergeId, TaskId};
use crate::phase::Phase;

crate::closed_set! {
    /// Who makes an attempt, as the ledger, the gateway and scenarios name it.
    AgentRole {
        /// Works on a phase of a spec.
        Planner = "planner",
        /// Works on a task.
        Implementer = "implementer",
        /// Resolves a merge conflict.
        Resolver = "resolver",
        /// Gives a second opinion on a plan.
        Judge = "judge",
        /// The platform itself: checks and merges.
        Platform = "platform",
    }
}

crate::closed_set! {
    /// What a turn of an attempt is.
    TurnKind {
        /// An answer of the model with the results of its tools.
        Answer = "answer",
        /// A summary that stands for the turns before it.
        Compaction = "compaction",
    }
}

crate::closed_set! {
    /// What kind of work an attempt tries.
    SubjectKind {
        /// A task, worked on by an agent.
        Task = "task",
        /// A phase of a spec, worked on by an agent that may only read.
        SpecPhase = "spec_phase",
        /// The checks of a task on its own branch, run by the platform.
        TaskChecks = "task_checks",
        /// The project's suite on the base commit, run by the platform.
        BaseSuite = "base_suite",
        /// The proofs of a plan on the base commit, run by the platform.
        PlanProofs = "plan_proofs",
        /// The second opinion on a plan, asked by the platform.
        PlanOpinion = "plan_opinion",
        /// Every check on the integration branch, run by the platform.
        HeadChecks = "head_checks",
        /// A merge, made by the platform.
        Merge = "merge",
    }
}

impl SubjectKind {
    /// Whether the platform does the work itself, without an agent.
    pub const fn is_of_platform(self) -> bool {
        match self {
            Self::Task | Self::SpecPhase => false,
            Self::TaskChecks
            | Self::BaseSuite
            | Self::PlanProofs
            | Self::PlanOpinion
            | Self::HeadChecks
            | Self::Merge => true,
        }
    }
}

/// What an attempt tries within its spec: the kind of work, and the row it is done for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub enum AttemptSubject {
    /// A task, worked on by an agent.
    Task {
        /// Row id of the task.
        task_id: TaskId,
    },
    /// A phase of a spec, worked on by an agent that may only read.
    SpecPhase {
        /// The planning phase that runs.
        phase: Phase,
    },
    /// The checks of a task on its own branch.
    TaskChecks {
        /// Row id of the task.
        task_id: TaskId,
    },
    /// The project's suite on the base commit.
    BaseSuite,
    /// The proofs of a plan on the base commit.
    PlanProofs,
    /// The second opinion on a plan.
    PlanOpinion,
    /// Every check on the integration branch.
    HeadChecks,
    /// A merge into the integration branch.
    Merge {
        /// Row id of the merge.
        merge_id: MergeId,
    },
}

impl AttemptSubject {
    /// The kind of work.
    pub const fn kind(self) -> SubjectKind {
        match self {
            Self::Task { .. } => SubjectKind::Task,
            Self::SpecPhase { .. } => SubjectKind::SpecPhase,
            Self::TaskChecks { .. } => SubjectKind::TaskChecks,
            Self::BaseSuite => SubjectKind::BaseSuite,
            Self::PlanProofs => SubjectKind::PlanProofs,
            Self::PlanOpinion => SubjectKind::PlanOpinion,
            Self::HeadChecks => SubjectKind::HeadChecks,
            Self::Merge { .. } => SubjectKind::Merge,
        }
    }

    /// The task it is about, where it is about one.
    pub const fn task_id(self) -> Option<TaskId> {
        match self {
            Self::Task { task_id } | Self::TaskChecks { task_id } => Some(task_id),
            Self::SpecPhase { .. }
            | Self::BaseSuite
            | Self::PlanProofs
            | Self::PlanOpinion
            | Self::HeadChecks
            | Self::Merge { .. } => None,
        }
    }

    /// The phase it works on, where it works on one.
    pub const fn phase(self) -> Option<Phase> {
        match self {
            Self::SpecPhase { phase } => Some(phase),
            Self::Task { .. }
            | Self::TaskChecks { .. }
            | Self::BaseSuite
            | Self::PlanProofs
            | Self::PlanOpinion
            | Self::HeadChecks
            | Self::Merge { .. } => None,
        }
    }
}

crate::closed_set! {
    /// Why an attempt ended.
    AttemptStopReason {
        /// Its agent said that the task is done.
        CompletionSignal = "completion_signal",
        /// Its agent said that the phase's output is complete.
        SubmitDone = "submit_done",
        /// Its work as the platform's own is done.
        Done = "done",
        /// Its agent stopped calling tools and did not say done.
        NoCompletionSignal = "no_completion_signal",
        /// Its turns are spent.
        MaxTurnsReached = "max_turns_reached",
        /// Its money is spent.
        MaxCostReached = "max_cost_reached",
        /// Its wall time is spent.
        MaxDurationReached = "max_duration_reached",
        /// An error ended it.
        Error = "error",
        /// A person interrupted it.
        Interrupt = "interrupt",
        /// Its agent asked a person something, and goes on with the answer.
        QuestionAsked = "question_asked",
        /// The process that runs it was asked to stop.
        ShutdownSignal = "shutdown_signal",
        /// Its task or spec was cancelled.
        Cancelled = "cancelled",
        /// Newer inputs made its phase run again.
        Superseded = "superseded",
        /// Its sandbox could not be made or started.
        ProvisionFailed = "provision_failed",
        /// Its worker did not report in time that it started.
        StartTimeout = "start_timeout",
        /// Its worker stopped reporting.
        HeartbeatTimeout = "heartbeat_timeout",
        /// Its worker reports but does nothing.
        StuckRunning = "stuck_running",
        /// Its sandbox is gone without a word.
        SandboxLost = "sandbox_lost",
        /// It went beyond a limit of its sandbox.
        ResourceExhausted = "resource_exhausted",
        /// The kernel killed it for want of memory.
        OutOfMemory = "out_of_memory",
        /// The machine's disk is nearly full.
        DiskLow = "disk_low",
        /// Its model provider turned it away for so long that it was saved, to go on later.
        ProviderWait = "provider_wait",
        /// The process that ran it is gone.
        PlatformRestarted = "platform_restarted",
    }
}

crate::machine! {
    /// Where an attempt stands.
    AttemptState ("attempt") {
        /// The row exists, its sandbox does not.
        Pending = "pending",
        /// A sandbox is being made.
        Starting = "starting",
        /// Its worker has reported that it started.
        Running = "running",
        /// It ended with a result.
        Succeeded = "succeeded",
        /// It ended before its goal: a limit was reached.
        Incomplete = "incomplete",
        /// It ended with an error.
        Failed = "failed",
        /// It was asked to stop.
        Interrupted = "interrupted",
        /// Its sandbox is gone without a word.
        Lost = "lost",
    }
    Pending => Starting: AttemptStarting, Failed: AttemptEnded, Lost: AttemptEnded,
        Interrupted: AttemptEnded;
    Starting => Running: AgentStarted, Failed: AttemptEnded, Lost: AttemptEnded,
        Interrupted: AttemptEnded, Succeeded: AttemptEnded;
    Running => Succeeded: AttemptEnded, Incomplete: AttemptEnded, Failed: AttemptEnded,
        Interrupted: AttemptEnded, Lost: AttemptEnded;
}

impl AttemptState {
    /// Whether the attempt still may act.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Starting | Self::Running)
    }
}

/// How a worker says its attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The agent says its goal is reached.
    Succeeded,
    /// Turns, time or money ran out first.
    Incomplete,
    /// An error ended it.
    Failed,
    /// It was told to stop.
    Interrupted,
}

impl AttemptOutcome {
    /// The attempt state the outcome leads to.
    pub const fn attempt_state(self) -> AttemptState {
        match self {
            Self::Succeeded => AttemptState::Succeeded,
            Self::Incomplete => AttemptState::Incomplete,
            Self::Failed => AttemptState::Failed,
            Self::Interrupted => AttemptState::Interrupted,
        }
    }
}

//! Attempts: one try at a task, a spec phase, a check or a merge.

use serde::{Deserialize, Serialize};

/// What an attempt is a try at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A task, worked on by an agent.
    Task,
    /// A phase of a spec, worked on by an agent that may only read.
    SpecPhase,
    /// Checks, run by the platform.
    Check,
    /// A merge, made by the platform.
    Merge,
}

impl Subject {
    /// Every subject.
    pub const ALL: [Self; 4] = [Self::Task, Self::SpecPhase, Self::Check, Self::Merge];

    /// The stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::SpecPhase => "spec_phase",
            Self::Check => "check",
            Self::Merge => "merge",
        }
    }

    /// Reads a stored subject.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

crate::machine! {
    /// Where an attempt stands.
    AttemptState ("attempt") {
        /// The row exists, its sandbox does not.
        Pending = "pending",
        /// A sandbox is being made.
        Starting = "starting",
        /// The worker reported.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent says its goal is reached.
    Succeeded,
    /// Turns, time or money ran out first.
    Incomplete,
    /// An error ended it.
    Failed,
    /// It was told to stop.
    Interrupted,
}

impl Outcome {
    /// The attempt state the outcome leads to.
    pub const fn state(self) -> AttemptState {
        match self {
            Self::Succeeded => AttemptState::Succeeded,
            Self::Incomplete => AttemptState::Incomplete,
            Self::Failed => AttemptState::Failed,
            Self::Interrupted => AttemptState::Interrupted,
        }
    }
}

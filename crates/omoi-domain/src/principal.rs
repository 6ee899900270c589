//! Whose money a model call costs, and what the call is for.

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, OrgId, ProjectId, SpecId};

/// Who pays for a model call. Budgets belong to specs, so that every call has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Whose money.
    pub org: OrgId,
    /// In which project.
    pub project: ProjectId,
    /// For which spec.
    pub spec: SpecId,
    /// For what.
    pub purpose: CallPurpose,
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPurpose {
    /// The work of an agent.
    Attempt(AttemptId),
    /// The second opinion on a plan.
    Judge,
}

impl CallPurpose {
    /// Its name, without the attempt.
    pub const fn kind(self) -> PurposeKind {
        match self {
            Self::Attempt(_) => PurposeKind::Attempt,
            Self::Judge => PurposeKind::Judge,
        }
    }

    /// The attempt whose agent asks, if one does.
    pub const fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::Attempt(id) => Some(id),
            Self::Judge => None,
        }
    }
}

/// A [`CallPurpose`] as it is stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurposeKind {
    /// Agents at work.
    Attempt,
    /// Second opinions on plans.
    Judge,
}

impl PurposeKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Attempt, Self::Judge];

    /// The stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Judge => "judge",
        }
    }

    /// Reads a stored kind.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

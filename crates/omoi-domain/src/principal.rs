//! Whose money a model call costs, and what the call is for.

use crate::id::{AttemptId, OrgId, ProjectId, SpecId};

/// Who pays for a model call. Budgets belong to specs, so that every call has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Organisation whose money is spent.
    pub org: OrgId,
    /// Project that the call belongs to.
    pub project: ProjectId,
    /// Spec whose budget pays for the call.
    pub spec: SpecId,
    /// What the model is asked for.
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

crate::closed_set! {
    /// A [`CallPurpose`] as it is stored and shown.
    PurposeKind {
        /// Turns of agents at work.
        Attempt = "attempt",
        /// Second opinions on plans.
        Judge = "judge",
    }
}

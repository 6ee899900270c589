//! The steps of planning a spec.

use schemars::JsonSchema;

crate::closed_set! {
    /// A step of the planning pipeline, in working order.
    #[derive(JsonSchema)]
    Phase {
        /// Reads the repository and states the feature.
        Explore = "explore",
        /// States goals, users and scope of the product.
        Prd = "prd",
        /// EARS requirements with acceptance criteria.
        Requirements = "requirements",
        /// Architecture, data models, endpoints.
        Design = "design",
        /// Tickets and tasks with their checks.
        Tasks = "tasks",
        /// Computed traceability and readiness.
        Sync = "sync",
        /// Nothing left to plan.
        Complete = "complete",
        /// States what a ticket wants, as one document.
        TicketRequirements = "ticket_requirements",
        /// States how a ticket is built, as one document.
        TicketDesign = "ticket_design",
    }
}

impl Phase {
    /// The phases of a plan that run work; [`Phase::Complete`] is terminal.
    pub const ALL_WORKING: [Self; 6] = [
        Self::Explore,
        Self::Prd,
        Self::Requirements,
        Self::Design,
        Self::Tasks,
        Self::Sync,
    ];

    /// The phase that follows, none after [`Phase::Complete`].
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Explore => Some(Self::Prd),
            Self::Prd => Some(Self::Requirements),
            Self::Requirements => Some(Self::Design),
            Self::Design => Some(Self::Tasks),
            Self::Tasks => Some(Self::Sync),
            Self::TicketRequirements => Some(Self::TicketDesign),
            Self::Sync | Self::TicketDesign => Some(Self::Complete),
            Self::Complete => None,
        }
    }

    /// The earlier phases whose outputs this one reads.
    ///
    /// They decide both what its prompt holds and when its stored output is stale.
    pub const fn inputs(self) -> &'static [Self] {
        match self {
            Self::Explore | Self::Complete | Self::TicketRequirements => &[],
            Self::TicketDesign => &[Self::TicketRequirements],
            Self::Prd => &[Self::Explore],
            Self::Requirements => &[Self::Explore, Self::Prd],
            Self::Design => &[Self::Explore, Self::Prd, Self::Requirements],
            Self::Tasks => &[Self::Explore, Self::Prd, Self::Requirements, Self::Design],
            Self::Sync => &[Self::Requirements, Self::Design, Self::Tasks],
        }
    }

    /// Progress of the whole plan in percent when this phase starts and when it ends.
    pub const fn progress_percent(self) -> (u8, u8) {
        match self {
            Self::Explore => (0, 16),
            Self::Prd => (16, 32),
            Self::Requirements => (32, 48),
            Self::Design => (48, 64),
            Self::Tasks => (64, 80),
            Self::Sync => (80, 100),
            Self::Complete => (100, 100),
            Self::TicketRequirements => (0, 50),
            Self::TicketDesign => (50, 100),
        }
    }

    /// Whether its output is one document about a ticket.
    pub const fn is_document(self) -> bool {
        matches!(self, Self::TicketRequirements | Self::TicketDesign)
    }

    /// The phase of a plan whose agent works on it.
    pub const fn agent_phase(self) -> Self {
        match self {
            Self::TicketRequirements => Self::Requirements,
            Self::TicketDesign => Self::Design,
            other => other,
        }
    }
}

/// What the gate of a phase said, or why the phase moves, as its events tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseVerdict {
    /// The score, where the gate spoke.
    pub score: Option<f64>,
    /// Whether the output passed.
    pub passed: Option<bool>,
    /// Codes of what keeps it from passing.
    pub blockers: Vec<String>,
    /// The kind of failure, or why it moves.
    pub reason: Option<String>,
}

impl PhaseVerdict {
    /// A move for `reason`, of which the gate says nothing.
    pub fn with_reason(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::default()
        }
    }
}

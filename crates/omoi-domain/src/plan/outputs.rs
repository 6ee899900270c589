//! What each planning phase yields, item by item and as a whole.
//!
//! One Rust type per phase is the single source of the JSON schema in the prompt, of the check on
//! every submitted item and of the paths the evaluators read. Unknown fields are refused; older
//! spellings are rewritten first by [`crate::plan::normalise`].

pub mod design;
pub mod explore;
pub mod items;
pub mod paths;
pub mod prd;
pub mod requirements;
pub mod sync;
pub mod tasks;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use design::DesignOutput;
pub use explore::ExploreOutput;
pub use items::{
    Accepted, Item, ItemError, Missing, Section, SectionKind, Submission, assemble, item_schema,
    latest, section, section_schema, sections, split, submit_item_schema, validate_item,
};
pub use paths::RepoPaths;
pub use prd::PrdOutput;
pub use requirements::RequirementsOutput;
pub use sync::{SyncOpinion, SyncOutput};
pub use tasks::TasksOutput;

/// An enum whose wire form is one fixed text per variant.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        pub enum $name { $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The text used in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value written as `text`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use text_enum;

text_enum! {
    /// A step of the planning pipeline, in working order.
    Phase {
        /// Reads the repository and states the feature.
        Explore = "explore",
        /// Product requirements.
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
    }
}

impl Phase {
    /// The phases that run work; [`Phase::Complete`] is terminal.
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
            Self::Sync => Some(Self::Complete),
            Self::Complete => None,
        }
    }

    /// The earlier phases whose outputs this one reads.
    ///
    /// They decide both what its prompt holds and when its stored output is stale.
    pub const fn inputs(self) -> &'static [Self] {
        match self {
            Self::Explore | Self::Complete => &[],
            Self::Prd => &[Self::Explore],
            Self::Requirements => &[Self::Explore, Self::Prd],
            Self::Design => &[Self::Explore, Self::Prd, Self::Requirements],
            Self::Tasks => &[Self::Explore, Self::Prd, Self::Requirements, Self::Design],
            Self::Sync => &[Self::Requirements, Self::Design, Self::Tasks],
        }
    }

    /// Progress of the whole plan in percent when this phase starts and when it ends.
    pub const fn progress(self) -> (u8, u8) {
        match self {
            Self::Explore => (0, 16),
            Self::Prd => (16, 32),
            Self::Requirements => (32, 48),
            Self::Design => (48, 64),
            Self::Tasks => (64, 80),
            Self::Sync => (80, 100),
            Self::Complete => (100, 100),
        }
    }
}

text_enum! {
    /// How much a requirement, ticket or task matters.
    Priority {
        /// Nothing works without it.
        Critical = "CRITICAL",
        /// The feature is incomplete without it.
        High = "HIGH",
        /// Expected, could follow later.
        Medium = "MEDIUM",
        /// Nice to have.
        Low = "LOW",
    }
}

impl Priority {
    /// Whether gaps in coverage stop the plan: CRITICAL and HIGH.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Critical | Self::High)
    }
}

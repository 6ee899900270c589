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

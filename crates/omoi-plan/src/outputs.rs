//! What each planning phase yields, item by item and as a whole.
//!
//! One Rust type per phase is the single source of the JSON schema in the prompt, of the check on
//! every submitted item and of the paths the evaluators read. Unknown fields are refused; older
//! spellings are rewritten first by `normalise`.

pub mod design;
pub mod document;
pub mod explore;
pub mod prd;
pub mod requirements;
pub mod sync;
pub mod tasks;

pub use design::DesignOutput;
pub use document::TicketDocument;
pub use explore::ExploreOutput;
pub use prd::PrdOutput;
pub use requirements::RequirementsOutput;
pub use sync::{SyncOpinion, SyncOutput};
pub use tasks::TasksOutput;

//! What events carry.

mod delivery;
mod model_call;
mod planning;
mod project;
mod result;
mod thread;
mod ticket;
mod work;

pub use delivery::*;
pub use model_call::*;
pub use planning::*;
pub use project::*;
pub use result::*;
pub use thread::*;
pub use ticket::*;
pub use work::*;

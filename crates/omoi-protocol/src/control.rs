//! What a command line and a running `omoi` say to each other.
//!
//! Base path `/api/v1`, over the data folder's socket or HTTP, with the bearer token of the token
//! file. `{spec}` and `{task}` are row ids or human references: `SPEC-1`, `todo/TSK-003`. What a number
//! without a project means is decided by the repository named in the header [`HERE`].

mod egress;
mod process;
mod spec;
mod task;
mod trace;

pub use self::egress::*;
pub use self::process::*;
pub use self::spec::*;
pub use self::task::*;
pub use self::trace::*;

/// Header with the path of the repository a command was typed in.
pub const HERE: &str = "omoi-repository";

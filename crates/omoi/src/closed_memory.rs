//! Keeps what the process holds, keys among it, from other programs of its user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Nothing fits in one byte, and unlike zero it keeps the host's crash handler from being started for what this
/// process starts.
const CORE_BYTES: u64 = 1;

/// From now on no other program of this user can read the memory or the environment of this process, or trace it, and
/// a crash writes no memory to a disk: the kernel leaves that to root. What it starts is not closed, but
/// dumps nothing either.
///
/// # Errors
/// What the kernel said, which has refused neither so far.
pub(crate) fn close_memory() -> std::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(CORE_BYTES),
        maximum: Some(CORE_BYTES),
    };
    Ok(setrlimit(Resource::Core, none)?)
}

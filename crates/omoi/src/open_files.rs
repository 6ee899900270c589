//! How many files the platform may have open: connections of sandboxes, databases, packs of git and pipes of
//! commands all count.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::composition::ProcessRoles;

/// Below this sandboxes soon have connections refused.
pub(crate) const OPEN_FILES_LOW: u64 = 4_096;
/// As many as are ever needed. What this process starts inherits the limit, and there are programs that close
/// every file they might have, one by one.
pub(crate) const OPEN_FILES_ENOUGH: u64 = 65_536;

/// As many files as this process may have open, once it has raised its limit.
pub(crate) fn highest_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    raised_limit(limit.current, limit.maximum)
}

/// Raises the limit of a process that starts sandboxes as far as the machine lets it. Sandboxes have one of their own.
pub(crate) fn raise_limit(roles: ProcessRoles) {
    if !roles.orchestrator {
        return;
    }
    let limit = getrlimit(Resource::Nofile);
    let raised = raised_limit(limit.current, limit.maximum);
    let wanted = Rlimit {
        current: Some(raised),
        maximum: limit.maximum,
    };
    if limit.current == wanted.current {
        return;
    }
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => debug!(
            before = limit.current,
            raised, "Raised the limit of open files"
        ),
        Err(error) => warn!(%error, "The limit of open files cannot be raised"),
    }
}

/// What a soft limit of `current` becomes below the hard one of `maximum`; none is no limit. It is never lowered.
fn raised_limit(current: Option<u64>, maximum: Option<u64>) -> u64 {
    let highest = maximum.unwrap_or(u64::MAX).min(OPEN_FILES_ENOUGH);
    current.unwrap_or(u64::MAX).max(highest)
}

#[cfg(test)]
mod tests {
    use super::raised_limit;

    #[test]
    fn a_limit_is_raised_to_what_is_allowed_and_needed() {
        for (current, maximum, expected) in [
            (Some(1_024), Some(4_096), 4_096),
            (Some(1_024), Some(1 << 30), 65_536),
            (Some(1_024), None, 65_536),
            (Some(1_024), Some(1_024), 1_024),
            (Some(1 << 20), Some(1 << 20), 1 << 20),
            (None, None, u64::MAX),
        ] {
            let found = raised_limit(current, maximum);
            assert_eq!(found, expected, "{current:?} {maximum:?}");
        }
    }
}

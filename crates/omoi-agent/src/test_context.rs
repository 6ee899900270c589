//! An attempt as tests of this crate have it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use omoi_protocol::worker::{AttemptContext, AttemptLimits};
use omoi_testkit::sample_attempt::task_attempt;

/// An attempt at a task, without turns.
pub(crate) fn task_context(window_tokens: Option<u64>, max_tokens: u32) -> AttemptContext {
    let id = "01930000-0000-7000-8000-000000000001".parse().unwrap();
    let attempt = task_attempt(id);
    AttemptContext {
        max_tokens,
        limits: AttemptLimits {
            window_tokens,
            ..attempt.limits
        },
        ..attempt
    }
}

//! Applying plans, and planners that meet on one spec.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod planners;
mod sample;
#[path = "../../../omoi-execution/tests/it/support.rs"]
#[allow(dead_code, reason = "shared with tests that need all of it")]
mod support;
mod sync;

//! Applying plans, planners that meet on one spec, and planning with an agent played by the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

mod agent_models;
mod base_suite;
mod commands;
mod create;
mod desk;
mod documents;
mod failures;
mod gates;
mod intake;
mod open_questions;
mod opinion;
mod planned_tasks;
mod planners;
mod proofs;
mod retries;
mod sample;
mod spec_versions;
mod sync;
mod woken;

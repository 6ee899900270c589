//! What delivery does when merges and checks cannot be made at all.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod merger;
#[path = "../../../omoi-execution/tests/it/support.rs"]
#[allow(dead_code, reason = "shared with tests that need all of it")]
mod support;
mod validator;

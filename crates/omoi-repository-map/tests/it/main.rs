//! Inputs that nobody meant.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fuzz;

//! Models on loopback, a clock that tests move, and everything between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

mod agent_programs;
mod ask;
mod away;
mod bad_days;
mod billed_retries;
mod brought_keys;
mod client;
mod conversation;
mod failures;
mod fallback;
mod fuzz;
mod gateway;
mod model_probe;
mod pricing;
mod quota;
mod servers;
mod structured;
mod stub;
mod support;
mod vendor_clients;

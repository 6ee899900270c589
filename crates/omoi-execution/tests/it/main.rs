//! Attempts and their reports on a real database, without sandboxes or models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod approvals;
mod base_refs;
mod base_store;
mod blocker_sweep;
mod checkout_check;
mod claims;
mod delivery;
mod discovery;
mod dispatch;
mod earlier_rows;
mod fencing;
mod idle;
mod install_packages;
mod intake;
mod keeper;
mod kept;
mod live;
mod locks;
mod metering;
mod mirror_upkeep;
mod model_use;
mod open_attempt;
mod phase_gates;
mod provider_wait;
mod questions;
mod real_managers;
mod reaper;
mod repository_map;
mod results;
mod setup_reach;
mod spans;
mod statements;
mod stops;
mod tasks;
mod threads;
mod ticket_files;
mod toolchain_finder;
mod turns;

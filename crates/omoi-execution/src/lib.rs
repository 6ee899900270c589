#![doc = include_str!("../README.md")]

pub mod attempt;
pub mod check_receipt;
pub mod command;
pub mod commands;
pub mod consume;
pub mod deployment;
pub mod discovery;
pub mod disk_room;
pub mod dispatcher;
pub mod intake;
pub mod integration;
pub mod lease_renewal;
pub mod merges;
pub mod metering;
pub mod options;
pub mod outage;
pub mod platform_run;
mod protected;
pub mod reaper;
pub mod sandbox_toolchain;
pub mod spec_files;
mod start_failure;
pub mod tasks;

pub use deployment::Deployment;

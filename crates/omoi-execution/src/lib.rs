#![doc = include_str!("../README.md")]

pub mod agent_programs;
pub mod attempt;
pub mod base_run;
pub mod check_receipt;
pub mod command;
pub mod commands;
pub mod consume;
pub mod deployment;
pub mod discovery;
pub mod disk_room;
pub mod dispatcher;
pub mod egress;
pub mod failure_policy;
pub mod guidance;
pub mod intake;
pub mod integration;
pub mod lease_renewal;
pub mod merges;
pub mod metering;
mod opened_workspace;
pub mod options;
pub mod outage;
pub mod platform_run;
mod protected;
pub mod reaper;
pub mod repository_folders;
pub mod repository_map;
pub mod running_attempts;
pub mod sandbox_host;
pub mod sandbox_toolchain;
pub mod spec_files;
pub mod spec_selection;
pub mod specs;
mod start_failure;
pub mod tasks;

pub use deployment::{AgentModelFacts, DeploymentParts, FromParts};

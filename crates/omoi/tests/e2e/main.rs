//! The program as people run it: its own binary, real repositories, sandboxes, checks and merges.
//! Only the model's words are scripted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs, wait, and write files that are thrown away"
)]

mod adversity;
mod agent_programs;
mod agent_tasks;
mod binary;
mod canary;
mod canary_in_use;
mod checkout;
mod closed_memory;
mod commands;
mod copies;
mod egress;
mod elsewhere;
mod full_disk;
mod gates;
mod idle;
mod injections;
mod interrupt;
#[cfg(feature = "crash-points")]
mod kill;
mod laptop;
mod listener;
mod live;
mod logs;
mod many_files;
mod mutants;
mod operator;
mod packages;
mod process_log;
mod processes;
mod quick_ticket;
mod read_answers;
mod real_packages;
mod remote;
mod rungs;
mod sandbox;
mod scenarios;
mod scope;
#[cfg(feature = "crash-points")]
mod sign_in;
mod steady_json;
mod story;
mod team;
mod team_commands;
mod trust;
mod upgrade_resume;
mod world;

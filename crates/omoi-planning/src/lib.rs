#![doc = include_str!("../README.md")]

mod base_runner;
mod base_suite;
pub mod commands;
mod direct_plan;
pub mod gate;
mod gate_facts;
pub mod items;
mod open_questions;
pub mod options;
pub mod output_diff;
pub mod plan_gate;
mod planned_task;
pub mod planner;
mod prompt;
mod proofs;
mod repository_file;
pub mod repository_reader;
mod second_opinion;
pub mod setup;
pub mod spec_files;
pub mod spec_policy;
mod suite;
pub mod sync;
mod tree;
pub mod trust;

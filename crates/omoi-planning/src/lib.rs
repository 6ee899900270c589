#![doc = include_str!("../README.md")]

mod base_runner;
mod base_suite;
pub mod commands;
pub mod gate;
pub mod items;
mod judge;
pub mod options;
pub mod plan_gate;
pub mod planner;
mod prompt;
mod proofs;
mod repository_file;
pub mod repository_reader;
mod second_opinion;
pub mod spec_files;
pub mod spec_policy;
mod suite;
pub mod sync;
mod tree;
pub mod trust;

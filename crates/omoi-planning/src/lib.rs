#![doc = include_str!("../README.md")]

mod base_suite;
pub mod commands;
pub mod create;
pub mod gate;
pub mod items;
mod judge;
pub mod planner;
mod prompt;
mod proofs;
mod repository_file;
mod second_opinion;
pub mod spec_files;
mod suite;
pub mod sync;
mod tree;
pub mod trust;

#![doc = include_str!("../README.md")]

pub mod commands;
pub mod create;
pub mod items;
mod judge;
pub mod planner;
mod prompt;
pub mod sync;

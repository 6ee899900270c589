#![doc = include_str!("../README.md")]

pub mod attempt;
pub mod conflict_marker;
pub mod crash;
pub mod event;
pub mod graph;
pub mod id;
pub mod machine;
pub mod merge;
pub mod plan;
pub mod retry;
pub mod sandbox;
pub mod score;
pub mod spec;
pub mod task;
pub mod ticket;
pub mod time;

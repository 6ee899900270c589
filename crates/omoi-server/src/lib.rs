#![doc = include_str!("../README.md")]

mod auth;
pub mod control;
mod error;
pub mod probes;
pub mod worker;

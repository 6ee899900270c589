#![doc = include_str!("../README.md")]

mod auth;
pub mod control;
mod error;
pub mod probes;
mod reported;
pub mod worker;

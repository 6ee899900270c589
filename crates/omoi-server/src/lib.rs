#![doc = include_str!("../README.md")]

pub mod control;
mod error;
pub mod options;
pub mod probes;
mod reported;
mod request_token;
pub mod worker;

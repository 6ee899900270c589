#![doc = include_str!("../README.md")]

mod access_log;
pub mod control;
pub mod egress;
mod error;
pub mod options;
pub mod probes;
mod reported;
mod request_token;
mod sandbox_limits;
pub mod setup_egress;
pub mod worker;

pub use access_log::RequestIds;

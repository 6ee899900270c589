#![doc = include_str!("../README.md")]

pub mod wire;

pub mod catalogue;
pub mod pace;
pub mod pricing;
pub mod route;

pub mod circuit;
pub mod count;
pub mod retry;
pub mod schema;
pub mod upstream;

pub mod ask;
mod chain;
pub mod failed_try;
pub mod meter;
mod metered;
mod tally;

pub mod client;
pub mod gateway;
pub mod structured;

pub mod scenario;
pub mod simulated;

#![doc = include_str!("../README.md")]

pub mod clock;
pub mod rng;

pub mod ids;

pub mod config;

pub mod options;

pub mod telemetry;

pub mod lifecycle;

pub mod reconcile;

pub mod bus;

pub mod rate_limiter;

pub mod files;

#[cfg(feature = "crash-points")]
pub mod crash;

mod sync;

/// Any error, where the code that meets it only logs and retries.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

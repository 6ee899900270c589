#![doc = include_str!("../README.md")]

mod branch;
pub mod delivered_bundle;
pub mod finisher;
pub mod merger;
pub mod receipts;
#[cfg(test)]
mod samples;
mod suite;
pub mod summary;
pub mod trace;
pub mod validator;

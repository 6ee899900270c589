#![doc = include_str!("../README.md")]

pub mod finisher;
pub mod merger;
pub mod receipts;
mod suite;
pub mod summary;
pub mod trace;
pub mod validator;

#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod control;
pub mod error;
pub mod shell_word;
pub mod summary;
pub mod worker;

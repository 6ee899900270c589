#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod api;
pub mod error;
pub mod live;
pub mod shell_word;
pub mod summary;
pub mod worker;

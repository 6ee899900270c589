//! Every type that crosses a process: what a worker inside a sandbox and the platform say to each
//! other ([`worker`]), and what a command line and a running `omoi` say to each other ([`control`]).
//!
//! **Invariant:** only types; no behaviour beyond small constructors.
#![deny(missing_docs)]

pub mod control;
pub mod error;
pub mod summary;
pub mod worker;

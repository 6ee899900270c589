//! Test-only: servers, databases, temporary repositories, sample rows.
//!
//! Every function here either gives what was asked for or panics with the package to install: a
//! test that needs a server fails without it and never skips itself. Under `cargo xtask test` one
//! PostgreSQL and one Redis serve the whole run; a test started alone starts its own.

pub mod blocking;
pub mod database;
pub mod postgres;
pub mod raw_connection;
pub mod redis;
pub mod repo;
pub mod sample_rows;
mod server;
pub mod sqlite;

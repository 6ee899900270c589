//! The proxy between clients and registries on loopback, whose names only these tests know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "clients are programs, and their folders are made here"
)]

mod archives;
mod authority;
mod clients;
mod devpi;
mod fixture;
mod fuzz;
mod go;
mod hostile;
mod packages;
mod plain;
mod real_registries;
mod registries;
mod samples;
mod slow;
mod table_clients;
mod tunnels;
mod upstream;

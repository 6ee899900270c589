//! Installing from a registry on loopback that a test fills, cuts, redirects and spoils.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod install;
mod node;
mod packages;

//! Clients held against the servers that they are made for.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod letters;
mod mail;
mod sign_in;

//! The crate against real git in temporary folders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test fails where it stands"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests make repositories the way people do"
)]

mod clone;
mod fixture;
mod import;
mod layer;
mod merge;
mod push;
mod refs;
mod repo;
mod survey;
mod toolchain;
mod transfer;
mod upkeep;
mod work;

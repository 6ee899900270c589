//! What a hostile program gets by the way out of its sandbox, on every rung, as root and as a user; and that each try gets
//! somewhere once the wall that holds it is gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod outside;
mod rung;
mod table;
mod walls;
mod way;

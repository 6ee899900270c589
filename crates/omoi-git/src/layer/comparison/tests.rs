#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]

mod fixture;
mod honest;
mod hostile;
mod store_links;

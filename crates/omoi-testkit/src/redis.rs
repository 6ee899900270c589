//! Redis for tests.

use std::sync::atomic::{AtomicU32, Ordering};

use xtask::servers::{Server, redis};

use crate::server::SharedServer;

/// The address of the server of this run, password included; all tests share it, so each takes a
/// [`key_prefix`] of its own.
///
/// # Panics
/// When there is no server, with the package to install.
pub fn url() -> &'static str {
    static SERVER: SharedServer = SharedServer::new(redis::URL_VARIABLE, redis::start);
    SERVER.url()
}

/// A server of one test's own, which ends when it is dropped.
///
/// # Panics
/// As [`url()`].
pub fn own_server() -> Server {
    redis::start().unwrap_or_else(|error| panic!("{error:#}"))
}

/// A key prefix that no other test running now uses.
pub fn key_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{count}", std::process::id())
}

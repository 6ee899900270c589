//! The browser that tests look at pages with.

/// The Debian package of the program `chromium`.
pub const PACKAGE: &str = "chromium";

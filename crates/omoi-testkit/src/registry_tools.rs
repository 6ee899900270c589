//! Clients and registries of packages that others made, for tests that run them.

use std::path::PathBuf;

use anyhow::{Result, bail};
use xtask::registry_tools::{devpi_folder, go_folder, verdaccio_folder};

/// The `go` of a pinned toolchain.
///
/// # Panics
/// When it is not installed, with the command that does it.
#[expect(
    clippy::panic,
    reason = "a test that needs the client fails without it"
)]
pub fn go_program() -> PathBuf {
    let program = go_folder().map(|folder| folder.join("go/bin/go"));
    expect_file("Go", program).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What Node runs as verdaccio.
///
/// # Panics
/// When it is not installed, with the command that does it.
#[expect(
    clippy::panic,
    reason = "a test that needs the registry fails without it"
)]
pub fn verdaccio_script() -> PathBuf {
    let script =
        verdaccio_folder().map(|folder| folder.join("node_modules/verdaccio/bin/verdaccio"));
    expect_file("verdaccio", script).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The folder of the modules that make up devpi-server, for `PYTHONPATH`.
///
/// # Panics
/// When it is not installed, with the command that does it.
#[expect(
    clippy::panic,
    reason = "a test that needs the registry fails without it"
)]
pub fn devpi_modules() -> PathBuf {
    let main = devpi_folder().map(|folder| folder.join("devpi_server/main.py"));
    let main = expect_file("devpi-server", main).unwrap_or_else(|error| panic!("{error:#}"));
    main.ancestors().skip(2).take(1).collect()
}

fn expect_file(name: &str, path: Result<PathBuf>) -> Result<PathBuf> {
    match path? {
        path if path.is_file() => Ok(path),
        path => bail!(
            "{name} is not installed at {}: `cargo xtask setup` installs it",
            path.display()
        ),
    }
}

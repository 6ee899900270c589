//! The package managers that tests run as clients of the proxy, beside those that a machine has anyway.

use std::path::PathBuf;

use xtask::package_clients;

/// The file `path` of a package of Node that `cargo xtask setup` installs, such as `yarn/bin/yarn.js`.
///
/// # Panics
/// When it is not there, with its name and the command that installs it.
pub fn node_client(path: &str) -> String {
    client_file(&format!("node_modules/{path}"))
}

/// The file `path` of the Python packages that `cargo xtask setup` installs, such as `bin/uv`; their folder for an empty
/// one.
///
/// # Panics
/// As [`node_client`].
pub fn python_client(path: &str) -> String {
    client_file(&format!("python/{path}"))
}

#[expect(
    clippy::panic,
    reason = "a test that needs the client fails without it"
)]
fn client_file(path: &str) -> String {
    let folder: PathBuf = match package_clients::folder() {
        Ok(folder) => folder,
        Err(error) => panic!("{error:#}"),
    };
    let file = folder.join(path);
    assert!(
        file.exists(),
        "{} is not there: `cargo xtask setup` installs it ({})",
        file.display(),
        package_clients::NODE.join(", ")
    );
    file.to_string_lossy().into_owned()
}

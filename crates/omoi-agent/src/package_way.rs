//! A set-up's way to package registries: a port of loopback whose connections go to a socket of the platform's, for
//! one program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use omoi_domain::egress::EgressLaunch;
use omoi_runtime::clock::{Clocked, SystemClock};

use crate::egress_forwarder::EgressForwarder;
use crate::process::plain_program;

/// A program that installs packages, and its way to them.
#[derive(Clone, Debug)]
pub struct PackageProgram {
    /// The platform's socket.
    pub socket: PathBuf,
    /// The certificate that registries are trusted by.
    pub certificate: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<OsString>,
}

impl PackageProgram {
    /// Runs the program with the way open; returns its exit code, as a shell tells it.
    ///
    /// # Errors
    /// When there can be no port, or no such program.
    pub async fn run_with_way(self) -> io::Result<u8> {
        let egress = EgressLaunch {
            certificate: self.certificate.to_string_lossy().into_owned(),
            ..EgressLaunch::default()
        };
        let clock: Clocked = Arc::new(SystemClock);
        let forwarder = EgressForwarder::start_for_run(&self.socket, &egress, &clock).await;
        let forwarder = forwarder.map_err(io::Error::other)?;
        let mut program = plain_program(&self.argv)?;
        program.envs(forwarder.proxy_variables().iter().cloned());
        let status = program.status().await?;
        let code = status.code().or_else(|| Some(128 + status.signal()?));
        Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

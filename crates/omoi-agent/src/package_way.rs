//! A set-up's way to package registries: a port of loopback whose connections go to a socket of the platform's, for
//! one program.

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use omoi_domain::egress::client_variables;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let proxy = format!("http://{}", listener.local_addr()?);
        let certificate = self.certificate.to_string_lossy();
        let mut child = plain_program(&self.argv)?;
        child.envs(client_variables(&proxy, &certificate));
        let mut child = child.spawn()?;
        // Both are cancel-safe: a child that is waited for, and a loop that never ends by itself.
        let status = tokio::select! {
            status = child.wait() => status?,
            error = carry_connections(listener, self.socket) => return Err(error),
        };
        let code = status.code().or_else(|| Some(128 + status.signal()?));
        Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

/// Carries connections until the listener fails.
async fn carry_connections(listener: TcpListener, socket: PathBuf) -> io::Error {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                connections.spawn(carry_connection(client, socket.clone()));
            }
            Err(error) => return error,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn carry_connection(mut client: TcpStream, socket: PathBuf) {
    let carried = async {
        let mut platform = UnixStream::connect(socket).await?;
        copy_bidirectional(&mut client, &mut platform).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "A connection of a package manager ended early");
    }
}

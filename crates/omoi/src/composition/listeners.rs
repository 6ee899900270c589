//! Where a process answers: socket files in the data folder, and TCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tracing::{debug, info};

use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_server::network_listener::NetworkListener;
use omoi_server::options::ListenOptions;

use crate::ErrorHint;
use crate::data_folder::{OpenedFolder, SocketHold};

/// Time between two looks at a socket that another process answers on.
const SOCKET_TURN: Duration = Duration::from_secs(1);

/// Listens on a socket file. One left by a dead owner is replaced; where somebody answers, nothing is
/// touched.
pub(super) fn bind_socket(path: &Path, mode: u32) -> anyhow::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        let error = anyhow!("another process answers on `{}`", path.display());
        return Err(error.context(ErrorHint(
            "stop it, or name another folder with --data-dir DIR".to_owned(),
        )));
    }
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).context(format!("could not replace `{}`", path.display())),
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("could not listen on `{}`", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    debug!(socket = %path.display(), "Listening on `{}`", path.display());
    Ok(listener)
}

/// The folder's socket, on which one process answers at a time.
pub(super) struct FolderSocket {
    folder: OpenedFolder,
    /// The socket, unless another process answers there now.
    held: Option<(UnixListener, SocketHold)>,
}

impl FolderSocket {
    /// Takes the socket of `folder`, unless another process has it.
    pub(super) fn of_folder(folder: &OpenedFolder) -> anyhow::Result<Self> {
        let held = match folder.take_socket()? {
            Some(hold) => Some((bind_socket(&folder.socket_path(), 0o600)?, hold)),
            None => None,
        };
        Ok(Self {
            folder: folder.clone(),
            held,
        })
    }

    /// Whether this process answers there.
    pub(super) const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Waits until the process that answers there now has ended.
    async fn wait_turn(self, clock: &Clocked) -> anyhow::Result<(UnixListener, SocketHold)> {
        let mut held = self.held;
        loop {
            if let Some(held) = held {
                return Ok(held);
            }
            clock.sleep(SOCKET_TURN).await;
            held = Self::of_folder(&self.folder)?.held;
        }
    }

    /// Answers people there until the process stops: now, or once it is this one's turn.
    pub(super) fn serve(self, handle: &LifecycleHandle, clock: &Clocked, router: Router) {
        let (soft, clock) = (handle.soft_token(), clock.clone());
        handle.spawn("control socket", SpawnKind::Critical, async move {
            let turn = soft.run_until_cancelled(self.wait_turn(&clock)).await;
            let Some(turn) = turn else {
                return Ok(());
            };
            // Held to the end: whoever waits for its turn finds nobody at the socket.
            let (listener, _hold) = turn?;
            let served = axum::serve(listener, router);
            Ok(served
                .with_graceful_shutdown(soft.cancelled_owned())
                .await?)
        });
    }
}

/// Takes the configured address; `remedy` says how another one is chosen.
pub(super) async fn bind_http(
    options: &ListenOptions,
    remedy: &'static str,
) -> anyhow::Result<TcpListener> {
    let ListenOptions { host, port } = options;
    TcpListener::bind((host.as_str(), *port))
        .await
        .map_err(|error| {
            let in_use = error.kind() == io::ErrorKind::AddrInUse;
            let failed =
                anyhow::Error::new(error).context(format!("could not listen on {host}:{port}"));
            match in_use {
                true => failed.context(ErrorHint(remedy.to_owned())),
                false => failed,
            }
        })
}

/// Answers people on `listener` until the process stops; returns its address.
pub(super) fn serve_http(
    network: NetworkListener,
    listener: TcpListener,
    router: Router,
) -> anyhow::Result<String> {
    let address = listener.local_addr()?;
    serve_listener(network, listener, router);
    info!(%address, "Listening at http://{address}");
    Ok(format!("http://{address}"))
}

/// Listens on a free port of loopback that nobody is told of.
pub(super) async fn serve_privately(
    network: NetworkListener,
    router: Router,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("could not listen on loopback")?;
    let address = listener.local_addr()?;
    serve_listener(network, listener, router);
    Ok(address)
}

fn serve_listener(network: NetworkListener, listener: TcpListener, router: Router) {
    let handle = network.lifecycle.clone();
    let stop = handle.soft_token().cancelled_owned();
    handle.spawn("http", SpawnKind::Critical, async move {
        network.serve_connections(listener, router, stop).await;
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[tokio::test]
    async fn only_a_dead_owners_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("omoi.sock");
        let owner = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let refused = bind_socket(&path, 0o600).unwrap_err();
        assert!(refused.root_cause().to_string().contains("answers on"));
        assert!(UnixStream::connect(&path).is_ok());
        drop(owner);
        let _listener = bind_socket(&path, 0o600).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }
}

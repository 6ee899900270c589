//! The way of set-ups to package registries: each has a socket of its own, served by the proxy.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use omoi_domain::egress::EgressMode;
use omoi_egress::session::EgressSession;
use omoi_execution::egress::LockFile;
use omoi_execution::setup::{OpenRegistries, RegistriesInUse};
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};

use crate::egress::{EgressDoor, attempt_policy, versions_of};

/// Serves set-ups by the proxy that serves attempts.
#[derive(Clone)]
pub struct SetupDoor {
    door: EgressDoor,
    lifecycle: LifecycleHandle,
}

impl SetupDoor {
    /// A door to the proxy of `door`.
    pub fn new(door: EgressDoor, lifecycle: LifecycleHandle) -> Self {
        Self { door, lifecycle }
    }
}

/// The socket of one set-up.
struct SetupSocket {
    path: PathBuf,
    session: Arc<EgressSession>,
    _closing: DropGuard,
}

impl Drop for SetupSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            warn!(%error, "Could not remove the socket of a set-up");
        }
    }
}

impl OpenRegistries for SetupDoor {
    fn open_registries(
        &self,
        socket: &Path,
        lock_files: &[LockFile],
    ) -> io::Result<Box<dyn RegistriesInUse>> {
        let listener = UnixListener::bind(socket)?;
        // The folder is private; the sandbox that is shown the socket is of another user.
        std::fs::set_permissions(socket, Permissions::from_mode(0o666))?;
        let (_, lists, clock) = self.door.proxy_parts();
        let mut policy = attempt_policy(EgressMode::Registries, lists);
        policy.listed_versions.extend(versions_of(lock_files));
        let session = EgressSession::new(policy, clock.clone());
        let closing = CancellationToken::new();
        let serving = self
            .clone()
            .accept_connections(listener, session.clone(), closing.clone());
        let name = "socket of a set-up";
        self.lifecycle.spawn(name, SpawnKind::Work, serving);
        Ok(Box::new(SetupSocket {
            path: socket.to_path_buf(),
            session,
            _closing: closing.drop_guard(),
        }))
    }
}

impl SetupDoor {
    /// Serves connections until `closing` ends.
    async fn accept_connections(
        self,
        listener: UnixListener,
        session: Arc<EgressSession>,
        closing: CancellationToken,
    ) -> Result<(), BoxError> {
        loop {
            // Both are cancel-safe: a token and a listener.
            let (stream, _) = tokio::select! {
                () = closing.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted?,
            };
            let (proxy, _, _) = self.door.proxy_parts();
            let (proxy, session, closing) = (proxy.clone(), session.clone(), closing.clone());
            let serving = async move {
                // Nothing is left half done when a connection is dropped.
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = proxy.serve_connection(stream, session) => {}
                }
                Ok(())
            };
            let name = "registries of a set-up";
            self.lifecycle.spawn(name, SpawnKind::Work, serving);
        }
    }
}

impl RegistriesInUse for SetupSocket {
    fn packages_in(&self) -> Vec<String> {
        let arrivals = self.session.list_arrivals().into_iter();
        let mut names: Vec<_> = arrivals
            .map(|arrival| arrival.version.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn refusals(&self) -> Vec<String> {
        let refusals = self.session.list_refusals().into_iter();
        refusals.map(|count| count.refusal.to_string()).collect()
    }
}

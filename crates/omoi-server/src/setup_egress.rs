//! The way of set-ups to package registries: each has a socket of its own, served by the proxy.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::UnixListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use omoi_domain::reference::NamedProject;
use omoi_domain::secret_mask::SecretMask;
use omoi_egress::refusal::Refusal;
use omoi_execution::egress::EgressOrigin;
use omoi_execution::setup::{OpenRegistries, RegistriesInUse, SetupWay};
use omoi_runtime::BoxError;
use omoi_runtime::lifecycle::{LifecycleHandle, SpawnKind};
use omoi_store::{Store, projects};

use crate::egress::{AttemptProxy, EntryKeeper, RecordedSession, attempt_policy, versions_of};
use crate::worker_socket::accept_stream;

/// Serves set-ups by the proxy that serves attempts.
#[derive(Clone)]
pub struct SetupProxy {
    /// The proxy.
    pub proxy: AttemptProxy,
    /// Where it is written down what came in and what was refused, in every organisation.
    pub store: Store,
    /// Takes the secrets of this process out of that.
    pub mask: SecretMask,
    /// Serves connections.
    pub lifecycle: LifecycleHandle,
}

/// The socket of one set-up.
struct SetupSocket {
    path: PathBuf,
    recorded: Arc<RecordedSession>,
    lists_hosts: bool,
    _closing: DropGuard,
}

impl Drop for SetupSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            warn!(%error, "Could not remove the socket of a set-up");
        }
    }
}

impl OpenRegistries for SetupProxy {
    fn open_registries<'a>(
        &'a self,
        way: SetupWay<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn RegistriesInUse>>> {
        Box::pin(async move {
            let project = way.project;
            let tenant = self.store.tenant(way.org);
            let named = tenant.read(async |tx| projects::named_project(tx, project).await);
            let project = named.await.map_err(io::Error::other)?;
            let socket = self.clone().serve_socket(&way, project)?;
            Ok(Box::new(socket) as Box<dyn RegistriesInUse>)
        })
    }
}

impl SetupProxy {
    /// Serves what set-ups of `project` may reach on a new socket.
    fn serve_socket(self, way: &SetupWay<'_>, project: NamedProject) -> io::Result<SetupSocket> {
        let listener = UnixListener::bind(way.socket)?;
        // The folder is private; the sandbox that is shown the socket is of another user.
        std::fs::set_permissions(way.socket, Permissions::from_mode(0o666))?;
        let (_, lists, clock) = self.proxy.proxy_parts();
        let mut policy = attempt_policy(way.mode, lists, project);
        policy
            .base
            .listed_versions
            .extend(versions_of(way.lock_files));
        let lists_hosts = !policy.current_policy().hosts.allow.is_empty();
        let entries = EntryKeeper {
            store: self.store.tenant(way.org),
            origin: EgressOrigin::Setup {
                project: way.project,
                packages_layer: way.packages_layer.to_owned(),
            },
        };
        let recorded = RecordedSession::start(policy, clock.clone(), entries, self.mask.clone());
        let recorded = Arc::new(recorded);
        let closing = CancellationToken::new();
        let lifecycle = self.lifecycle.clone();
        let serving = self.accept_connections(listener, recorded.clone(), closing.clone());
        lifecycle.spawn("socket of a set-up", SpawnKind::Work, serving);
        Ok(SetupSocket {
            path: way.socket.to_path_buf(),
            recorded,
            lists_hosts,
            _closing: closing.drop_guard(),
        })
    }

    /// Serves connections until `closing` ends.
    async fn accept_connections(
        self,
        listener: UnixListener,
        recorded: Arc<RecordedSession>,
        closing: CancellationToken,
    ) -> Result<(), BoxError> {
        loop {
            // Both are cancel-safe: a token and a listener.
            let (proxy, _, clock) = self.proxy.proxy_parts();
            let stream = tokio::select! {
                () = closing.cancelled() => return Ok(()),
                stream = accept_stream(&listener, clock) => stream,
            };
            let (proxy, recorded, closing) = (proxy.clone(), recorded.clone(), closing.clone());
            let serving = async move {
                let session = recorded.proxy_session().clone();
                // Nothing is left half done when a connection is dropped.
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = proxy.serve_connection(stream, session) => {}
                }
                recorded.record_refusals().await;
                Ok(())
            };
            let name = "registries of a set-up";
            self.lifecycle.spawn(name, SpawnKind::Work, serving);
        }
    }
}

impl RegistriesInUse for SetupSocket {
    fn packages_in(&self) -> Vec<String> {
        let arrivals = self.recorded.proxy_session().list_arrivals().into_iter();
        let mut names: Vec<_> = arrivals
            .map(|arrival| arrival.version.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn lists_hosts(&self) -> bool {
        self.lists_hosts
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refusals = self.recorded.proxy_session().list_refusals().into_iter();
        refusals.map(|count| count.refusal).collect()
    }
}

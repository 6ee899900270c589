//! Where a process is reached, and what answers behind each door.

use axum::Router;
use tokio::net::TcpListener;

use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::reconcile::StatusReader;
use omoi_server::ApiDoor;
use omoi_server::api::SurfaceParts;
use omoi_server::network_listener::NetworkListener;
use omoi_server::options::{ConnectionOptions, ListenOptions};
use omoi_server::probes::ProbeSurface;

use super::listeners::{self, FolderSocket};
use super::{ListenMode, ProcessRoles, StartOptions, reach};
use crate::api_client::ClientEndpoint;
use crate::data_folder::OpenedFolder;

/// The routes of a process, which depend on where they are reached.
pub(super) struct DoorRouters {
    roles: ProcessRoles,
    surface: SurfaceParts,
    /// The token of the data folder.
    token: String,
}

impl DoorRouters {
    pub(super) fn new(
        roles: ProcessRoles,
        mut surface: SurfaceParts,
        token: &str,
        reconcilers: Vec<StatusReader>,
    ) -> Self {
        surface.token = Some(token.to_owned());
        surface.reconcilers.extend(reconcilers);
        Self {
            roles,
            surface,
            token: token.to_owned(),
        }
    }

    /// What a TCP listener serves with.
    fn network_listener(&self, start: &StartOptions, handle: &LifecycleHandle) -> NetworkListener {
        NetworkListener {
            clock: self.surface.parts.clock.clone(),
            lifecycle: handle.clone(),
            site: self.surface.site.clone(),
            options: ConnectionOptions::from_config(&start.config),
        }
    }

    /// Answers on `listener` until the process stops; gives its address.
    fn serve_at(
        &mut self,
        listener: TcpListener,
        start: &StartOptions,
        handle: &LifecycleHandle,
    ) -> anyhow::Result<String> {
        let address = listener.local_addr()?;
        // By whichever door somebody asks, it is the same server.
        self.surface.site = reach::site_at(&self.surface.site, address)?;
        let router = self.router_behind(ApiDoor::of_address(address.ip()));
        let network = self.network_listener(start, handle);
        listeners::serve_http(network, listener, router)
    }

    /// The routes behind one door: probes in every role, the API where the process answers people.
    fn router_behind(&self, door: ApiDoor) -> Router {
        let surface = &self.surface;
        let probes = ProbeSurface {
            store: surface.parts.store.clone(),
            running: surface.parts.running.clone(),
            reconcilers: surface.reconcilers.clone(),
            token: self.token.clone(),
            request_ids: surface.parts.request_ids.clone(),
            site: surface.site.clone(),
        };
        let probes = omoi_server::probes::router(probes, door);
        match self.roles.api {
            true => probes.merge(omoi_server::api::router(surface.clone(), door)),
            false => probes,
        }
    }
}

/// Where a process is asked.
pub(super) struct OpenedListeners {
    /// By the command that started it.
    pub(super) endpoint: ClientEndpoint,
    /// By people.
    pub(super) address: Option<String>,
    /// By probes alone.
    pub(super) probe_address: Option<String>,
}

/// Answers where people look for it, and where nobody does, at least probes.
pub(super) async fn open_listeners(
    start: &StartOptions,
    folder: &OpenedFolder,
    handle: &LifecycleHandle,
    mut routers: DoorRouters,
) -> anyhow::Result<OpenedListeners> {
    if start.roles.api && start.door == ListenMode::Private {
        let network = routers.network_listener(start, handle);
        let router = routers.router_behind(ApiDoor::Folder);
        let address = listeners::serve_privately(network, router).await?;
        return Ok(OpenedListeners {
            endpoint: ClientEndpoint::Loopback(address),
            address: None,
            probe_address: None,
        });
    }
    // First the address, which nobody can take from another.
    let address = match start.door {
        ListenMode::FolderAndHttp => {
            let options = ListenOptions::from_config(&start.config);
            let remedy =
                "choose another with --port, SERVER_PORT or server.port; 0 takes a free one";
            let listener = listeners::bind_http(&options, remedy).await?;
            Some(routers.serve_at(listener, start, handle)?)
        }
        ListenMode::Folder | ListenMode::Private => None,
    };
    let (endpoint, probe_address) = match start.roles.api {
        true => (open_socket(start, folder, handle, &routers).await?, None),
        false => {
            let options = ListenOptions::of_probes(&start.config);
            let remedy =
                "choose another with SERVER_PROBE_PORT or server.probe_port; 0 takes a free one";
            let listener = listeners::bind_http(&options, remedy).await?;
            let at = routers.serve_at(listener, start, handle)?;
            (ClientEndpoint::Socket(folder.socket_path()), Some(at))
        }
    };
    Ok(OpenedListeners {
        endpoint,
        address,
        probe_address,
    })
}

/// Answers on the folder's socket. Of several processes that share a database one does, and the next when it ends: what
/// this command asks is asked of this process all the same.
async fn open_socket(
    start: &StartOptions,
    folder: &OpenedFolder,
    handle: &LifecycleHandle,
    routers: &DoorRouters,
) -> anyhow::Result<ClientEndpoint> {
    let router = routers.router_behind(ApiDoor::Folder);
    let socket = FolderSocket::of_folder(folder)?;
    let endpoint = match socket.is_held() {
        true => ClientEndpoint::Socket(folder.socket_path()),
        false => {
            let network = routers.network_listener(start, handle);
            ClientEndpoint::Loopback(listeners::serve_privately(network, router.clone()).await?)
        }
    };
    socket.serve(handle, &routers.surface.parts.clock, router);
    Ok(endpoint)
}

//! The way out of a sandbox: a port of loopback whose connections go over the platform's socket to its proxy.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::egress::{EgressLaunch, client_variables};
use omoi_protocol::worker::{AttemptContext, EGRESS_PROTOCOL};
use omoi_runtime::clock::{Clocked, with_deadline};
use omoi_runtime::telemetry::error_chain;
use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{Client, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

/// How long the platform may take to take a connection over.
const OPEN_MAX: Duration = Duration::from_secs(30);
/// What a client is told when there is no way out.
const NO_WAY_OUT: &str =
    "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Passes connections on until it is dropped.
pub(crate) struct EgressForwarder {
    variables: Vec<(OsString, OsString)>,
    _tasks: JoinSet<()>,
}

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressForwarderError {
    /// The port cannot be opened.
    #[error("could not listen on loopback for package managers")]
    Listen(#[from] std::io::Error),
    /// The client cannot be made.
    #[error("could not make a client for the platform")]
    Http(#[from] reqwest::Error),
}

/// Where connections go.
struct EgressRoute {
    target: RouteTarget,
    clock: Clocked,
}

enum RouteTarget {
    /// The platform, which takes a request of the attempt's over.
    Attempt {
        http: Client,
        url: String,
        token: String,
    },
    /// A socket that is this sandbox's alone.
    Socket(PathBuf),
}

/// A connection to the proxy.
trait ProxyStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ProxyStream for S {}

impl EgressForwarder {
    /// Listens on a free port of loopback, if the attempt has a way out.
    pub(crate) async fn start(
        context: &AttemptContext,
        clock: &Clocked,
    ) -> Result<Option<Self>, EgressForwarderError> {
        let Some(egress) = &context.egress else {
            return Ok(None);
        };
        let target = RouteTarget::Attempt {
            http: Client::builder()
                .unix_socket(Path::new(&context.socket))
                .build()?,
            // The host is never looked up.
            url: format!(
                "http://platform/api/v1/sandboxes/{}/egress",
                context.sandbox_id
            ),
            token: context.token.clone(),
        };
        Self::listen(target, egress, clock).await.map(Some)
    }

    /// Listens for a sandbox that is no attempt's, whose socket leads to the proxy and nowhere else.
    pub(crate) async fn start_for_run(
        socket: &Path,
        egress: &EgressLaunch,
        clock: &Clocked,
    ) -> Result<Self, EgressForwarderError> {
        Self::listen(RouteTarget::Socket(socket.to_owned()), egress, clock).await
    }

    async fn listen(
        target: RouteTarget,
        egress: &EgressLaunch,
        clock: &Clocked,
    ) -> Result<Self, EgressForwarderError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let route = EgressRoute {
            target,
            clock: clock.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_connections(listener, Arc::new(route)));
        Ok(Self {
            variables: variables_for(address, egress),
            _tasks: tasks,
        })
    }

    /// Variables that tell programs of the way.
    pub(crate) fn proxy_variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }
}

fn variables_for(address: SocketAddr, egress: &EgressLaunch) -> Vec<(OsString, OsString)> {
    let variables = client_variables(&format!("http://{address}"), egress);
    let variables = variables.into_iter();
    variables
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

async fn accept_connections(listener: TcpListener, route: Arc<EgressRoute>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                connections.spawn(pass_connection(client, route.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "A connection of a package manager was lost");
                route.clock.sleep(Duration::from_millis(200)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Carries what `client` says to the proxy and back, until one of them ends.
async fn pass_connection(mut client: TcpStream, route: Arc<EgressRoute>) {
    let opening = with_deadline(route.clock.as_ref(), OPEN_MAX, open_upstream(&route)).await;
    let upstream = match opening {
        Ok(Ok(Some(upstream))) => Some(upstream),
        Ok(Ok(None)) | Err(_) => None,
        Ok(Err(error)) => {
            tracing::warn!(error = %error_chain(&error), "The platform takes no connection over");
            None
        }
    };
    let Some(mut upstream) = upstream else {
        // It may have gone away.
        let _ = client.write_all(NO_WAY_OUT.as_bytes()).await;
        return;
    };
    if let Err(error) = copy_bidirectional(&mut client, &mut upstream).await {
        tracing::debug!(%error, "A connection of a package manager ended early");
    }
}

async fn open_upstream(route: &EgressRoute) -> Result<Option<Box<dyn ProxyStream>>, OpenError> {
    let request = match &route.target {
        RouteTarget::Socket(path) => return Ok(Some(Box::new(UnixStream::connect(path).await?))),
        RouteTarget::Attempt { http, url, token } => http.get(url).bearer_auth(token),
    };
    let request = request
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, EGRESS_PROTOCOL);
    let answer = request.send().await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        tracing::warn!(status = %answer.status(), "The platform opens no way out");
        return Ok(None);
    }
    Ok(Some(Box::new(answer.upgrade().await?)))
}

/// Why a connection was not taken over.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("could not connect to the platform")]
    Socket(#[from] std::io::Error),
    #[error("could not ask the platform")]
    Http(#[from] reqwest::Error),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_runtime::clock::SystemClock;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixListener;

    use super::*;

    fn proxy_address(forwarder: &EgressForwarder) -> String {
        let mut variables = forwarder.proxy_variables().iter();
        let (_, value) = variables.find(|(name, _)| name == "HTTPS_PROXY").unwrap();
        let value = value.to_str().unwrap();
        value.strip_prefix("http://").unwrap().to_owned()
    }

    async fn start(socket: &Path) -> EgressForwarder {
        let egress = EgressLaunch {
            certificate: "/run/omoi.d/egress.pem".to_owned(),
            ..EgressLaunch::default()
        };
        let clock: Clocked = Arc::new(SystemClock);
        let started = EgressForwarder::start_for_run(socket, &egress, &clock);
        started.await.unwrap()
    }

    #[tokio::test]
    async fn what_clients_say_reaches_the_socket_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("proxy.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let forwarder = start(&socket).await;
        let certificates = ("PIP_CERT".into(), "/run/omoi.d/egress.pem".into());
        assert!(forwarder.proxy_variables().contains(&certificates));
        let address = proxy_address(&forwarder);
        for said in ["one", "two"] {
            let mut client = TcpStream::connect(&address).await.unwrap();
            let (mut proxy, _) = listener.accept().await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            let mut heard = vec![0; said.len()];
            proxy.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, said.as_bytes());
            proxy.write_all(b"answer").await.unwrap();
            drop(proxy);
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "answer");
        }
    }

    #[tokio::test]
    async fn a_client_is_told_when_there_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let forwarder = start(&folder.path().join("nothing.sock")).await;
        let address = proxy_address(&forwarder);
        let mut client = TcpStream::connect(&address).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, NO_WAY_OUT);
        drop(forwarder);
        TcpStream::connect(&address).await.unwrap_err();
    }
}

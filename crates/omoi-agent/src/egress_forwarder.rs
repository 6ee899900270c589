//! The attempt's way out: a port of loopback whose connections go over the platform's socket to its proxy.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::egress::client_variables;
use omoi_protocol::worker::{AttemptContext, EGRESS_PROTOCOL};
use omoi_runtime::clock::{Clocked, with_deadline};
use omoi_runtime::telemetry::error_chain;
use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{Client, StatusCode};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
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

struct EgressRoute {
    http: Client,
    url: String,
    token: String,
    clock: Clocked,
}

impl EgressForwarder {
    /// Listens on a free port of loopback, if the attempt has a way out.
    pub(crate) async fn start(
        context: &AttemptContext,
        clock: &Clocked,
    ) -> Result<Option<Self>, EgressForwarderError> {
        let Some(egress) = &context.egress else {
            return Ok(None);
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let route = EgressRoute {
            http: Client::builder()
                .unix_socket(Path::new(&context.socket))
                .build()?,
            // The host is never looked up.
            url: format!(
                "http://platform/api/v1/sandboxes/{}/egress",
                context.sandbox_id
            ),
            token: context.token.clone(),
            clock: clock.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_connections(listener, Arc::new(route)));
        Ok(Some(Self {
            variables: variables_for(address, &egress.certificate),
            _tasks: tasks,
        }))
    }

    /// Variables that tell programs of the way.
    pub(crate) fn proxy_variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }
}

fn variables_for(address: SocketAddr, certificate: &str) -> Vec<(OsString, OsString)> {
    let variables = client_variables(&format!("http://{address}"), certificate);
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

async fn open_upstream(route: &EgressRoute) -> Result<Option<reqwest::Upgraded>, reqwest::Error> {
    let request = route.http.get(&route.url).bearer_auth(&route.token);
    let request = request
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, EGRESS_PROTOCOL);
    let answer = request.send().await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        tracing::warn!(status = %answer.status(), "The platform opens no way out");
        return Ok(None);
    }
    answer.upgrade().await.map(Some)
}

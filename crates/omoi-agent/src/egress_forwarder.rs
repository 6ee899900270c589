//! The way out of a sandbox: a port of loopback whose connections go over the platform's socket to its proxy.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::egress::{EgressLaunch, client_variables};
use omoi_protocol::error::ErrorBody;
use omoi_protocol::worker::{AttemptContext, EGRESS_PROTOCOL};
use omoi_runtime::clock::{Clocked, with_deadline};
use omoi_runtime::telemetry::error_chain;
use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{Client, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::platform_client::socket_client;

/// How long the platform may take to take a connection over.
const OPEN_MAX: Duration = Duration::from_secs(30);
/// How long a client that is refused may take to hear it.
const REFUSED_MAX: Duration = Duration::from_secs(5);
/// Bytes of what the platform says that a client is told.
const SAYS_BYTES_MAX: usize = 300;

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
            http: socket_client(Path::new(&context.socket)).build()?,
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
    let opened = opening.unwrap_or(Err(OpenError::Slow));
    let mut upstream = match opened {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "A connection of a package manager is refused");
            let telling = tell_refused(&mut client, &error);
            // It may have gone away, or not listen.
            let _ = with_deadline(route.clock.as_ref(), REFUSED_MAX, telling).await;
            return;
        }
    };
    if let Err(error) = copy_bidirectional(&mut client, &mut upstream).await {
        tracing::debug!(%error, "A connection of a package manager ended early");
    }
}

/// Answers `client` with a reason that package managers show: in the first line, in a header and as the body.
async fn tell_refused(client: &mut TcpStream, error: &OpenError) -> std::io::Result<()> {
    let reason = error.reason_word();
    let says: String = error_chain(error)
        .chars()
        .map(|sign| if sign.is_ascii_graphic() { sign } else { ' ' })
        .take(SAYS_BYTES_MAX)
        .collect();
    let answer = format!(
        "HTTP/1.1 502 {says}\r\nomoi-egress-reason: {reason}\r\nconnection: close\r\n\
         content-type: text/plain\r\ncontent-length: {}\r\n\r\n{says}\n",
        says.len() + 1
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // What it said is read to its end: closed before that, the system takes the answer back.
    let mut said = [0; 4096];
    while client.read(&mut said).await? > 0 {}
    Ok(())
}

async fn open_upstream(route: &EgressRoute) -> Result<Box<dyn ProxyStream>, OpenError> {
    let request = match &route.target {
        RouteTarget::Socket(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        RouteTarget::Attempt { http, url, token } => http.get(url).bearer_auth(token),
    };
    let request = request
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, EGRESS_PROTOCOL);
    let answer = request.send().await?;
    let status = answer.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = answer.bytes().await.unwrap_or_default();
        let said = serde_json::from_slice::<ErrorBody>(&body).ok();
        return Err(OpenError::Refused {
            status,
            says: said.map(|said| said.message).unwrap_or_default(),
        });
    }
    Ok(Box::new(answer.upgrade().await?))
}

/// Why a connection was not taken over.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("could not connect to the platform")]
    Socket(#[from] std::io::Error),
    #[error("could not ask the platform")]
    Http(#[from] reqwest::Error),
    #[error("the platform does not answer")]
    Slow,
    #[error("the platform opens no way out ({status}): {says}")]
    Refused { status: StatusCode, says: String },
}

impl OpenError {
    const fn reason_word(&self) -> &'static str {
        match self {
            Self::Socket(_) | Self::Http(_) => "platform_away",
            Self::Slow => "platform_slow",
            Self::Refused { .. } => "no_egress",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_domain::time::Timestamp;
    use omoi_runtime::clock::{ManualClock, SystemClock};
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

    /// What a client hears that asks for a tunnel and says more than anybody reads.
    async fn refused_answer(forwarder: &EgressForwarder) -> String {
        let mut client = TcpStream::connect(&proxy_address(forwarder)).await.unwrap();
        let said = format!("CONNECT a:443 HTTP/1.1\r\n\r\n{}", "x".repeat(20_000));
        client.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn assert_says(answer: &str, reason: &str, words: &str) {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(head.lines().next().unwrap().contains(words), "{answer}");
        let named = format!("omoi-egress-reason: {reason}");
        assert!(head.lines().any(|line| line == named), "{answer}");
        assert!(body.contains(words), "{answer}");
    }

    /// A way that leads to `socket` as an attempt's.
    async fn attempt_way(socket: &Path, clock: Clocked) -> EgressForwarder {
        let target = RouteTarget::Attempt {
            http: socket_client(socket).build().unwrap(),
            url: "http://platform/egress".to_owned(),
            token: "token".to_owned(),
        };
        let egress = EgressLaunch::default();
        let started = EgressForwarder::listen(target, &egress, &clock);
        started.await.unwrap()
    }

    #[tokio::test]
    async fn a_client_is_told_that_the_platform_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nothing.sock");
        let words = "could not connect to the platform";
        let forwarder = start(&missing).await;
        assert_says(&refused_answer(&forwarder).await, "platform_away", words);
        let address = proxy_address(&forwarder);
        drop(forwarder);
        TcpStream::connect(&address).await.unwrap_err();
        let forwarder = attempt_way(&missing, Arc::new(SystemClock)).await;
        let words = "could not ask the platform";
        assert_says(&refused_answer(&forwarder).await, "platform_away", words);
    }

    #[tokio::test]
    async fn a_client_is_told_why_the_platform_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("platform.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let forwarder = attempt_way(&socket, Arc::new(SystemClock)).await;
        let body = r#"{"error":"no_egress","message":"this attempt has no way out"}"#;
        let platform = async {
            let (mut asked, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(asked.read(&mut head).await.unwrap() > 0);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            asked.write_all(answer.as_bytes()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(refused_answer(&forwarder), platform);
        assert_says(&answer, "no_egress", "this attempt has no way out");
    }

    #[tokio::test]
    async fn a_client_is_told_that_the_platform_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("platform.sock");
        // It takes connections and says nothing.
        let _listener = UnixListener::bind(&socket).unwrap();
        let clock = ManualClock::new(Timestamp::default());
        let forwarder = attempt_way(&socket, Arc::new(clock.clone())).await;
        let passing = async {
            clock.wait_for_sleepers(1).await;
            clock.advance(OPEN_MAX);
        };
        let (answer, ()) = tokio::join!(refused_answer(&forwarder), passing);
        assert_says(&answer, "platform_slow", "the platform does not answer");
    }

    #[tokio::test]
    async fn a_client_that_has_said_all_still_hears_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("proxy.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let forwarder = start(&socket).await;
        let mut client = TcpStream::connect(&proxy_address(&forwarder))
            .await
            .unwrap();
        client.write_all(b"all").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut proxy, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        proxy.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "all");
        let long = "answer".repeat(20_000);
        proxy.write_all(long.as_bytes()).await.unwrap();
        drop(proxy);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, long);
    }
}

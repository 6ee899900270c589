//! Hosts outside: whatever is said to them, they say that they were reached.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use omoi_egress::resolve::NameLookup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A host that a person lists, and a service of this network that nobody may reach.
pub(crate) struct Outside {
    pub(crate) listed: SocketAddr,
    pub(crate) inside: SocketAddr,
    _serving: JoinSet<()>,
}

impl Outside {
    pub(crate) async fn start() -> Self {
        let mut serving = JoinSet::new();
        let mut addresses = Vec::new();
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = inside.local_addr().unwrap();
        for listener in [inside, TcpListener::bind("127.0.0.1:0").await.unwrap()] {
            addresses.push(listener.local_addr().unwrap());
            serving.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.spawn(async move {
                        // Who goes away is no matter of the host.
                        let _ = answer(stream, target).await;
                    });
                    while connections.try_join_next().is_some() {}
                }
            });
        }
        Self {
            inside: addresses[0],
            listed: addresses[1],
            _serving: serving,
        }
    }

    /// The names of the tests; those that only a broken wall looks up lead into this network.
    pub(crate) fn names(&self) -> Arc<RecordedNames> {
        Arc::new(RecordedNames {
            listed: self.listed,
            inside: self.inside,
            asked: Mutex::default(),
        })
    }
}

async fn answer(mut stream: TcpStream, inside: SocketAddr) -> io::Result<()> {
    let mut said = vec![0; 64 << 10];
    let mut n = stream.read(&mut said).await?;
    let begun = String::from_utf8_lossy(&said[..n]).into_owned();
    let line = begun.lines().next().unwrap_or_default();
    if line.contains("/redirect") {
        let head = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{inside}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        return stream.write_all(head.as_bytes()).await;
    }
    if line.ends_with("HTTP/1.1") {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nREACHED";
        return stream.write_all(head.as_bytes()).await;
    }
    stream.write_all(b"REACHED").await?;
    let mut counted = 0;
    while n > 0 {
        counted += n;
        n = stream.read(&mut said).await?;
    }
    stream.write_all(format!("GOT {counted}").as_bytes()).await
}

/// A resolver that remembers what it was asked.
pub(crate) struct RecordedNames {
    listed: SocketAddr,
    inside: SocketAddr,
    asked: Mutex<Vec<String>>,
}

impl RecordedNames {
    /// Whether somebody had the message looked up.
    pub(crate) fn were_told(&self) -> bool {
        let asked = self.asked.lock().unwrap();
        asked.iter().any(|name| name.contains("the-secret-is-42"))
    }
}

impl NameLookup for RecordedNames {
    fn lookup_name(&self, name: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.asked.lock().unwrap().push(name.clone());
        let address = match name.as_str() {
            "listed.example" => Some(self.listed),
            "inside.example"
            | "other.example"
            | "ns.example"
            | "metadata.google.internal"
            | "localhost" => Some(self.inside),
            _ => None,
        };
        let found = address.map(|at| vec![at]);
        Box::pin(async move { found.ok_or(io::ErrorKind::NotFound.into()) })
    }
}

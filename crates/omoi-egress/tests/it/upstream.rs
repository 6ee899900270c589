//! Every registry at once, on one port of loopback: answers by host and path, and counts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What is answered at one path.
#[derive(Clone)]
pub(crate) struct StubAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Declared instead of the true length.
    pub(crate) declared_bytes: Option<u64>,
    /// The body waits for this before its last half.
    pub(crate) gate: Option<Arc<Notify>>,
    /// Told when the first half has gone out.
    pub(crate) half_sent: Arc<Notify>,
    /// The answer does not begin before this.
    pub(crate) head_gate: Option<Arc<Notify>>,
    /// No length is declared.
    pub(crate) is_streamed: bool,
}

impl StubAnswer {
    pub(crate) fn file(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: "application/octet-stream",
            headers: Vec::new(),
            body: body.into(),
            declared_bytes: None,
            gate: None,
            half_sent: Arc::default(),
            head_gate: None,
            is_streamed: false,
        }
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            ..Self::file(value.to_string().into_bytes())
        }
    }

    pub(crate) fn text(body: Vec<u8>) -> Self {
        Self {
            content_type: "text/plain",
            ..Self::file(body)
        }
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct SeenRequest {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
}

/// The registries.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// The certificate that vouches for them, as DER.
    pub(crate) root: Vec<u8>,
    /// The same as PEM.
    pub(crate) root_pem: Vec<u8>,
    /// What it serves with.
    pub(crate) tls: Arc<ServerConfig>,
    /// Certificate and key of all registries, as PEM.
    pub(crate) leaf_pem: [String; 2],
    state: Arc<Mutex<UpstreamState>>,
}

#[derive(Default)]
struct UpstreamState {
    answers: HashMap<(String, String), StubAnswer>,
    seen: Vec<SeenRequest>,
    is_away: bool,
}

impl Upstream {
    /// Starts serving on tasks of `tasks`.
    pub(crate) async fn start(hosts: &[String], tasks: &mut JoinSet<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (config, certificate, leaf_pem) = tls_config(hosts);
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            root: certificate.der().to_vec(),
            root_pem: certificate.pem().into_bytes(),
            tls: config.clone(),
            leaf_pem,
            state: Arc::default(),
        };
        let serving = upstream.clone();
        tasks.spawn(async move { serving.serve(listener, config).await });
        upstream
    }

    /// Answers `path` of `host` from now on.
    pub(crate) fn put(&self, host: &str, path: &str, answer: StubAnswer) {
        let key = (host.to_owned(), path.to_owned());
        self.state.lock().unwrap().answers.insert(key, answer);
    }

    /// Changes what is answered already.
    pub(crate) fn change(&self, host: &str, path: &str, change: impl FnOnce(&mut StubAnswer)) {
        let key = (host.to_owned(), path.to_owned());
        change(self.state.lock().unwrap().answers.get_mut(&key).unwrap());
    }

    /// Answers a path of one host as that of another.
    pub(crate) fn copy(&self, from: &str, to: &str, path: &str) {
        let key = (from.to_owned(), path.to_owned());
        let answer = self.state.lock().unwrap().answers[&key].clone();
        self.put(to, path, answer);
    }

    /// Lets every registry fail from now on.
    pub(crate) fn go_away(&self) {
        self.state.lock().unwrap().is_away = true;
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<SeenRequest> {
        self.state.lock().unwrap().seen.clone()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, url: &str) -> usize {
        self.seen().iter().filter(|seen| seen.url == url).count()
    }

    async fn serve(self, listener: TcpListener, config: Arc<ServerConfig>) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if self.state.lock().unwrap().is_away {
                continue;
            }
            let (upstream, acceptor) = (self.clone(), TlsAcceptor::from(config.clone()));
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|request| {
                    let answer = upstream.answer(&request);
                    let head_gate = upstream.head_gate(&request);
                    async move {
                        if let Some(gate) = head_gate {
                            gate.notified().await;
                        }
                        Ok::<_, Infallible>(answer)
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    fn head_gate(&self, request: &Request<Incoming>) -> Option<Arc<Notify>> {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let path = request.uri().path_and_query().unwrap().as_str().to_owned();
        let state = self.state.lock().unwrap();
        state.answers.get(&(host, path))?.head_gate.clone()
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let path = request.uri().path_and_query().unwrap().as_str().to_owned();
        let mut state = self.state.lock().unwrap();
        state.seen.push(SeenRequest {
            url: format!("{host}{path}"),
            headers: request.headers().clone(),
        });
        let mut response = Response::new(Full::new(Bytes::from_static(b"{}")).boxed_unsync());
        if state.is_away {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return response;
        }
        let Some(answer) = state.answers.get(&(host, path)).cloned() else {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        };
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
        let headers = response.headers_mut();
        headers.insert("content-type", answer.content_type.parse().unwrap());
        for (name, value) in &answer.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let declared = answer.declared_bytes.unwrap_or(answer.body.len() as u64);
        if !answer.is_streamed {
            headers.insert("content-length", declared.into());
        }
        *response.body_mut() = body_of(answer);
        response
    }
}

fn body_of(answer: StubAnswer) -> UnsyncBoxBody<Bytes, Infallible> {
    let body = answer.body;
    let half = body.len() / 2;
    let (first, second) = (body.slice(..half), body.slice(half..));
    let first = futures::stream::iter([Ok(Frame::data(first))]);
    let second = futures::stream::once(async move {
        answer.half_sent.notify_one();
        if let Some(gate) = answer.gate {
            gate.notified().await;
        }
        Ok(Frame::data(second))
    });
    StreamBody::new(first.chain(second)).boxed_unsync()
}

fn tls_config(hosts: &[String]) -> (Arc<ServerConfig>, Certificate, [String; 2]) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(hosts.to_vec()).unwrap();
    // Another name than that of the root: OpenSSL takes equal names for a certificate that signed itself.
    leaf.distinguished_name
        .push(rcgen::DnType::CommonName, "registries of a test");
    let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let pem = [leaf.pem(), key.serialize_pem()];
    (Arc::new(config), certificate, pem)
}

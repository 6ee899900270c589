//! A proxy with a cache of its own, before registries on loopback.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use omoi_domain::time::Timestamp;
use omoi_egress::authority::EgressAuthority;
use omoi_egress::cache::RegistryCache;
use omoi_egress::policy::EgressPolicy;
use omoi_egress::proxy::{EgressProxy, ProxyParts};
use omoi_egress::refusal::{REASON_HEADER, RefusalReason};
use omoi_egress::resolve::{CheckedResolver, NameLookup};
use omoi_egress::service::RegistryService;
use omoi_egress::session::{EgressSession, KeepArrivals};
use omoi_egress::sites::{PrivateRegistry, RegistrySites};
use omoi_egress::upstream::{FetchLimits, HostTrust, UpstreamRegistries, UpstreamSettings};
use omoi_runtime::clock::{Clock as _, Clocked, ManualClock, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::upstream::Upstream;

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Names that only a test knows; every other has no address.
#[derive(Clone, Default)]
pub(crate) struct StubNames {
    names: Arc<Mutex<HashMap<String, SocketAddr>>>,
    lookups: Arc<Mutex<Vec<String>>>,
}

impl StubNames {
    pub(crate) fn put(&self, name: &str, address: SocketAddr) {
        self.names.lock().unwrap().insert(name.to_owned(), address);
    }

    pub(crate) fn lookups(&self) -> Vec<String> {
        self.lookups.lock().unwrap().clone()
    }
}

impl NameLookup for StubNames {
    fn lookup_name(&self, name: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.lookups.lock().unwrap().push(name.clone());
        let address = self.names.lock().unwrap().get(&name).copied();
        Box::pin(async move {
            address
                .map(|at| vec![at])
                .ok_or(io::ErrorKind::NotFound.into())
        })
    }
}

/// Everything that a test needs.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) names: StubNames,
    pub(crate) clock: ManualClock,
    pub(crate) proxy: EgressProxy,
    tasks: JoinSet<()>,
}

/// One attempt, with the address of its proxy.
pub(crate) struct ProxiedAttempt {
    pub(crate) session: Arc<EgressSession>,
    pub(crate) address: SocketAddr,
    certificate: PathBuf,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::with_private(Vec::new()).await
    }

    pub(crate) async fn with_private(private: Vec<PrivateRegistry>) -> Self {
        Self::with_trust(private, None).await
    }

    /// With other bounds of time and size.
    pub(crate) async fn with_limits(limits: FetchLimits) -> Self {
        Self::with_settings(Vec::new(), None, limits).await
    }

    /// Registries of which only `trusted` may be what the test serves; all of them where none is named.
    pub(crate) async fn with_trust(private: Vec<PrivateRegistry>, trusted: Option<&str>) -> Self {
        Self::with_settings(private, trusted, FetchLimits::default()).await
    }

    /// Before registries that are somewhere else; `upstream` has their certificates.
    pub(crate) async fn with_upstream(private: Vec<PrivateRegistry>, upstream: Upstream) -> Self {
        Self::assemble(private, Some(upstream), None, FetchLimits::default()).await
    }

    async fn with_settings(
        private: Vec<PrivateRegistry>,
        trusted: Option<&str>,
        limits: FetchLimits,
    ) -> Self {
        Self::assemble(private, None, trusted, limits).await
    }

    async fn assemble(
        private: Vec<PrivateRegistry>,
        upstream: Option<Upstream>,
        trusted: Option<&str>,
        limits: FetchLimits,
    ) -> Self {
        let mut hosts: Vec<String> = private.iter().map(|of| of.host.clone()).collect();
        let sites = RegistrySites::new(private).unwrap();
        let signed = sites.registry_hosts("ours");
        hosts.extend(signed.iter().cloned());
        hosts.sort();
        hosts.dedup();
        let mut tasks = JoinSet::new();
        let upstream = match upstream {
            Some(upstream) => upstream,
            None => Upstream::start(&hosts, &mut tasks).await,
        };
        let names = StubNames::default();
        for host in &hosts {
            names.put(host, upstream.address);
        }
        let clock = ManualClock::new(SystemClock.now());
        let folder = tempfile::tempdir().unwrap();
        let clocked: Clocked = Arc::new(clock.clone());
        let resolver = CheckedResolver::new(Arc::new(names.clone()), clocked.clone());
        let trust = HostTrust {
            pem_roots: vec![upstream.root_pem.clone()],
            listed_addresses: vec![LOOPBACK],
        };
        let settings = match trusted {
            None => UpstreamSettings {
                all: trust,
                hosts: HashMap::new(),
                limits,
            },
            Some(host) => UpstreamSettings {
                all: HostTrust {
                    listed_addresses: vec![LOOPBACK],
                    ..HostTrust::default()
                },
                hosts: HashMap::from([(host.to_owned(), trust)]),
                limits,
            },
        };
        let registries =
            UpstreamRegistries::new(resolver.clone(), settings, clocked.clone()).unwrap();
        let root = folder.path().join("cache");
        let cache = RegistryCache::open(root, 1 << 30, clocked.clone()).unwrap();
        let authority =
            EgressAuthority::open(&folder.path().join("authority"), &signed, clock.now()).unwrap();
        let service = RegistryService::new(cache, registries, sites, clocked.clone());
        let proxy = EgressProxy::new(ProxyParts {
            service,
            authority,
            resolver,
            clock: clocked,
        });
        Self {
            folder,
            upstream,
            names,
            clock,
            proxy,
            tasks,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Serves an attempt under `policy` on a port of loopback.
    pub(crate) async fn attempt(&mut self, policy: EgressPolicy) -> ProxiedAttempt {
        let session = EgressSession::new(policy, Arc::new(self.clock.clone()));
        self.serve_session(session).await
    }

    /// Serves an attempt whose arrivals `keeper` keeps.
    pub(crate) async fn kept_attempt(
        &mut self,
        policy: EgressPolicy,
        keeper: Arc<dyn KeepArrivals>,
    ) -> ProxiedAttempt {
        let clock = Arc::new(self.clock.clone());
        let session = EgressSession::with_keeper(policy, clock, keeper);
        self.serve_session(session).await
    }

    async fn serve_session(&mut self, session: Arc<EgressSession>) -> ProxiedAttempt {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (proxy, served) = (self.proxy.clone(), session.clone());
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (proxy, session) = (proxy.clone(), served.clone());
                connections.spawn(async move { proxy.serve_connection(stream, session).await });
            }
        });
        ProxiedAttempt {
            session,
            address,
            certificate: self.proxy.certificate_path().to_owned(),
        }
    }

    /// Serves plain TCP on loopback under `name`: each connection is answered by `answer`.
    pub(crate) async fn serve_host<F, A>(&mut self, name: &str, answer: F) -> SocketAddr
    where
        F: Fn(tokio::net::TcpStream) -> A + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.names.put(name, address);
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(answer(stream));
            }
        });
        address
    }
}

/// An answer as a client sees it.
#[derive(Debug)]
pub(crate) struct SeenAnswer {
    pub(crate) status: u16,
    pub(crate) reason: Option<RefusalReason>,
    pub(crate) body: Vec<u8>,
}

impl SeenAnswer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl ProxiedAttempt {
    pub(crate) fn proxy_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn certificate(&self) -> &str {
        self.certificate.to_str().unwrap()
    }

    /// A client that trusts the authority of the deployment.
    pub(crate) fn client(&self) -> reqwest::Client {
        let pem = std::fs::read(&self.certificate).unwrap();
        reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(self.proxy_url()).unwrap())
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
    }

    pub(crate) async fn get(&self, url: &str) -> SeenAnswer {
        Self::see(self.client().get(url)).await
    }

    pub(crate) async fn see(request: reqwest::RequestBuilder) -> SeenAnswer {
        let response = request.send().await.unwrap();
        let reason = response.headers().get(REASON_HEADER);
        SeenAnswer {
            status: response.status().as_u16(),
            reason: reason.and_then(|reason| RefusalReason::parse(reason.to_str().unwrap())),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// Reasons of every refusal so far, each once.
    pub(crate) fn reasons(&self) -> Vec<RefusalReason> {
        let counts = self.session.list_refusals();
        let mut reasons: Vec<_> = counts.iter().map(|count| count.refusal.reason).collect();
        reasons.dedup();
        reasons
    }
}

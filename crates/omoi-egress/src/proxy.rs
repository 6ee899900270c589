//! The proxy: one connection of a sandbox, judged request by request.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use omoi_runtime::clock::{Clocked, with_deadline};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::authority::EgressAuthority;
use crate::host::EgressTarget;
use crate::listener::server_builder;
use crate::plain::{check_reading, forward_request};
use crate::policy::RegistryAccess;
use crate::refusal::{Refusal, RefusalReason};
use crate::registry::RequestShape;
use crate::registry_request::{check_names, handshake_refusal, takes_json};
use crate::reply::{ProxyBody, refusal_response, registry_response, whole_body};
use crate::resolve::CheckedResolver;
use crate::service::{RegistryCall, RegistryService};
use crate::session::EgressSession;
use crate::sites::SiteAddress;
use crate::tunnel::HostTunnel;

/// How long a client may take for the handshake of TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// How long a connection beyond the cap may take to ask and hear that it is refused.
const REFUSED_MAX: Duration = Duration::from_secs(10);

/// The proxy of one deployment.
#[derive(Clone)]
pub struct EgressProxy {
    parts: Arc<ProxyParts>,
}

/// What the proxy is made of.
pub struct ProxyParts {
    /// Answers for registries.
    pub service: RegistryService,
    /// Ends TLS for them.
    pub authority: EgressAuthority,
    /// Finds the addresses of other hosts.
    pub resolver: CheckedResolver,
    /// The time.
    pub clock: Clocked,
}

/// What becomes of the connection of `request` once it was answered with 101.
pub fn take_upgrade<B>(request: &mut Request<B>) -> OnUpgrade {
    hyper::upgrade::on(request)
}

/// A tunnel that may be opened: the client is answered with 200, and what it says is run through it.
enum OpenTunnel {
    Registry {
        /// The name by which the client knows it.
        name: String,
        address: SiteAddress,
        access: RegistryAccess,
    },
    Host(HostTunnel),
}

/// A tunnel that waits for the client's connection to be free of HTTP.
struct PendingTunnel {
    tunnel: OpenTunnel,
    upgrade: OnUpgrade,
}

impl EgressProxy {
    /// A proxy of its parts.
    pub fn new(parts: ProxyParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// The certificate that a sandbox is given, as PEM.
    pub fn certificate_path(&self) -> &Path {
        self.parts.authority.certificate_path()
    }

    /// Serves one connection of the attempt of `session` until it ends.
    pub async fn serve_connection<S>(&self, stream: S, session: Arc<EgressSession>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let permit = session.open_connection();
        let told = permit.as_ref().err().map(|_| session.open_refused());
        if let (Err(refusal), Some(None)) = (&permit, &told) {
            session.note_refusal(refusal);
            return;
        }
        let pending: Mutex<Option<PendingTunnel>> = Mutex::default();
        let service = service_fn(|request| {
            let (session, refused, pending) = (&session, permit.as_ref().err(), &pending);
            async move {
                let answer = match refused {
                    Some(refusal) => Err(refusal.clone()),
                    None => self.answer_request(request, session, pending).await,
                };
                Ok::<_, Infallible>(answer.unwrap_or_else(|refusal| {
                    session.note_refusal(&refusal);
                    refusal_response(&refusal)
                }))
            }
        });
        let mut builder = server_builder(&self.parts.clock);
        builder.keep_alive(permit.is_ok());
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let served = match permit {
            Ok(_) => connection.await,
            // One too many hears why and is gone, whether it asks for anything or not.
            Err(_) => {
                let served = with_deadline(self.parts.clock.as_ref(), REFUSED_MAX, connection);
                served.await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = served {
            debug!("A connection of a sandbox ended early: {error}");
        }
        let pending = pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(PendingTunnel { tunnel, upgrade }) = pending {
            match upgrade.await {
                Ok(upgraded) => {
                    self.run_tunnel(tunnel, TokioIo::new(upgraded), &session)
                        .await;
                }
                Err(error) => debug!("A tunnel was not begun: {error}"),
            }
        }
    }

    /// Serves a connection that a request asked to be taken over, until it ends.
    pub async fn serve_upgrade(&self, upgrade: OnUpgrade, session: Arc<EgressSession>) {
        match upgrade.await {
            Ok(upgraded) => self.serve_connection(TokioIo::new(upgraded), session).await,
            Err(error) => debug!("A connection of a sandbox was not taken over: {error}"),
        }
    }

    async fn answer_request(
        &self,
        mut request: Request<Incoming>,
        session: &Arc<EgressSession>,
        pending: &Mutex<Option<PendingTunnel>>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        if request.method() != Method::CONNECT {
            return self.answer_plain(request, session).await;
        }
        let named = request
            .uri()
            .authority()
            .map(|authority| authority.as_str().to_owned());
        let tunnel = self
            .open_tunnel(named.as_deref().unwrap_or_default(), session)
            .await?;
        let upgrade = hyper::upgrade::on(&mut request);
        *pending.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(PendingTunnel { tunnel, upgrade });
        Ok(Response::new(whole_body(Bytes::new())))
    }

    /// Judges where a tunnel is to lead, and connects to it.
    ///
    /// # Errors
    /// Returns the refusal, which is the answer to the client.
    async fn open_tunnel(
        &self,
        authority: &str,
        session: &Arc<EgressSession>,
    ) -> Result<OpenTunnel, Refusal> {
        let target = EgressTarget::parse(authority, 443)
            .map_err(|error| Refusal::new(RefusalReason::BadTarget, &error.0))?;
        let policy = session.egress_policy();
        let site = target.host.as_name();
        let found = site.and_then(|name| {
            let address = self.parts.service.find_site(name, session)?;
            Some((name.to_owned(), address))
        });
        if let Some((name, address)) = found {
            let access = policy.registry_access(&target)?;
            return Ok(OpenTunnel::Registry {
                name,
                address,
                access,
            });
        }
        policy.check_host(&target)?;
        session.count_request(&target.to_string())?;
        let lists_address = |address: IpAddr| policy.hosts.lists_address(address, target.port);
        let addresses = self.parts.resolver.resolve(&target, lists_address).await?;
        let upstream = self
            .parts
            .resolver
            .connect_first(&target, &addresses)
            .await?;
        Ok(OpenTunnel::Host(HostTunnel { target, upstream }))
    }

    /// Serves the client's side of a tunnel until it ends.
    async fn run_tunnel<S>(&self, tunnel: OpenTunnel, client: S, session: &Arc<EgressSession>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match tunnel {
            OpenTunnel::Host(tunnel) => {
                tunnel.run(client, session, self.parts.clock.as_ref()).await;
            }
            OpenTunnel::Registry {
                name,
                address,
                access,
            } => {
                let site = (name.as_str(), &address);
                if let Err(refusal) = self.serve_registry(client, site, access, session).await {
                    session.note_refusal(&refusal);
                }
            }
        }
    }

    /// Ends TLS for a registry and answers what is asked inside.
    async fn serve_registry<S>(
        &self,
        client: S,
        (host, address): (&str, &SiteAddress),
        access: RegistryAccess,
        session: &Arc<EgressSession>,
    ) -> Result<(), Refusal>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = self
            .parts
            .authority
            .server_config(host, self.parts.clock.now());
        let config = config.map_err(|error| {
            warn!("No certificate could be made: {error}");
            Refusal::new(RefusalReason::CertificateRefused, host).with_detail(error)
        })?;
        let accepted = TlsAcceptor::from(config).accept(client);
        let accepted = with_deadline(self.parts.clock.as_ref(), HANDSHAKE_MAX, accepted).await;
        let accepted = accepted
            .map_err(|passed| Refusal::new(RefusalReason::NotTls, host).with_detail(passed))?;
        let stream = accepted.map_err(|error| handshake_refusal(host, &error))?;
        let server_name = stream.get_ref().1.server_name().map(str::to_owned);
        let service = service_fn(|request| {
            let server_name = server_name.as_deref();
            async move {
                let answer = match check_names(&request, server_name, host) {
                    Ok(()) => {
                        self.answer_registry(&request, address, access, session)
                            .await
                    }
                    Err(refusal) => Err(refusal),
                };
                Ok::<_, Infallible>(answer.unwrap_or_else(|refusal| {
                    session.note_refusal(&refusal);
                    refusal_response(&refusal)
                }))
            }
        });
        let builder = server_builder(&self.parts.clock);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            debug!(host, "A connection to a registry ended early: {error}");
        }
        Ok(())
    }

    async fn answer_registry(
        &self,
        request: &Request<Incoming>,
        address: &SiteAddress,
        access: RegistryAccess,
        session: &Arc<EgressSession>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let shape = RequestShape {
            method: request.method(),
            path,
            has_body: !request.body().is_end_stream(),
        };
        let item = address.parse_request(shape).map_err(|reason| {
            let path: String = path.chars().take(100).collect();
            Refusal::new(reason, &address.host)
                .with_detail(format_args!("{} {path}", request.method()))
        })?;
        let call = RegistryCall {
            session: session.clone(),
            address: address.clone(),
            access,
            item,
            takes_json: takes_json(request.headers()),
        };
        Ok(registry_response(
            self.parts.service.answer_call(&call).await?,
        ))
    }

    /// Answers a request that names its host itself, without TLS.
    async fn answer_plain(
        &self,
        request: Request<Incoming>,
        session: &Arc<EgressSession>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let named = request
            .uri()
            .authority()
            .filter(|_| request.uri().scheme_str() == Some("http"));
        let named = named.map(|authority| authority.as_str().to_owned());
        let target = named
            .as_deref()
            .and_then(|named| EgressTarget::parse(named, 80).ok());
        let Some(target) = target else {
            let uri: String = request.uri().to_string().chars().take(100).collect();
            return Err(Refusal::new(RefusalReason::BadTarget, uri));
        };
        let site = target.host.as_name();
        if site.is_some_and(|name| self.parts.service.find_site(name, session).is_some()) {
            return Err(Refusal::new(RefusalReason::RegistryWithoutTls, &target));
        }
        let policy = session.egress_policy();
        policy.check_host(&target)?;
        check_reading(request.method(), !request.body().is_end_stream(), &target)?;
        session.count_request(&target.to_string())?;
        let lists_address = |address: IpAddr| policy.hosts.lists_address(address, target.port);
        let addresses = self.parts.resolver.resolve(&target, lists_address).await?;
        let upstream = self
            .parts
            .resolver
            .connect_first(&target, &addresses)
            .await?;
        forward_request(
            request,
            &target,
            upstream,
            session,
            self.parts.clock.as_ref(),
        )
        .await
    }
}

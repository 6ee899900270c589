//! Asking registries: requests made here from what is needed, never passed on from a client.

use std::error::Error as _;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, StatusCode};
use omoi_domain::time::Timestamp;
use omoi_runtime::clock::{Clocked, with_deadline};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{Instrument as _, debug, info_span};

use crate::host::EgressTarget;
use crate::refusal::{Refusal, RefusalReason};
use crate::resolve::CheckedResolver;

/// Bytes of one document, unpacked.
pub const DOCUMENT_BYTES_MAX: u64 = 128 << 20;
/// Bytes of one file of a package.
pub const ARTEFACT_BYTES_MAX: u64 = 2 << 30;
/// How long a registry may take to begin its answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long a registry may be silent in the middle of one.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A registry could not be prepared to be asked.
#[derive(Debug, thiserror::Error)]
#[error("could not prepare connections to registries")]
pub struct UpstreamSetupError(#[from] reqwest::Error);

/// How registries are reached.
#[derive(Clone, Default)]
pub struct UpstreamSettings {
    /// Certificates that are trusted beside those of the machine, as DER.
    pub extra_roots: Vec<Vec<u8>>,
    /// The same as PEM, one or several each.
    pub pem_roots: Vec<Vec<u8>>,
    /// Addresses inside that a registry may have: private registries.
    pub listed_addresses: Vec<IpAddr>,
}

/// Connections to registries.
#[derive(Clone)]
pub struct UpstreamRegistries {
    client: reqwest::Client,
    clock: Clocked,
}

/// One request to a registry.
#[derive(Clone, Copy)]
pub struct UpstreamRequest<'a> {
    /// The host of the registry.
    pub host: &'a str,
    /// The path, made from what was asked for.
    pub path: &'a str,
    /// The media type wanted.
    pub accept: &'static str,
    /// What the cached copy was called, so that an unchanged one is not sent again.
    pub etag: Option<&'a str>,
    /// The value of `authorization` for a private registry.
    pub credential: Option<&'a SecretString>,
}

/// The answer to a request for a document.
pub enum UpstreamDocument {
    /// A new copy with its name.
    Fresh {
        /// The document, unpacked.
        body: Bytes,
        /// What the registry calls this copy.
        etag: Option<String>,
    },
    /// The cached copy is the newest.
    Unchanged,
    /// The registry does not have it.
    Missing,
}

/// The beginning of a file on its way.
pub struct UpstreamArtefact {
    response: reqwest::Response,
    clock: Clocked,
    host: String,
    /// When the registry says the file was made.
    pub modified_at: Option<Timestamp>,
    /// The size that was declared.
    pub declared_bytes: Option<u64>,
}

impl UpstreamRegistries {
    /// Connections that resolve through `resolver`.
    ///
    /// # Errors
    /// When the machine offers no TLS.
    pub fn new(
        resolver: CheckedResolver,
        settings: UpstreamSettings,
        clock: Clocked,
    ) -> Result<Self, UpstreamSetupError> {
        let resolver = RegistryResolver {
            resolver,
            listed_addresses: Arc::from(settings.listed_addresses),
        };
        let mut builder = reqwest::Client::builder()
            .dns_resolver(Arc::new(resolver))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(true)
            .user_agent(concat!("omoi/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20));
        let roots = settings.extra_roots.iter();
        let roots: Result<Vec<_>, _> = roots
            .map(|root| reqwest::Certificate::from_der(root))
            .collect();
        let mut roots = roots?;
        for pem in &settings.pem_roots {
            roots.extend(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        builder = builder.tls_certs_merge(roots);
        let client = builder.build()?;
        Ok(Self { client, clock })
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// Returns the refusal: the registry away, redirecting, answering with an error or with too much.
    pub async fn fetch_document(
        &self,
        request: UpstreamRequest<'_>,
    ) -> Result<UpstreamDocument, Refusal> {
        let response = self.send(request, true).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if request.etag.is_some() => {
                return Ok(UpstreamDocument::Unchanged);
            }
            StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
                return Ok(UpstreamDocument::Missing);
            }
            _ => check_status(request.host, &response)?,
        }
        let etag = header_text(response.headers(), ETAG.as_str()).map(str::to_owned);
        let encoding = header_text(response.headers(), CONTENT_ENCODING.as_str());
        let is_packed = match encoding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("identity" | "") => false,
            Some("gzip" | "x-gzip") => true,
            Some(other) => {
                return Err(Refusal::new(RefusalReason::RegistryAnswer, request.host)
                    .with_detail(format_args!("packed as `{other}`, which was not asked for")));
            }
        };
        let mut artefact = self.artefact(request.host, response);
        artefact.check_declared(DOCUMENT_BYTES_MAX)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = artefact.next_chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > DOCUMENT_BYTES_MAX {
                return Err(too_large(request.host, DOCUMENT_BYTES_MAX));
            }
        }
        let body = match is_packed {
            true => unpack(request.host, &body)?,
            false => body.freeze(),
        };
        Ok(UpstreamDocument::Fresh { body, etag })
    }

    /// Asks for a file; `None` when the registry does not have it.
    ///
    /// # Errors
    /// Returns the refusal: the registry away, redirecting, answering with an error or declaring too much.
    pub async fn fetch_artefact(
        &self,
        request: UpstreamRequest<'_>,
    ) -> Result<Option<UpstreamArtefact>, Refusal> {
        let response = self.send(request, false).await?;
        if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&response.status()) {
            return Ok(None);
        }
        check_status(request.host, &response)?;
        let artefact = self.artefact(request.host, response);
        artefact.check_declared(ARTEFACT_BYTES_MAX)?;
        Ok(Some(artefact))
    }

    fn artefact(&self, host: &str, response: reqwest::Response) -> UpstreamArtefact {
        UpstreamArtefact {
            modified_at: modified_at(response.headers()),
            declared_bytes: response.content_length(),
            response,
            clock: self.clock.clone(),
            host: host.to_owned(),
        }
    }

    /// Sends a request twice when the first connection fails: one from the pool may have died unseen.
    async fn send(
        &self,
        request: UpstreamRequest<'_>,
        may_pack: bool,
    ) -> Result<reqwest::Response, Refusal> {
        let url = format!("https://{}{}", request.host, request.path);
        let span = info_span!("registry", url = %url);
        let mut last = None;
        for _ in 0..2 {
            let mut call = self.client.get(&url).header(ACCEPT, request.accept);
            call = call.header(ACCEPT_ENCODING, if may_pack { "gzip" } else { "identity" });
            if let Some(etag) = request.etag {
                call = call.header(IF_NONE_MATCH, etag);
            }
            if let Some(credential) = request.credential {
                call = call.header(http::header::AUTHORIZATION, credential.expose_secret());
            }
            let sent = with_deadline(self.clock.as_ref(), ANSWER_MAX, call.send());
            match sent.instrument(span.clone()).await {
                Ok(Ok(response)) if response.status().is_server_error() => {
                    let says = format!("status {}", response.status().as_u16());
                    last = Some(unreachable(request.host).with_detail(says));
                }
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => match resolver_refusal(&error) {
                    Some(refusal) => return Err(refusal),
                    None => last = Some(unreachable(request.host).with_detail(root_cause(&error))),
                },
                Err(passed) => return Err(unreachable(request.host).with_detail(passed)),
            }
            debug!(url, "A registry did not answer: {last:?}");
        }
        Err(last.unwrap_or_else(|| unreachable(request.host)))
    }
}

impl UpstreamArtefact {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the registry falls silent or the connection breaks.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        match with_deadline(self.clock.as_ref(), SILENCE_MAX, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(unreachable(&self.host).with_detail(root_cause(&error))),
            Err(passed) => Err(unreachable(&self.host).with_detail(passed)),
        }
    }

    fn check_declared(&self, max: u64) -> Result<(), Refusal> {
        match self.declared_bytes.filter(|bytes| *bytes > max) {
            Some(_) => Err(too_large(&self.host, max)),
            None => Ok(()),
        }
    }
}

/// Lets only checked addresses reach the connector, which looks nothing up by itself.
struct RegistryResolver {
    resolver: CheckedResolver,
    listed_addresses: Arc<[IpAddr]>,
}

impl Resolve for RegistryResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.resolver.clone();
        let listed = Arc::clone(&self.listed_addresses);
        Box::pin(async move {
            let target = EgressTarget::parse(name.as_str(), 443)?;
            let addresses = resolver
                .resolve(&target, |address| listed.contains(&address))
                .await?;
            let addresses: Vec<SocketAddr> = addresses;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The refusal of our own resolver inside the error of the library.
fn resolver_refusal(error: &reqwest::Error) -> Option<Refusal> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        source = cause.source();
    }
    None
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn check_status(host: &str, response: &reqwest::Response) -> Result<(), Refusal> {
    let status = response.status();
    if status.is_redirection() {
        let to = header_text(response.headers(), LOCATION.as_str()).unwrap_or("nowhere");
        return Err(
            Refusal::new(RefusalReason::RedirectRefused, host).with_detail(format_args!(
                "to {}",
                to.chars().take(200).collect::<String>()
            )),
        );
    }
    if status != StatusCode::OK {
        return Err(Refusal::new(RefusalReason::RegistryAnswer, host)
            .with_detail(format_args!("status {}", status.as_u16())));
    }
    Ok(())
}

fn unreachable(host: &str) -> Refusal {
    Refusal::new(RefusalReason::RegistryUnreachable, host)
}

fn too_large(subject: &str, max: u64) -> Refusal {
    Refusal::new(RefusalReason::TooLarge, subject)
        .with_detail(format_args!("at most {} MiB", max >> 20))
}

fn unpack(host: &str, packed: &[u8]) -> Result<Bytes, Refusal> {
    let mut body = Vec::new();
    let mut reader = GzDecoder::new(packed).take(DOCUMENT_BYTES_MAX + 1);
    reader
        .read_to_end(&mut body)
        .map_err(|error| Refusal::new(RefusalReason::RegistryAnswer, host).with_detail(error))?;
    if body.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(too_large(host, DOCUMENT_BYTES_MAX));
    }
    Ok(body.into())
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn modified_at(headers: &HeaderMap) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(header_text(headers, LAST_MODIFIED.as_str())?).ok()?;
    let since_epoch = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::default() + since_epoch)
}

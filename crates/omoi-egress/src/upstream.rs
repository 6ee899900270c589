//! Asking registries: requests made here from what is needed, never passed on from a client.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, StatusCode};
use omoi_domain::time::Timestamp;
use omoi_runtime::clock::{Clocked, DeadlinePassed, with_deadline};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{Instrument as _, debug, info_span};

use crate::cache::RegistryCache;
use crate::document_memory::{DocumentMemory, LARGE_BYTES, LargeTurn};
use crate::document_spool::DocumentSpool;
use crate::refusal::{ClosedRegistry, Refusal, RefusalReason};
use crate::registry::RegistrySite;
use crate::resolve::CheckedResolver;
use crate::upstream_client::{client_of, resolver_refusal};

/// Bytes of one document, unpacked.
pub const DOCUMENT_BYTES_MAX: u64 = 128 << 20;

/// How much patience registries find, and how much may come from them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// How long a registry may take to begin its answer.
    pub first_byte: Duration,
    /// How long it may be silent in the middle of one.
    pub silence: Duration,
    /// How long the whole of a document may take.
    pub document: Duration,
    /// How long the whole of a file may take.
    pub artefact: Duration,
    /// Bytes of one file of a package.
    pub artefact_bytes: u64,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            silence: Duration::from_secs(30),
            document: Duration::from_secs(120),
            artefact: Duration::from_secs(30 * 60),
            artefact_bytes: 2 << 30,
        }
    }
}

/// A registry could not be prepared to be asked.
#[derive(Debug, thiserror::Error)]
#[error("could not prepare connections to registries")]
pub struct UpstreamSetupError(#[from] reqwest::Error);

/// How registries are reached.
#[derive(Clone, Default)]
pub struct UpstreamSettings {
    /// What holds for every registry.
    pub all: HostTrust,
    /// What holds for a host alone, in place of that.
    pub hosts: HashMap<String, HostTrust>,
    /// How long they may take and how much may come.
    pub limits: FetchLimits,
}

/// Whom a registry may be.
#[derive(Clone, Debug, Default)]
pub struct HostTrust {
    /// Certificates that are trusted beside those of the machine, as PEM, one or several each.
    pub pem_roots: Vec<Vec<u8>>,
    /// Addresses inside that it may have.
    pub listed_addresses: Vec<IpAddr>,
}

/// Connections to registries.
#[derive(Clone)]
pub struct UpstreamRegistries {
    client: reqwest::Client,
    /// Clients of hosts with a trust of their own.
    host_clients: Arc<HashMap<String, reqwest::Client>>,
    limits: FetchLimits,
    clock: Clocked,
}

/// One request to a registry.
#[derive(Clone, Copy)]
pub struct UpstreamRequest<'a> {
    /// The host of the registry.
    pub host: &'a str,
    /// What the registry serves.
    pub site: RegistrySite,
    /// The path, made from what was asked for.
    pub path: &'a str,
    /// The media type wanted.
    pub accept: &'static str,
    /// What the cached copy was called, so that an unchanged one is not sent again.
    pub etag: Option<&'a str>,
    /// The value of `authorization` for a private registry.
    pub credential: Option<&'a SecretString>,
}

/// Where a document that comes has room.
#[derive(Clone, Copy)]
pub struct DocumentRoom<'a> {
    /// Large ones take turns in memory, once they are whole.
    pub memory: &'a DocumentMemory,
    /// Until then they lie in a file of its folder.
    pub cache: &'a RegistryCache,
}

/// The answer to a request for a document.
pub enum UpstreamDocument {
    /// A new copy with its name.
    Fresh {
        /// The document, unpacked.
        body: Bytes,
        /// What the registry calls this copy.
        etag: Option<String>,
        /// When the registry says that it was made.
        modified_at: Option<Timestamp>,
        /// The right to hold it, where it is large.
        turn: LargeTurn,
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
    silence: Duration,
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
        let client = client_of(&resolver, settings.all)?;
        let mut host_clients = HashMap::new();
        for (host, trust) in settings.hosts {
            host_clients.insert(host, client_of(&resolver, trust)?);
        }
        Ok(Self {
            client,
            host_clients: Arc::new(host_clients),
            limits: settings.limits,
            clock,
        })
    }

    /// How long registries may take, and how much may come.
    pub const fn fetch_limits(&self) -> &FetchLimits {
        &self.limits
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// Returns the refusal: the registry away, redirecting, answering with an error or with too much.
    pub async fn fetch_document(
        &self,
        request: UpstreamRequest<'_>,
        room: DocumentRoom<'_>,
    ) -> Result<UpstreamDocument, Refusal> {
        let DocumentRoom { memory, cache } = room;
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
            _ => check_status(request, &response)?,
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
        let modified_at = artefact.modified_at;
        let mut spool = DocumentSpool::new(cache);
        let reading = read_document(&mut artefact, &mut spool);
        let read = with_deadline(self.clock.as_ref(), self.limits.document, reading).await;
        let late = |passed: DeadlinePassed| whole_too_slow(request.host, passed);
        read.map_err(late)??;
        let loaded = spool.load(memory).await;
        let (mut body, mut turn) = loaded.map_err(|error| unkept(request.host, error))?;
        if is_packed {
            let packed = std::mem::take(&mut body);
            body = match unpack(request.host, &packed, LARGE_BYTES)? {
                Some(body) => body,
                None => {
                    if turn.is_none() {
                        turn = memory.take_turn(DOCUMENT_BYTES_MAX).await;
                    }
                    self.unpack_large(request.host, packed, memory).await?
                }
            };
        }
        Ok(UpstreamDocument::Fresh {
            body,
            etag,
            modified_at,
            turn,
        })
    }

    async fn unpack_large(
        &self,
        host: &str,
        packed: Bytes,
        memory: &DocumentMemory,
    ) -> Result<Bytes, Refusal> {
        let named = host.to_owned();
        let unpacking = move || unpack(&named, &packed, DOCUMENT_BYTES_MAX);
        let unpacked = memory.read_aside(usize::MAX, unpacking).await;
        let broken = |error| Refusal::new(RefusalReason::RegistryAnswer, host).with_detail(error);
        let unpacked = unpacked.map_err(broken)??;
        unpacked.ok_or_else(|| too_large(host, DOCUMENT_BYTES_MAX))
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
        check_status(request, &response)?;
        let artefact = self.artefact(request.host, response);
        artefact.check_declared(self.limits.artefact_bytes)?;
        Ok(Some(artefact))
    }

    fn artefact(&self, host: &str, response: reqwest::Response) -> UpstreamArtefact {
        UpstreamArtefact {
            modified_at: modified_at(response.headers()),
            declared_bytes: response.content_length(),
            response,
            clock: self.clock.clone(),
            host: host.to_owned(),
            silence: self.limits.silence,
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
            let client = self.host_clients.get(request.host);
            let client = client.unwrap_or(&self.client);
            let mut call = client.get(&url).header(ACCEPT, request.accept);
            call = call.header(ACCEPT_ENCODING, if may_pack { "gzip" } else { "identity" });
            if let Some(etag) = request.etag {
                call = call.header(IF_NONE_MATCH, etag);
            }
            if let Some(credential) = request.credential {
                call = call.header(http::header::AUTHORIZATION, credential.expose_secret());
            }
            let sent = with_deadline(self.clock.as_ref(), self.limits.first_byte, call.send());
            match sent.instrument(span.clone()).await {
                Ok(Ok(response)) if response.status().is_server_error() => {
                    let says = format!("status {}", response.status().as_u16());
                    last = Some(unreachable(request.host).with_detail(says));
                }
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => match resolver_refusal(&error) {
                    Some(refusal) if refusal.reason == RefusalReason::NameNotResolved => {
                        return Err(
                            unreachable(request.host).with_detail("its name has no address")
                        );
                    }
                    Some(refusal) => return Err(refusal),
                    None => last = Some(unreachable(request.host).with_detail(root_cause(&error))),
                },
                Err(DeadlinePassed(limit)) => {
                    return Err(too_slow(
                        request.host,
                        format_args!("no answer within {limit:?}"),
                    ));
                }
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
        match with_deadline(self.clock.as_ref(), self.silence, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(unreachable(&self.host).with_detail(root_cause(&error))),
            Err(DeadlinePassed(limit)) => {
                Err(too_slow(&self.host, format_args!("silent for {limit:?}")))
            }
        }
    }

    fn check_declared(&self, max: u64) -> Result<(), Refusal> {
        match self.declared_bytes.filter(|bytes| *bytes > max) {
            Some(_) => Err(too_large(&self.host, max)),
            None => Ok(()),
        }
    }
}

/// Reads a document to its end.
async fn read_document(
    artefact: &mut UpstreamArtefact,
    spool: &mut DocumentSpool<'_>,
) -> Result<(), Refusal> {
    while let Some(chunk) = artefact.next_chunk().await? {
        if spool.n_bytes() + chunk.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(too_large(&artefact.host, DOCUMENT_BYTES_MAX));
        }
        let kept = spool.push(&chunk).await;
        kept.map_err(|error| unkept(&artefact.host, error))?;
    }
    Ok(())
}

fn unkept(host: &str, error: std::io::Error) -> Refusal {
    Refusal::new(RefusalReason::CacheFailed, host).with_detail(error)
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn check_status(request: UpstreamRequest<'_>, response: &reqwest::Response) -> Result<(), Refusal> {
    let (host, status) = (request.host, response.status());
    // A public registry says of files that it does not have that they are forbidden.
    let is_closed = status == StatusCode::UNAUTHORIZED
        || (status == StatusCode::FORBIDDEN && RegistrySite::at_host(host).is_none());
    if is_closed {
        let registry = ClosedRegistry {
            host: host.to_owned(),
            site: request.site,
            refused_one: request.credential.is_some(),
        };
        let refusal = Refusal::of_closed_registry(registry, host);
        return Err(refusal.with_detail(format_args!("status {}", status.as_u16())));
    }
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

fn too_slow(subject: impl fmt::Display, how: impl fmt::Display) -> Refusal {
    Refusal::new(RefusalReason::RegistrySlow, subject).with_detail(how)
}

/// The whole of something did not come in time, however steadily it came.
pub(crate) fn whole_too_slow(
    subject: impl fmt::Display,
    DeadlinePassed(limit): DeadlinePassed,
) -> Refusal {
    too_slow(subject, format_args!("not whole within {limit:?}"))
}

pub(crate) fn too_large(subject: impl fmt::Display, max: u64) -> Refusal {
    Refusal::new(RefusalReason::TooLarge, subject)
        .with_detail(format_args!("at most {} MiB", max >> 20))
}

/// What was packed, if it is no more than `max` bytes.
fn unpack(host: &str, packed: &[u8], max: u64) -> Result<Option<Bytes>, Refusal> {
    let mut body = Vec::new();
    let mut reader = GzDecoder::new(packed).take(max + 1);
    reader
        .read_to_end(&mut body)
        .map_err(|error| Refusal::new(RefusalReason::RegistryAnswer, host).with_detail(error))?;
    Ok((body.len() as u64 <= max).then(|| body.into()))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn modified_at(headers: &HeaderMap) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(header_text(headers, LAST_MODIFIED.as_str())?).ok()?;
    let since_epoch = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::default() + since_epoch)
}

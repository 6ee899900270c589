//! Documents: from the cache or the registry, judged for each answer, aside where they are large.

use tokio::fs::File;
use tracing::{debug, warn};

use super::release::FoundManifest;
use super::source::{DocumentKind, DocumentSource};
use super::{
    Bytes, CachedDocument, CrateVersions, DOCUMENT_FRESH, Freshness, HTML_TYPE, JSON_TYPE,
    MalformedDocument, PackageName, PackageRegistry, Packument, ProjectFiles, Refusal,
    RefusalReason, RegistryAccess, RegistryCall, RegistryReply, RegistryService, ReplyContent,
    UpstreamDocument, UpstreamRequest, reply,
};
use crate::cache::CacheKey;
use crate::document_memory::{LARGE_BYTES, LargeTurn};
use crate::session::NameTicket;
use crate::upstream::DocumentRoom;

/// A document with the right to hold it, where it is large. Who holds one loads no other.
pub(super) struct HeldDocument {
    pub(super) document: CachedDocument,
    turn: LargeTurn,
}

impl HeldDocument {
    /// The bytes of a document that has no reason to be large.
    pub(super) fn into_small_body(self, source: &DocumentSource) -> Result<Bytes, Refusal> {
        match self.turn {
            None => Ok(self.document.body),
            Some(_) => Err(Refusal::new(RefusalReason::TooLarge, source.subject_name())
                .with_detail(format_args!("at most {} MiB", LARGE_BYTES >> 20))),
        }
    }
}

/// A document that is to be shown to a client.
struct ShownDocument<'a> {
    held: HeldDocument,
    source: &'a DocumentSource,
    content_type: &'static str,
}

impl RegistryService {
    pub(super) async fn answer_packument(
        &self,
        call: &RegistryCall,
        name: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Packument(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("application/json", None));
        };
        let (name, session) = (name.to_owned(), call.session.clone());
        let render = move |body: &[u8]| {
            let mut packument = Packument::parse(&name, body)?;
            packument.hide_young(&session.age_rule(&session.egress_policy()));
            Ok(packument.render())
        };
        let shown = ShownDocument {
            held: document,
            source: &source,
            content_type: "application/json",
        };
        self.answer_rendered(call, shown, render).await
    }

    pub(super) async fn answer_manifest(
        &self,
        call: &RegistryCall,
        name: &str,
        version: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Packument(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("application/json", None));
        };
        let asked = PackageName::new(PackageRegistry::Npm, name).at_version(version);
        let (wanted, session) = (asked.clone(), call.session.clone());
        let find = move |body: &[u8]| {
            let mut packument = Packument::parse(&wanted.package.name, body)?;
            if packument.find_manifest(&wanted.version).is_none() {
                return Ok(FoundManifest::Missing);
            }
            packument.hide_young(&session.age_rule(&session.egress_policy()));
            let shown = packument.find_manifest(&wanted.version);
            Ok(shown.map_or(FoundManifest::TooYoung, |manifest| {
                FoundManifest::Shown(manifest.get().to_owned())
            }))
        };
        let found = self.read_document(document, &source, find).await?;
        found.into_reply(&asked)
    }

    pub(super) async fn answer_crate(
        &self,
        call: &RegistryCall,
        name: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Crate(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("text/plain", None));
        };
        let (name, session) = (name.to_owned(), call.session.clone());
        let render = move |body: &[u8]| {
            let versions = CrateVersions::parse(&name, body)?;
            Ok(versions.render_shown(&session.age_rule(&session.egress_policy())))
        };
        let shown = ShownDocument {
            held: document,
            source: &source,
            content_type: "text/plain",
        };
        self.answer_rendered(call, shown, render).await
    }

    pub(super) async fn answer_project(
        &self,
        call: &RegistryCall,
        name: &str,
    ) -> Result<RegistryReply, Refusal> {
        let takes_json = call.takes_json;
        let content_type = if takes_json { JSON_TYPE } else { HTML_TYPE };
        let source = call.document(DocumentKind::Project(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply(content_type, None));
        };
        let (name, session) = (name.to_owned(), call.session.clone());
        let page = source.page_address();
        let render = move |body: &[u8]| {
            let mut files = ProjectFiles::parse(&name, &page, body)?;
            files.hide_young(&session.age_rule(&session.egress_policy()));
            Ok(match takes_json {
                true => files.render(),
                false => files.render_page(),
            })
        };
        let shown = ShownDocument {
            held: document,
            source: &source,
            content_type,
        };
        self.answer_rendered(call, shown, render).await
    }

    /// What `read` finds in a document; it is let go before anything else is asked for.
    pub(super) async fn read_document<T: Send + 'static>(
        &self,
        held: HeldDocument,
        source: &DocumentSource,
        read: impl FnOnce(&[u8]) -> Result<T, MalformedDocument> + Send + 'static,
    ) -> Result<T, Refusal> {
        let bytes = held.document.body.len();
        let work = move || {
            let found = read(&held.document.body);
            drop(held);
            found
        };
        let done = self.parts.memory.read_aside(bytes, work).await;
        let broken = |error| {
            Refusal::new(RefusalReason::RegistryAnswer, source.subject_name()).with_detail(error)
        };
        source.read(done.map_err(broken)?)
    }

    /// Answers with what `render` makes of a document. A large answer waits on disk for its client, so that
    /// one that reads slowly holds up nobody else.
    async fn answer_rendered(
        &self,
        call: &RegistryCall,
        shown: ShownDocument<'_>,
        render: impl FnOnce(&[u8]) -> Result<Vec<u8>, MalformedDocument> + Send + 'static,
    ) -> Result<RegistryReply, Refusal> {
        let ShownDocument {
            held,
            source,
            content_type,
        } = shown;
        if held.turn.is_none() {
            let body = self.read_document(held, source, render).await?;
            return Ok(reply(content_type, Some(body.into())));
        }
        let permit = call.session.hold_large_document(&source.subject_name())?;
        let cache = self.parts.cache.clone();
        let spool = move |body: &[u8]| {
            let rendered = render(body)?;
            Ok(cache
                .spool_bytes(&rendered)
                .map(|file| (file, rendered.len())))
        };
        let spooled = self.read_document(held, source, spool).await?;
        let (file, bytes) = spooled.map_err(|error| {
            Refusal::new(RefusalReason::CacheFailed, source.subject_name()).with_detail(error)
        })?;
        Ok(RegistryReply {
            content_type,
            content: ReplyContent::Spooled {
                file: File::from_std(file),
                bytes: bytes as u64,
                permit,
            },
        })
    }

    /// A document from the cache or the registry; `None` when the registry does not have it.
    pub(super) async fn load_document(
        &self,
        call: &RegistryCall,
        source: &DocumentSource,
        freshness: Freshness,
    ) -> Result<Option<HeldDocument>, Refusal> {
        let parts = &self.parts;
        let key = source.cache_key();
        let _turn = parts.locks.lock(&key).await;
        let now = parts.clock.now();
        let cached = self.read_cached(&key).await;
        if let Some(held) = cached {
            let is_recent = now.since(held.document.fetched_at) < DOCUMENT_FRESH;
            if is_recent || freshness == Freshness::Any || call.access != RegistryAccess::Fetch {
                return Ok(Some(held));
            }
            return self.renew_document(call, source, held).await;
        }
        if call.access != RegistryAccess::Fetch {
            let subject = source.subject_name();
            return Err(Refusal::new(RefusalReason::NotCached, subject));
        }
        match self.fetch_document(call, source, None).await? {
            UpstreamDocument::Fresh {
                body,
                etag,
                modified_at,
                turn,
            } => {
                let document = CachedDocument {
                    body,
                    etag,
                    fetched_at: now,
                    modified_at,
                    first_seen: now,
                };
                let document = self.keep_document(&key, document).await?;
                Ok(Some(HeldDocument { document, turn }))
            }
            UpstreamDocument::Missing | UpstreamDocument::Unchanged => Ok(None),
        }
    }

    async fn read_cached(&self, key: &CacheKey) -> Option<HeldDocument> {
        let bytes = self.parts.cache.document_bytes(key).await;
        let turn = self.parts.memory.take_turn(bytes).await;
        let document = self.parts.cache.read_document(key).await?;
        Some(HeldDocument { document, turn })
    }

    /// Asks whether a copy is still the newest. It is the answer when the registry is away.
    async fn renew_document(
        &self,
        call: &RegistryCall,
        source: &DocumentSource,
        held: HeldDocument,
    ) -> Result<Option<HeldDocument>, Refusal> {
        let key = source.cache_key();
        let now = self.parts.clock.now();
        let (etag, first_seen) = (held.document.etag.clone(), held.document.first_seen);
        // Nobody holds two large ones.
        drop(held);
        let known = KnownCopy {
            etag: etag.as_deref(),
        };
        let fetched = self.fetch_document(call, source, Some(known)).await;
        let subject = source.subject_name();
        match fetched {
            Ok(UpstreamDocument::Missing) => Ok(None),
            Ok(UpstreamDocument::Fresh {
                body,
                etag,
                modified_at,
                turn,
            }) => {
                let document = CachedDocument {
                    body,
                    etag,
                    fetched_at: now,
                    modified_at,
                    first_seen,
                };
                let document = self.keep_document(&key, document).await?;
                Ok(Some(HeldDocument { document, turn }))
            }
            Ok(UpstreamDocument::Unchanged) => {
                let Some(mut held) = self.read_cached(&key).await else {
                    return Ok(None);
                };
                held.document.fetched_at = now;
                held.document = self.keep_document(&key, held.document).await?;
                Ok(Some(held))
            }
            Err(refusal) => {
                let held = self
                    .read_cached(&key)
                    .await
                    .ok_or_else(|| refusal.clone())?;
                warn!("Answered with an older copy of `{subject}`: {refusal}");
                Ok(Some(held))
            }
        }
    }

    /// Asks the registry; `known` is what the copy at hand is called, where there is one.
    async fn fetch_document(
        &self,
        call: &RegistryCall,
        source: &DocumentSource,
        known: Option<KnownCopy<'_>>,
    ) -> Result<UpstreamDocument, Refusal> {
        let subject = source.subject_name();
        let mut ticket = match (known, source.kind.package_name()) {
            (None, Some(name)) => Some(call.session.reserve_name(&name).await?),
            _ => None,
        };
        if source.kind.names_are_free() {
            // Whoever has a host can make any name of it known.
            count_unknown(ticket.take());
        }
        call.session.count_request(&subject)?;
        let path = source.source_path();
        let request = UpstreamRequest {
            host: &source.address.host,
            site: source.address.site,
            path: &path,
            accept: source.kind.media_type(),
            etag: known.and_then(|known| known.etag),
            credential: source.address.credential.as_ref(),
        };
        let parts = &self.parts;
        let room = DocumentRoom {
            memory: &parts.memory,
            cache: &parts.cache,
        };
        let document = parts.upstream.fetch_document(request, room).await?;
        match &document {
            UpstreamDocument::Missing => {
                debug!("The registry does not have `{subject}`");
                count_unknown(ticket);
            }
            UpstreamDocument::Fresh { body, .. } => {
                call.session.count_download(&subject, body.len() as u64)?;
                let (kind, body) = (source.kind.clone(), body.clone());
                let (page, n_bytes) = (source.page_address(), body.len());
                let validate = move || kind.validate(&page, &body);
                let valid = parts.memory.read_aside(n_bytes, validate).await;
                source.read(valid.unwrap_or(Err(MalformedDocument("could not be read"))))?;
            }
            UpstreamDocument::Unchanged => {}
        }
        Ok(document)
    }

    async fn keep_document(
        &self,
        key: &CacheKey,
        document: CachedDocument,
    ) -> Result<CachedDocument, Refusal> {
        let kept = self.parts.cache.write_document(key, &document).await;
        kept.map_err(|error| {
            Refusal::new(RefusalReason::CacheFailed, &key.host).with_detail(error)
        })?;
        Ok(document)
    }
}

/// A copy at hand, which the registry need not send again.
#[derive(Clone, Copy)]
struct KnownCopy<'a> {
    /// What the registry calls it.
    etag: Option<&'a str>,
}

fn count_unknown(ticket: Option<NameTicket>) {
    if let Some(ticket) = ticket {
        ticket.count_unknown();
    }
}

//! What a registry answers an attempt: from the cache, or fetched, checked and kept.

mod download;
mod go;
mod source;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use omoi_domain::time::Timestamp;
use omoi_runtime::clock::Clocked;
use tracing::{debug, warn};

use crate::cache::{CacheKey, CachedArtefact, CachedDocument, RegistryCache};
use crate::document::crates_index::CrateVersions;
use crate::document::packument::Packument;
use crate::document::simple_index::{HTML_TYPE, JSON_TYPE, ProjectFiles};
use crate::document::{ArtefactFacts, MalformedDocument};
use crate::flight::FetchLocks;
use crate::package::{AgeDecision, PackageName, PackageRegistry, PackageVersion};
use crate::policy::RegistryAccess;
use crate::refusal::{Refusal, RefusalReason};
use crate::registry::{RegistryItem, RegistrySite, crates_io, go as go_paths, npm, pypi};
use crate::session::{EgressSession, PackageArrival};
use crate::sites::{RegistrySites, SiteAddress};
use crate::upstream::{UpstreamDocument, UpstreamRegistries, UpstreamRequest};
pub use download::ArtefactDownload;
use source::{DocumentKind, DocumentSource, facts_of};

/// How long a document is answered from the cache without asking whether it changed.
const DOCUMENT_FRESH: Duration = Duration::from_secs(300);

/// Answers for registries.
#[derive(Clone)]
pub struct RegistryService {
    parts: Arc<ServiceParts>,
}

/// What the service is made of.
pub struct ServiceParts {
    /// What was fetched.
    pub cache: RegistryCache,
    /// Where from.
    pub upstream: UpstreamRegistries,
    /// Which hosts are registries.
    pub sites: RegistrySites,
    /// The time.
    pub clock: Clocked,
    locks: FetchLocks<CacheKey>,
}

/// One request to a registry, with who asks.
#[derive(Clone)]
pub struct RegistryCall {
    /// Who asks.
    pub session: Arc<EgressSession>,
    /// Whom.
    pub address: SiteAddress,
    /// How far.
    pub access: RegistryAccess,
    /// What for.
    pub item: RegistryItem,
    /// Whether the client reads the simple index as JSON.
    pub takes_json: bool,
}

/// What the client is answered.
pub struct RegistryReply {
    /// The media type.
    pub content_type: &'static str,
    /// The content.
    pub content: ReplyContent,
}

/// The content of an answer.
pub enum ReplyContent {
    /// The registry does not have it.
    Missing,
    /// A document.
    Document(Bytes),
    /// A file of the cache.
    Cached {
        /// Opened for reading.
        file: tokio::fs::File,
        /// Its size.
        bytes: u64,
    },
    /// A large file on its way, whose last bytes come once its sum was checked.
    Arriving(Box<ArtefactDownload>),
}

/// How new a document must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// Any copy will do: what it says about a version does not change.
    Any,
    /// One of the last minutes, or what is there when the registry is away.
    Recent,
}

impl RegistryService {
    /// A service over a cache and the way to registries.
    pub fn new(
        cache: RegistryCache,
        upstream: UpstreamRegistries,
        sites: RegistrySites,
        clock: Clocked,
    ) -> Self {
        let locks = FetchLocks::default();
        let parts = ServiceParts {
            cache,
            upstream,
            sites,
            clock,
            locks,
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// The site at `host` as the attempt of `session` sees it.
    pub fn find_site(&self, host: &str, session: &EgressSession) -> Option<SiteAddress> {
        self.parts
            .sites
            .find(host, session.egress_policy().organisation.as_deref())
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Returns the refusal.
    pub async fn answer_call(&self, call: &RegistryCall) -> Result<RegistryReply, Refusal> {
        match &call.item {
            RegistryItem::NpmPackument { name } => self.answer_packument(call, name).await,
            RegistryItem::NpmManifest { name, version } => {
                self.answer_manifest(call, name, version).await
            }
            RegistryItem::CratesConfig => {
                let source = call.document(DocumentKind::CratesConfig);
                let document = self.load_document(call, &source, Freshness::Recent).await?;
                Ok(reply(
                    "application/json",
                    document.map(|document| document.body),
                ))
            }
            RegistryItem::CrateVersions { name } => self.answer_crate(call, name).await,
            RegistryItem::PypiProject { name } => self.answer_project(call, name).await,
            RegistryItem::GoDocument { module, version } => {
                self.answer_go_document(call, module, version).await
            }
            RegistryItem::GoSums { module, path } => {
                self.answer_go_sums(call, module.as_deref(), path).await
            }
            RegistryItem::GoSumProbe => Ok(reply("text/plain", None)),
            RegistryItem::GoFile {
                module,
                version,
                is_zip,
            } => {
                let path = go_paths::file_path(module, version, *is_zip);
                self.answer_artefact(call, &path).await
            }
            RegistryItem::NpmTarball { name, file } => {
                let path = npm::tarball_path(name, file);
                self.answer_artefact(call, &path).await
            }
            RegistryItem::CrateFile { name, version } => {
                let path = crates_io::crate_path(name, version);
                self.answer_artefact(call, &path).await
            }
            RegistryItem::PypiFile {
                path, is_metadata, ..
            } => {
                let ending = if *is_metadata { ".metadata" } else { "" };
                self.answer_artefact(call, &format!("{path}{ending}")).await
            }
        }
    }

    async fn answer_packument(
        &self,
        call: &RegistryCall,
        name: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Packument(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("application/json", None));
        };
        let mut packument = source.read(Packument::parse(name, &document.body))?;
        packument.hide_young(&call.session.age_rule());
        Ok(reply("application/json", Some(packument.render().into())))
    }

    async fn answer_manifest(
        &self,
        call: &RegistryCall,
        name: &str,
        version: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Packument(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("application/json", None));
        };
        let mut packument = source.read(Packument::parse(name, &document.body))?;
        if packument.find_manifest(version).is_none() {
            return Ok(reply("application/json", None));
        }
        packument.hide_young(&call.session.age_rule());
        let Some(manifest) = packument.find_manifest(version) else {
            let version = PackageName::new(PackageRegistry::Npm, name).at_version(version);
            return Err(Refusal::new(RefusalReason::VersionTooYoung, version));
        };
        let body = serde_json::to_vec(manifest).unwrap_or_default();
        Ok(reply("application/json", Some(body.into())))
    }

    async fn answer_crate(
        &self,
        call: &RegistryCall,
        name: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Crate(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("text/plain", None));
        };
        let versions = source.read(CrateVersions::parse(name, &document.body))?;
        let shown = versions.render_shown(&call.session.age_rule());
        Ok(reply("text/plain", Some(shown.into())))
    }

    async fn answer_project(
        &self,
        call: &RegistryCall,
        name: &str,
    ) -> Result<RegistryReply, Refusal> {
        let content_type = if call.takes_json {
            JSON_TYPE
        } else {
            HTML_TYPE
        };
        let source = call.document(DocumentKind::Project(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply(content_type, None));
        };
        let mut files = source.read(ProjectFiles::parse(name, &document.body))?;
        files.hide_young(&call.session.age_rule());
        let body = match call.takes_json {
            true => files.render(),
            false => files.render_page(),
        };
        Ok(reply(content_type, Some(body.into())))
    }

    /// A document from the cache or the registry; `None` when the registry does not have it.
    async fn load_document(
        &self,
        call: &RegistryCall,
        source: &DocumentSource,
        freshness: Freshness,
    ) -> Result<Option<CachedDocument>, Refusal> {
        let parts = &self.parts;
        let key = source.cache_key();
        let _turn = parts.locks.lock(&key).await;
        let cached = parts.cache.read_document(&key).await;
        let now = parts.clock.now();
        if let Some(cached) = &cached {
            let is_recent = now.since(cached.fetched_at) < DOCUMENT_FRESH;
            if is_recent || freshness == Freshness::Any || call.access != RegistryAccess::Fetch {
                return Ok(Some(cached.clone()));
            }
        }
        if call.access != RegistryAccess::Fetch {
            return Err(Refusal::new(
                RefusalReason::NotCached,
                source.subject_name(),
            ));
        }
        match self.fetch_document(call, source, cached.as_ref()).await {
            Ok(UpstreamDocument::Missing) => Ok(None),
            Ok(UpstreamDocument::Unchanged) => Ok(match cached {
                Some(cached) => Some(
                    self.keep_document(
                        &key,
                        CachedDocument {
                            fetched_at: now,
                            ..cached
                        },
                    )
                    .await?,
                ),
                None => None,
            }),
            Ok(UpstreamDocument::Fresh { body, etag }) => {
                let fetched_at = now;
                let document = CachedDocument {
                    body,
                    etag,
                    fetched_at,
                };
                Ok(Some(self.keep_document(&key, document).await?))
            }
            Err(refusal) => match cached {
                Some(cached) => {
                    warn!(
                        "Answered with an older copy of `{}`: {refusal}",
                        source.subject_name()
                    );
                    Ok(Some(cached))
                }
                None => Err(refusal),
            },
        }
    }

    async fn fetch_document(
        &self,
        call: &RegistryCall,
        source: &DocumentSource,
        cached: Option<&CachedDocument>,
    ) -> Result<UpstreamDocument, Refusal> {
        let subject = source.subject_name();
        let package = source.kind.package_name();
        if let (None, Some(package)) = (cached, &package) {
            call.session.check_name(package)?;
        }
        call.session.count_request(&subject)?;
        let path = source.kind.source_path();
        let request = UpstreamRequest {
            host: &source.address.host,
            path: &path,
            accept: source.kind.media_type(),
            etag: cached.and_then(|cached| cached.etag.as_deref()),
            credential: source.address.credential.as_ref(),
        };
        let document = self.parts.upstream.fetch_document(request).await?;
        match &document {
            UpstreamDocument::Missing => {
                debug!("The registry does not have `{subject}`");
                if let Some(package) = &package {
                    call.session.note_unknown(package);
                }
            }
            UpstreamDocument::Fresh { body, .. } => {
                call.session.count_download(&subject, body.len() as u64)?;
                source.read(source.kind.validate(body))?;
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

    /// What the registry's documents say about the file that is asked for.
    async fn find_facts(&self, call: &RegistryCall) -> Result<Option<ArtefactFacts>, Refusal> {
        if let RegistryItem::GoFile {
            module,
            version,
            is_zip,
        } = &call.item
        {
            let file = go::GoModuleVersion { module, version };
            return self.find_go_facts(call, file, *is_zip).await;
        }
        let organisation = call.session.egress_policy().organisation.as_deref();
        let address = self.parts.sites.documents_of(&call.address, organisation);
        let Some(kind) = DocumentKind::of_artefact(&call.item) else {
            return Ok(None);
        };
        let source = DocumentSource { address, kind };
        for freshness in [Freshness::Any, Freshness::Recent] {
            let Some(document) = self.load_document(call, &source, freshness).await? else {
                return Ok(None);
            };
            let facts = source.read(facts_of(&call.item, &document.body))?;
            if facts.is_some() {
                return Ok(facts);
            }
        }
        Ok(None)
    }
}

fn reply(content_type: &'static str, document: Option<Bytes>) -> RegistryReply {
    RegistryReply {
        content_type,
        content: document.map_or(ReplyContent::Missing, ReplyContent::Document),
    }
}

impl RegistryCall {
    fn document(&self, kind: DocumentKind) -> DocumentSource {
        let address = self.address.clone();
        DocumentSource { address, kind }
    }
}

//! What a registry answers an attempt: from the cache, or fetched, checked and kept.

mod document;
mod download;
mod fill;
mod go;
mod release;
mod source;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use omoi_domain::time::Timestamp;
use omoi_runtime::clock::Clocked;
use tokio::sync::OwnedSemaphorePermit;

use crate::cache::{CacheKey, CachePartition, CachedArtefact, CachedDocument, RegistryCache};
use crate::document::crates_index::CrateVersions;
use crate::document::packument::Packument;
use crate::document::simple_index::{HTML_TYPE, JSON_TYPE, ProjectFiles};
use crate::document::{ArtefactFacts, MalformedDocument};
use crate::document_memory::DocumentMemory;
use crate::flight::FetchLocks;
use crate::package::{AgeDecision, PackageName, PackageRegistry, PackageVersion};
use crate::policy::RegistryAccess;
use crate::refusal::{Refusal, RefusalReason};
use crate::registry::{RegistryItem, RegistrySite, crates_io, go as go_paths, npm, pypi};
use crate::session::{EgressSession, PackageArrival};
use crate::sites::{RegistrySites, SiteAddress};
use crate::upstream::{UpstreamDocument, UpstreamRegistries, UpstreamRequest};
use fill::ArtefactFills;
pub use fill::FillReader;
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
    memory: DocumentMemory,
    locks: FetchLocks<CacheKey>,
    fills: ArtefactFills,
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
    /// A large document, on disk until it is read.
    Spooled {
        /// Its bytes.
        file: tokio::fs::File,
        /// How many.
        bytes: u64,
        /// Counts against the attempt until the file is closed.
        permit: OwnedSemaphorePermit,
    },
    /// A file of the cache.
    Cached {
        /// Opened for reading.
        file: tokio::fs::File,
        /// Its size.
        bytes: u64,
    },
    /// A large file on its way, whose last bytes come once its sum was checked.
    Arriving(Box<FillReader>),
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
        let parts = ServiceParts {
            cache,
            upstream,
            sites,
            clock,
            memory: DocumentMemory::default(),
            locks: FetchLocks::default(),
            fills: ArtefactFills::default(),
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
        self.check_private_name(call)?;
        match &call.item {
            RegistryItem::NpmPackument { name } => self.answer_packument(call, name).await,
            RegistryItem::NpmManifest { name, version } => {
                self.answer_manifest(call, name, version).await
            }
            RegistryItem::CratesConfig => {
                let source = call.document(DocumentKind::CratesConfig);
                let document = self.load_document(call, &source, Freshness::Recent).await?;
                let body = document.map(|held| held.into_small_body(&source));
                Ok(reply("application/json", body.transpose()?))
            }
            RegistryItem::CrateVersions { name } => self.answer_crate(call, name).await,
            RegistryItem::PypiProject { name } => self.answer_project(call, name).await,
            RegistryItem::PypiRelease { name, version } => {
                self.answer_release(call, name, version).await
            }
            RegistryItem::GoDocument { module, version } => {
                self.answer_go_document(call, module, version).await
            }
            RegistryItem::GoLookup { module, version } => {
                self.answer_go_lookup(call, module, version).await
            }
            RegistryItem::GoSums { path } => self.answer_go_tile(call, path).await,
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

    /// The public sites do not hear the names of private modules.
    fn check_private_name(&self, call: &RegistryCall) -> Result<(), Refusal> {
        let policy = call.session.egress_policy();
        let organisation = policy.organisation.as_deref();
        let is_private = |package: &PackageName| {
            call.address.partition == CachePartition::Public
                && package.registry == PackageRegistry::Go
                && self
                    .parts
                    .sites
                    .is_private_module(&package.name, organisation)
        };
        match call.item.package_name().filter(is_private) {
            Some(package) => Err(Refusal::new(RefusalReason::PrivateName, package)),
            None => Ok(()),
        }
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
        let policy = call.session.egress_policy();
        let organisation = policy.organisation.as_deref();
        let Some(kind) = DocumentKind::of_artefact(&call.item) else {
            return Ok(None);
        };
        let Some(address) = self.parts.sites.documents_of(&call.address, organisation) else {
            return Err(Refusal::new(RefusalReason::SumMissing, &call.address.host)
                .with_detail("no index is configured for this registry"));
        };
        let source = DocumentSource { address, kind };
        for freshness in [Freshness::Any, Freshness::Recent] {
            let Some(document) = self.load_document(call, &source, freshness).await? else {
                return Ok(None);
            };
            let (item, page) = (call.item.clone(), source.page_address());
            let find = move |body: &[u8]| facts_of(&item, &page, body);
            let facts = self.read_document(document, &source, find);
            let facts = facts.await?;
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

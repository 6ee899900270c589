//! Go: lists, facts and the database of sums.

use super::document::HeldDocument;
use super::download::check_age;
use super::source::{DocumentKind, DocumentSource};
use super::{
    ArtefactFacts, Freshness, Refusal, RegistryCall, RegistryReply, RegistryService, reply,
};
use crate::cache::CachePartition;
use crate::document::go_module::{GoVersion, find_sum};
use crate::registry::go::{module_package, unescape_module};
use omoi_domain::time::Timestamp;

/// A version of a module, both escaped as in paths.
#[derive(Clone, Copy)]
pub(super) struct GoModuleVersion<'a> {
    pub(super) module: &'a str,
    pub(super) version: &'a str,
}

impl RegistryService {
    /// Answers with the versions of a module, or with facts about one. A list tells no ages: a young version
    /// is refused where its facts are asked for, before anything of it comes in.
    pub(super) async fn answer_go_document(
        &self,
        call: &RegistryCall,
        module: &str,
        version: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::go_document(module, version));
        let Some(held) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("text/plain", None));
        };
        if version == "list" {
            return Ok(reply("text/plain", Some(held.into_small_body(&source)?)));
        }
        let facts = source.read(GoVersion::parse(&held.document.body))?;
        let published_at = published_at(&facts, &held, &source);
        let named = module_package(module).at_version(facts.version);
        match check_age(&call.session, &named, published_at) {
            Ok(()) => {
                let body = held.into_small_body(&source)?;
                Ok(reply("application/json", Some(body)))
            }
            // The client then takes the newest of the list that it can get.
            Err(refusal) if version == "latest" => {
                call.session.note_refusal(&refusal);
                Ok(reply("text/plain", None))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Answers with the lines of a version in the database of sums, which never change.
    pub(super) async fn answer_go_lookup(
        &self,
        call: &RegistryCall,
        module: &str,
        version: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::go_lookup(module, version));
        self.answer_sums(call, &source, Freshness::Any).await
    }

    /// Answers with a part of the tree of the database of sums.
    pub(super) async fn answer_go_tile(
        &self,
        call: &RegistryCall,
        path: &str,
    ) -> Result<RegistryReply, Refusal> {
        let freshness = match path {
            "/latest" | "/supported" => Freshness::Recent,
            _ => Freshness::Any,
        };
        let source = call.document(DocumentKind::go_tile(path));
        self.answer_sums(call, &source, freshness).await
    }

    async fn answer_sums(
        &self,
        call: &RegistryCall,
        source: &DocumentSource,
        freshness: Freshness,
    ) -> Result<RegistryReply, Refusal> {
        let held = self.load_document(call, source, freshness).await?;
        let body = held.map(|held| held.into_small_body(source));
        Ok(reply("text/plain; charset=utf-8", body.transpose()?))
    }

    /// What proxy and database say about a file of a module.
    pub(super) async fn find_go_facts(
        &self,
        call: &RegistryCall,
        file: GoModuleVersion<'_>,
        is_zip: bool,
    ) -> Result<Option<ArtefactFacts>, Refusal> {
        let GoModuleVersion { module, version } = file;
        let source = call.document(DocumentKind::go_document(module, version));
        let Some(held) = self.load_document(call, &source, Freshness::Any).await? else {
            return Ok(None);
        };
        let facts = source.read(GoVersion::parse(&held.document.body))?;
        let published_at = published_at(&facts, &held, &source);
        drop(held);
        let package = module_package(module);
        let plain_version = unescape_module(version).unwrap_or_default();
        let policy = call.session.egress_policy();
        let organisation = policy.organisation.as_deref();
        // A private proxy without a database of its own has no sums: the public one must not hear its names.
        let sum = match self.parts.sites.documents_of(&call.address, organisation) {
            None => None,
            Some(address) => {
                let kind = DocumentKind::go_lookup(module, version);
                let source = DocumentSource { address, kind };
                let lookup = self.load_document(call, &source, Freshness::Any).await?;
                lookup.and_then(|lookup| {
                    let body = &lookup.document.body;
                    find_sum(body, &package.name, &plain_version, is_zip)
                })
            }
        };
        Ok(Some(ArtefactFacts {
            version: package.at_version(plain_version),
            sum,
            published_at,
        }))
    }
}

/// When a version came to be. The date of a commit is its author's to choose: of a public module it counts from
/// when the proxy had the version, or else from when we first saw it.
fn published_at(
    facts: &GoVersion,
    held: &HeldDocument,
    source: &DocumentSource,
) -> Option<Timestamp> {
    let document = &held.document;
    let seen = document.modified_at.unwrap_or(document.first_seen);
    match source.address.partition {
        CachePartition::Public => facts.published_at.map(|at| at.max(seen)),
        CachePartition::Private(_) => facts.published_at,
    }
}

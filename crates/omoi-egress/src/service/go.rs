//! Go: lists, facts and the database of sums.

use super::download::check_age;
use super::source::{DocumentKind, DocumentSource};
use super::{
    ArtefactFacts, Freshness, Refusal, RegistryCall, RegistryReply, RegistryService, reply,
};
use crate::cache::CachePartition;
use crate::document::go_module::{GoVersion, find_sum};
use crate::registry::go::{lookup_path, module_package, unescape_module};

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
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("text/plain", None));
        };
        if version == "list" {
            return Ok(reply("text/plain", Some(document.body)));
        }
        let facts = source.read(GoVersion::parse(&document.body))?;
        let named = module_package(module).at_version(facts.version);
        match check_age(&call.session, &named, facts.published_at) {
            Ok(()) => Ok(reply("application/json", Some(document.body))),
            // The client then takes the newest of the list that it can get.
            Err(refusal) if version == "latest" => {
                call.session.note_refusal(&refusal);
                Ok(reply("text/plain", None))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Answers with a part of the database of sums. What it says about a version never changes.
    pub(super) async fn answer_go_sums(
        &self,
        call: &RegistryCall,
        module: Option<&str>,
        path: &str,
    ) -> Result<RegistryReply, Refusal> {
        let freshness = match path {
            "/latest" | "/supported" => Freshness::Recent,
            _ => Freshness::Any,
        };
        let source = call.document(DocumentKind::go_sums(module, path));
        let document = self.load_document(call, &source, freshness).await?;
        Ok(reply(
            "text/plain; charset=utf-8",
            document.map(|document| document.body),
        ))
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
        let Some(document) = self.load_document(call, &source, Freshness::Any).await? else {
            return Ok(None);
        };
        let facts = source.read(GoVersion::parse(&document.body))?;
        let package = module_package(module);
        let plain_version = unescape_module(version).unwrap_or_default();
        let organisation = call.session.egress_policy().organisation.as_deref();
        let address = self.parts.sites.documents_of(&call.address, organisation);
        let is_private = call.address.partition != CachePartition::Public;
        let sum = if is_private && address.partition == CachePartition::Public {
            // The public database must not hear the names of private modules.
            None
        } else {
            let path = lookup_path(module, version);
            let kind = DocumentKind::go_sums(Some(module), &path);
            let source = DocumentSource { address, kind };
            let lookup = self.load_document(call, &source, Freshness::Any).await?;
            lookup.and_then(|lookup| find_sum(&lookup.body, &package.name, &plain_version, is_zip))
        };
        Ok(Some(ArtefactFacts {
            version: package.at_version(plain_version),
            sum,
            published_at: facts.published_at,
        }))
    }
}

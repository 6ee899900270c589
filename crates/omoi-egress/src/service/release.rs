//! One version of a package; of a Python project it is made from what the simple index lists of it: nothing else is asked of the registry.

use super::source::DocumentKind;
use super::{
    Freshness, PackageName, PackageRegistry, PackageVersion, ProjectFiles, Refusal, RefusalReason,
    RegistryCall, RegistryReply, RegistryService, reply,
};

/// What was found about one version of a package.
pub(super) enum FoundManifest {
    Missing,
    TooYoung,
    Shown(String),
}

impl FoundManifest {
    /// The answer to who asked for the version `asked`.
    pub(super) fn into_reply(self, asked: &PackageVersion) -> Result<RegistryReply, Refusal> {
        match self {
            Self::Missing => Ok(reply("application/json", None)),
            Self::TooYoung => Err(Refusal::new(RefusalReason::VersionTooYoung, asked)),
            Self::Shown(manifest) => Ok(reply("application/json", Some(manifest.into()))),
        }
    }
}

impl RegistryService {
    pub(super) async fn answer_release(
        &self,
        call: &RegistryCall,
        name: &str,
        version: &str,
    ) -> Result<RegistryReply, Refusal> {
        let source = call.document(DocumentKind::Project(name.to_owned()));
        let Some(document) = self.load_document(call, &source, Freshness::Recent).await? else {
            return Ok(reply("application/json", None));
        };
        let asked = PackageName::new(PackageRegistry::Pypi, name).at_version(version);
        let (wanted, session) = (asked.clone(), call.session.clone());
        let page = source.page_address();
        let find = move |body: &[u8]| {
            let mut files = ProjectFiles::parse(&wanted.package.name, &page, body)?;
            if files.render_release(&wanted.version).is_none() {
                return Ok(FoundManifest::Missing);
            }
            files.hide_young(&session.age_rule(&session.egress_policy()));
            let shown = files.render_release(&wanted.version);
            Ok(shown.map_or(FoundManifest::TooYoung, FoundManifest::Shown))
        };
        let found = self.read_document(document, &source, find).await?;
        found.into_reply(&asked)
    }
}

//! Documents by where they are, what they are about and what they must look like.

use super::{
    ArtefactFacts, CacheKey, CrateVersions, JSON_TYPE, MalformedDocument, PackageName,
    PackageRegistry, Packument, ProjectFiles, Refusal, RefusalReason, RegistryItem, SiteAddress,
    crates_io, npm, pypi,
};
use crate::document::go_module::GoVersion;
use crate::registry::go::{document_path, lookup_path, module_package, unescape_module};

/// A document of a registry, with the site that has it.
pub(super) struct DocumentSource {
    pub(super) address: SiteAddress,
    pub(super) kind: DocumentKind,
}

#[derive(Clone, Debug)]
pub(super) enum DocumentKind {
    Packument(String),
    CratesConfig,
    Crate(String),
    Project(String),
    /// A document of Go's: everything about it is in its path.
    Go {
        /// What is asked about, counted as a name.
        package: Option<PackageName>,
        path: String,
        form: GoForm,
    },
}

/// What a document of Go's looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoForm {
    /// Lines of versions.
    List,
    /// Facts about a version.
    Facts,
    /// A part of the database of sums, which clients check by its signatures.
    Sums,
}

impl DocumentSource {
    pub(super) fn cache_key(&self) -> CacheKey {
        CacheKey {
            partition: self.address.partition.clone(),
            host: self.address.host.clone(),
            path: self.source_path(),
        }
    }

    /// Its path at the registry.
    pub(super) fn source_path(&self) -> String {
        match &self.kind {
            DocumentKind::Packument(name) => npm::packument_path(name),
            DocumentKind::CratesConfig => "/config.json".to_owned(),
            DocumentKind::Crate(name) => crates_io::index_path(name),
            DocumentKind::Project(name) => pypi::project_path(&self.address.simple_path, name),
            DocumentKind::Go { path, .. } => path.clone(),
        }
    }

    /// Its whole address, which relative links in it start from.
    pub(super) fn page_address(&self) -> String {
        format!("https://{}{}", self.address.host, self.source_path())
    }

    pub(super) fn subject_name(&self) -> String {
        let package = self.kind.package_name();
        package.map_or_else(|| self.address.host.clone(), |package| package.to_string())
    }

    pub(super) fn read<T>(&self, read: Result<T, MalformedDocument>) -> Result<T, Refusal> {
        read.map_err(|error| {
            Refusal::new(RefusalReason::RegistryAnswer, self.subject_name()).with_detail(error)
        })
    }
}

impl DocumentKind {
    /// Versions of a Go module, or facts about one. A version counts as a name: it is as free a text.
    pub(super) fn go_document(module: &str, version: &str) -> Self {
        let (package, form) = match version {
            "list" => (module_package(module), GoForm::List),
            "latest" => (module_package(module), GoForm::Facts),
            version => (version_name(module, version), GoForm::Facts),
        };
        Self::Go {
            package: Some(package),
            path: document_path(module, version),
            form,
        }
    }

    /// What Go's database of sums says about a version.
    pub(super) fn go_lookup(module: &str, version: &str) -> Self {
        Self::Go {
            package: Some(version_name(module, version)),
            path: lookup_path(module, version),
            form: GoForm::Sums,
        }
    }

    /// A part of Go's database of sums that names nothing.
    pub(super) fn go_tile(path: &str) -> Self {
        Self::Go {
            package: None,
            path: path.to_owned(),
            form: GoForm::Sums,
        }
    }

    /// Whether a name costs nothing to make known: the path of a module may lead to any host.
    pub(super) const fn names_are_free(&self) -> bool {
        matches!(self, Self::Go { .. })
    }

    /// The document that tells about a file.
    pub(super) fn of_artefact(item: &RegistryItem) -> Option<Self> {
        match item {
            RegistryItem::NpmTarball { name, .. } => Some(Self::Packument(name.clone())),
            RegistryItem::CrateFile { name, .. } => Some(Self::Crate(name.to_ascii_lowercase())),
            RegistryItem::PypiFile { name, .. } => Some(Self::Project(name.clone())),
            RegistryItem::NpmPackument { .. }
            | RegistryItem::NpmManifest { .. }
            | RegistryItem::CratesConfig
            | RegistryItem::CrateVersions { .. }
            | RegistryItem::PypiProject { .. }
            | RegistryItem::PypiRelease { .. }
            | RegistryItem::GoDocument { .. }
            | RegistryItem::GoFile { .. }
            | RegistryItem::GoLookup { .. }
            | RegistryItem::GoSums { .. }
            | RegistryItem::GoSumProbe => None,
        }
    }

    /// npm's short form of a packument does not say when a version was published.
    pub(super) const fn media_type(&self) -> &'static str {
        match self {
            Self::Packument(_) | Self::CratesConfig => "application/json",
            Self::Crate(_) => "text/plain, */*;q=0.5",
            Self::Project(_) => JSON_TYPE,
            Self::Go { .. } => "*/*",
        }
    }

    pub(super) fn package_name(&self) -> Option<PackageName> {
        let (registry, name) = match self {
            Self::Packument(name) => (PackageRegistry::Npm, name),
            Self::CratesConfig => return None,
            Self::Crate(name) => (PackageRegistry::Crates, name),
            Self::Project(name) => (PackageRegistry::Pypi, name),
            Self::Go { package, .. } => return package.clone(),
        };
        Some(PackageName::new(registry, name))
    }

    /// Whether a body is what it should be, before it takes the place of a good one.
    pub(super) fn validate(&self, page: &str, body: &[u8]) -> Result<(), MalformedDocument> {
        match self {
            Self::Packument(name) => Packument::parse(name, body).map(|_| ()),
            Self::CratesConfig => match serde_json::from_slice::<serde_json::Value>(body) {
                Ok(value) if value.get("dl").is_some() => Ok(()),
                _ => Err(MalformedDocument("no settings of an index")),
            },
            Self::Crate(name) => CrateVersions::parse(name, body).map(|_| ()),
            Self::Project(name) => ProjectFiles::parse(name, page, body).map(|_| ()),
            Self::Go { form, .. } => match form {
                GoForm::Facts => GoVersion::parse(body).map(|_| ()),
                GoForm::List if std::str::from_utf8(body).is_err() => {
                    Err(MalformedDocument("not a list of versions"))
                }
                GoForm::List | GoForm::Sums => Ok(()),
            },
        }
    }
}

/// What a version of a module is counted as, both escaped as in paths.
fn version_name(module: &str, version: &str) -> PackageName {
    let module = module_package(module).name;
    let version = unescape_module(version).unwrap_or_else(|| version.to_owned());
    PackageName::new(PackageRegistry::Go, format!("{module}@{version}"))
}

/// The facts about a file in the document of its package, which stands at `page`.
pub(super) fn facts_of(
    item: &RegistryItem,
    page: &str,
    body: &[u8],
) -> Result<Option<ArtefactFacts>, MalformedDocument> {
    match item {
        RegistryItem::NpmTarball { name, file } => {
            Ok(Packument::parse(name, body)?.find_file(file))
        }
        RegistryItem::CrateFile { name, version } => {
            Ok(CrateVersions::parse(name, body)?.find_file(version))
        }
        RegistryItem::PypiFile {
            name,
            path,
            is_metadata,
        } => Ok(ProjectFiles::parse(name, page, body)?.find_file(path, *is_metadata)),
        RegistryItem::NpmPackument { .. }
        | RegistryItem::NpmManifest { .. }
        | RegistryItem::CratesConfig
        | RegistryItem::CrateVersions { .. }
        | RegistryItem::PypiProject { .. }
        | RegistryItem::PypiRelease { .. }
        | RegistryItem::GoDocument { .. }
        | RegistryItem::GoFile { .. }
        | RegistryItem::GoLookup { .. }
        | RegistryItem::GoSums { .. }
        | RegistryItem::GoSumProbe => Ok(None),
    }
}

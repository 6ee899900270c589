//! Registries: their sites, and the only requests that a client may make of each.
//!
//! A request is read into a [`RegistryItem`] or refused. What is sent upstream is made from the item, so
//! that nothing else a client writes leaves the machine: no header, no query, no body.

pub mod crates_io;
pub mod go;
pub mod npm;
pub mod pypi;

use http::Method;

use crate::package::{PackageName, PackageRegistry};
use crate::refusal::RefusalReason;

omoi_domain::closed_set! {
    /// A site of a registry, by the shapes of its paths.
    RegistrySite {
        /// Documents and files of npm.
        Npm = "npm",
        /// The sparse index of crates.
        CratesIndex = "crates-index",
        /// Files of crates.
        CratesFiles = "crates-files",
        /// The site of crates for people, which older clients download from.
        CratesApi = "crates-api",
        /// The simple index of Python projects.
        PypiIndex = "pypi-index",
        /// Files of Python projects.
        PypiFiles = "pypi-files",
        /// Lists, facts and files of Go modules.
        GoModules = "go-modules",
        /// Go's database of sums.
        GoSums = "go-sums",
    }
}

impl RegistrySite {
    /// The host of the public site.
    pub const fn public_host(self) -> &'static str {
        match self {
            Self::Npm => "registry.npmjs.org",
            Self::CratesIndex => "index.crates.io",
            Self::CratesFiles => "static.crates.io",
            Self::CratesApi => "crates.io",
            Self::PypiIndex => "pypi.org",
            Self::PypiFiles => "files.pythonhosted.org",
            Self::GoModules => "proxy.golang.org",
            Self::GoSums => "sum.golang.org",
        }
    }

    /// Other names of the public site, under which clients ask for the same. What is asked for there is fetched from the
    /// site itself.
    pub const fn other_hosts(self) -> &'static [&'static str] {
        match self {
            // Yarn 1 writes it into each `yarn.lock`.
            Self::Npm => &["registry.yarnpkg.com"],
            Self::CratesIndex
            | Self::CratesFiles
            | Self::CratesApi
            | Self::PypiIndex
            | Self::PypiFiles
            | Self::GoModules
            | Self::GoSums => &[],
        }
    }

    /// Every name of the public site.
    pub fn public_hosts(self) -> impl Iterator<Item = &'static str> {
        let others = self.other_hosts().iter().copied();
        std::iter::once(self.public_host()).chain(others)
    }

    /// The public site at `host`.
    pub fn at_host(host: &str) -> Option<Self> {
        let mut sites = Self::ALL.iter().copied();
        sites.find(|site| site.public_hosts().any(|name| name == host))
    }

    /// Whose site it is.
    pub const fn package_registry(self) -> PackageRegistry {
        match self {
            Self::Npm => PackageRegistry::Npm,
            Self::CratesIndex | Self::CratesFiles | Self::CratesApi => PackageRegistry::Crates,
            Self::PypiIndex | Self::PypiFiles => PackageRegistry::Pypi,
            Self::GoModules | Self::GoSums => PackageRegistry::Go,
        }
    }
}

/// What a client asks a registry for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryItem {
    /// Every version of an npm package.
    NpmPackument {
        /// The package, with its scope.
        name: String,
    },
    /// One version of an npm package, by number or tag.
    NpmManifest {
        /// The package, with its scope.
        name: String,
        /// A version or a tag such as `latest`.
        version: String,
    },
    /// A file of an npm package.
    NpmTarball {
        /// The package, with its scope.
        name: String,
        /// The last part of the path.
        file: String,
    },
    /// Where the sparse index says that files are.
    CratesConfig,
    /// Every version of a crate.
    CrateVersions {
        /// The crate in lower case, as the index files it.
        name: String,
    },
    /// A file of a crate.
    CrateFile {
        /// The crate as it spells itself.
        name: String,
        /// The version.
        version: String,
    },
    /// Every file of a Python project.
    PypiProject {
        /// The project, normalised.
        name: String,
    },
    /// The files of one version of a Python project.
    PypiRelease {
        /// The project, normalised.
        name: String,
        /// The version.
        version: String,
    },
    /// A file of a Python project, or the metadata beside it.
    PypiFile {
        /// The project that the file's name tells, normalised.
        name: String,
        /// The whole path, without the ending that asks for metadata.
        path: String,
        /// Whether the metadata of the file is asked for instead of the file.
        is_metadata: bool,
    },
    /// The versions of a Go module, or the facts about one.
    GoDocument {
        /// The module, escaped as in paths.
        module: String,
        /// `list`, `latest` or a version.
        version: String,
    },
    /// The `go.mod` or the archive of a Go module.
    GoFile {
        /// The module, escaped as in paths.
        module: String,
        /// The version, escaped too.
        version: String,
        /// Whether it is the archive.
        is_zip: bool,
    },
    /// What Go's database of sums says about a version.
    GoLookup {
        /// The module, escaped as in paths.
        module: String,
        /// The version, escaped too.
        version: String,
    },
    /// A part of the tree of Go's database of sums.
    GoSums {
        /// The whole path.
        path: String,
    },
    /// Whether the module proxy passes the database of sums on, which it does not.
    GoSumProbe,
}

impl RegistryItem {
    /// The package that is asked for; none for the settings of an index.
    pub fn package_name(&self) -> Option<PackageName> {
        match self {
            Self::NpmPackument { name }
            | Self::NpmManifest { name, .. }
            | Self::NpmTarball { name, .. } => Some(PackageName::new(PackageRegistry::Npm, name)),
            Self::CratesConfig | Self::GoSumProbe | Self::GoSums { .. } => None,
            Self::GoDocument { module, .. }
            | Self::GoFile { module, .. }
            | Self::GoLookup { module, .. } => Some(go::module_package(module)),
            Self::CrateVersions { name } | Self::CrateFile { name, .. } => {
                let name = name.to_ascii_lowercase();
                Some(PackageName::new(PackageRegistry::Crates, name))
            }
            Self::PypiProject { name }
            | Self::PypiRelease { name, .. }
            | Self::PypiFile { name, .. } => Some(PackageName::new(PackageRegistry::Pypi, name)),
        }
    }
}

/// A request as far as its first line and its body go.
#[derive(Clone, Copy, Debug)]
pub struct RequestShape<'a> {
    /// How.
    pub method: &'a Method,
    /// Path and query.
    pub path: &'a str,
    /// Whether a body comes with it, of whatever length.
    pub has_body: bool,
}

/// Reads what is asked of `site`.
///
/// # Errors
/// Returns why the request is none that installing a package makes.
pub fn parse_request(
    site: RegistrySite,
    request: RequestShape<'_>,
) -> Result<RegistryItem, RefusalReason> {
    check_manner(site, request)?;
    let path = request.path;
    let item = match site {
        RegistrySite::Npm => npm::parse_path(path),
        RegistrySite::CratesIndex => crates_io::parse_index_path(path),
        RegistrySite::CratesFiles => crates_io::parse_file_path(path),
        RegistrySite::CratesApi => crates_io::parse_api_path(path),
        RegistrySite::PypiIndex => pypi::parse_index_path(path),
        RegistrySite::PypiFiles => pypi::parse_file_path(path),
        RegistrySite::GoModules => go::parse_module_path(path),
        RegistrySite::GoSums => go::parse_sum_path(path),
    };
    item.ok_or(RefusalReason::PathNotAllowed)
}

/// Reads what is asked of a registry of one organisation, whose projects of Python lie below `simple_path`; only they have
/// other paths than those of the public site.
///
/// # Errors
/// Returns why the request is none that installing a package makes.
pub fn parse_private_request(
    site: RegistrySite,
    simple_path: &str,
    request: RequestShape<'_>,
) -> Result<RegistryItem, RefusalReason> {
    let item = match site {
        RegistrySite::PypiIndex => pypi::parse_own_path(request.path, simple_path),
        RegistrySite::PypiFiles => pypi::parse_own_file_path(request.path),
        RegistrySite::Npm
        | RegistrySite::CratesIndex
        | RegistrySite::CratesFiles
        | RegistrySite::CratesApi
        | RegistrySite::GoModules
        | RegistrySite::GoSums => return parse_request(site, request),
    };
    check_manner(site, request)?;
    item.ok_or(RefusalReason::PathNotAllowed)
}

/// Refuses what is known to be something else than reading, and every body.
fn check_manner(site: RegistrySite, request: RequestShape<'_>) -> Result<(), RefusalReason> {
    if let Some(reason) = known_refusal(site, request) {
        return Err(reason);
    }
    if !(request.method == Method::GET || request.method == Method::HEAD) {
        return Err(RefusalReason::MethodNotAllowed);
    }
    match request.has_body {
        true => Err(RefusalReason::BodyNotAllowed),
        false => Ok(()),
    }
}

/// What people know a request by, so that the refusal says it: search, audit, publishing.
fn known_refusal(site: RegistrySite, request: RequestShape<'_>) -> Option<RefusalReason> {
    let begins = |fronts: &[&str]| fronts.iter().any(|front| request.path.starts_with(front));
    let (search, audit, account): (&[&str], &[&str], &[&str]) = match site.package_registry() {
        PackageRegistry::Npm => (
            &["/-/v1/search", "/-/all"],
            &["/-/npm/v1/security/"],
            &["/-/user", "/-/package/", "/-/npm/v1/tokens"],
        ),
        PackageRegistry::Crates => (&["/api/v1/crates?"], &[], &["/api/v1/me"]),
        PackageRegistry::Pypi => (&["/search"], &[], &["/legacy"]),
        PackageRegistry::Go => (&[], &[], &[]),
    };
    let is_writing = [Method::PUT, Method::DELETE, Method::PATCH].contains(request.method);
    if begins(search) {
        Some(RefusalReason::SearchRefused)
    } else if begins(audit) {
        Some(RefusalReason::AuditRefused)
    } else if is_writing || begins(account) {
        Some(RefusalReason::PublishRefused)
    } else {
        None
    }
}

/// Whether every character of `text` is a letter, a digit or one of `others`, and there is one.
fn is_made_of(text: &str, others: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    !text.is_empty() && text.chars().all(is_allowed)
}

/// Whether `text` can be one part of a path on disk and in an address.
fn is_path_part(text: &str) -> bool {
    is_made_of(text, "-_.+~!") && !text.starts_with('.') && text.len() <= 255
}

#[cfg(test)]
mod tests;

//! Which host is a site of which registry, and for whom.

use std::fmt;

use secrecy::SecretString;

use crate::cache::CachePartition;
use crate::refusal::RefusalReason;
use crate::registry::go::matches_pattern;
use crate::registry::pypi::SIMPLE_PATH;
use crate::registry::{
    RegistryItem, RegistrySite, RequestShape, parse_private_request, parse_request,
};

/// A registry of one organisation.
#[derive(Clone)]
pub struct PrivateRegistry {
    /// The host, a name.
    pub host: String,
    /// Which shapes its paths have.
    pub site: RegistrySite,
    /// Whose it is. Nobody else reaches it, and its packages are cached apart.
    pub organisation: String,
    /// The value of `authorization`, added outside the sandbox.
    pub credential: Option<SecretString>,
    /// The host whose documents tell the sums of its files, where that is another and not clear.
    pub index: Option<String>,
    /// Paths of Go modules whose names stay here, as in `GOPRIVATE`.
    pub modules: Vec<String>,
    /// The path that projects of a simple index lie below; `/simple/` where none is named.
    pub simple_path: Option<String>,
}

/// Registries that do not tell what their files are checked against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnclearIndex {
    /// There is none.
    #[error(
        "`{host}` has files of packages and no index; name the host that has their sums: index=HOST"
    )]
    Missing {
        /// The site of files.
        host: String,
    },
    /// There are several.
    #[error("`{host}` may belong to {}; name one of them: index=HOST", indexes.join(" or "))]
    Several {
        /// The site of files.
        host: String,
        /// The hosts that may be meant.
        indexes: Vec<String>,
    },
    /// The named one is no registry.
    #[error("`{host}` names `{index}` as its index, which is no registry of that kind")]
    Unknown {
        /// The site of files.
        host: String,
        /// The name.
        index: String,
    },
}

/// A site as one organisation sees it.
#[derive(Clone)]
pub struct SiteAddress {
    /// The host.
    pub host: String,
    /// Which shapes its paths have.
    pub site: RegistrySite,
    /// Where its packages are cached.
    pub partition: CachePartition,
    /// The value of `authorization`.
    pub credential: Option<SecretString>,
    /// The path that projects of a simple index lie below.
    pub simple_path: String,
}

impl SiteAddress {
    /// Reads what is asked of it.
    ///
    /// # Errors
    /// Returns why the request is none that installing a package makes.
    pub fn parse_request(&self, request: RequestShape<'_>) -> Result<RegistryItem, RefusalReason> {
        match self.partition {
            CachePartition::Public => parse_request(self.site, request),
            CachePartition::Private(_) => {
                parse_private_request(self.site, &self.simple_path, request)
            }
        }
    }
}

impl fmt::Debug for SiteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.site, self.host)
    }
}

/// Every registry that the deployment knows: the public ones, and those that a person configured.
#[derive(Clone, Default)]
pub struct RegistrySites {
    private: Vec<PrivateRegistry>,
}

impl RegistrySites {
    /// The public sites and `private`.
    ///
    /// # Errors
    /// When a site of files does not tell which index has their sums.
    pub fn new(private: Vec<PrivateRegistry>) -> Result<Self, UnclearIndex> {
        let sites = Self { private };
        for registry in &sites.private {
            sites.check_index(registry)?;
        }
        Ok(sites)
    }

    fn check_index(&self, files: &PrivateRegistry) -> Result<(), UnclearIndex> {
        let host = files.host.clone();
        let Some(site) = index_site(files.site) else {
            return Ok(());
        };
        let indexes = self.indexes_of(site, &files.organisation);
        let indexes: Vec<String> = indexes.map(|index| index.host.clone()).collect();
        match &files.index {
            Some(index) if indexes.contains(index) || index == site.public_host() => Ok(()),
            Some(index) => Err(UnclearIndex::Unknown {
                host,
                index: index.clone(),
            }),
            None if indexes.len() == 1 => Ok(()),
            None if indexes.len() > 1 => Err(UnclearIndex::Several { host, indexes }),
            // Modules of a proxy without a database of sums are refused one by one.
            None if files.site == RegistrySite::GoModules => Ok(()),
            None => Err(UnclearIndex::Missing { host }),
        }
    }

    /// The names that the authority of `organisation` signs for: others do not learn them.
    pub fn registry_hosts(&self, organisation: &str) -> Vec<String> {
        let public = RegistrySite::ALL
            .iter()
            .flat_map(|site| site.public_hosts())
            .map(str::to_owned);
        let private = self.visible(Some(organisation));
        let mut hosts: Vec<String> = public
            .chain(private.map(|registry| registry.host.clone()))
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// Whether the name of a Go module stays within `organisation`.
    pub fn is_private_module(&self, module: &str, organisation: Option<&str>) -> bool {
        let mut patterns = self
            .visible(organisation)
            .flat_map(|registry| &registry.modules);
        patterns.any(|pattern| matches_pattern(module, pattern))
    }

    /// The site at `host`, if `organisation` may see it.
    pub fn find(&self, host: &str, organisation: Option<&str>) -> Option<SiteAddress> {
        let private = self
            .visible(organisation)
            .find(|registry| registry.host == host);
        let public = || RegistrySite::at_host(host).map(public_address);
        private.map(private_address).or_else(public)
    }

    /// The site whose documents tell the sums of the files at `files`; none where a private one has no index.
    pub fn documents_of(
        &self,
        files: &SiteAddress,
        organisation: Option<&str>,
    ) -> Option<SiteAddress> {
        let Some(site) = index_site(files.site) else {
            return Some(files.clone());
        };
        if files.partition == CachePartition::Public {
            return Some(public_address(site));
        }
        let organisation = organisation?;
        let mut registries = self.visible(Some(organisation));
        let registry = registries.find(|registry| registry.host == files.host)?;
        let named = |index: &&PrivateRegistry| match &registry.index {
            Some(host) => index.host == *host,
            None => true,
        };
        let private = self.indexes_of(site, organisation).find(named);
        let is_public = registry.index.as_deref() == Some(site.public_host());
        private
            .map(private_address)
            .or_else(|| is_public.then(|| public_address(site)))
    }

    fn indexes_of<'a>(
        &'a self,
        site: RegistrySite,
        organisation: &'a str,
    ) -> impl Iterator<Item = &'a PrivateRegistry> {
        let visible = self.visible(Some(organisation));
        visible.filter(move |registry| registry.site == site)
    }

    fn visible<'a>(
        &'a self,
        organisation: Option<&'a str>,
    ) -> impl Iterator<Item = &'a PrivateRegistry> {
        let private = self.private.iter();
        private.filter(move |registry| Some(registry.organisation.as_str()) == organisation)
    }
}

/// The kind of site whose documents tell about the files of `site`; none where it tells itself.
const fn index_site(site: RegistrySite) -> Option<RegistrySite> {
    match site {
        RegistrySite::Npm
        | RegistrySite::CratesIndex
        | RegistrySite::PypiIndex
        | RegistrySite::GoSums => None,
        RegistrySite::CratesFiles | RegistrySite::CratesApi => Some(RegistrySite::CratesIndex),
        RegistrySite::PypiFiles => Some(RegistrySite::PypiIndex),
        RegistrySite::GoModules => Some(RegistrySite::GoSums),
    }
}

fn public_address(site: RegistrySite) -> SiteAddress {
    SiteAddress {
        host: site.public_host().to_owned(),
        site,
        partition: CachePartition::Public,
        credential: None,
        simple_path: SIMPLE_PATH.to_owned(),
    }
}

fn private_address(registry: &PrivateRegistry) -> SiteAddress {
    SiteAddress {
        host: registry.host.clone(),
        site: registry.site,
        partition: CachePartition::Private(registry.organisation.clone()),
        credential: registry.credential.clone(),
        simple_path: registry
            .simple_path
            .clone()
            .unwrap_or_else(|| SIMPLE_PATH.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn private(host: &str, site: RegistrySite) -> PrivateRegistry {
        PrivateRegistry {
            host: host.to_owned(),
            site,
            organisation: "ours".to_owned(),
            credential: Some(SecretString::from("Bearer x")),
            index: None,
            modules: Vec::new(),
            simple_path: None,
        }
    }

    #[test]
    fn a_private_registry_is_seen_by_its_organisation_alone() {
        let private = vec![private("npm.example.com", RegistrySite::Npm)];
        let sites = RegistrySites::new(private).unwrap();
        let ours = sites.find("npm.example.com", Some("ours")).unwrap();
        assert_eq!(ours.partition, CachePartition::Private("ours".to_owned()));
        assert!(ours.credential.is_some());
        assert!(sites.find("npm.example.com", Some("theirs")).is_none());
        assert!(sites.find("npm.example.com", None).is_none());
        let public = sites.find("registry.npmjs.org", Some("ours")).unwrap();
        assert_eq!(public.partition, CachePartition::Public);
        assert!(public.credential.is_none());
        let yarn = sites.find("registry.yarnpkg.com", None).unwrap();
        assert_eq!(yarn.host, public.host);
        let is_signed = |organisation| {
            let hosts = sites.registry_hosts(organisation);
            hosts.iter().any(|host| host == "npm.example.com")
        };
        assert!(is_signed("ours") && !is_signed("theirs"));
    }

    #[test]
    fn files_are_judged_by_the_documents_of_their_own_registry() {
        let sites = RegistrySites::new(vec![
            private("index.example.com", RegistrySite::CratesIndex),
            private("files.example.com", RegistrySite::CratesFiles),
            private("go.example.com", RegistrySite::GoModules),
        ])
        .unwrap();
        for (host, documents) in [
            ("files.example.com", Some("index.example.com")),
            ("static.crates.io", Some("index.crates.io")),
            ("crates.io", Some("index.crates.io")),
            ("files.pythonhosted.org", Some("pypi.org")),
            ("proxy.golang.org", Some("sum.golang.org")),
            ("registry.npmjs.org", Some("registry.npmjs.org")),
            // Never by those of a public one.
            ("go.example.com", None),
        ] {
            let files = sites.find(host, Some("ours")).unwrap();
            let found = sites.documents_of(&files, Some("ours"));
            let found = found.map(|address| address.host);
            assert_eq!(found.as_deref(), documents, "{host}");
        }
    }

    #[test]
    fn files_without_a_clear_index_are_not_configured() {
        let files = private("files.example.com", RegistrySite::PypiFiles);
        let first = private("one.example.com", RegistrySite::PypiIndex);
        let second = private("two.example.com", RegistrySite::PypiIndex);
        let refused = |private| RegistrySites::new(private).err().unwrap().to_string();
        assert!(refused(vec![files.clone()]).contains("name the host that has their sums"));
        let several = refused(vec![files.clone(), first.clone(), second.clone()]);
        assert!(
            several.contains("one.example.com or two.example.com"),
            "{several}"
        );
        for index in ["two.example.com", "pypi.org"] {
            let named = PrivateRegistry {
                index: Some(index.to_owned()),
                ..files.clone()
            };
            let sites = RegistrySites::new(vec![named, first.clone(), second.clone()]).unwrap();
            let found = sites.find("files.example.com", Some("ours")).unwrap();
            let documents = sites.documents_of(&found, Some("ours")).unwrap();
            assert_eq!(documents.host, index);
        }
        let stranger = PrivateRegistry {
            index: Some("three.example.com".to_owned()),
            ..files
        };
        assert!(refused(vec![stranger, first]).contains("three.example.com"));
    }

    #[test]
    fn names_of_private_modules_are_known_by_their_path() {
        let mut go = private("go.example.com", RegistrySite::GoModules);
        go.modules = vec!["corp.example".to_owned(), "git.example/*-team".to_owned()];
        let sites = RegistrySites::new(vec![go]).unwrap();
        for (module, expected) in [
            ("corp.example/secret", true),
            ("git.example/a-team/x", true),
            ("git.example/b/x", false),
        ] {
            assert_eq!(
                sites.is_private_module(module, Some("ours")),
                expected,
                "{module}"
            );
            assert!(!sites.is_private_module(module, Some("theirs")));
        }
    }
}

//! Which host is a site of which registry, and for whom.

use std::fmt;

use secrecy::SecretString;

use crate::cache::CachePartition;
use crate::registry::RegistrySite;

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
    pub fn new(private: Vec<PrivateRegistry>) -> Self {
        Self { private }
    }

    /// The names that the authority signs for.
    pub fn registry_hosts(&self) -> Vec<String> {
        let public = RegistrySite::ALL
            .iter()
            .map(|site| site.public_host().to_owned());
        let mut hosts: Vec<String> = public
            .chain(self.private.iter().map(|registry| registry.host.clone()))
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// The site at `host`, if `organisation` may see it.
    pub fn find(&self, host: &str, organisation: Option<&str>) -> Option<SiteAddress> {
        let private = self
            .visible(organisation)
            .find(|registry| registry.host == host);
        let public = || RegistrySite::at_host(host).map(public_address);
        private.map(private_address).or_else(public)
    }

    /// The site whose documents tell the sums of the files at `files`.
    pub fn documents_of(&self, files: &SiteAddress, organisation: Option<&str>) -> SiteAddress {
        let site = match files.site {
            RegistrySite::Npm
            | RegistrySite::CratesIndex
            | RegistrySite::PypiIndex
            | RegistrySite::GoSums => {
                return files.clone();
            }
            RegistrySite::CratesFiles | RegistrySite::CratesApi => RegistrySite::CratesIndex,
            RegistrySite::PypiFiles => RegistrySite::PypiIndex,
            RegistrySite::GoModules => RegistrySite::GoSums,
        };
        if files.partition == CachePartition::Public {
            return public_address(site);
        }
        let private = self
            .visible(organisation)
            .find(|registry| registry.site == site);
        private.map_or_else(|| public_address(site), private_address)
    }

    fn visible(&self, organisation: Option<&str>) -> impl Iterator<Item = &PrivateRegistry> {
        let private = self.private.iter();
        private.filter(move |registry| Some(registry.organisation.as_str()) == organisation)
    }
}

fn public_address(site: RegistrySite) -> SiteAddress {
    SiteAddress {
        host: site.public_host().to_owned(),
        site,
        partition: CachePartition::Public,
        credential: None,
    }
}

fn private_address(registry: &PrivateRegistry) -> SiteAddress {
    SiteAddress {
        host: registry.host.clone(),
        site: registry.site,
        partition: CachePartition::Private(registry.organisation.clone()),
        credential: registry.credential.clone(),
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
        }
    }

    #[test]
    fn a_private_registry_is_seen_by_its_organisation_alone() {
        let sites = RegistrySites::new(vec![private("npm.example.com", RegistrySite::Npm)]);
        let ours = sites.find("npm.example.com", Some("ours")).unwrap();
        assert_eq!(ours.partition, CachePartition::Private("ours".to_owned()));
        assert!(ours.credential.is_some());
        assert!(sites.find("npm.example.com", Some("theirs")).is_none());
        assert!(sites.find("npm.example.com", None).is_none());
        let public = sites.find("registry.npmjs.org", Some("ours")).unwrap();
        assert_eq!(public.partition, CachePartition::Public);
        assert!(public.credential.is_none());
        assert!(
            sites
                .registry_hosts()
                .contains(&"npm.example.com".to_owned())
        );
    }

    #[test]
    fn files_are_judged_by_the_documents_of_their_own_registry() {
        let sites = RegistrySites::new(vec![
            private("index.example.com", RegistrySite::CratesIndex),
            private("files.example.com", RegistrySite::CratesFiles),
        ]);
        for (host, documents) in [
            ("files.example.com", "index.example.com"),
            ("static.crates.io", "index.crates.io"),
            ("crates.io", "index.crates.io"),
            ("files.pythonhosted.org", "pypi.org"),
            ("proxy.golang.org", "sum.golang.org"),
            ("registry.npmjs.org", "registry.npmjs.org"),
        ] {
            let files = sites.find(host, Some("ours")).unwrap();
            assert_eq!(sites.documents_of(&files, Some("ours")).host, documents);
        }
    }
}

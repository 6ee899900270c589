//! What can be configured of the way out.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use omoi_domain::config::{Config, ConfigKey, ListItems, ValueKind};
use omoi_domain::config_keys;

use crate::host::{EgressHost, EgressTarget, HostPattern};
use crate::package::{InvalidVersion, PackageVersion};
use crate::project_hosts::{BadHostListing, ProjectHosts};
use crate::registry::RegistrySite;
use crate::registry::pypi::is_simple_path;
use crate::sites::PrivateRegistry;

const GIB: u64 = 1 << 30;

config_keys! {
    /// Keys of the way out.
    EGRESS_KEYS of EGRESS = "egress", "EGRESS_";

    /// Hosts that agents at tasks and set-ups may reach beside packages: `host`, `*.host`, `**.host`, with `:port` where it is not 443; `!` before one denies it. `project=NAME; host=HOST` counts for one project, a host by itself for all.
    EGRESS_HOSTS: Vec<String> =
        ConfigKey::new(&EGRESS, "hosts", ValueKind::List(ListItems::Entries("hosts")), "")
            .closed_to_repository();
    /// Versions of packages that come in at any age, such as `npm:left-pad@1.3.0`.
    EGRESS_VERSIONS: Vec<String> =
        ConfigKey::new(&EGRESS, "versions", ValueKind::List(ListItems::Entries("versions of packages")), "")
            .closed_to_repository();
    /// Registries of your own; the credential is the value of `authorization`, from a secret file or variable, and stays outside of sandboxes.
    EGRESS_REGISTRIES: Vec<String> =
        ConfigKey::new(&EGRESS, "registries", ValueKind::List(ListItems::Registries(RegistryRow::SHAPE)), "")
            .closed_to_repository();
    /// What the cache of packages may take on disk; what was used longest ago goes first.
    EGRESS_CACHE: u64 =
        ConfigKey::new(&EGRESS, "cache_bytes", ValueKind::bytes_range(GIB / 16, 1024 * GIB), "10 GiB")
            .closed_to_repository();
}

/// A registry of a person's own, as the configuration writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRow {
    host: String,
    site: RegistrySite,
    /// Where it is, in place of looking its name up.
    address: Option<SocketAddr>,
    /// A file of certificates that its own is signed by.
    certificate: Option<PathBuf>,
    /// The secret with the value of `authorization`.
    credential: Option<String>,
    /// The host whose documents tell the sums of its files.
    index: Option<String>,
    /// Paths of Go modules that are its own.
    modules: Vec<String>,
    /// The path that projects of its simple index lie below.
    simple_path: Option<String>,
}

/// An entry of `egress.*` that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BadEgressOption {
    /// Of `egress.hosts`.
    #[error("`egress.hosts`: {0}")]
    Host(#[from] BadHostListing),
    /// Of `egress.versions`.
    #[error("`egress.versions`: {0}")]
    Version(#[from] InvalidVersion),
    /// Of `egress.registries`.
    #[error("`egress.registries`: {0}; write {shape}", shape = RegistryRow::SHAPE)]
    Registry(String),
    /// A file that it names cannot be read.
    #[error("`egress.registries`: could not read `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no such secret.
    #[error(
        "`egress.registries`: `{host}` wants the secret `{name}`, which is not set; set {name} in the environment or \
         use a secret file"
    )]
    NoCredential {
        /// The registry.
        host: String,
        /// The secret.
        name: String,
    },
}

/// The way out as it is configured.
#[derive(Clone, Debug)]
pub struct EgressOptions {
    /// Hosts that a person lists.
    pub hosts: ProjectHosts,
    /// Versions that come in at any age.
    pub versions: BTreeSet<PackageVersion>,
    /// Registries of the person's own.
    pub registries: Vec<RegistryRow>,
    /// Bytes of the cache.
    pub cache_bytes: u64,
}

impl EgressOptions {
    /// The options that `config` asks for.
    ///
    /// # Errors
    /// [`BadEgressOption`] for an entry that cannot be read.
    pub fn from_config(config: &Config) -> Result<Self, BadEgressOption> {
        let (hosts, versions) = (config.get(&EGRESS_HOSTS), config.get(&EGRESS_VERSIONS));
        let versions = versions
            .iter()
            .map(|version| version.parse::<PackageVersion>());
        let registries = config.get(&EGRESS_REGISTRIES);
        let registries = registries.iter().map(|row| row.parse::<RegistryRow>());
        Ok(Self {
            hosts: ProjectHosts::parse(&hosts)?,
            versions: versions.collect::<Result<_, _>>()?,
            registries: registries.collect::<Result<_, _>>()?,
            cache_bytes: config.get(&EGRESS_CACHE),
        })
    }
}

/// The list that would allow `entry`, a host or a version.
pub fn entry_list(entry: &str) -> Option<&'static ConfigKey<Vec<String>>> {
    if entry.parse::<PackageVersion>().is_ok() {
        return Some(&EGRESS_VERSIONS);
    }
    let is_host = !entry.starts_with('!') && entry.parse::<HostPattern>().is_ok();
    is_host.then_some(&EGRESS_HOSTS)
}

impl EgressOptions {
    /// Whether `entry` names one registry, which no list of hosts says anything of.
    pub fn names_registry(&self, entry: &str) -> bool {
        let Ok(target) = EgressTarget::parse(entry, 443) else {
            return false;
        };
        let own = |host: &str| self.registries.iter().any(|row| row.host_name() == host);
        let name = target.host.as_name();
        name.is_some_and(|host| RegistrySite::at_host(host).is_some() || own(host))
    }
}

impl RegistryRow {
    /// How a row is written.
    pub const SHAPE: &str = "host=NAME; site=npm|crates-index|crates-files|pypi-index|pypi-files|go-modules; and where they are needed \
         address=IP:PORT, certificate=FILE, credential=NAME, index=HOST, modules=PATH,PATH, path=/PATH/ of a pypi-index";

    /// The registry with its secret of `config`, as `organisation` sees it.
    ///
    /// # Errors
    /// When the secret is not set.
    pub fn open_registry(
        &self,
        config: &Config,
        organisation: &str,
    ) -> Result<PrivateRegistry, BadEgressOption> {
        let find = |name: &String| {
            let secret = config.named_secrets().get(name);
            let missing = || BadEgressOption::NoCredential {
                host: self.host.clone(),
                name: name.clone(),
            };
            secret
                .map(|secret| secret.value.clone())
                .ok_or_else(missing)
        };
        let credential = self.credential.as_ref().map(find).transpose()?;
        Ok(PrivateRegistry {
            host: self.host.clone(),
            site: self.site,
            organisation: organisation.to_owned(),
            credential,
            index: self.index.clone(),
            modules: self.modules.clone(),
            simple_path: self.simple_path.clone(),
        })
    }

    /// Its name.
    pub fn host_name(&self) -> &str {
        &self.host
    }

    /// The certificates that it is signed by, as PEM.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn read_certificates(&self) -> Result<Option<Vec<u8>>, BadEgressOption> {
        let Some(path) = &self.certificate else {
            return Ok(None);
        };
        let read = fs::read(path).map(Some);
        read.map_err(|source| BadEgressOption::File {
            path: path.clone(),
            source,
        })
    }

    /// Its name and where it is, if that is written down.
    pub fn fixed_address(&self) -> Option<(&str, SocketAddr)> {
        self.address.map(|address| (self.host.as_str(), address))
    }

    /// The address inside that may be connected to.
    pub fn inside_address(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip())
    }
}

impl FromStr for RegistryRow {
    type Err = BadEgressOption;

    fn from_str(text: &str) -> Result<Self, BadEgressOption> {
        let bad = |says: String| BadEgressOption::Registry(says);
        let (mut host, mut site) = (None, None);
        let (mut address, mut certificate, mut credential) = (None, None, None);
        let (mut index, mut modules, mut simple_path) = (None, Vec::new(), None);
        let host_name = |value: &str| {
            let named: EgressHost = value.parse().ok()?;
            named.as_name().map(str::to_owned)
        };
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| bad(format!("`{part}` is not NAME=VALUE")))?;
            let value = value.trim();
            let wrong = || bad(format!("`{value}` is no {}", name.trim()));
            match name.trim() {
                "host" => host = Some(host_name(value).ok_or_else(wrong)?),
                "index" => index = Some(host_name(value).ok_or_else(wrong)?),
                "modules" => modules.extend(value.split(',').map(|path| path.trim().to_owned())),
                "site" => site = Some(RegistrySite::parse(value).ok_or_else(wrong)?),
                "address" => address = Some(value.parse().map_err(|_| wrong())?),
                "certificate" => certificate = Some(PathBuf::from(value)),
                "credential" => credential = Some(value.to_owned()),
                "path" if is_simple_path(value) => simple_path = Some(value.to_owned()),
                "path" => return Err(wrong()),
                other => return Err(bad(format!("there is no field `{other}`"))),
            }
        }
        let site = site.ok_or_else(|| bad("`site` is missing".to_owned()))?;
        if simple_path.is_some() && site != RegistrySite::PypiIndex {
            return Err(bad(format!("`path` is nothing that a site `{site}` has")));
        }
        Ok(Self {
            host: host.ok_or_else(|| bad("`host` is missing".to_owned()))?,
            site,
            address,
            certificate,
            credential,
            index,
            modules,
            simple_path,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_registry_is_read_or_told_what_is_wrong() {
        let row = "host=NPM.example.com.; site=npm; address=10.0.0.5:8443; credential=NPM_KEY";
        let row: RegistryRow = row.parse().unwrap();
        let address = "10.0.0.5:8443".parse().unwrap();
        assert_eq!(row.fixed_address(), Some(("npm.example.com", address)));
        assert_eq!(row.credential.as_deref(), Some("NPM_KEY"));
        let row = "host=a.example; site=pypi-index; path=/ann/dev/+simple/";
        let row: RegistryRow = row.parse().unwrap();
        assert_eq!(row.simple_path.as_deref(), Some("/ann/dev/+simple/"));
        for (text, says) in [
            ("site=npm", "`host` is missing"),
            ("host=a.example", "`site` is missing"),
            ("host=10.0.0.5; site=npm", "`10.0.0.5` is no host"),
            ("host=a.example; site=maven", "`maven` is no site"),
            ("host=a.example; site=npm; address=x", "`x` is no address"),
            (
                "host=a.example; site=npm; index=1.2.3.4",
                "`1.2.3.4` is no index",
            ),
            ("host=a.example; site=npm; key=x", "there is no field `key`"),
            ("host=a.example; site=npm; path=/a/", "`path` is nothing"),
            (
                "host=a.example; site=pypi-index; path=/a",
                "`/a` is no path",
            ),
            (
                "host=a.example; site=pypi-index; path=/a?b/",
                "`/a?b/` is no path",
            ),
            ("a.example", "`a.example` is not NAME=VALUE"),
        ] {
            let error = text.parse::<RegistryRow>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn an_entry_goes_to_the_list_it_belongs_to() {
        for (entry, expected) in [
            ("docs.example.com", Some("egress.hosts")),
            ("**.example.com:8443", Some("egress.hosts")),
            // What denies is written by hand.
            ("!secret.example.com", None),
            ("npm:left-pad@1.3.0", Some("egress.versions")),
            ("npm:@scope/pad@1.3.0", Some("egress.versions")),
            ("https://example.com/", None),
            ("two words", None),
        ] {
            let found = entry_list(entry).map(|key| key.spec.dotted_path());
            assert_eq!(found.as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn a_registry_needs_no_entry() {
        let options = EgressOptions {
            hosts: ProjectHosts::default(),
            versions: BTreeSet::new(),
            registries: vec!["host=npm.example; site=npm".parse().unwrap()],
            cache_bytes: 0,
        };
        for (entry, expected) in [
            ("registry.npmjs.org", true),
            ("REGISTRY.npmjs.org.:443", true),
            ("proxy.golang.org", true),
            ("registry.yarnpkg.com", true),
            ("npm.example", true),
            ("**.npmjs.org", false),
            ("example.com", false),
            ("npm:left-pad@1.3.0", false),
        ] {
            assert_eq!(options.names_registry(entry), expected, "{entry}");
        }
    }

    #[test]
    fn every_site_of_the_shape_is_one() {
        let (_, rest) = RegistryRow::SHAPE.split_once("site=").unwrap();
        let (sites, _) = rest.split_once(';').unwrap();
        for site in sites.split('|') {
            assert!(RegistrySite::parse(site).is_some(), "{site}");
        }
    }
}

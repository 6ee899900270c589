//! The proxy of this deployment, for the sandboxes of an orchestrator.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use omoi_egress::authority::EgressAuthority;
use omoi_egress::cache::RegistryCache;
use omoi_egress::listing::{ListedEntries, SharedListing};
use omoi_egress::options::EgressOptions;
use omoi_egress::proxy::{EgressProxy, ProxyParts};
use omoi_egress::registry::RegistrySite;
use omoi_egress::resolve::{CheckedResolver, FixedAddresses};
use omoi_egress::service::RegistryService;
use omoi_egress::sites::RegistrySites;
use omoi_egress::upstream::{HostTrust, UpstreamRegistries, UpstreamSettings};
use omoi_execution::DeploymentParts;
use omoi_execution::sandbox_egress::SandboxEgress;
use omoi_execution::setup::OpenRegistries;
use omoi_runtime::clock::Clocked;
use omoi_server::egress::{AttemptProxy, EgressLists};
use omoi_server::setup_egress::SetupProxy;

use super::StartOptions;

/// Folder of the authority and the cache below the data folder.
const FOLDER: &str = "egress";
/// Whose private registries are seen, while a deployment has one organisation.
const ORGANISATION: &str = "local";
/// Where machines keep the authorities that they trust.
const MACHINE_AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The way out: what serves it, and the certificates that a sandbox trusts.
pub(super) struct OpenedEgress {
    pub(super) attempts: AttemptProxy,
    sandboxes: SandboxEgress,
}

impl OpenedEgress {
    /// The way of set-ups to registries.
    pub(super) fn setup_registries(&self, parts: &DeploymentParts) -> Arc<dyn OpenRegistries> {
        Arc::new(SetupProxy {
            proxy: self.attempts.clone(),
            store: parts.store.store().clone(),
            mask: parts.mask.clone(),
            lifecycle: parts.lifecycle.clone(),
        })
    }
}

/// Opens the proxy of an orchestrator below `data`.
pub(super) fn open_egress(
    start: &StartOptions,
    data: &Path,
    clock: &Clocked,
) -> anyhow::Result<Option<OpenedEgress>> {
    if !start.roles.orchestrator {
        return Ok(None);
    }
    let options = EgressOptions::from_config(&start.config)?;
    let rows = options.registries.iter();
    let private = rows.map(|row| row.open_registry(&start.config, ORGANISATION));
    let private: Vec<_> = private.collect::<Result<_, _>>()?;
    let go_proxies = private
        .iter()
        .filter(|registry| registry.site == RegistrySite::GoModules);
    let go_proxies = go_proxies.map(|registry| registry.host.clone()).collect();
    let private_modules = private.iter().flat_map(|registry| registry.modules.clone());
    let private_modules = private_modules.collect();
    let sites = RegistrySites::new(private).context("`egress.registries`")?;
    let mut settings = UpstreamSettings::default();
    let mut fixed = FixedAddresses::default();
    for row in &options.registries {
        // What is trusted of one host says nothing about another.
        let trust: &mut HostTrust = settings
            .hosts
            .entry(row.host_name().to_owned())
            .or_default();
        trust.pem_roots.extend(row.read_certificates()?);
        trust.listed_addresses.extend(row.inside_address());
        let named = row.fixed_address();
        fixed
            .0
            .extend(named.map(|(host, at)| (host.to_owned(), at)));
    }
    let folder = data.join(FOLDER);
    let hosts = sites.registry_hosts(ORGANISATION);
    let authority = EgressAuthority::open(&folder.join("authority"), &hosts, clock.now())
        .context("could not open the authority of the registry proxy")?;
    let resolver = CheckedResolver::new(Arc::new(fixed), clock.clone());
    let upstream = UpstreamRegistries::new(resolver.clone(), settings, clock.clone())?;
    let cache = RegistryCache::open(folder.join("cache"), options.cache_bytes, clock.clone())
        .context("could not open the cache of packages")?;
    let certificates = authority.certificate_path();
    let read = std::fs::read_to_string(certificates);
    let certificates = read.context("could not read the certificate of the registry proxy")?;
    // One for the proxy and for what sandboxes are given: entries may come while this process works.
    let listing = SharedListing::new(ListedEntries {
        hosts: options.hosts,
        versions: options.versions,
    });
    let sandboxes = SandboxEgress {
        host_certificates: host_certificates(&certificates)?,
        certificates: certificates.into(),
        go_proxies,
        private_modules,
        listing: listing.clone(),
    };
    let proxy = EgressProxy::new(ProxyParts {
        service: RegistryService::new(cache, upstream, sites, clock.clone()),
        authority,
        resolver,
        clock: clock.clone(),
    });
    let lists = EgressLists {
        listing,
        organisation: ORGANISATION.to_owned(),
    };
    Ok(Some(OpenedEgress {
        attempts: AttemptProxy::new(proxy, lists, clock.clone()),
        sandboxes,
    }))
}

impl OpenedEgress {
    /// What sandboxes are given of it.
    pub(super) fn sandbox_egress(&self) -> SandboxEgress {
        self.sandboxes.clone()
    }
}

/// The authority of registries, and those of the machine where other hosts are listed: a client that is
/// told of one file trusts no other.
fn host_certificates(authority: &str) -> anyhow::Result<Arc<str>> {
    let mut text = authority.to_owned();
    let mut machine = MACHINE_AUTHORITIES.iter().map(Path::new);
    if let Some(machine) = machine.find(|path| path.exists()) {
        let read = std::fs::read_to_string(machine);
        text.push_str(&read.context("could not read the authorities of this machine")?);
    }
    Ok(text.into())
}

//! The client that asks registries: it connects to checked addresses alone and trusts what it was told.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::host::EgressTarget;
use crate::refusal::Refusal;
use crate::resolve::CheckedResolver;
use crate::upstream::HostTrust;

/// A client for hosts of `trust`.
pub(crate) fn client_of(
    resolver: &CheckedResolver,
    trust: HostTrust,
) -> Result<reqwest::Client, reqwest::Error> {
    let resolver = RegistryResolver {
        resolver: resolver.clone(),
        listed_addresses: Arc::from(trust.listed_addresses),
    };
    let mut roots = Vec::new();
    for pem in &trust.pem_roots {
        roots.extend(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    reqwest::Client::builder()
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .https_only(true)
        .user_agent(concat!("omoi/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(20))
        .tls_certs_merge(roots)
        .build()
}

/// Lets only checked addresses reach the connector, which looks nothing up by itself.
struct RegistryResolver {
    resolver: CheckedResolver,
    listed_addresses: Arc<[IpAddr]>,
}

impl Resolve for RegistryResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.resolver.clone();
        let listed = Arc::clone(&self.listed_addresses);
        Box::pin(async move {
            let target = EgressTarget::parse(name.as_str(), 443)?;
            let addresses = resolver
                .resolve(&target, |address| listed.contains(&address))
                .await?;
            let addresses: Vec<SocketAddr> = addresses;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The refusal of our own resolver inside the error of the library.
pub(crate) fn resolver_refusal(error: &reqwest::Error) -> Option<Refusal> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        source = cause.source();
    }
    None
}

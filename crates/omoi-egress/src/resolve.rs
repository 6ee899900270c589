//! Looking names up once, and connecting to exactly the addresses that were judged.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use omoi_runtime::clock::{Clock, with_deadline};
use tokio::net::TcpStream;
use tracing::debug;

use crate::address::is_public;
use crate::host::{EgressHost, EgressTarget};
use crate::refusal::{Refusal, RefusalReason};

/// How long a name may take to be looked up.
const LOOKUP_MAX: Duration = Duration::from_secs(10);
/// How long one address may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Looks names up.
pub trait NameLookup: Send + Sync {
    /// The addresses of `name`, each with the port to connect to.
    fn lookup_name(
        &self,
        name: String,
        port: u16,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl NameLookup for SystemLookup {
    fn lookup_name(
        &self,
        name: String,
        port: u16,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

/// The resolver of the machine, but for names whose address a person wrote down.
#[derive(Clone, Debug, Default)]
pub struct FixedAddresses(pub HashMap<String, SocketAddr>);

impl NameLookup for FixedAddresses {
    fn lookup_name(
        &self,
        name: String,
        port: u16,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        match self.0.get(&name) {
            Some(address) => {
                let addresses = vec![*address];
                Box::pin(async move { Ok(addresses) })
            }
            None => SystemLookup.lookup_name(name, port),
        }
    }
}

/// Looks names up and lets only those addresses through that may be connected to.
#[derive(Clone)]
pub struct CheckedResolver {
    lookup: Arc<dyn NameLookup>,
    clock: Arc<dyn Clock>,
}

impl CheckedResolver {
    /// A resolver over `lookup`.
    pub fn new(lookup: Arc<dyn NameLookup>, clock: Arc<dyn Clock>) -> Self {
        Self { lookup, clock }
    }

    /// The addresses of `target`, all of them public or listed.
    ///
    /// One address that is neither refuses the name: who answers with a mixture tries to get in.
    ///
    /// # Errors
    /// Returns the refusal.
    pub async fn resolve(
        &self,
        target: &EgressTarget,
        lists_address: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let addresses = match &target.host {
            EgressHost::Address(address) => vec![SocketAddr::new(*address, target.port)],
            EgressHost::Name(name) => {
                let lookup = self.lookup.lookup_name(name.clone(), target.port);
                match with_deadline(self.clock.as_ref(), LOOKUP_MAX, lookup).await {
                    Ok(Ok(addresses)) => addresses,
                    Ok(Err(error)) => {
                        debug!(%target, "A name has no address: {error}");
                        Vec::new()
                    }
                    Err(_) => Vec::new(),
                }
            }
        };
        if addresses.is_empty() {
            return Err(Refusal::new(RefusalReason::NameNotResolved, target));
        }
        let is_forbidden =
            |address: &&SocketAddr| !is_public(address.ip()) && !lists_address(address.ip());
        if let Some(forbidden) = addresses.iter().find(is_forbidden) {
            return Err(
                Refusal::new(RefusalReason::AddressNotPublic, target).with_detail(forbidden.ip())
            );
        }
        Ok(addresses)
    }

    /// Connects to the first of `addresses` that answers.
    ///
    /// # Errors
    /// Returns the refusal when none does.
    pub async fn connect_first(
        &self,
        target: &EgressTarget,
        addresses: &[SocketAddr],
    ) -> Result<TcpStream, Refusal> {
        for address in addresses.iter().take(ADDRESSES_MAX) {
            let connected = TcpStream::connect(address);
            match with_deadline(self.clock.as_ref(), CONNECT_MAX, connected).await {
                Ok(Ok(stream)) => {
                    // Small records of a handshake are not held back for more.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => debug!(%target, "An address takes no connection: {error}"),
                Err(passed) => debug!(%target, "An address takes no connection: {passed}"),
            }
        }
        Err(Refusal::new(RefusalReason::HostUnreachable, target))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_domain::time::Timestamp;
    use omoi_runtime::clock::ManualClock;

    use super::*;
    use crate::host::HostRules;

    /// Answers every name with the same addresses.
    struct FixedLookup(Vec<IpAddr>);

    impl NameLookup for FixedLookup {
        fn lookup_name(
            &self,
            _: String,
            port: u16,
        ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let addresses = self.0.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
            Box::pin(async { Ok(addresses) })
        }
    }

    #[tokio::test]
    async fn one_address_inside_refuses_the_name() {
        let rules = HostRules::parse(&["10.0.0.5"], &[]).unwrap();
        for (answer, expected) in [
            (&["1.1.1.1", "8.8.8.8"][..], None),
            (&["10.0.0.5"], None),
            (&["10.0.0.6"], Some(RefusalReason::AddressNotPublic)),
            (
                &["1.1.1.1", "127.0.0.1"],
                Some(RefusalReason::AddressNotPublic),
            ),
            (&["::ffff:8.8.8.8"], Some(RefusalReason::AddressNotPublic)),
            (&["169.254.169.254"], Some(RefusalReason::AddressNotPublic)),
            (&[], Some(RefusalReason::NameNotResolved)),
        ] {
            let addresses = answer.iter().map(|text| text.parse().unwrap()).collect();
            let clock = Arc::new(ManualClock::new(Timestamp::default()));
            let resolver = CheckedResolver::new(Arc::new(FixedLookup(addresses)), clock);
            let target = EgressTarget::parse("example.com", 443).unwrap();
            let resolved = resolver
                .resolve(&target, |ip| rules.lists_address(ip, target.port))
                .await;
            assert_eq!(
                resolved.err().map(|refusal| refusal.reason),
                expected,
                "{answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_literal_is_judged_like_an_answer() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let resolver = CheckedResolver::new(Arc::new(FixedLookup(Vec::new())), clock);
        let target = EgressTarget::parse("0x7f.1", 443).unwrap();
        let refusal = resolver.resolve(&target, |_| false).await.unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::AddressNotPublic);
        resolver.resolve(&target, |_| true).await.unwrap();
    }
}

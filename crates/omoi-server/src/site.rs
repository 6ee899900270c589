//! The place that browsers know this server by: its names, the pages that may ask it, and the proxies in front of it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use crate::options::{ServerMode, SiteOptions};

/// Names of a laptop's own server.
const OWN_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];
/// Hops of a request that are looked at, at most.
const HOPS_MAX: usize = 16;

/// Why a server cannot be reached as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// People need to know where it is.
    #[error("mode `team` needs the address that people reach the server at: `server.public_url`")]
    NoPublicUrl,
    /// Cookies and keys would cross a network as they are.
    #[error("`{0}` is reached over plain http, which shows keys and cookies to the network")]
    Exposed(String),
    /// Somebody else speaks TLS in front of it.
    #[error(
        "`{0}` is https, which a proxy in front of this server speaks: name its address in `server.trusted_proxies`"
    )]
    NoProxies(String),
    /// A page of anybody could ask with a person's cookie.
    #[error(
        "`server.allowed_origins` holds `{0}`, which is no origin, such as `https://board.example.org`"
    )]
    BadOrigin(String),
    /// A text is no address and no network.
    #[error(
        "`server.trusted_proxies` holds `{0}`, which is no address and no network, such as `10.0.0.0/8`"
    )]
    BadProxy(String),
    /// Others reach a laptop.
    #[error("mode `local` answers on loopback alone, and `{0}` is reached by others")]
    NotLoopback(IpAddr),
}

/// How a server is reached. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Site(Arc<SiteRules>);

#[derive(Debug)]
struct SiteRules {
    mode: ServerMode,
    /// Where people reach it: of a laptop, only once it listens.
    own_origins: Vec<String>,
    allowed_origins: Vec<String>,
    proxies: Vec<AddressBlock>,
    port: Option<u16>,
}

/// An address, or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressBlock {
    bits: u128,
    /// Leading bits that count.
    n_bits: u32,
}

impl Site {
    /// A server as `options` say, before it listens.
    ///
    /// # Errors
    /// [`SiteError`].
    pub fn of_options(options: &SiteOptions) -> Result<Self, SiteError> {
        let allowed = options.allowed_origins.iter().map(|text| {
            let origin = origin_of(text).filter(|origin| origin == text);
            origin.ok_or_else(|| SiteError::BadOrigin(text.clone()))
        });
        let proxies = options.trusted_proxies.iter().map(|text| {
            let block: Result<AddressBlock, ()> = text.parse();
            block.map_err(|()| SiteError::BadProxy(text.clone()))
        });
        let mut rules = SiteRules {
            mode: options.mode,
            own_origins: Vec::new(),
            allowed_origins: allowed.collect::<Result<_, _>>()?,
            proxies: proxies.collect::<Result<_, _>>()?,
            port: None,
        };
        if options.mode == ServerMode::Team {
            let url = options.public_url.as_ref().ok_or(SiteError::NoPublicUrl)?;
            let origin = origin_of(url).ok_or(SiteError::NoPublicUrl)?;
            let is_encrypted = origin.starts_with("https://");
            if !is_encrypted && !is_of_this_machine(&origin) {
                return Err(SiteError::Exposed(url.clone()));
            }
            if is_encrypted && rules.proxies.is_empty() {
                return Err(SiteError::NoProxies(url.clone()));
            }
            rules.own_origins.push(origin);
        }
        Ok(Self(Arc::new(rules)))
    }

    /// The same once it listens at `address`.
    ///
    /// # Errors
    /// [`SiteError::NotLoopback`] for a laptop that others would reach, [`SiteError::Exposed`] for a team's server that they
    /// would reach without TLS.
    pub fn listening_at(&self, address: IpAddr, port: u16) -> Result<Self, SiteError> {
        let mut own_origins = self.0.own_origins.clone();
        if self.0.mode == ServerMode::Local {
            if !address.to_canonical().is_loopback() {
                return Err(SiteError::NotLoopback(address));
            }
            own_origins = OWN_NAMES.map(|name| own_origin(name, port)).to_vec();
        } else if !self.is_encrypted() && !address.to_canonical().is_loopback() {
            let origin = own_origins.first().cloned().unwrap_or_default();
            return Err(SiteError::Exposed(origin));
        }
        Ok(Self(Arc::new(SiteRules {
            mode: self.0.mode,
            own_origins,
            allowed_origins: self.0.allowed_origins.clone(),
            proxies: self.0.proxies.clone(),
            port: Some(port),
        })))
    }

    /// Whom it serves.
    pub fn server_mode(&self) -> ServerMode {
        self.0.mode
    }

    /// Whether browsers reach it over TLS alone.
    pub fn is_encrypted(&self) -> bool {
        let mut own = self.0.own_origins.iter();
        own.any(|origin| origin.starts_with("https://"))
    }

    /// The address that browsers reach it at; none before it listens.
    pub fn first_address(&self) -> Option<&str> {
        self.0.own_origins.first().map(String::as_str)
    }

    /// What tells the cookies of several servers on one machine apart: browsers know no ports.
    pub fn cookie_mark(&self) -> Option<u16> {
        match self.0.mode {
            ServerMode::Local => self.0.port,
            ServerMode::Team => None,
        }
    }

    /// Whether a request under the name `host` is for it. A name of others that leads to a laptop's loopback is how a page
    /// of theirs would ask it.
    pub fn answers_to(&self, host: Option<&str>) -> bool {
        let Some(host) = host else {
            return self.0.mode == ServerMode::Team;
        };
        match self.0.mode {
            ServerMode::Team => true,
            ServerMode::Local => {
                let host = host.to_ascii_lowercase();
                let mut own = self.0.own_origins.iter();
                own.any(|origin| origin.strip_prefix("http://") == Some(host.as_str()))
            }
        }
    }

    /// Whether a page at `origin` is its own.
    pub fn is_own_origin(&self, origin: &str) -> bool {
        self.0.own_origins.iter().any(|own| own == origin)
    }

    /// Whether a page at `origin` may ask with a person's cookie.
    pub fn is_allowed_origin(&self, origin: &str) -> bool {
        self.is_own_origin(origin) || self.0.allowed_origins.iter().any(|own| own == origin)
    }

    /// Who a request comes from that `peer` brings: of what proxies say only what those say that are ours counts, the
    /// nearest first.
    pub fn client_address<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in forwarded.rev().take(HOPS_MAX) {
            if !self.is_proxy(client) {
                break;
            }
            match read_hop(hop.trim()) {
                Some(address) => client = address.to_canonical(),
                // Whoever wrote that is the last one we know.
                None => break,
            }
        }
        client
    }

    /// Whether `peer` is a proxy of ours, which brings the requests of others.
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        self.is_proxy(peer.to_canonical())
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        let mut proxies = self.0.proxies.iter();
        proxies.any(|block| block.contains(address))
    }
}

/// The address that a proxy names; some name its port too.
fn read_hop(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port)
}

fn own_origin(name: &str, port: u16) -> String {
    match port {
        80 => format!("http://{name}"),
        port => format!("http://{name}:{port}"),
    }
}

/// The origin of an address, as browsers write it.
fn origin_of(url: &str) -> Option<String> {
    let url = url.trim().to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://")?;
    let usual_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.strip_suffix(usual_port).unwrap_or(host);
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    let is_named = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    (is_named && host.chars().all(is_host)).then(|| format!("{scheme}://{host}"))
}

fn is_of_this_machine(origin: &str) -> bool {
    OWN_NAMES.iter().any(|name| {
        let rest = origin
            .strip_prefix("http://")
            .and_then(|host| host.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

impl AddressBlock {
    fn contains(self, address: IpAddr) -> bool {
        let differ = (self.bits ^ bits_of(address)).leading_zeros();
        differ >= self.n_bits
    }
}

impl FromStr for AddressBlock {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let own_bits = if address.is_ipv4() { 32 } else { 128 };
        let n_bits: u32 = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| ())?,
            None => own_bits,
        };
        match n_bits <= own_bits {
            true => Ok(Self {
                bits: bits_of(address),
                n_bits: n_bits + 128 - own_bits,
            }),
            false => Err(()),
        }
    }
}

/// Addresses of version 4 lie among those of version 6.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn options(
        mode: ServerMode,
        url: Option<&str>,
        origins: &[&str],
        proxies: &[&str],
    ) -> SiteOptions {
        let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect();
        SiteOptions {
            mode,
            public_url: url.map(ToOwned::to_owned),
            allowed_origins: texts(origins),
            trusted_proxies: texts(proxies),
        }
    }

    #[test]
    fn a_laptop_answers_to_its_own_names_alone() {
        let site = Site::of_options(&options(ServerMode::Local, None, &[], &[])).unwrap();
        assert!(!site.answers_to(Some("127.0.0.1")), "before it listens");
        let far: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(
            site.listening_at(far, 8000).unwrap_err(),
            SiteError::NotLoopback(far)
        );
        let site = site
            .listening_at("127.0.0.1".parse().unwrap(), 8000)
            .unwrap();
        for host in [
            "127.0.0.1:8000",
            "localhost:8000",
            "LOCALHOST:8000",
            "[::1]:8000",
        ] {
            assert!(site.answers_to(Some(host)), "{host}");
        }
        for host in [
            "127.0.0.1",
            "localhost:8001",
            "evil.example:8000",
            "localhost.evil.example:8000",
            "",
        ] {
            assert!(!site.answers_to(Some(host)), "{host}");
        }
        assert!(!site.answers_to(None));
        assert!(site.is_allowed_origin("http://localhost:8000"));
        for origin in [
            "null",
            "http://localhost:3000",
            "https://localhost:8000",
            "http://evil.example",
        ] {
            assert!(!site.is_allowed_origin(origin), "{origin}");
        }
        assert_eq!(
            (site.cookie_mark(), site.is_encrypted()),
            (Some(8000), false)
        );
        assert_eq!(site.first_address(), Some("http://127.0.0.1:8000"));
    }

    #[test]
    fn a_team_says_where_it_is_and_who_stands_before_it() {
        let check = |url: Option<&str>, origins: &[&str], proxies: &[&str]| {
            Site::of_options(&options(ServerMode::Team, url, origins, proxies)).map(drop)
        };
        let (url, plain) = (
            "https://Omoi.example.org:443/team",
            "http://omoi.example.org",
        );
        let proxies = ["10.0.0.0/8", "::1"];
        assert_eq!(
            check(Some(url), &["https://board.example.org"], &proxies),
            Ok(())
        );
        assert_eq!(check(Some("http://127.0.0.1:8000"), &[], &[]), Ok(()));
        assert_eq!(check(None, &[], &proxies), Err(SiteError::NoPublicUrl));
        assert_eq!(
            check(Some(plain), &[], &proxies),
            Err(SiteError::Exposed(plain.to_owned()))
        );
        let local = "http://127.0.0.1.evil.example";
        assert_eq!(
            check(Some(local), &[], &proxies),
            Err(SiteError::Exposed(local.to_owned()))
        );
        assert_eq!(
            check(Some(url), &[], &[]),
            Err(SiteError::NoProxies(url.to_owned()))
        );
        for origin in [
            "*",
            "https://*.example.org",
            "null",
            "https://a.example/",
            "a.example",
            "",
        ] {
            let refused = check(Some(url), &[origin], &proxies);
            assert_eq!(
                refused,
                Err(SiteError::BadOrigin(origin.to_owned())),
                "{origin}"
            );
        }
        for proxy in ["proxy", "10.0.0.0/33", "10.0.0.0/-1", "*", ""] {
            let refused = check(Some(url), &[], &[proxy]);
            assert_eq!(
                refused,
                Err(SiteError::BadProxy(proxy.to_owned())),
                "{proxy}"
            );
        }
        let team = options(ServerMode::Team, Some(url), &[], &proxies);
        let site = Site::of_options(&team).unwrap();
        assert!(site.is_own_origin("https://omoi.example.org") && site.is_encrypted());
        assert!(site.answers_to(Some("anything")) && site.answers_to(None));
    }

    #[test]
    fn only_proxies_of_ours_say_where_a_request_came_from() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        let team = options(
            ServerMode::Team,
            Some("https://omoi.example.org"),
            &[],
            &proxies,
        );
        let site = Site::of_options(&team).unwrap();
        let check = |peer: &str, forwarded: &[&str], expected: &str| {
            let found = site.client_address(peer.parse().unwrap(), forwarded.iter().copied());
            assert_eq!(
                found,
                expected.parse::<IpAddr>().unwrap(),
                "{peer} {forwarded:?}"
            );
        };
        check("203.0.113.9", &[], "203.0.113.9");
        // A stranger says what they like.
        check("203.0.113.9", &["192.0.2.1"], "203.0.113.9");
        check("10.0.0.1", &["192.0.2.1"], "192.0.2.1");
        check("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1");
        check("10.0.0.1", &["6.6.6.6", "192.0.2.1"], "192.0.2.1");
        check(
            "10.0.0.1",
            &["6.6.6.6", "192.0.2.1", " 2001:db8::7 "],
            "192.0.2.1",
        );
        check("10.0.0.1", &["10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["6.6.6.6", "nonsense"], "10.0.0.1");
        check("11.0.0.1", &["6.6.6.6"], "11.0.0.1");
    }
}

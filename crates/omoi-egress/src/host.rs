//! Hosts: one spelling for each, and the patterns a person lists them by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Longest name that the domain name system carries.
const NAME_BYTES_MAX: usize = 253;
/// Ports that a pattern without one stands for: TLS and plain HTTP.
const DEFAULT_PORTS: [u16; 2] = [443, 80];

/// A host in its one spelling: lower case, ASCII, without trailing dot or brackets.
///
/// Every numeric form that a resolver would take for an address (`127.1`, `0x7f000001`, `2130706433`)
/// is the address here, so that no spelling passes for a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EgressHost {
    /// A name to look up.
    Name(String),
    /// An address literal. Mapped forms are the IPv4 address they mean.
    Address(IpAddr),
}

/// A text that names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host, such as `registry.npmjs.org`")]
pub struct InvalidHost(pub String);

impl EgressHost {
    /// The name; `None` for an address.
    pub fn as_name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

impl FromStr for EgressHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(text.to_owned());
        // `url` decodes percent signs, and a colon outside brackets is a port that was not cut off.
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "%@/\\?#*".contains(c);
        let is_bracketed = text.starts_with('[') && text.ends_with(']');
        if text.contains(is_odd) || (text.contains(':') && !is_bracketed) {
            return Err(invalid());
        }
        let without_dot = text.strip_suffix('.').unwrap_or(text);
        if without_dot.is_empty() || without_dot.ends_with('.') {
            return Err(invalid());
        }
        match url::Host::parse(without_dot).map_err(|_| invalid())? {
            url::Host::Domain(name) => {
                let has_empty_label = name.split('.').any(str::is_empty);
                if has_empty_label || name.len() > NAME_BYTES_MAX {
                    return Err(invalid());
                }
                Ok(Self::Name(name))
            }
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(IpAddr::V6(address).to_canonical())),
        }
    }
}

impl fmt::Display for EgressHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Host and port that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressTarget {
    /// Where to, in its one spelling.
    pub host: EgressHost,
    /// The port, 443 where TLS is asked for.
    pub port: u16,
}

impl EgressTarget {
    /// Reads `host:port`, or a host alone that gets `default_port`.
    ///
    /// # Errors
    /// Returns [`InvalidHost`] for anything else, user names before an `@` among it.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(invalid)?;
        let port = match port {
            Some(port) => parse_port(port).ok_or_else(invalid)?,
            None => default_port,
        };
        let host = host.parse().map_err(|_| invalid())?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for EgressTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Cuts a port off; `None` when brackets do not close or colons stand outside them.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let end = rest.find(']')? + 2;
        let (host, rest) = text.split_at(end);
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// Digits alone: `u16::from_str` would take a sign too.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| text.parse().ok()).flatten()?;
    (port != 0).then_some(port)
}

/// An entry of a list of hosts: `host`, `*.host` (one label more) or `**.host` (any depth, and the host
/// itself), each with or without `:port`; or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    depth: PatternDepth,
    host: EgressHost,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatternDepth {
    Exact,
    OneLabel,
    AnyDepth,
}

/// An entry that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a host pattern; write `host`, `*.host` or `**.host`, with `:port` where it is not 443"
)]
pub struct InvalidPattern(pub String);

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        let (depth, rest) = if let Some(rest) = text.strip_prefix("**.") {
            (PatternDepth::AnyDepth, rest)
        } else if let Some(rest) = text.strip_prefix("*.") {
            (PatternDepth::OneLabel, rest)
        } else {
            (PatternDepth::Exact, text)
        };
        let is_plain_v6 = rest.parse::<Ipv6Addr>().is_ok();
        let bracketed = format!("[{rest}]");
        let rest = if is_plain_v6 { &bracketed } else { rest };
        let (host, port) = split_port(rest).ok_or_else(invalid)?;
        let port = match port {
            Some(port) => Some(parse_port(port).ok_or_else(invalid)?),
            None => None,
        };
        let host: EgressHost = host.parse().map_err(|_| invalid())?;
        if depth != PatternDepth::Exact && host.as_name().is_none() {
            return Err(invalid());
        }
        Ok(Self { depth, host, port })
    }
}

impl HostPattern {
    /// Whether an entry of the list of what may be reached stands for `port` too.
    fn allows_port(&self, port: u16) -> bool {
        match self.port {
            Some(listed) => listed == port,
            None => DEFAULT_PORTS.contains(&port),
        }
    }

    fn matches_host(&self, host: &EgressHost) -> bool {
        let (Some(base), Some(name)) = (self.host.as_name(), host.as_name()) else {
            return self.host == *host;
        };
        let below = name
            .strip_suffix(base)
            .and_then(|rest| rest.strip_suffix('.'));
        match self.depth {
            PatternDepth::Exact => name == base,
            PatternDepth::OneLabel => below.is_some_and(|label| !label.contains('.')),
            PatternDepth::AnyDepth => name == base || below.is_some(),
        }
    }
}

/// Which hosts a person lets an attempt reach. An empty list lets it reach none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules {
    /// What may be reached, apart from what is denied.
    pub allow: Vec<HostPattern>,
    /// What may never be reached. Without a port it denies every port.
    pub deny: Vec<HostPattern>,
}

/// What [`HostRules`] say about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostDecision {
    /// A pattern lists the host with this port.
    Allowed,
    /// A pattern denies it, whatever else lists it.
    Denied,
    /// Only other ports of this host are listed.
    PortNotListed,
    /// Nothing lists it.
    NotListed,
}

impl HostRules {
    /// Reads both lists.
    ///
    /// # Errors
    /// Returns [`InvalidPattern`] for the first entry that is no pattern.
    pub fn parse(allow: &[&str], deny: &[&str]) -> Result<Self, InvalidPattern> {
        let read = |entries: &[&str]| -> Result<Vec<HostPattern>, InvalidPattern> {
            entries.iter().map(|entry| entry.parse()).collect()
        };
        Ok(Self {
            allow: read(allow)?,
            deny: read(deny)?,
        })
    }

    /// Whether `target` may be reached, as far as its host and port say.
    pub fn decide(&self, target: &EgressTarget) -> HostDecision {
        let is_denied = self.deny.iter().any(|pattern| {
            pattern.matches_host(&target.host)
                && pattern.port.is_none_or(|port| port == target.port)
        });
        if is_denied {
            return HostDecision::Denied;
        }
        let mut listing = self.allow.iter();
        let mut decision = HostDecision::NotListed;
        while let Some(pattern) = listing.find(|pattern| pattern.matches_host(&target.host)) {
            if pattern.allows_port(target.port) {
                return HostDecision::Allowed;
            }
            decision = HostDecision::PortNotListed;
        }
        decision
    }

    /// Whether the list names `address` itself with this port, which lets a listed name lead there.
    pub fn lists_address(&self, address: IpAddr, port: u16) -> bool {
        let host = EgressHost::Address(address.to_canonical());
        let mut allow = self.allow.iter();
        allow.any(|pattern| pattern.host == host && pattern.allows_port(port))
    }
}

#[cfg(test)]
mod tests;

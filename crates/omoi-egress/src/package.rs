//! Packages: which registry, which name, which version, and the sums that a registry gives for a file.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use omoi_domain::time::Timestamp;

/// How long a version must have been published before it comes in.
pub const VERSION_AGE_MIN: Duration = Duration::from_secs(3 * 24 * 3600);

omoi_domain::closed_set! {
    /// A family of package registries: one format of names, documents and files.
    PackageRegistry {
        /// JavaScript packages.
        Npm = "npm",
        /// Rust crates.
        Crates = "crates",
        /// Python projects.
        Pypi = "pypi",
        /// Go modules.
        Go = "go",
    }
}

/// A package by name, written `npm:left-pad`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName {
    /// Whose name it is.
    pub registry: PackageRegistry,
    /// The name as the registry files it: crates in lower case, Python's projects normalised.
    pub name: String,
}

/// A version of a package, written `npm:left-pad@1.3.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageVersion {
    /// The package.
    pub package: PackageName,
    /// The version as the registry spells it.
    pub version: String,
}

/// An entry that is not written `npm:left-pad@1.3.0`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a version of a package; write it as `npm:left-pad@1.3.0`, `crates:…`, `pypi:…` or `go:…`"
)]
pub struct InvalidVersion(pub String);

impl PackageName {
    /// The package `name` of `registry`.
    pub fn new(registry: PackageRegistry, name: impl Into<String>) -> Self {
        Self {
            registry,
            name: name.into(),
        }
    }

    /// The package in one version.
    pub fn at_version(&self, version: impl Into<String>) -> PackageVersion {
        PackageVersion {
            package: self.clone(),
            version: version.into(),
        }
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.registry, self.name)
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.package, self.version)
    }
}

impl FromStr for PackageVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let read = || {
            let (registry, rest) = text.split_once(':')?;
            // A scoped name of npm begins with an `@` of its own.
            let (name, version) = rest.rsplit_once('@')?;
            let is_whole = !name.is_empty() && !version.is_empty();
            let registry = PackageRegistry::parse(registry)?;
            let name = match registry {
                PackageRegistry::Pypi => crate::registry::pypi::normalise_name(name),
                PackageRegistry::Crates => name.to_ascii_lowercase(),
                PackageRegistry::Npm | PackageRegistry::Go => name.to_owned(),
            };
            is_whole.then(|| PackageName::new(registry, name).at_version(version))
        };
        read().ok_or_else(|| InvalidVersion(text.to_owned()))
    }
}

/// Which versions are old enough to come in.
#[derive(Clone, Copy, Debug)]
pub struct AgeRule<'a> {
    /// The present.
    pub now: Timestamp,
    /// Versions that a person or the lock file of the base commit names: they come in at any age.
    pub listed: &'a BTreeSet<PackageVersion>,
}

/// What an [`AgeRule`] says about a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeDecision {
    /// It may come in.
    Admitted,
    /// It may come in from this instant on.
    TooYoung(Timestamp),
    /// Nobody knows when it was published.
    Unknown,
}

impl AgeRule<'_> {
    /// Whether `version`, published at `published_at`, may come in.
    pub fn decide(&self, version: &PackageVersion, published_at: Option<Timestamp>) -> AgeDecision {
        if self.listed.contains(version) {
            return AgeDecision::Admitted;
        }
        match published_at {
            None => AgeDecision::Unknown,
            Some(at) if at + VERSION_AGE_MIN > self.now => {
                AgeDecision::TooYoung(at + VERSION_AGE_MIN)
            }
            Some(_) => AgeDecision::Admitted,
        }
    }

    /// Whether a document may show a version: one of unknown age is judged when its file is asked for.
    pub fn may_show(&self, version: &PackageVersion, published_at: Option<Timestamp>) -> bool {
        !matches!(self.decide(version, published_at), AgeDecision::TooYoung(_))
    }
}

/// Reads an instant as registries write it.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let instant = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp::from_micros(instant.timestamp_micros()))
}

omoi_domain::closed_set! {
    /// How a registry sums a file up, weakest first.
    SumAlgorithm {
        /// npm's of old.
        Sha1 = "sha1",
        /// Crates and Python.
        Sha256 = "sha256",
        /// npm's of today.
        Sha512 = "sha512",
        /// Go's of the file `go.mod`.
        GoMod = "h1 of go.mod",
        /// Go's of the archive of a module: of its files, not of its bytes.
        GoZip = "h1 of the archive",
    }
}

/// What a file must sum up to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArtefactSum {
    /// How.
    pub algorithm: SumAlgorithm,
    /// The digest as bytes.
    pub digest: Vec<u8>,
}

impl ArtefactSum {
    /// Reads a digest in hexadecimal digits.
    pub fn from_hex(algorithm: SumAlgorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, hex::decode(text).ok()?)
    }

    /// Reads what npm calls an integrity, `sha512-…`: the strongest of its entries.
    pub fn from_integrity(text: &str) -> Option<Self> {
        let entries = text.split_whitespace().filter_map(|entry| {
            let (algorithm, rest) = entry.split_once('-')?;
            let encoded = rest.split('?').next().unwrap_or(rest);
            let algorithm = SumAlgorithm::parse(algorithm)?;
            Self::new(algorithm, BASE64_STANDARD.decode(encoded).ok()?)
        });
        entries.max_by_key(|sum| sum.algorithm)
    }

    fn new(algorithm: SumAlgorithm, digest: Vec<u8>) -> Option<Self> {
        (digest.len() == algorithm.digest_algorithm().output_len())
            .then_some(Self { algorithm, digest })
    }

    /// Whether `digest`, made with the same algorithm, is the one asked for.
    pub fn is_met_by(&self, digest: &[u8]) -> bool {
        self.digest == digest
    }
}

impl SumAlgorithm {
    /// The code that computes it.
    pub(crate) fn digest_algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 | Self::GoMod | Self::GoZip => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// SHA-256 in hexadecimal digits, which the cache names files by.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn versions_read_as_they_are_written() {
        for text in [
            "npm:left-pad@1.3.0",
            "npm:@scope/name@1.0.0-beta.1",
            "crates:serde@1.0.0+build",
            "pypi:flask@3.0.0",
            "go:golang.org/x/text@v0.3.0",
        ] {
            assert_eq!(text.parse::<PackageVersion>().unwrap().to_string(), text);
        }
        let flask: PackageVersion = "pypi:Flask_Login@1".parse().unwrap();
        assert_eq!(flask.to_string(), "pypi:flask-login@1");
        for text in [
            "left-pad@1",
            "npm:left-pad",
            "npm:@1",
            "npm:a@",
            "gems:a@1",
            "",
        ] {
            assert!(text.parse::<PackageVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn three_days_or_a_list_let_a_version_in() {
        let now = parse_instant("2026-11-29T00:00:00Z").unwrap();
        let package = PackageName::new(PackageRegistry::Npm, "a");
        let listed = BTreeSet::from([package.at_version("9.0.0")]);
        let rule = AgeRule {
            now,
            listed: &listed,
        };
        let day = Duration::from_secs(24 * 3600);
        for (version, age, expected) in [
            ("1.0.0", Some(day * 30), AgeDecision::Admitted),
            ("1.0.0", Some(day * 3), AgeDecision::Admitted),
            ("1.0.0", Some(day), AgeDecision::TooYoung(now + day * 2)),
            (
                "1.0.0",
                Some(Duration::ZERO),
                AgeDecision::TooYoung(now + day * 3),
            ),
            ("1.0.0", None, AgeDecision::Unknown),
            ("9.0.0", Some(Duration::ZERO), AgeDecision::Admitted),
            ("9.0.0", None, AgeDecision::Admitted),
        ] {
            let published = age.map(|age| now - age);
            assert_eq!(
                rule.decide(&package.at_version(version), published),
                expected,
                "{version} {age:?}"
            );
        }
        // A clock that runs behind the registry's lets nothing in.
        let future = Some(now + day);
        assert!(!rule.may_show(&package.at_version("1.0.0"), future));
        assert!(rule.may_show(&package.at_version("1.0.0"), None));
    }

    #[test]
    fn sums_are_read_in_both_spellings() {
        let empty = digest::digest(&digest::SHA512, b"");
        let text = format!(
            "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= sha512-{}",
            BASE64_STANDARD.encode(empty)
        );
        let sum = ArtefactSum::from_integrity(&text).unwrap();
        assert_eq!(sum.algorithm, SumAlgorithm::Sha512);
        assert!(sum.is_met_by(empty.as_ref()));
        assert!(!sum.is_met_by(b""));
        let sum = ArtefactSum::from_hex(SumAlgorithm::Sha256, &sha256_hex(b"x")).unwrap();
        assert!(sum.is_met_by(digest::digest(&digest::SHA256, b"x").as_ref()));
        for text in ["", "sha512", "sha512-", "sha512-AAAA", "md5-AAAA", "sha1-!"] {
            assert_eq!(ArtefactSum::from_integrity(text), None, "{text}");
        }
        assert_eq!(ArtefactSum::from_hex(SumAlgorithm::Sha256, "abcd"), None);
    }
}

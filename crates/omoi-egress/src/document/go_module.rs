//! Go: facts about a version, and its line in the database of sums.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use omoi_domain::time::Timestamp;
use serde::Deserialize;

use super::MalformedDocument;
use crate::package::{ArtefactSum, SumAlgorithm, parse_instant};

/// What the proxy says about one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoVersion {
    /// The version.
    pub version: String,
    /// When it was committed.
    pub published_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionInfo {
    version: String,
    time: Option<String>,
}

impl GoVersion {
    /// Reads the document.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(body: &[u8]) -> Result<Self, MalformedDocument> {
        let info: VersionInfo = serde_json::from_slice(body)
            .map_err(|_| MalformedDocument("no facts about a version of a module"))?;
        Ok(Self {
            version: info.version,
            published_at: info.time.as_deref().and_then(parse_instant),
        })
    }
}

/// The sum of a module's archive, or of its `go.mod`, in an answer of the database.
pub fn find_sum(body: &[u8], module: &str, version: &str, is_zip: bool) -> Option<ArtefactSum> {
    let text = std::str::from_utf8(body).ok()?;
    let (front, algorithm) = match is_zip {
        true => (format!("{module} {version} h1:"), SumAlgorithm::GoZip),
        false => (
            format!("{module} {version}/go.mod h1:"),
            SumAlgorithm::GoMod,
        ),
    };
    let encoded = text.lines().find_map(|line| line.strip_prefix(&front))?;
    let digest = BASE64_STANDARD.decode(encoded).ok()?;
    (digest.len() == 32).then_some(ArtefactSum { algorithm, digest })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const LOOKUP: &[u8] = b"123\ngolang.org/x/text v0.3.0 h1:g61tztE5qeGQ89tm6NTjjM9VPIm088od1l6aSorWRWg=\n\
        golang.org/x/text v0.3.0/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=\n\ngo.sum database tree\n";

    #[test]
    fn sums_are_found_by_version_and_kind() {
        let of = |version: &str, is_zip| find_sum(LOOKUP, "golang.org/x/text", version, is_zip);
        assert_eq!(of("v0.3.0", true).unwrap().algorithm, SumAlgorithm::GoZip);
        assert_eq!(of("v0.3.0", false).unwrap().algorithm, SumAlgorithm::GoMod);
        assert_eq!(of("v0.3.1", true), None);
        assert_eq!(find_sum(LOOKUP, "golang.org/x/tex", "v0.3.0", true), None);
    }

    #[test]
    fn facts_are_read() {
        let body = b"{\"Version\":\"v1.0.0\",\"Time\":\"2020-01-01T00:00:00Z\",\"Origin\":{}}";
        let facts = GoVersion::parse(body).unwrap();
        assert_eq!(facts.version, "v1.0.0");
        assert_eq!(facts.published_at, parse_instant("2020-01-01T00:00:00Z"));
        assert!(GoVersion::parse(b"not found").is_err());
    }
}

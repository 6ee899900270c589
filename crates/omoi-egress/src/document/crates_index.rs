//! Crates: every version of a crate as a line of JSON.

use serde::Deserialize;

use omoi_domain::time::Timestamp;

use super::{ArtefactFacts, MalformedDocument};
use crate::package::{
    AgeRule, ArtefactSum, PackageName, PackageRegistry, SumAlgorithm, parse_instant,
};

/// What is read of a line; the rest goes to the client as it came.
#[derive(Deserialize)]
struct IndexLine {
    name: String,
    vers: String,
    cksum: String,
    /// When it was published. Lines that are older than the field have none.
    pubtime: Option<String>,
}

/// The versions of one crate.
pub struct CrateVersions<'a> {
    lines: Vec<(&'a str, IndexLine)>,
}

impl<'a> CrateVersions<'a> {
    /// Reads the lines of the crate `name`.
    ///
    /// # Errors
    /// When a line is no version, or one of another crate.
    pub fn parse(name: &str, body: &'a [u8]) -> Result<Self, MalformedDocument> {
        let text = std::str::from_utf8(body).map_err(|_| MalformedDocument("not a text"))?;
        let mut lines = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let read: IndexLine = serde_json::from_str(line)
                .map_err(|_| MalformedDocument("a line that is not a version of a crate"))?;
            if !read.name.eq_ignore_ascii_case(name) {
                return Err(MalformedDocument("the versions of another crate"));
            }
            lines.push((line, read));
        }
        if lines.is_empty() {
            return Err(MalformedDocument("no version at all"));
        }
        Ok(Self { lines })
    }

    /// What the index says about the file of `version`.
    pub fn find_file(&self, version: &str) -> Option<ArtefactFacts> {
        let (_, line) = self.lines.iter().find(|(_, line)| line.vers == version)?;
        Some(ArtefactFacts {
            version: line.package().at_version(version),
            sum: ArtefactSum::from_hex(SumAlgorithm::Sha256, &line.cksum),
            published_at: line.published_at(),
        })
    }

    /// The lines of every version that may come in.
    pub fn render_shown(&self, rule: &AgeRule<'_>) -> Vec<u8> {
        let mut shown = Vec::new();
        for (text, line) in &self.lines {
            if rule.may_show(&line.package().at_version(&line.vers), line.published_at()) {
                shown.extend_from_slice(text.as_bytes());
                shown.push(b'\n');
            }
        }
        shown
    }
}

impl IndexLine {
    fn package(&self) -> PackageName {
        PackageName::new(PackageRegistry::Crates, self.name.to_ascii_lowercase())
    }

    fn published_at(&self) -> Option<Timestamp> {
        parse_instant(self.pubtime.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::collections::BTreeSet;

    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn sample() -> String {
        let line = |version: &str, rest: &str| {
            format!(
                "{{\"name\":\"Abc\",\"vers\":\"{version}\",\"deps\":[],\"cksum\":\"{SUM}\"{rest}}}\n"
            )
        };
        [
            line("0.1.0", ""),
            line("1.0.0", ",\"pubtime\":\"2026-01-01T00:00:00Z\",\"v\":2"),
            line("1.1.0", ",\"pubtime\":\"2026-11-28T23:55:00Z\""),
        ]
        .concat()
    }

    #[test]
    fn young_versions_are_left_out_and_the_rest_is_as_it_came() {
        let sample = sample();
        let versions = CrateVersions::parse("abc", sample.as_bytes()).unwrap();
        let now = parse_instant("2026-11-29T00:00:00Z").unwrap();
        let mut listed = BTreeSet::new();
        let shown = versions.render_shown(&AgeRule {
            now,
            listed: &listed,
        });
        let expected: String = sample
            .lines()
            .take(2)
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
        listed.insert("crates:abc@1.1.0".parse().unwrap());
        let shown = versions.render_shown(&AgeRule {
            now,
            listed: &listed,
        });
        assert_eq!(String::from_utf8(shown).unwrap(), sample);
    }

    #[test]
    fn files_are_found_with_sum_and_age() {
        let sample = sample();
        let versions = CrateVersions::parse("abc", sample.as_bytes()).unwrap();
        let facts = versions.find_file("1.0.0").unwrap();
        assert_eq!(facts.version.to_string(), "crates:abc@1.0.0");
        assert_eq!(facts.sum, ArtefactSum::from_hex(SumAlgorithm::Sha256, SUM));
        assert_eq!(facts.published_at, parse_instant("2026-01-01T00:00:00Z"));
        assert_eq!(versions.find_file("0.1.0").unwrap().published_at, None);
        assert_eq!(versions.find_file("2.0.0"), None);
    }

    #[test]
    fn other_formats_are_refused() {
        for (name, body) in [
            ("abc", ""),
            ("abc", "<html>"),
            ("abc", "{\"name\":\"abc\"}"),
            ("other", &sample()),
        ] {
            assert!(
                CrateVersions::parse(name, body.as_bytes()).is_err(),
                "{body}"
            );
        }
        assert!(CrateVersions::parse("abc", &[0xff]).is_err());
    }
}

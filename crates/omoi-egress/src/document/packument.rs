//! npm: every version of a package in one JSON document, the packument.

use semver::Version;
use serde_json::{Map, Value};

use omoi_domain::time::Timestamp;

use super::{ArtefactFacts, MalformedDocument};
use crate::package::{
    AgeRule, ArtefactSum, PackageName, PackageRegistry, SumAlgorithm, parse_instant,
};

/// The document of one package.
pub struct Packument {
    package: PackageName,
    root: Map<String, Value>,
}

impl Packument {
    /// Reads the document of the package `name`.
    ///
    /// # Errors
    /// When it is no packument, or one of another package.
    pub fn parse(name: &str, body: &[u8]) -> Result<Self, MalformedDocument> {
        let Ok(Value::Object(root)) = serde_json::from_slice(body) else {
            return Err(MalformedDocument("not a JSON object"));
        };
        if root.get("name").and_then(Value::as_str) != Some(name) {
            return Err(MalformedDocument("the packument of another package"));
        }
        if root
            .get("versions")
            .is_none_or(|versions| !versions.is_object())
        {
            return Err(MalformedDocument("a packument without versions"));
        }
        let package = PackageName::new(PackageRegistry::Npm, name);
        Ok(Self { package, root })
    }

    fn versions(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.root
            .get("versions")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    fn published_at(&self, version: &str) -> Option<Timestamp> {
        parse_instant(self.root.get("time")?.get(version)?.as_str()?)
    }

    /// What the document says about a file, by the last part of its address.
    pub fn find_file(&self, file: &str) -> Option<ArtefactFacts> {
        let (version, manifest) = self.versions().find(|(_, manifest)| {
            let tarball = manifest.pointer("/dist/tarball").and_then(Value::as_str);
            tarball.and_then(|url| url.rsplit('/').next()) == Some(file)
        })?;
        let text = |pointer| manifest.pointer(pointer).and_then(Value::as_str);
        let strong = text("/dist/integrity").and_then(ArtefactSum::from_integrity);
        let weak = || ArtefactSum::from_hex(SumAlgorithm::Sha1, text("/dist/shasum")?);
        Some(ArtefactFacts {
            version: self.package.at_version(version),
            sum: strong.or_else(weak),
            published_at: self.published_at(version),
        })
    }

    /// Takes out every version that may not come in yet. A tag that pointed at one points at the newest
    /// that stays, or goes.
    pub fn hide_young(&mut self, rule: &AgeRule<'_>) {
        let is_hidden = |number: &String| {
            !rule.may_show(&self.package.at_version(number), self.published_at(number))
        };
        let hidden: Vec<String> = self
            .versions()
            .map(|(number, _)| number)
            .filter(|number| is_hidden(number))
            .cloned()
            .collect();
        if hidden.is_empty() {
            return;
        }
        for part in ["versions", "time"] {
            if let Some(entries) = self.root.get_mut(part).and_then(Value::as_object_mut) {
                entries.retain(|number, _| !hidden.contains(number));
            }
        }
        let newest = self.newest_version();
        let Some(tags) = self
            .root
            .get_mut("dist-tags")
            .and_then(Value::as_object_mut)
        else {
            return;
        };
        tags.retain(|tag, version| {
            let is_gone = version
                .as_str()
                .is_some_and(|version| hidden.iter().any(|gone| gone == version));
            match (&newest, tag == "latest") {
                _ if !is_gone => true,
                (Some(newest), true) => {
                    *version = Value::String(newest.clone());
                    true
                }
                _ => false,
            }
        });
    }

    /// The highest version, one without a pre-release part before any with.
    fn newest_version(&self) -> Option<String> {
        let readable = self.versions().filter_map(|(number, _)| {
            let version = Version::parse(number).ok()?;
            Some((version.pre.is_empty(), version, number))
        });
        readable.max().map(|(_, _, number)| number.clone())
    }

    /// The part of the document about one version, by number or tag.
    pub fn find_manifest(&self, version_or_tag: &str) -> Option<&Value> {
        let versions = self.root.get("versions")?;
        let tagged = || versions.get(self.root.get("dist-tags")?.get(version_or_tag)?.as_str()?);
        versions.get(version_or_tag).or_else(tagged)
    }

    /// The document as bytes.
    pub fn render(&self) -> Vec<u8> {
        serde_json::to_vec(&self.root).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    const SHA512: &str = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

    fn sample() -> Vec<u8> {
        let version = |number: &str| {
            json!({"name": "a", "version": number, "dist": {
                "tarball": format!("https://registry.npmjs.org/a/-/a-{number}.tgz"),
                "shasum": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
                "integrity": SHA512,
            }})
        };
        let mut old = version("0.1.0");
        old["dist"].as_object_mut().unwrap().remove("integrity");
        json!({
            "name": "a",
            "dist-tags": {"latest": "2.0.0", "next": "3.0.0-rc.1", "beta": "2.0.0", "old": "0.1.0"},
            "versions": {"0.1.0": old, "1.0.0": version("1.0.0"), "1.10.0": version("1.10.0"),
                "2.0.0": version("2.0.0"), "3.0.0-rc.1": version("3.0.0-rc.1")},
            "time": {"created": "2020-01-01T00:00:00.000Z", "0.1.0": "2020-01-01T00:00:00.000Z",
                "1.0.0": "2020-01-01T00:00:00.000Z", "1.10.0": "2021-01-01T00:00:00.000Z",
                "2.0.0": "2026-11-28T23:55:00.000Z", "3.0.0-rc.1": "2026-01-01T00:00:00.000Z"},
        })
        .to_string()
        .into_bytes()
    }

    fn shown(listed: &[&str]) -> Value {
        let listed: BTreeSet<_> = listed.iter().map(|text| text.parse().unwrap()).collect();
        let now = parse_instant("2026-11-29T00:00:00Z").unwrap();
        let mut packument = Packument::parse("a", &sample()).unwrap();
        packument.hide_young(&AgeRule {
            now,
            listed: &listed,
        });
        serde_json::from_slice(&packument.render()).unwrap()
    }

    #[test]
    fn a_young_version_is_not_shown_and_its_tags_move() {
        let document = shown(&[]);
        let numbers: Vec<&String> = document["versions"].as_object().unwrap().keys().collect();
        assert_eq!(numbers, ["0.1.0", "1.0.0", "1.10.0", "3.0.0-rc.1"]);
        assert_eq!(
            document["dist-tags"],
            json!({"latest": "1.10.0", "next": "3.0.0-rc.1", "old": "0.1.0"})
        );
        assert_eq!(document["time"].get("2.0.0"), None);
        assert_eq!(document["time"]["created"], "2020-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_listed_version_is_shown_at_any_age() {
        let document = shown(&["npm:a@2.0.0"]);
        assert_eq!(document["dist-tags"]["latest"], "2.0.0");
        assert!(document["versions"].get("2.0.0").is_some());
    }

    #[test]
    fn files_are_found_with_their_strongest_sum() {
        let packument = Packument::parse("a", &sample()).unwrap();
        let facts = packument.find_file("a-1.0.0.tgz").unwrap();
        assert_eq!(facts.version.to_string(), "npm:a@1.0.0");
        assert_eq!(facts.sum.unwrap().algorithm, SumAlgorithm::Sha512);
        assert_eq!(facts.published_at, parse_instant("2020-01-01T00:00:00Z"));
        let old = packument.find_file("a-0.1.0.tgz").unwrap();
        assert_eq!(old.sum.unwrap().algorithm, SumAlgorithm::Sha1);
        assert_eq!(packument.find_file("a-9.9.9.tgz"), None);
    }

    #[test]
    fn a_manifest_is_found_by_number_and_tag() {
        let packument = Packument::parse("a", &sample()).unwrap();
        assert_eq!(
            packument.find_manifest("1.0.0").unwrap()["version"],
            "1.0.0"
        );
        assert_eq!(
            packument.find_manifest("latest").unwrap()["version"],
            "2.0.0"
        );
        assert_eq!(packument.find_manifest("9.9.9"), None);
    }

    #[test]
    fn what_is_no_packument_is_refused() {
        for (body, says) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            (
                "{\"name\":\"b\",\"versions\":{}}",
                "the packument of another package",
            ),
            ("{\"name\":\"a\"}", "a packument without versions"),
            (
                "{\"name\":\"a\",\"versions\":[]}",
                "a packument without versions",
            ),
        ] {
            let error = Packument::parse("a", body.as_bytes()).err().unwrap();
            assert_eq!(error.to_string(), says, "{body}");
        }
    }
}

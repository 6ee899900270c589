//! npm: every version of a package in one JSON document, the packument.

use std::collections::HashSet;

use semver::Version;
use serde::Deserialize;
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use omoi_domain::time::Timestamp;

use super::raw_entries::RawEntries;
use super::{ArtefactFacts, MalformedDocument};
use crate::package::{
    AgeRule, ArtefactSum, PackageName, PackageRegistry, SumAlgorithm, parse_instant,
};

/// The document of one package.
pub struct Packument {
    package: PackageName,
    /// All of it but the two parts below.
    root: RawEntries,
    versions: RawEntries,
    times: Map<String, Value>,
}

/// What is read of a version; the rest goes to the client as it came.
#[derive(Deserialize)]
struct Manifest {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
    shasum: Option<String>,
}

impl Packument {
    /// Reads the document of the package `name`.
    ///
    /// # Errors
    /// When it is no packument, or one of another package.
    pub fn parse(name: &str, body: &[u8]) -> Result<Self, MalformedDocument> {
        let Ok(mut root) = serde_json::from_slice::<RawEntries>(body) else {
            return Err(MalformedDocument("not a JSON object"));
        };
        root.keep_last();
        if root.read::<String>("name").as_deref() != Some(name) {
            return Err(MalformedDocument("the packument of another package"));
        }
        let Some(versions) = root.read("versions") else {
            return Err(MalformedDocument("a packument without versions"));
        };
        let times = root.read("time").unwrap_or_default();
        // They are written in their places, and not held twice.
        root.replace("versions", &());
        root.replace("time", &());
        Ok(Self {
            package: PackageName::new(PackageRegistry::Npm, name),
            root,
            versions,
            times,
        })
    }

    fn published_at(&self, version: &str) -> Option<Timestamp> {
        parse_instant(self.times.get(version)?.as_str()?)
    }

    /// What the document says about a file, by the last part of its address.
    pub fn find_file(&self, file: &str) -> Option<ArtefactFacts> {
        let mut versions = self.versions.0.iter();
        let (version, dist) = versions.find_map(|(version, manifest)| {
            let manifest: Manifest = serde_json::from_str(manifest.get()).ok()?;
            let named = manifest.dist.tarball.rsplit('/').next() == Some(file);
            named.then_some((version, manifest.dist))
        })?;
        let strong = dist.integrity.as_deref();
        let strong = strong.and_then(ArtefactSum::from_integrity);
        let weak = || ArtefactSum::from_hex(SumAlgorithm::Sha1, dist.shasum.as_deref()?);
        Some(ArtefactFacts {
            version: self.package.at_version(version),
            sum: strong.or_else(weak),
            published_at: self.published_at(version),
        })
    }

    /// Takes out every version that may not come in yet. A tag that pointed at one points at the newest
    /// that stays, or goes.
    pub fn hide_young(&mut self, rule: &AgeRule<'_>) {
        let is_hidden = |number: &&String| {
            !rule.may_show(&self.package.at_version(*number), self.published_at(number))
        };
        let numbers = self.versions.0.iter().map(|(number, _)| number);
        let hidden: HashSet<String> = numbers.filter(is_hidden).cloned().collect();
        if hidden.is_empty() {
            return;
        }
        let is_shown = |number: &String| !hidden.contains(number);
        self.versions.0.retain(|(number, _)| is_shown(number));
        self.times.retain(|number, _| is_shown(number));
        let newest = self.newest_version();
        let Some(mut tags) = self.root.read::<Map<String, Value>>("dist-tags") else {
            return;
        };
        tags.retain(|tag, version| {
            let is_gone = version
                .as_str()
                .is_some_and(|version| hidden.contains(version));
            match (&newest, tag == "latest") {
                _ if !is_gone => true,
                (Some(newest), true) => {
                    *version = Value::String(newest.clone());
                    true
                }
                _ => false,
            }
        });
        self.root.replace("dist-tags", &tags);
    }

    /// The highest version, one without a pre-release part before any with.
    fn newest_version(&self) -> Option<String> {
        let readable = self.versions.0.iter().filter_map(|(number, _)| {
            let version = Version::parse(number).ok()?;
            Some((version.pre.is_empty(), version, number))
        });
        readable.max().map(|(_, _, number)| number.clone())
    }

    /// The part of the document about one version, by number or tag, as it came.
    pub fn find_manifest(&self, version_or_tag: &str) -> Option<&RawValue> {
        let tagged = || {
            let tags: Map<String, Value> = self.root.read("dist-tags")?;
            self.versions.get(tags.get(version_or_tag)?.as_str()?)
        };
        self.versions.get(version_or_tag).or_else(tagged)
    }

    /// The document as bytes.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Nothing of it can fail to be written to memory.
        let _ = self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut writer = serde_json::Serializer::new(out);
        let mut map = writer.serialize_map(Some(self.root.0.len()))?;
        for (name, value) in &self.root.0 {
            match name.as_str() {
                "versions" => map.serialize_entry(name, &self.versions)?,
                "time" => map.serialize_entry(name, &self.times)?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
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
        for (asked, expected) in [
            ("1.0.0", Some("1.0.0")),
            ("latest", Some("2.0.0")),
            ("9.9.9", None),
        ] {
            let found = packument.find_manifest(asked).map(RawValue::get);
            let manifest: Option<Value> = found.map(|text| serde_json::from_str(text).unwrap());
            let version = manifest.map(|manifest| manifest["version"].clone());
            assert_eq!(version, expected.map(Value::from), "{asked}");
        }
    }

    #[test]
    fn what_a_client_reads_is_what_was_judged() {
        // Of two parts of one name, clients take the last.
        let body = r#"{"name":"b","versions":{},"time":{},"versions":{"1.0.0":{"x":1}},"name":"a","odd":[1, 2]}"#;
        let packument = Packument::parse("a", body.as_bytes()).unwrap();
        let text = String::from_utf8(packument.render()).unwrap();
        assert_eq!(
            text,
            r#"{"time":{},"versions":{"1.0.0":{"x":1}},"name":"a","odd":[1, 2]}"#
        );
    }

    #[test]
    fn a_packument_of_many_versions_is_judged_at_once() {
        let n = 40_000;
        let versions = (0..n).map(|i| (format!("1.0.{i}"), json!({})));
        let times = (0..n).map(|i| (format!("1.0.{i}"), json!("2026-11-28T23:55:00.000Z")));
        let document = json!({"name": "a", "versions": versions.collect::<Map<_, _>>(), "time": times.collect::<Map<_, _>>()});
        let mut packument = Packument::parse("a", document.to_string().as_bytes()).unwrap();
        let now = parse_instant("2026-11-29T00:00:00Z").unwrap();
        packument.hide_young(&AgeRule {
            now,
            listed: &BTreeSet::new(),
        });
        assert_eq!(
            packument.render(),
            br#"{"name":"a","versions":{},"time":{}}"#
        );
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

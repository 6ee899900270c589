//! What the registries of the tests hold: a few packages of each kind, old ones and young ones.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use omoi_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::archives::{ArchiveFile, tar_gz, zip_stored};
use crate::upstream::{StubAnswer, Upstream};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

fn hex_sum(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// A version of an npm package with one module.
pub(crate) struct NpmSample<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) module: &'a str,
    pub(crate) dependencies: Value,
    pub(crate) published_at: Timestamp,
}

/// Publishes versions of one npm package.
pub(crate) fn publish_npm(upstream: &Upstream, versions: &[NpmSample<'_>]) {
    let name = versions[0].name;
    let (mut manifests, mut times, mut latest) = (Map::new(), Map::new(), "");
    for sample in versions {
        let manifest = json!({"name": name, "version": sample.version, "main": "index.js",
            "dependencies": sample.dependencies});
        let archive = tar_gz(&[
            ArchiveFile {
                path: "package/package.json",
                content: manifest.to_string().as_bytes(),
            },
            ArchiveFile {
                path: "package/index.js",
                content: sample.module.as_bytes(),
            },
        ]);
        let bare = name.rsplit('/').next().unwrap();
        let path = format!("/{name}/-/{bare}-{}.tgz", sample.version);
        let sum = BASE64_STANDARD.encode(digest::digest(&digest::SHA512, &archive));
        let mut listed = manifest;
        listed["dist"] = json!({"tarball": format!("https://registry.npmjs.org{path}"),
            "integrity": format!("sha512-{sum}")});
        manifests.insert(sample.version.to_owned(), listed);
        times.insert(
            sample.version.to_owned(),
            json!(sample.published_at.to_string()),
        );
        latest = sample.version;
        upstream.put("registry.npmjs.org", &path, StubAnswer::file(archive));
    }
    let packument = json!({"name": name, "dist-tags": {"latest": latest}, "versions": manifests, "time": times});
    let path = format!("/{}", name.replace('/', "%2f"));
    upstream.put("registry.npmjs.org", &path, StubAnswer::json(&packument));
}

/// `greeter`, which needs `@acme/words`; each has a version of five minutes ago.
pub(crate) fn publish_greeter(upstream: &Upstream, now: Timestamp) {
    let young = now - Duration::from_secs(300);
    let words = |version, published_at| NpmSample {
        name: "@acme/words",
        version,
        module: "module.exports = 'hello';\n",
        dependencies: json!({}),
        published_at,
    };
    publish_npm(
        upstream,
        &[words("2.0.0", now - DAY * 400), words("2.0.1", young)],
    );
    let greeter = |version, published_at| NpmSample {
        name: "greeter",
        version,
        module: "module.exports = require('@acme/words') + ' world';\n",
        dependencies: json!({"@acme/words": "^2.0.0"}),
        published_at,
    };
    publish_npm(
        upstream,
        &[greeter("1.0.0", now - DAY * 30), greeter("1.1.0", young)],
    );
}

/// The crates `abacus` and `numerals`, the second needed by the first.
pub(crate) fn publish_crates(upstream: &Upstream, now: Timestamp) {
    let config = json!({"dl": "https://static.crates.io/crates", "api": "https://crates.io"});
    upstream.put("index.crates.io", "/config.json", StubAnswer::json(&config));
    let needs = "[dependencies]\nnumerals = \"1\"\n";
    publish_crate(
        upstream,
        "numerals",
        "",
        "pub fn one() -> u32 { 1 }\n",
        &[("1.0.0", now - DAY * 90)],
    );
    let source = "pub fn two() -> u32 { numerals::one() + 1 }\n";
    let versions = [
        ("0.3.0", now - DAY * 60),
        ("0.3.1", now - Duration::from_secs(300)),
    ];
    publish_crate(upstream, "abacus", needs, source, &versions);
}

/// As the index of crates writes instants.
fn whole_seconds(at: Timestamp) -> String {
    format!("{}T{}Z", at.calendar_date(), at.time_of_day())
}

pub(crate) fn publish_crate(
    upstream: &Upstream,
    name: &str,
    needs: &str,
    source: &str,
    versions: &[(&str, Timestamp)],
) {
    let mut lines = String::new();
    for (version, published_at) in versions {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n\n[lib]\npath = \"src/lib.rs\"\n\n{needs}"
        );
        let archive = tar_gz(&[
            ArchiveFile {
                path: &format!("{name}-{version}/Cargo.toml"),
                content: manifest.as_bytes(),
            },
            ArchiveFile {
                path: &format!("{name}-{version}/src/lib.rs"),
                content: source.as_bytes(),
            },
        ]);
        let deps = match needs {
            "" => json!([]),
            _ => json!([{"name": "numerals", "req": "^1", "features": [], "optional": false,
                "default_features": true, "target": null, "kind": "normal"}]),
        };
        let line = json!({"name": name, "vers": version, "deps": deps, "cksum": hex_sum(&archive),
            "features": {}, "yanked": false, "pubtime": whole_seconds(*published_at)});
        lines.push_str(&format!("{line}\n"));
        let path = format!("/crates/{name}/{version}/download");
        upstream.put("static.crates.io", &path, StubAnswer::file(archive));
    }
    let path = format!("/{}/{}/{name}", &name[..2], &name[2..4]);
    upstream.put(
        "index.crates.io",
        &path,
        StubAnswer::text(lines.into_bytes()),
    );
}

/// The path of the wheel that [`publish_wheel`] makes.
pub(crate) fn wheel_path(name: &str, version: &str) -> String {
    format!(
        "/packages/aa/bb/{}/{name}-{version}-py3-none-any.whl",
        "c".repeat(60)
    )
}

/// What a wheel says of its package.
fn wheel_metadata(name: &str, version: &str, needs: &str) -> String {
    format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
}

/// A wheel of one module, which has the version.
pub(crate) fn wheel_bytes(name: &str, version: &str, needs: &str) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info");
    let metadata = wheel_metadata(name, version, needs);
    let module = format!("VERSION = '{version}'\n");
    let record = format!("{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n");
    zip_stored(&[
        ArchiveFile {
            path: &format!("{name}.py"),
            content: module.as_bytes(),
        },
        ArchiveFile {
            path: &format!("{info}/METADATA"),
            content: metadata.as_bytes(),
        },
        ArchiveFile {
            path: &format!("{info}/WHEEL"),
            content:
                b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        },
        ArchiveFile {
            path: &format!("{info}/RECORD"),
            content: record.as_bytes(),
        },
    ])
}

/// A project with wheels of one module each.
pub(crate) fn publish_wheel(
    upstream: &Upstream,
    name: &str,
    needs: &str,
    versions: &[(&str, Timestamp)],
) {
    let mut files = Vec::new();
    for (version, published_at) in versions {
        let metadata = wheel_metadata(name, version, needs);
        let archive = wheel_bytes(name, version, needs);
        let path = wheel_path(name, version);
        files.push(json!({"filename": path.rsplit('/').next(), "hashes": {"sha256": hex_sum(&archive)},
            "url": format!("https://files.pythonhosted.org{path}"), "upload-time": published_at.to_string(),
            "core-metadata": {"sha256": hex_sum(metadata.as_bytes())}, "yanked": false, "size": archive.len()}));
        upstream.put("files.pythonhosted.org", &path, StubAnswer::file(archive));
        let metadata_path = format!("{path}.metadata");
        upstream.put(
            "files.pythonhosted.org",
            &metadata_path,
            StubAnswer::file(metadata.into_bytes()),
        );
    }
    let numbers: Vec<&str> = versions.iter().map(|(number, _)| *number).collect();
    let project =
        json!({"meta": {"api-version": "1.1"}, "name": name, "versions": numbers, "files": files});
    let mut answer = StubAnswer::json(&project);
    answer.content_type = "application/vnd.pypi.simple.v1+json";
    upstream.put("pypi.org", &format!("/simple/{name}/"), answer);
}

/// As headers write instants.
pub(crate) fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + at.since(Timestamp::default()))
}

/// The path of a version of a Go module upstream, before its ending.
pub(crate) fn module_path(module: &str, version: &str) -> String {
    format!("/{module}/@v/{version}")
}

/// A Go module of one file, with its lines in the database of sums.
pub(crate) fn publish_module(
    upstream: &Upstream,
    module: &str,
    version: &str,
    published_at: Timestamp,
) {
    let (proxy, sums) = ("proxy.golang.org", "sum.golang.org");
    let go_mod = format!("module {module}\n");
    let source = "package sample\n";
    let front = format!("{module}@{version}");
    let files = [
        (format!("{front}/go.mod"), go_mod.as_str()),
        (format!("{front}/sample.go"), source),
    ];
    let archive = zip_stored(&files.each_ref().map(|(path, content)| ArchiveFile {
        path,
        content: content.as_bytes(),
    }));
    let h1 =
        |lines: &str| BASE64_STANDARD.encode(digest::digest(&digest::SHA256, lines.as_bytes()));
    let line = |name: &str, content: &str| format!("{}  {name}\n", hex_sum(content.as_bytes()));
    let lines: Vec<String> = files
        .iter()
        .map(|(path, content)| line(path, content))
        .collect();
    let lookup = format!(
        "7\n{module} {version} h1:{}\n{module} {version}/go.mod h1:{}\n\ngo.sum database tree\n",
        h1(&lines.concat()),
        h1(&line("go.mod", &go_mod)),
    );
    let path = module_path(module, version);
    let info = json!({"Version": version, "Time": published_at.to_string()});
    upstream.put(
        proxy,
        &format!("/{module}/@v/list"),
        StubAnswer::text(format!("{version}\n").into_bytes()),
    );
    for path in [format!("{path}.info"), format!("/{module}/@latest")] {
        let mut answer = StubAnswer::json(&info);
        answer.headers = vec![("last-modified", http_date(published_at))];
        upstream.put(proxy, &path, answer);
    }
    upstream.put(
        proxy,
        &format!("{path}.mod"),
        StubAnswer::text(go_mod.clone().into_bytes()),
    );
    upstream.put(proxy, &format!("{path}.zip"), StubAnswer::file(archive));
    upstream.put(
        sums,
        &format!("/lookup/{module}@{version}"),
        StubAnswer::text(lookup.into_bytes()),
    );
}

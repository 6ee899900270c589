//! Fuzz targets: what clients ask of registries, and what registries say.

use std::collections::BTreeSet;

use http::Method;
use omoi_domain::time::Timestamp;
use omoi_egress::document::crates_index::CrateVersions;
use omoi_egress::document::go_module::{GoVersion, find_sum};
use omoi_egress::document::packument::Packument;
use omoi_egress::document::simple_index::ProjectFiles;
use omoi_egress::host::{EgressTarget, HostDecision, HostRules};
use omoi_egress::lock_file::{locked_places, locked_versions};
use omoi_egress::package::AgeRule;
use omoi_egress::registry::{RegistrySite, RequestShape, parse_private_request, parse_request};
use omoi_testkit::fuzz::FuzzTarget;

use crate::hostile::LOCK_FILES;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn with_rule<T>(check: impl FnOnce(&AgeRule<'_>) -> T) -> T {
    let listed = BTreeSet::new();
    check(&AgeRule {
        now: Timestamp::from_micros(1_790_000_000_000_000),
        listed: &listed,
    })
}

/// A path is a shape of its registry or refused, and names no way out of a folder.
#[test]
fn registry_path() {
    FuzzTarget::new(CRATE, "registry_path").run(|input| {
        let path = String::from_utf8_lossy(input);
        for site in RegistrySite::ALL.iter().copied() {
            let shape = |method, has_body| RequestShape {
                method,
                path: &path,
                has_body,
            };
            assert!(parse_request(site, shape(&Method::GET, true)).is_err());
            assert!(parse_request(site, shape(&Method::POST, false)).is_err());
            let own = parse_private_request(site, "/ann/+simple/", shape(&Method::GET, false));
            let public = parse_request(site, shape(&Method::GET, false));
            for item in [public, own].into_iter().flatten() {
                let shown = format!("{item:?}");
                assert!(!shown.contains("..") || path.contains(".."), "{shown}");
                if let Some(package) = item.package_name() {
                    let name = package.to_string();
                    assert!(
                        !name.contains(['\0', '\n', '?', '#']) && !name.contains("/../"),
                        "{name:?}"
                    );
                }
            }
        }
    });
}

/// A host and a port come back from how they are shown.
#[test]
fn egress_target() {
    FuzzTarget::new(CRATE, "egress_target").run(|input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(target) = EgressTarget::parse(&text, 443) {
            let shown = target.to_string();
            assert_eq!(
                EgressTarget::parse(&shown, 80).ok(),
                Some(target),
                "{shown}"
            );
        }
    });
}

/// A packument is one after young versions were hidden, too.
#[test]
fn packument() {
    FuzzTarget::new(CRATE, "packument").run(|input| {
        let Ok(mut read) = Packument::parse("left-pad", input) else {
            return;
        };
        read.find_file("left-pad-1.0.0.tgz");
        with_rule(|rule| read.hide_young(rule));
        read.find_manifest("latest");
        assert!(Packument::parse("left-pad", &read.render()).is_ok());
    });
}

/// Where a document of the simple index stands.
const PAGE: &str = "https://pypi.corp.example/ann/+simple/left-pad/";

#[test]
fn simple_index() {
    FuzzTarget::new(CRATE, "simple_index").run(|input| {
        let Ok(mut read) = ProjectFiles::parse("left-pad", PAGE, input) else {
            return;
        };
        read.find_file("/packages/aa/bb/left_pad-1.0.0.tar.gz", false);
        with_rule(|rule| read.hide_young(rule));
        read.render_page();
        assert!(ProjectFiles::parse("left-pad", PAGE, &read.render()).is_ok());
    });
}

#[test]
fn crates_index() {
    FuzzTarget::new(CRATE, "crates_index").run(|input| {
        let Ok(read) = CrateVersions::parse("left-pad", input) else {
            return;
        };
        read.find_file("1.0.0");
        let shown = with_rule(|rule| read.render_shown(rule));
        assert!(shown.is_empty() || CrateVersions::parse("left-pad", &shown).is_ok());
    });
}

#[test]
fn go_documents() {
    FuzzTarget::new(CRATE, "go_documents").run(|input| {
        let _ = GoVersion::parse(input);
        for is_zip in [true, false] {
            find_sum(input, "example.org/part", "v1.0.0", is_zip);
        }
    });
}

/// Whatever a repository calls a lock file lists versions that have a name and a version, or none.
#[test]
fn lock_file() {
    FuzzTarget::new(CRATE, "lock_file").run(|input| {
        for name in LOCK_FILES {
            for listed in locked_versions(name, input) {
                let shown = listed.to_string();
                let version = shown.rsplit_once('@').map(|(_, version)| version);
                assert!(
                    version.is_some_and(|version| !version.is_empty()) && !shown.contains('\n'),
                    "{name}: {shown:?}"
                );
            }
            for place in locked_places(name, input).unwrap_or_default() {
                assert!(place.folder.contains("node_modules/"), "{name}: {place:?}");
            }
        }
    });
}

/// A list of hosts, one a line, the first of which is asked for: what is denied is never allowed.
#[test]
fn host_list() {
    FuzzTarget::new(CRATE, "host_list").run(|input| {
        let text = String::from_utf8_lossy(input);
        let mut lines = text.lines();
        let target = EgressTarget::parse(lines.next().unwrap_or_default(), 443);
        let entries: Vec<&str> = lines.collect();
        let (Ok(target), Ok(allowing)) = (target, HostRules::parse(&entries, &[])) else {
            return;
        };
        let decided = allowing.decide(&target);
        assert_ne!(decided, HostDecision::Denied, "{entries:?}");
        let both = HostRules::parse(&entries, &entries).unwrap();
        if decided == HostDecision::Allowed {
            assert_eq!(both.decide(&target), HostDecision::Denied, "{entries:?}");
        }
    });
}

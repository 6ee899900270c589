#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use proptest::prelude::*;

use super::RegistrySite::{
    CratesApi, CratesFiles, CratesIndex, GoModules, GoSums, Npm, PypiFiles, PypiIndex,
};
use super::*;

fn get(site: RegistrySite, path: &str) -> Result<RegistryItem, RefusalReason> {
    ask(site, &Method::GET, path)
}

fn ask(site: RegistrySite, method: &Method, path: &str) -> Result<RegistryItem, RefusalReason> {
    let has_body = false;
    parse_request(
        site,
        RequestShape {
            method,
            path,
            has_body,
        },
    )
}

/// Of an index of one organisation.
fn ask_own(site: RegistrySite, method: &Method, path: &str) -> Result<RegistryItem, RefusalReason> {
    let shape = RequestShape {
        method,
        path,
        has_body: false,
    };
    parse_private_request(site, "/ann/dev/+simple/", shape)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_installing_asks_for_is_read() {
    let packument = |name: &str| RegistryItem::NpmPackument { name: name.into() };
    for (site, path, expected) in [
        (Npm, "/left-pad", packument("left-pad")),
        (Npm, "/JSONStream", packument("JSONStream")),
        (Npm, "/@scope%2fname", packument("@scope/name")),
        (Npm, "/@scope%2Fname", packument("@scope/name")),
        (Npm, "/@scope/name", packument("@scope/name")),
        (
            Npm,
            "/left-pad/1.3.0",
            RegistryItem::NpmManifest {
                name: "left-pad".into(),
                version: "1.3.0".into(),
            },
        ),
        (
            Npm,
            "/@scope/name/-/name-1.0.0-beta.1.tgz",
            RegistryItem::NpmTarball {
                name: "@scope/name".into(),
                file: "name-1.0.0-beta.1.tgz".into(),
            },
        ),
        (CratesIndex, "/config.json", RegistryItem::CratesConfig),
        (
            GoModules,
            "/github.com/!burnt!sushi/toml/@v/list",
            RegistryItem::GoDocument {
                module: "github.com/!burnt!sushi/toml".into(),
                version: "list".into(),
            },
        ),
        (
            GoModules,
            "/golang.org/x/text/@latest",
            RegistryItem::GoDocument {
                module: "golang.org/x/text".into(),
                version: "latest".into(),
            },
        ),
        (
            GoModules,
            "/golang.org/x/text/@v/v0.0.0-20191109021931-daa7c04131f5.info",
            RegistryItem::GoDocument {
                module: "golang.org/x/text".into(),
                version: "v0.0.0-20191109021931-daa7c04131f5".into(),
            },
        ),
        (
            GoModules,
            "/golang.org/x/text/@v/v2.0.0+incompatible.zip",
            RegistryItem::GoFile {
                module: "golang.org/x/text".into(),
                version: "v2.0.0+incompatible".into(),
                is_zip: true,
            },
        ),
        (
            GoModules,
            "/sumdb/sum.golang.org/supported",
            RegistryItem::GoSumProbe,
        ),
        (
            GoSums,
            "/lookup/golang.org/x/text@v0.3.0",
            RegistryItem::GoLookup {
                module: "golang.org/x/text".into(),
                version: "v0.3.0".into(),
            },
        ),
        (
            GoSums,
            "/tile/8/0/x123/456.p/17",
            RegistryItem::GoSums {
                path: "/tile/8/0/x123/456.p/17".into(),
            },
        ),
        (
            GoSums,
            "/tile/8/data/003",
            RegistryItem::GoSums {
                path: "/tile/8/data/003".into(),
            },
        ),
        (
            CratesIndex,
            "/1/a",
            RegistryItem::CrateVersions { name: "a".into() },
        ),
        (
            CratesIndex,
            "/2/ab",
            RegistryItem::CrateVersions { name: "ab".into() },
        ),
        (
            CratesIndex,
            "/3/s/syn",
            RegistryItem::CrateVersions { name: "syn".into() },
        ),
        (
            CratesIndex,
            "/se/rd/serde",
            RegistryItem::CrateVersions {
                name: "serde".into(),
            },
        ),
        (
            CratesFiles,
            "/crates/serde/1.0.0+a/download",
            RegistryItem::CrateFile {
                name: "serde".into(),
                version: "1.0.0+a".into(),
            },
        ),
        (
            CratesFiles,
            "/crates/serde-json/serde-json-1.0.0-rc.1.crate",
            RegistryItem::CrateFile {
                name: "serde-json".into(),
                version: "1.0.0-rc.1".into(),
            },
        ),
        (
            CratesApi,
            "/api/v1/crates/serde/1.0.0/download",
            RegistryItem::CrateFile {
                name: "serde".into(),
                version: "1.0.0".into(),
            },
        ),
        (
            PypiIndex,
            "/simple/Flask_Login/",
            RegistryItem::PypiProject {
                name: "flask-login".into(),
            },
        ),
        (
            PypiIndex,
            "/simple/flask",
            RegistryItem::PypiProject {
                name: "flask".into(),
            },
        ),
        (
            PypiFiles,
            "/packages/aa/bb/cc/Flask_Login-0.6.3-py3-none-any.whl.metadata",
            RegistryItem::PypiFile {
                name: "flask-login".into(),
                path: "/packages/aa/bb/cc/Flask_Login-0.6.3-py3-none-any.whl".into(),
                is_metadata: true,
            },
        ),
        (
            PypiFiles,
            "/packages/aa/bb/cc/flask-login-0.6.3.tar.gz",
            RegistryItem::PypiFile {
                name: "flask-login".into(),
                path: "/packages/aa/bb/cc/flask-login-0.6.3.tar.gz".into(),
                is_metadata: false,
            },
        ),
    ] {
        assert_eq!(get(site, path), Ok(expected), "{site} {path}");
    }
    assert!(ask(Npm, &Method::HEAD, "/left-pad").is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn everything_else_is_refused_by_name() {
    use RefusalReason::{
        AuditRefused, MethodNotAllowed, PathNotAllowed, PublishRefused, SearchRefused,
    };
    let (get, post, put) = (&Method::GET, &Method::POST, &Method::PUT);
    for (site, method, path, expected) in [
        (Npm, get, "/-/v1/search?text=secret", SearchRefused),
        (Npm, get, "/-/all", SearchRefused),
        (
            Npm,
            post,
            "/-/npm/v1/security/advisories/bulk",
            AuditRefused,
        ),
        (Npm, post, "/-/npm/v1/security/audits/quick", AuditRefused),
        (Npm, put, "/left-pad", PublishRefused),
        (Npm, put, "/-/user/org.couchdb.user:x", PublishRefused),
        (
            Npm,
            &Method::DELETE,
            "/left-pad/-/left-pad-1.0.0.tgz/-rev/1",
            PublishRefused,
        ),
        (Npm, get, "/-/whoami", PathNotAllowed),
        (Npm, get, "/-/ping", PathNotAllowed),
        (Npm, post, "/left-pad", MethodNotAllowed),
        (Npm, &Method::OPTIONS, "/left-pad", MethodNotAllowed),
        (Npm, get, "/left-pad?x=secret", PathNotAllowed),
        (Npm, get, "/", PathNotAllowed),
        (Npm, get, "/@scope", PathNotAllowed),
        (Npm, get, "/a%20b", PathNotAllowed),
        (Npm, get, "/..%2f..%2fetc", PathNotAllowed),
        (Npm, get, "/../x", PathNotAllowed),
        (Npm, get, "/a/../b", PathNotAllowed),
        (Npm, get, "/a/-/..", PathNotAllowed),
        (Npm, get, "/a/-/b.zip", PathNotAllowed),
        (Npm, get, "/a/b/c/d", PathNotAllowed),
        (Npm, get, "/a//-/a.tgz", PathNotAllowed),
        (CratesIndex, get, "/se/rd/serde?x", PathNotAllowed),
        (CratesIndex, get, "/xx/yy/serde", PathNotAllowed),
        (CratesIndex, get, "/Se/rd/Serde", PathNotAllowed),
        (CratesIndex, get, "/se/rd/se/rd/serde", PathNotAllowed),
        (CratesIndex, get, "/", PathNotAllowed),
        (CratesFiles, get, "/crates/serde/x/download", PathNotAllowed),
        (
            CratesFiles,
            get,
            "/crates/serde/other-1.0.0.crate",
            PathNotAllowed,
        ),
        (CratesFiles, get, "/db-dump.tar.gz", PathNotAllowed),
        (CratesApi, get, "/api/v1/crates?q=secret", SearchRefused),
        (CratesApi, get, "/api/v1/crates/serde", PathNotAllowed),
        (CratesApi, put, "/api/v1/crates/new", PublishRefused),
        (
            CratesApi,
            &Method::DELETE,
            "/api/v1/crates/a/1.0.0/yank",
            PublishRefused,
        ),
        (PypiIndex, get, "/simple/", PathNotAllowed),
        (PypiIndex, get, "/search/?q=secret", SearchRefused),
        (PypiIndex, post, "/legacy/", PublishRefused),
        (PypiIndex, get, "/pypi/flask/json", PathNotAllowed),
        (PypiIndex, get, "/pypi/flask/1.0", PathNotAllowed),
        (PypiIndex, get, "/pypi/flask/a b/json", PathNotAllowed),
        (PypiIndex, get, "/pypi/flask/1/2/json", PathNotAllowed),
        (PypiIndex, get, "/simple/-a/", PathNotAllowed),
        (PypiIndex, get, "/simple/a/b/", PathNotAllowed),
        (PypiFiles, get, "/packages/a/../b-1.whl", PathNotAllowed),
        (
            GoModules,
            get,
            "/github.com/BurntSushi/toml/@v/list",
            PathNotAllowed,
        ),
        (
            GoModules,
            get,
            "/github.com/!!x/toml/@v/list",
            PathNotAllowed,
        ),
        (GoModules, get, "/secret/@v/list", PathNotAllowed),
        (GoModules, get, "/a.com/../b/@v/list", PathNotAllowed),
        (GoModules, get, "/a.com/b/@v/main.info", PathNotAllowed),
        (GoModules, get, "/a.com/b/@v/v1.0.0.txt", PathNotAllowed),
        (GoModules, get, "/a.com/b/@v/v1.0.0/x.zip", PathNotAllowed),
        (GoModules, get, "/a.com/b?go-get=1", PathNotAllowed),
        (GoModules, put, "/a.com/b/@v/v1.0.0.zip", PublishRefused),
        (GoSums, get, "/lookup/a.com/b", PathNotAllowed),
        (GoSums, get, "/lookup/a.com/b@main", PathNotAllowed),
        (GoSums, get, "/tile/8/0/secret", PathNotAllowed),
        (GoSums, get, "/tile/8/0/x1/x2/x3/x4/x5/6", PathNotAllowed),
        (GoSums, get, "/tile/8", PathNotAllowed),
        (PypiFiles, get, "/packages/a/b.exe", PathNotAllowed),
        (PypiFiles, get, "/packages/a/b-1.0.tar.gz?x", PathNotAllowed),
    ] {
        assert_eq!(
            ask(site, method, path),
            Err(expected),
            "{site} {method} {path}"
        );
    }
    let with_body = RequestShape {
        method: &Method::GET,
        path: "/left-pad",
        has_body: true,
    };
    assert_eq!(
        parse_request(Npm, with_body),
        Err(RefusalReason::BodyNotAllowed)
    );
}

#[test]
fn an_own_index_has_projects_and_files_at_paths_of_its_own() {
    let get = |path: &str| ask_own(PypiIndex, &Method::GET, path);
    let project = RegistryItem::PypiProject {
        name: "flask-login".into(),
    };
    for path in [
        "/ann/dev/+simple/flask-login/",
        "/ann/dev/+simple/Flask_Login",
    ] {
        assert_eq!(get(path), Ok(project.clone()), "{path}");
    }
    let wheel = "/ann/dev/+f/de0/23717979cb600/words-1.0-py3-none-any.whl";
    for (path, is_metadata) in [
        (wheel.to_owned(), false),
        // As pip writes it.
        (wheel.replace('+', "%2B"), false),
        (format!("{wheel}.metadata"), true),
    ] {
        let file = RegistryItem::PypiFile {
            name: "words".into(),
            path: wheel.into(),
            is_metadata,
        };
        assert_eq!(get(&path), Ok(file.clone()), "{path}");
        assert_eq!(ask_own(PypiFiles, &Method::GET, &path), Ok(file), "{path}");
    }
    for path in [
        "/simple/flask/",
        "/ann/dev/+simple/",
        "/ann/other/+simple/flask/",
        "/ann/dev/+f/../words-1.0.tar.gz",
        "/ann/dev/+f/words-1.0.tar.gz?x",
        "/ann/dev/+f/words.exe",
        "/ann/dev/%2E%2E/words-1.0.tar.gz",
        "/ann%2Fdev/words-1.0.tar.gz",
        "/+login",
    ] {
        assert_eq!(get(path), Err(RefusalReason::PathNotAllowed), "{path}");
    }
    for (method, expected) in [
        (Method::POST, RefusalReason::MethodNotAllowed),
        (Method::PUT, RefusalReason::PublishRefused),
    ] {
        assert_eq!(ask_own(PypiIndex, &method, wheel), Err(expected));
    }
}

#[test]
fn each_site_has_its_host() {
    for site in RegistrySite::ALL {
        for host in site.public_hosts() {
            assert_eq!(RegistrySite::at_host(host), Some(*site));
        }
    }
    assert_eq!(RegistrySite::at_host("example.com"), None);
}

proptest! {
    /// Whatever is let through can only be a path that reads back as the same item: there is one
    /// spelling, and so no room for a message.
    #[test]
    fn what_goes_upstream_is_made_from_the_item(path in "/[ -~]{0,60}") {
        if let Ok(RegistryItem::NpmPackument { name }) = get(Npm, &path) {
            prop_assert_eq!(get(Npm, &npm::packument_path(&name)), Ok(RegistryItem::NpmPackument { name }));
        }
        if let Ok(RegistryItem::CrateFile { name, version }) = get(CratesFiles, &path) {
            let made = crates_io::crate_path(&name, &version);
            prop_assert_eq!(get(CratesFiles, &made), Ok(RegistryItem::CrateFile { name, version }));
        }
        if let Ok(RegistryItem::PypiProject { name }) = get(PypiIndex, &path) {
            let made = pypi::project_path(pypi::SIMPLE_PATH, &name);
            prop_assert_eq!(get(PypiIndex, &made), Ok(RegistryItem::PypiProject { name }));
        }
    }

    #[test]
    fn crates_are_found_where_the_index_files_them(name in "[a-z0-9_-]{1,20}") {
        let path = crates_io::index_path(&name);
        prop_assert_eq!(get(CratesIndex, &path), Ok(RegistryItem::CrateVersions { name }));
    }

    #[test]
    fn no_query_passes(query in "[ -~]{0,20}") {
        for (site, path) in [(Npm, "/left-pad"), (CratesIndex, "/se/rd/serde"), (PypiIndex, "/simple/flask/")] {
            let path = format!("{path}?{query}");
            prop_assert!(get(site, &path).is_err());
        }
    }
}

#[test]
fn a_pattern_of_modules_matches_whole_parts() {
    for (module, pattern, expected) in [
        ("corp.example/a", "corp.example", true),
        ("corp.example", "corp.example", true),
        ("corp.example.evil/a", "corp.example", false),
        ("git.corp.example/a/b", "*.corp.example", true),
        ("corp.example/team/a", "corp.example/team", true),
        ("corp.example/team/a", "corp.example/team/", true),
        ("corp.example/teams/a", "corp.example/team", false),
        ("corp.example/team-a/x", "corp.example/team-*", true),
        ("corp.example", "corp.example/team", false),
        ("corp.example", "", false),
        ("corp.example", "*", true),
    ] {
        let found = super::go::matches_pattern(module, pattern);
        assert_eq!(found, expected, "{module} {pattern}");
    }
}

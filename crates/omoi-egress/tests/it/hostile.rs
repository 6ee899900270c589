//! What registries, lock files and clients may send to break a parser: each parser ends on each of it, and none of
//! it becomes a document, a version or a request that was not there.

use std::fmt::Write as _;

use http::Method;
use omoi_domain::planted_bug::PlantedBug;
use omoi_egress::document::crates_index::CrateVersions;
use omoi_egress::document::go_module::{GoVersion, find_sum};
use omoi_egress::document::packument::Packument;
use omoi_egress::document::simple_index::ProjectFiles;
use omoi_egress::host::{EgressHost, EgressTarget, HostRules};
use omoi_egress::lock_file::locked_versions;
use omoi_egress::options::RegistryRow;
use omoi_egress::package::{ArtefactSum, PackageVersion};
use omoi_egress::registry::{RegistrySite, RequestShape, parse_request};
use omoi_testkit::invariant::InvariantProof;

/// Lock files that are read.
pub(crate) const LOCK_FILES: [&str; 13] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "Cargo.lock",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "requirements.lock",
    "requirements.txt",
    "go.sum",
];

/// As long as a test can bear in a build for tests.
const LENGTH: usize = 64 << 10;

/// Each with what it is.
fn hostile_inputs() -> Vec<(&'static str, Vec<u8>)> {
    let repeated = |part: &str, bytes: usize| part.repeat(bytes / part.len());
    let texts = [
        ("nothing", String::new()),
        ("a zero byte", "\0".to_owned()),
        ("zero bytes", repeated("\0", LENGTH)),
        ("one line", repeated("a", LENGTH)),
        ("lines of nothing", repeated("\n", LENGTH)),
        ("lines of a carriage return", repeated("\r\n", LENGTH)),
        ("open lists", repeated("[", LENGTH)),
        ("open objects", repeated("{\"a\":", LENGTH)),
        ("open strings", repeated("\"", LENGTH)),
        ("backslashes", format!("{{\"name\":\"{}", repeated("\\", LENGTH))),
        ("escapes", format!("{{\"name\":\"{}\"}}", repeated("\\u0000", LENGTH))),
        ("half a pair of escapes", "{\"name\":\"\\ud800\"}".to_owned()),
        ("a large number", format!("{{\"versions\":{}}}", repeated("9", LENGTH))),
        ("an exponent", "{\"versions\":1e999999999}".to_owned()),
        ("many names", format!("{{{}\"a\":1}}", repeated("\"a\":1,", LENGTH))),
        ("versions in a list", "{\"name\":\"a\",\"versions\":[[[]]]}".to_owned()),
        ("a version of nothing", "{\"name\":\"a\",\"versions\":{\"\":null}}".to_owned()),
        ("versions that are their own", "{\"name\":\"a\",\"versions\":{\"1.0.0\":{\"dist\":{\"tarball\":\"/\"}}}}".to_owned()),
        ("dates of the far future", "{\"name\":\"a\",\"versions\":{\"1.0.0\":{}},\"time\":{\"1.0.0\":\"999999-99-99T99:99:99Z\"}}".to_owned()),
        ("files without a name", "{\"name\":\"a\",\"files\":[{},{\"filename\":\"\"},{\"url\":\"://\"}]}".to_owned()),
        ("a file of a long name", format!("{{\"name\":\"a\",\"files\":[{{\"filename\":\"{}.whl\"}}]}}", repeated("-", LENGTH))),
        ("tables", repeated("[[package]]\n", LENGTH)),
        ("tables of one name", repeated("[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"registry+x\"\n", LENGTH)),
        ("ranges", repeated("a@b@c@:\n  version \"1\"\n", LENGTH)),
        ("quotes", repeated("'@/(\"':\n", LENGTH)),
        ("sums", repeated("a v1 h1:\n", LENGTH)),
        ("equals signs", repeated("a==", LENGTH)),
        ("a byte order mark", "\u{feff}{}".to_owned()),
        ("text from right to left", repeated("\u{202e}@1.0.0\n", LENGTH)),
        ("letters of many bytes", repeated("\u{10ffff}@", LENGTH)),
        ("a page", "<html><script>alert(1)</script></html>".to_owned()),
        ("a deep lock file", "{\"dependencies\":{\"a\":".repeat(100)),
        ("percent signs", repeated("%", LENGTH)),
        ("dots", repeated(".", LENGTH)),
        ("slashes", repeated("/", LENGTH)),
        ("at signs", repeated("@", LENGTH)),
        ("colons", repeated(":", LENGTH)),
        ("brackets", repeated("[::", LENGTH)),
        ("stars", repeated("*.", LENGTH)),
        ("semicolons", repeated("host=a;", LENGTH)),
    ];
    let mut inputs: Vec<_> = texts
        .into_iter()
        .map(|(what, text)| (what, text.into_bytes()))
        .collect();
    inputs.push(("no text", vec![0xff; LENGTH]));
    inputs.push(("half a letter", vec![b'"', 0xe2, 0x82]));
    inputs.push(("overlong letters", [0xc0, 0x80].repeat(LENGTH / 2)));
    inputs
}

/// Every parser of outside data, over one input; says how many there are.
fn parse_everywhere(what: &str, bytes: &[u8]) -> usize {
    let mut n_parsers = 5 + LOCK_FILES.len();
    for name in ["a", ""] {
        if let Ok(packument) = Packument::parse(name, bytes) {
            packument.find_file("");
            packument.find_manifest("latest");
            packument.render();
        }
        if let Ok(files) = ProjectFiles::parse(name, "https://pypi.org/simple/a/", bytes) {
            files.find_file("", false);
            files.find_file("", true);
            files.render_page();
        }
        if let Ok(versions) = CrateVersions::parse(name, bytes) {
            versions.find_file("");
        }
    }
    let _ = GoVersion::parse(bytes);
    assert_eq!(
        find_sum(bytes, "example.com/a", "v1.0.0", true),
        None,
        "{what}"
    );
    for path in LOCK_FILES {
        assert!(locked_versions(path, bytes).len() <= 50_000, "{what}");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return n_parsers;
    };
    let _ = text.parse::<EgressHost>();
    let _ = EgressTarget::parse(text, 443);
    let _ = HostRules::parse(&[text], &[]);
    assert!(text.parse::<RegistryRow>().is_err(), "{what}");
    let _ = text.parse::<PackageVersion>();
    let _ = ArtefactSum::from_integrity(text);
    n_parsers += 6;
    for site in RegistrySite::ALL {
        let shape = RequestShape {
            method: &Method::GET,
            path: text,
            has_body: false,
        };
        assert!(parse_request(*site, shape).is_err(), "{what}: {site}");
        n_parsers += 1;
    }
    n_parsers
}

#[tokio::test]
async fn s9_no_lock_file_fills_the_memory_with_versions() {
    const LINES: usize = 60_000;
    let mut text = String::new();
    for n in 0..LINES {
        let _ = writeln!(text, "package-{n}==1.0");
    }
    let proof = InvariantProof {
        id: "S9",
        counted: "versions kept beyond 50,000",
        n_cases: LINES,
        bug: PlantedBug::ParserLimit,
    };
    let count_beyond = async || {
        let kept = locked_versions("requirements.txt", text.as_bytes());
        kept.len().saturating_sub(50_000)
    };
    proof.check(count_beyond).await;
}

#[test]
fn no_parser_of_outside_data_breaks() {
    let inputs = hostile_inputs();
    let counts = inputs
        .iter()
        .map(|(what, bytes)| parse_everywhere(what, bytes));
    let n_parses: usize = counts.sum();
    println!(
        "{} hostile inputs, {n_parses} parses, 0 broken",
        inputs.len()
    );
    assert!(inputs.len() >= 40 && n_parses >= 800, "{n_parses}");
}
